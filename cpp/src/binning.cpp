#include "smoothbound/binning.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>

#include "kernels.hpp"

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
  using Signed = std::make_signed_t<Key>;
  const auto positive = static_cast<Key>(static_cast<Signed>(key) >> (sizeof(Key) * 8 - 1));
  return to_double(std::bit_cast<T>(static_cast<Key>(key ^ (~positive | sign_bit<Key>))));
}

constexpr int least_digit_bits = 8;
constexpr int most_digit_bits = 15;

// The digits of keys of so many bits: the fewest whose histograms fit in the cache and are not
// larger than the row. The low digits of scores are spread evenly and are best kept to 11 bits;
// the highest takes the rest, and may be larger, since most of its values do not occur.
struct Digits {
  int passes, low_bits;

  Digits(int bits, std::size_t m) noexcept {
    const int row_bits = static_cast<int>(std::bit_width(m - 1));
    const int most_low = std::clamp(row_bits, least_digit_bits, 11);
    const int most_top = std::clamp(row_bits, least_digit_bits, most_digit_bits);
    passes = bits <= most_top ? 1 : 1 + (bits - most_top + most_low - 1) / most_low;
    low_bits = std::min(most_low, (bits + passes - 1) / passes);
  }
};

// Sorts keys - least, which leaves them so: keys are read once for the counts of all digits, and
// moved once for each digit. Offsets of 16 bits, where the row is short enough for them, take half
// the time of wider ones on processors that guess which store a load of 32 bits will see.
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

// The same for keys from `least` to `most`.
template <class Key>
void radix_sort(std::vector<Key>& keys, std::vector<Key>& other,
                std::vector<std::uint32_t>& histogram, Key least, Key most) {
  const std::size_t m = keys.size();
  other.resize(m);
  const int bits = std::bit_width(static_cast<Key>(most - least));
  const Digits digits(bits, m);
  constexpr int most_passes = sizeof(Key) * 8 / least_digit_bits;
  if (m <= std::numeric_limits<std::uint16_t>::max()) {
    radix_sort_in<most_passes, std::uint16_t>(digits.passes, keys, other, histogram, least, bits,
                                              digits.low_bits);
  } else {
    radix_sort_in<most_passes, std::uint32_t>(digits.passes, keys, other, histogram, least, bits,
                                              digits.low_bits);
  }
}

constexpr std::size_t small_row = 64;  // below it a comparison sort wins

// Rows whose scores are shared among buckets.
constexpr std::size_t least_shared = 1 << 13;
constexpr std::size_t most_shared = 1 << 20;
constexpr int cell_bits = 13;
constexpr std::size_t n_cells = std::size_t{1} << cell_bits;
constexpr std::size_t bucket_draws = 192;   // in a bucket, if all have the same share
constexpr std::size_t bucket_room = 768;    // of a bucket expected to fill half of it; multiple of 8
constexpr std::size_t bucket_stride = 784;  // not a power of two: caches would hold few of them

// The least float that is >= x.
float least_float(double x) noexcept {
  constexpr float most = std::numeric_limits<float>::max();
  if (x < -static_cast<double>(most)) return -most;
  if (x > static_cast<double>(most)) return std::numeric_limits<float>::infinity();
  const auto near = static_cast<float>(x);
  return static_cast<double>(near) < x ? std::nextafter(near, std::numeric_limits<float>::infinity())
                                       : near;
}

// Where memory that is 64 bytes too large reaches a multiple of 64 bytes.
std::int32_t* aligned(std::vector<std::int32_t>& memory) noexcept {
  void* at = memory.data();
  std::size_t space = memory.size() * sizeof(std::int32_t);
  return static_cast<std::int32_t*>(std::align(64, 64, at, space));
}

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

// Many draws in one bucket are likely to be ties.
template <>
void Sorter<float>::sort_large_bucket(std::uint32_t* begin, std::uint32_t* end) {
  const auto [least, most] = std::minmax_element(begin, end);
  if (*least == *most) return;
  const Key base = *least;
  keys_.assign(begin, end);
  radix_sort(keys_, sorted_, histogram_, base, *most);
  for (const Key key : keys_) *begin++ = key + base;
}

