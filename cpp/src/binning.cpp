#include "smoothbound/detail/binning.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "sort.hpp"

namespace smoothbound::detail {
namespace {

template <class T, class Key>
double score_of_key(Key key) noexcept {
  return to_double(std::bit_cast<T>(bits_of_key(key)));
}

// Sets the keys of a row, the least and the greatest. Compilers vectorise this for neighbouring
// scores, the most common layout, because the comparison is signed.
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

constexpr std::size_t small_row = 64;  // below it a comparison sort wins

}  // namespace

template <class T>
bool Sorter<T>::take(Row<T> row, double a, double b) {
  keys_.resize(row.size);
  take_keys(row, keys_.data(), least_, most_);
  base_ = 0;
  // NaN keys lie beyond those of the infinities, so the ends tell about every score.
  return score_of_key<T>(least_) >= a && score_of_key<T>(most_) <= b;
}

template <class T>
void Sorter<T>::sort() {
  if (keys_.size() < small_row) {
    std::sort(keys_.begin(), keys_.end());
    return;
  }
  base_ = least_;
  radix_sort(keys_, other_, histogram_, least_, most_);
}

template <class T>
bool Sorter<T>::operator()(Row<T> row, double a, double b) {
  if constexpr (std::is_same_v<T, float>) {
    if (std::isfinite(b - a) && BucketSort::suits(row)) {
      base_ = 0;
      const BucketSort::Outcome outcome = buckets_(row, a, b, keys_);
      if (outcome != BucketSort::Outcome::uneven) return outcome == BucketSort::Outcome::sorted;
    }
  }
  if (!take(row, a, b)) return false;
  sort();
  return true;
}

template <class T>
void Sorter<T>::copy(std::size_t first, std::span<double> out) const noexcept {
  const Key* keys = keys_.data() + first;
  const Key base = base_;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = score_of_key<T>(static_cast<Key>(keys[i] + base));
  }
}

template <class T>
void Sorter<T>::pick(std::span<const std::size_t> positions, bool descending,
                     std::span<double> out) const noexcept {
  const Key* keys = keys_.data();
  const Key base = base_;
  const std::size_t last = keys_.size() - 1;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t at = descending ? last - positions[i] : positions[i];
    out[i] = score_of_key<T>(static_cast<Key>(keys[at] + base));
  }
}

template <class T>
double Sorter<T>::operator[](std::size_t i) const noexcept {
  return score_of_key<T>(static_cast<Key>(keys_[i] + base_));
}

template class Sorter<half>;
template class Sorter<float>;
template class Sorter<double>;

std::vector<std::size_t> equal_count_positions(std::size_t n_draws, std::size_t n_bins) {
  const std::size_t n = n_bins == 0 ? n_draws : std::min(n_bins, n_draws);
  std::vector<std::size_t> positions(n);
  for (std::size_t i = 0; i < n; ++i) {  // floor(i n_draws / n) without overflow
    positions[i] = i * (n_draws / n) + i * (n_draws % n) / n;
  }
  return positions;
}

}  // namespace smoothbound::detail
