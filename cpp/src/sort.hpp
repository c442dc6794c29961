// Keys of scores, and a radix sort of keys that begins with the least digit.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace smoothbound::detail {

template <class Key>
inline constexpr Key sign_bit = static_cast<Key>(Key{1} << (sizeof(Key) * 8 - 1));

// A key whose unsigned order is the order of the scores: negative floats grow downwards.
template <class Key>
Key key_of_bits(Key bits) noexcept {
  using Signed = std::make_signed_t<Key>;
  const auto negative = static_cast<Key>(static_cast<Signed>(bits) >> (sizeof(Key) * 8 - 1));
  return static_cast<Key>(bits ^ (negative | sign_bit<Key>));
}

template <class Key>
Key bits_of_key(Key key) noexcept {
  using Signed = std::make_signed_t<Key>;
  const auto positive = static_cast<Key>(static_cast<Signed>(key) >> (sizeof(Key) * 8 - 1));
  return static_cast<Key>(key ^ (~positive | sign_bit<Key>));
}

inline constexpr int least_digit_bits = 8;
inline constexpr int most_digit_bits = 15;

// The digits of keys with `bits` bits. They are as few as possible while their histograms fit in
// the cache and are not larger than the row. The low digits of scores are spread evenly, and 11
// bits are best for them. The highest digit takes the other bits. It may be larger, because most of
// its values do not occur.
struct Digits {
  int passes, low_bits;

  Digits(int bits, std::size_t n_keys) noexcept {
    const int row_bits = static_cast<int>(std::bit_width(n_keys - 1));
    const int most_low = std::clamp(row_bits, least_digit_bits, 11);
    const int most_top = std::clamp(row_bits, least_digit_bits, most_digit_bits);
    passes = bits <= most_top ? 1 : 1 + (bits - most_top + most_low - 1) / most_low;
    low_bits = std::min(most_low, (bits + passes - 1) / passes);
  }
};

// Subtracts `least` from the keys and sorts them. Keys are read once for the counts of all digits,
// and moved once for each digit. Offsets of 16 bits, which suffice for short rows, take half the
// time of wider ones on processors that predict which store a load of 32 bits will see.
template <int passes, class Offset, class Key>
void radix_sort(std::vector<Key>& keys, std::vector<Key>& other,
                std::vector<std::uint32_t>& histogram, Key least, int bits, int low_bits) {
  const std::size_t low_buckets = std::size_t{1} << low_bits;
  const std::size_t top_buckets = std::size_t{1} << (bits - (passes - 1) * low_bits);
  const auto digit = [=](Key key, int pass) {
    const auto rest = static_cast<std::size_t>(key >> (pass * low_bits));
    return pass == passes - 1 ? rest : rest & (low_buckets - 1);
  };
  histogram.assign(low_buckets * (passes - 1) + top_buckets, 0);
  for (Key& key : keys) {
    key = static_cast<Key>(key - least);
    for (int pass = 0; pass < passes; ++pass) {
      ++histogram[static_cast<std::size_t>(pass) * low_buckets + digit(key, pass)];
    }
  }
  std::array<Offset, std::size_t{1} << most_digit_bits> offset;
  for (int pass = 0; pass < passes; ++pass) {
    const std::uint32_t* count = histogram.data() + static_cast<std::size_t>(pass) * low_buckets;
    const std::size_t buckets = pass == passes - 1 ? top_buckets : low_buckets;
    std::uint32_t total = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
      offset[i] = static_cast<Offset>(total);
      total += count[i];
    }
    for (const Key key : keys) other[offset[digit(key, pass)]++] = key;
    keys.swap(other);
  }
}

template <int passes, class Offset, class Key>
void radix_sort_in(int wanted, std::vector<Key>& keys, std::vector<Key>& other,
                   std::vector<std::uint32_t>& histogram, Key least, int bits, int low_bits) {
  if constexpr (passes > 1) {
    if (wanted < passes) {
      return radix_sort_in<passes - 1, Offset>(wanted, keys, other, histogram, least, bits,
                                               low_bits);
    }
  }
  radix_sort<passes, Offset>(keys, other, histogram, least, bits, low_bits);
}

// The same for keys from `least` to `most`.
template <class Key>
void radix_sort(std::vector<Key>& keys, std::vector<Key>& other,
                std::vector<std::uint32_t>& histogram, Key least, Key most) {
  const std::size_t n_keys = keys.size();
  other.resize(n_keys);
  const int bits = std::bit_width(static_cast<Key>(most - least));
  const Digits digits(bits, n_keys);
  constexpr int most_passes = sizeof(Key) * 8 / least_digit_bits;
  if (n_keys <= std::numeric_limits<std::uint16_t>::max()) {
    radix_sort_in<most_passes, std::uint16_t>(digits.passes, keys, other, histogram, least, bits,
                                              digits.low_bits);
  } else {
    radix_sort_in<most_passes, std::uint32_t>(digits.passes, keys, other, histogram, least, bits,
                                              digits.low_bits);
  }
}

}  // namespace smoothbound::detail
