#include "smoothbound/binning.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace smoothbound {
namespace {

template <class Key>
constexpr Key sign_bit = static_cast<Key>(Key{1} << (sizeof(Key) * 8 - 1));

// A key whose unsigned order is the order of the scores: negative floats grow downwards.
template <class Key>
Key key_of_bits(Key bits) noexcept {
  using Signed = std::make_signed_t<Key>;
  const auto negative = static_cast<Key>(static_cast<Signed>(bits) >> (sizeof(Key) * 8 - 1));
  return static_cast<Key>(bits ^ (negative | sign_bit<Key>));
}

template <class T, class Key>
double score_of_key(Key key) noexcept {
  const bool negative = (key & sign_bit<Key>) == 0;
  return to_double(std::bit_cast<T>(static_cast<Key>(negative ? ~key : key ^ sign_bit<Key>)));
}

// A row whose keys take `bits` bits is sorted in as few passes as digits of at most
// digit_bits_of(m) bits allow: histograms that fit in the cache, and are not larger than the row.
int digit_bits_of(std::size_t m) noexcept { return m < 4096 ? 8 : m < 32768 ? 11 : 13; }

// Sorts keys - least, which leaves them so: keys are read once for the counts of all digits, and
// moved once for each digit.
template <int passes, class Key>
void radix_sort(std::vector<Key>& keys, std::vector<Key>& other,
                std::vector<std::uint32_t>& histogram, Key least, int bits) {
  const int digit_bits = (bits + passes - 1) / passes;
  const std::size_t buckets = std::size_t{1} << digit_bits;
  const auto digit = [=](Key key, int pass) {
    return static_cast<std::size_t>(key >> (pass * digit_bits)) & (buckets - 1);
  };
  histogram.assign(buckets * passes, 0);
  for (Key& key : keys) {
    key = static_cast<Key>(key - least);
    for (int pass = 0; pass < passes; ++pass) {
      ++histogram[static_cast<std::size_t>(pass) * buckets + digit(key, pass)];
    }
  }
  for (int pass = 0; pass < passes; ++pass) {
    std::uint32_t* offset = histogram.data() + static_cast<std::size_t>(pass) * buckets;
    std::uint32_t total = 0;
    for (std::size_t i = 0; i < buckets; ++i) total += std::exchange(offset[i], total);
    for (const Key key : keys) other[offset[digit(key, pass)]++] = key;
    keys.swap(other);
  }
}

template <int passes, class Key>
void radix_sort_in(int wanted, std::vector<Key>& keys, std::vector<Key>& other,
                   std::vector<std::uint32_t>& histogram, Key least, int bits) {
  if constexpr (passes > 1) {
    if (wanted < passes) {
      return radix_sort_in<passes - 1>(wanted, keys, other, histogram, least, bits);
    }
  }
  radix_sort<passes>(keys, other, histogram, least, bits);
}

// The keys of a row, and their ends. Signed comparison and neighbouring scores let compilers
// vectorise it for the commonest layout.
template <class T, class Key>
void take_keys(Row<T> row, Key* keys, Key& least, Key& most) {
  using Signed = std::make_signed_t<Key>;
  const auto take = [&](auto score_at) {
    Signed low = std::numeric_limits<Signed>::max();
    Signed high = std::numeric_limits<Signed>::min();
    for (std::size_t i = 0; i < row.size; ++i) {
      const Key key = key_of_bits(std::bit_cast<Key>(score_at(i)));
      const auto order = static_cast<Signed>(key ^ sign_bit<Key>);
      keys[i] = key;
      low = order < low ? order : low;
      high = order > high ? order : high;
    }
    least = static_cast<Key>(static_cast<Key>(low) ^ sign_bit<Key>);
    most = static_cast<Key>(static_cast<Key>(high) ^ sign_bit<Key>);
  };
  if (row.stride == sizeof(T)) {
    take([&](std::size_t i) { return row.packed(i); });
  } else {
    take([&](std::size_t i) { return row[i]; });
  }
}

constexpr std::size_t small_row = 256;  // below it a comparison sort wins

}  // namespace

double to_double(half x) noexcept {
  const auto bits = static_cast<std::uint16_t>(x);
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  double value = 0.0;
  if (exponent == 0x1f) {
    value = fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                          : std::numeric_limits<double>::infinity();
  } else if (exponent == 0) {
    value = std::ldexp(fraction, -24);
  } else {
    value = std::ldexp(fraction + 0x400, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

template <class T>
bool Sorter<T>::operator()(Row<T> row, double a, double b) {
  const std::size_t m = row.size;
  keys_.resize(m);
  other_.resize(m);
  Key most;
  take_keys(row, keys_.data(), least_, most);
  // NaN keys lie beyond those of the infinities, so the ends tell about every score.
  if (!(score_of_key<T>(least_) >= a && score_of_key<T>(most) <= b)) return false;
  if (m < small_row) {
    std::sort(keys_.begin(), keys_.end());
    for (Key& key : keys_) key = static_cast<Key>(key - least_);
    return true;
  }
  const int bits = std::bit_width(static_cast<Key>(most - least_));
  const int digit_bits = digit_bits_of(m);
  constexpr int most_passes = sizeof(Key);  // digits of 8 bits
  const int passes = (bits + digit_bits - 1) / digit_bits;
  radix_sort_in<most_passes>(passes, keys_, other_, histogram_, least_, bits);
  return true;
}

template <class T>
double Sorter<T>::operator[](std::size_t i) const noexcept {
  return score_of_key<T>(static_cast<Key>(keys_[i] + least_));
}

template class Sorter<half>;
template class Sorter<float>;
template class Sorter<double>;

std::vector<std::size_t> equal_count_positions(std::size_t m, std::size_t n_bins) {
  const std::size_t n = n_bins == 0 ? m : std::min(n_bins, m);
  std::vector<std::size_t> positions(n);
  for (std::size_t i = 0; i < n; ++i) {  // floor(i m / n) without overflow
    positions[i] = i * (m / n) + i * (m % n) / n;
  }
  return positions;
}

}  // namespace smoothbound
