#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>

#include "kernels/kernels.hpp"
#include "smoothbound/detail/binning.hpp"
#include "sort.hpp"

namespace smoothbound::detail {
namespace {

// Row lengths for which this is the fastest sort.
constexpr std::size_t shortest = 1 << 15;
constexpr std::size_t longest = 1 << 18;
constexpr int cell_bits = 13;
constexpr std::size_t n_cells = std::size_t{1} << cell_bits;
constexpr std::size_t bucket_draws = 192;   // the mean number of draws in a bucket
constexpr std::size_t bucket_room = 768;    // a bucket is expected to fill half; a multiple of 8
constexpr std::size_t bucket_stride = 784;  // not a power of two, so that caches hold many buckets

std::uint32_t key_of_float(float x) noexcept {
  return key_of_bits(std::bit_cast<std::uint32_t>(x));
}
float float_of_key(std::uint32_t key) noexcept { return std::bit_cast<float>(bits_of_key(key)); }

// The least float that is >= x.
float least_float(double x) noexcept {
  constexpr float most = std::numeric_limits<float>::max();
  if (x < -static_cast<double>(most)) return -most;
  if (x > static_cast<double>(most)) return std::numeric_limits<float>::infinity();
  const auto near = static_cast<float>(x);
  return static_cast<double>(near) < x
             ? std::nextafter(near, std::numeric_limits<float>::infinity())
             : near;
}

}  // namespace

bool BucketSort::suits(Row<float> row) noexcept {
  return row.is_dense() && row.size >= shortest && row.size <= longest && kernels().row_lanes > 0;
}

// Sorts a bucket with many draws, which are probably ties.
void BucketSort::sort_large(float* begin, float* end) {
  large_.resize(static_cast<std::size_t>(end - begin));
  std::transform(begin, end, large_.begin(), key_of_float);
  const auto [first, last] = std::minmax_element(large_.begin(), large_.end());
  const std::uint32_t least = *first;
  const std::uint32_t most = *last;
  if (least == most) return;
  radix_sort(large_, other_, histogram_, least, most);
  for (const std::uint32_t key : large_) *begin++ = float_of_key(key + least);
}

// Sorts buckets of about the same size together, because a lane that is done waits for the others.
void BucketSort::sort_each() {
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
      sort_large(room_.data() + starts_[i], room_.data() + ends_[i]);
    }
  }
  scratch_.resize(lanes * row_room(bucket_room) + 16);
  void* at = scratch_.data();
  std::size_t space = scratch_.size() * sizeof(float);
  auto* scratch = static_cast<float*>(std::align(64, 64, at, space));
  for (std::size_t begin = 0; begin < n_small; begin += lanes) {
    const std::size_t count = std::min(lanes, n_small - begin);
    const std::size_t n = (size(bucket_[begin + count - 1]) + 7) / 8 * 8;
    float* rows[most_row_lanes];
    for (std::size_t j = 0; j < count; ++j) {
      const std::size_t i = bucket_[begin + j];
      rows[j] = room_.data() + starts_[i];
      std::fill(rows[j] + size(i), rows[j] + n, std::numeric_limits<float>::infinity());
    }
    if (n > 0) kernels().sort_in_place(rows, count, n, scratch);
  }
}

// Chooses the cells of each bucket and the room of each bucket from a sample of the row.
Spread BucketSort::plan(Row<float> row, double a, double b) {
  const std::size_t n_draws = row.size;
  const std::size_t n_buckets = (n_draws + bucket_draws - 1) / bucket_draws;
  Spread spread{least_float(a), -least_float(-b), 0, 0, n_cells - 1, nullptr};
  const std::size_t runs = n_draws / sample_step;
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

// Moves the scores into their buckets in one pass, then sorts each bucket in the cache.
BucketSort::Outcome BucketSort::operator()(Row<float> row, double a, double b,
                                           std::vector<std::uint32_t>& keys) {
  const std::size_t n_draws = row.size;
  const Spread spread = plan(row, a, b);
  const std::size_t n_buckets = ends_.size();
  // A bucket that overflows overwrites the buckets behind it. It cannot reach past the end of
  // room_, because the buckets are checked after every `unseen` draws, which is the room at the
  // end.
  const std::size_t unseen = 16 * n_buckets;
  room_.resize(starts_.back() + unseen);
  for (std::size_t start = 0; start < n_draws; start += unseen) {
    const std::size_t n = std::min(unseen, n_draws - start);
    if (!kernels().scatter(row.data + start, n, spread, room_.data(), ends_.data())) {
      return Outcome::bad_score;
    }
    bool over = false;
    for (std::size_t i = 0; i < n_buckets; ++i) over |= ends_[i] > starts_[i + 1];
    if (over) return Outcome::uneven;
  }
  sort_each();
  keys.resize(n_draws);
  std::uint32_t* out = keys.data();
  for (std::size_t i = 0; i < n_buckets; ++i) {
    out = std::transform(room_.data() + starts_[i], room_.data() + ends_[i], out, key_of_float);
  }
  return Outcome::sorted;
}

}  // namespace smoothbound::detail
