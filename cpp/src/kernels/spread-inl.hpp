// Shares the scores of a long row among buckets, each to be sorted by itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

// The level of a score. Levels are logarithmic near both ends of the range, where most scores of a
// classifier lie. In the lower half of the range, the level is the bits of the distance from a; in
// the upper half, it is minus the bits of the distance from b. Levels never decrease as scores
// grow, because rounded differences and the bits of non-negative floats do not. In the middle both
// distances are at most half of the range and a few units, so the lower half ends below 0 and the
// upper half begins above 0. All distances below 2^-26 of the range have the same level.
class Levels {
 public:
  explicit Levels(const Spread& spread)
      : a_(spread.a),
        b_(spread.b),
        shortest_((0.5f * spread.b - 0.5f * spread.a) * 0x1p-25f),
        middle_(__builtin_bit_cast(std::int32_t, 0.5f * spread.b - 0.5f * spread.a) + 16) {}

  SMOOTHBOUND_INLINE std::int32_t operator()(float x) const {
    const float from_a = x - a_;
    const float from_b = b_ - x;
    const bool lower = from_a < from_b;
    float distance = lower ? from_a : from_b;
    distance = distance > shortest_ ? distance : shortest_;  // NaN becomes shortest_, too
    const auto bits = __builtin_bit_cast(std::int32_t, distance);
    return lower ? bits - middle_ : middle_ - bits;
  }

 private:
  float a_, b_, shortest_;
  std::int32_t middle_;
};

// A run of neighbours fills one cache line.
void levels(const float* x, std::size_t runs, const Spread& spread, std::int32_t* out,
            std::int32_t& least, std::int32_t& most) {
  const Levels level(spread);
  for (std::size_t run = 0; run < runs; ++run) {
#pragma omp simd
    for (std::size_t i = 0; i < sample_run; ++i) {
      out[run * sample_run + i] = level(x[run * sample_step + i]);
    }
  }
  std::int32_t low = INT32_MAX;
  std::int32_t high = INT32_MIN;
#pragma omp simd reduction(min : low) reduction(max : high)
  for (std::size_t i = 0; i < runs * sample_run; ++i) {
    low = out[i] < low ? out[i] : low;
    high = out[i] > high ? out[i] : high;
  }
  least = low;
  most = high;
}

// Finds the cells of n scores. Returns whether all lie in the range.
SMOOTHBOUND_INLINE bool take_cells(const float* x, std::size_t n, const Spread& spread,
                                   std::uint32_t* cells) {
  const Levels level(spread);
  const float a = spread.a;
  const float b = spread.b;
  const std::int32_t least = spread.least;
  const int shift = spread.shift;
  const std::uint32_t last = spread.last;
  std::uint32_t outside = 0;
#pragma omp simd reduction(| : outside)
  for (std::size_t i = 0; i < n; ++i) {
    outside |= x[i] >= a && x[i] <= b ? 0u : 1u;
    const std::int32_t found = level(x[i]);
    const std::int32_t inside = found > least ? found : least;
    const auto above = static_cast<std::uint32_t>(inside) - static_cast<std::uint32_t>(least);
    const std::uint32_t cell = above >> shift;
    cells[i] = cell < last ? cell : last;
  }
  return outside == 0;
}

bool scatter(const float* x, std::size_t n, const Spread& spread, float* room,
             std::uint32_t* ends) {
  constexpr std::size_t few = 128;
  std::uint32_t cell[few];
  const std::uint16_t* bucket = spread.bucket;
  bool valid = true;
  for (; n >= few; n -= few, x += few) {
    valid &= take_cells(x, few, spread, cell);
#pragma GCC unroll 4
    for (std::size_t i = 0; i < few; ++i) room[ends[bucket[cell[i]]]++] = x[i];
  }
  valid &= take_cells(x, n, spread, cell);
  for (std::size_t i = 0; i < n; ++i) room[ends[bucket[cell[i]]]++] = x[i];
  return valid;
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