// Buckets of about the same size are sorted together, since a lane that is done waits for the rest.
template <>
void Sorter<float>::sort_buckets() {
  const std::size_t lanes = kernels().row_lanes;
  const std::size_t n_buckets = ends_.size();
  const auto size = [&](std::size_t i) { return ends_[i] - starts_[i]; };
  std::array<std::uint32_t, bucket_room + 2> first{};
  for (std::size_t i = 0; i < n_buckets; ++i) {
    if (size(i) <= bucket_room) ++first[size(i) + 1];
  }
  for (std::size_t n = 1; n < first.size(); ++n) first[n] += first[n - 1];
  const std::size_t n_small = first.back();
  bucket_.resize(std::max(n_cells, n_buckets));  // from here on, the buckets by size
  for (std::size_t i = 0; i < n_buckets; ++i) {
    if (size(i) <= bucket_room) {
      bucket_[first[size(i)]++] = static_cast<std::uint16_t>(i);
    } else {
      sort_large_bucket(other_.data() + starts_[i], other_.data() + ends_[i]);
    }
  }
  scratch_.resize(lanes * row_room(bucket_room) + 16);
  std::int32_t* scratch = aligned(scratch_);
  for (std::size_t begin = 0; begin < n_small; begin += lanes) {
    const std::size_t count = std::min(lanes, n_small - begin);
    const std::size_t n = (size(bucket_[begin + count - 1]) + 7) / 8 * 8;
    std::uint32_t* keys[most_rows_together];
    for (std::size_t j = 0; j < count; ++j) {
      const std::size_t i = bucket_[begin + j];
      keys[j] = other_.data() + starts_[i];
      std::fill(keys[j] + size(i), keys[j] + n, std::numeric_limits<std::uint32_t>::max());
    }
    if (n > 0) kernels().sort_rows(keys, count, n, scratch);
  }
}

// Which cells make up a bucket, and the room of each bucket, from a sample of the row.
template <>
Spread Sorter<float>::plan_buckets(Row<float> row, double a, double b) {
  const std::size_t m = row.size;
  const std::size_t n_buckets = (m + bucket_draws - 1) / bucket_draws;
  Spread spread{least_float(a), -least_float(-b), 0, 0, n_cells - 1, nullptr};
  const std::size_t runs = m / sample_step;
  const std::size_t n_sample = runs * sample_run;
  sample_.resize(n_sample);
  std::int32_t most = 0;
  kernels().levels(row.data, runs, spread, sample_.data(), spread.least, most);
  const auto least = static_cast<std::uint32_t>(spread.least);
  const int bits = std::bit_width(static_cast<std::uint32_t>(most) - least);
  spread.shift = std::max(0, bits - cell_bits);
  histogram_.assign(n_cells, 0);
  for (const std::int32_t level : sample_) {
    ++histogram_[(static_cast<std::uint32_t>(level) - least) >> spread.shift];
  }
  bucket_.resize(n_cells);
  ends_.assign(n_buckets, 0);  // for now, how many of the sample are in each
  const std::uint64_t buckets_per_draw = (std::uint64_t{n_buckets} << 32) / n_sample;
  std::uint64_t before = 0;
  for (std::size_t cell = 0; cell < n_cells; ++cell) {
    const std::uint32_t count = histogram_[cell];
    const std::uint64_t middle = (before + count / 2) * buckets_per_draw >> 32;
    const std::size_t bucket = std::min<std::size_t>(middle, n_buckets - 1);
    bucket_[cell] = static_cast<std::uint16_t>(bucket);
    ends_[bucket] += count;
    before += count;
  }
  spread.bucket = bucket_.data();
  starts_.resize(n_buckets + 1);
  starts_[0] = 0;
  for (std::size_t i = 0; i < n_buckets; ++i) {
    const std::size_t expected = ends_[i] * (sample_step / sample_run);
    const std::size_t stride =
        expected <= bucket_room / 2 ? bucket_stride : bucket_stride + expected / 2 * 3;
    starts_[i + 1] = starts_[i] + static_cast<std::uint32_t>(stride);
    ends_[i] = starts_[i];
  }
  return spread;
}

// One pass over the row, and a sort of each bucket while it lies in the cache.
template <>
Sorter<float>::Shared Sorter<float>::sort_in_buckets(Row<float> row, double a, double b) {
  const std::size_t m = row.size;
  const Spread spread = plan_buckets(row, a, b);
  const std::size_t n_buckets = ends_.size();
  // A bucket that runs over spoils those behind it, but not the memory behind the last: they are
  // looked at before so many draws were added.
  const std::size_t unseen = 16 * n_buckets;
  other_.resize(starts_.back() + unseen);
  for (std::size_t start = 0; start < m; start += unseen) {
    const std::size_t n = std::min(unseen, m - start);
    if (!kernels().scatter(row.data + start, n, spread, other_.data(), ends_.data())) {
      return Shared::bad_score;
    }
    bool over = false;
    for (std::size_t i = 0; i < n_buckets; ++i) over |= ends_[i] > starts_[i + 1];
    if (over) return Shared::unevenly;
  }
  sort_buckets();
  keys_.resize(m);
  base_ = 0;
  std::uint32_t* out = keys_.data();
  for (std::size_t i = 0; i < n_buckets; ++i) {
    out = std::copy(other_.data() + starts_[i], other_.data() + ends_[i], out);
  }
  return Shared::sorted;
}

template <class T>
bool Sorter<T>::operator()(Row<T> row, double a, double b) {
  if constexpr (std::is_same_v<T, float>) {
    if (row.is_dense() && row.size >= least_shared && row.size <= most_shared &&
        kernels().row_lanes > 0) {
      const Shared shared = sort_in_buckets(row, a, b);
      if (shared != Shared::unevenly) return shared == Shared::sorted;
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

template <class T>
std::size_t RowSorters<T>::rows_together(std::size_t n_draws) noexcept {
  constexpr std::size_t longest = 2048;  // beyond it, a radix sort wins
  const std::size_t lanes = std::min(kernels().row_lanes, most_rows_together);
  return std::is_same_v<T, float> && n_draws <= longest && lanes > 0 ? lanes : 1;
}

template <>
bool RowSorters<float>::sort_together(std::span<const Row<float>> rows, double a, double b) {
  std::uint32_t* keys[most_rows_together];
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!sorters_[i].take(rows[i], a, b)) return false;
    keys[i] = sorters_[i].keys_.data();
  }
  scratch_.resize(sorters_.size() * row_room(rows[0].size) + 16);
  kernels().sort_rows(keys, rows.size(), rows[0].size, aligned(scratch_));
  return true;
}

template <class T>
bool RowSorters<T>::operator()(std::span<const Row<T>> rows, double a, double b) {
  const std::size_t lanes = sorters_.size();
  // All lanes cost the same, filled or not.
  if constexpr (std::is_same_v<T, float>) {
    if (lanes > 1 && rows.size() > lanes / 4) return sort_together(rows, a, b);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!sorters_[i](rows[i], a, b)) return false;
  }
  return true;
}

template class Sorter<half>;
template class Sorter<float>;
template class Sorter<double>;
template class RowSorters<half>;
template class RowSorters<float>;
template class RowSorters<double>;

std::vector<std::size_t> equal_count_positions(std::size_t m, std::size_t n_bins) {
  const std::size_t n = n_bins == 0 ? m : std::min(n_bins, m);
  std::vector<std::size_t> positions(n);
  for (std::size_t i = 0; i < n; ++i) {  // floor(i m / n) without overflow
    positions[i] = i * (m / n) + i * (m % n) / n;
  }
  return positions;
}

}  // namespace smoothbound
