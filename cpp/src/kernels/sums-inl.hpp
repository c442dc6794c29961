// Scores as floats, and sums of their distances.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

// The exponent of a half has the bias 15, and that of a float the bias 127. A product with 2^112
// converts one to the other, also for subnormal numbers.
void widen(const half* x, float* out, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = static_cast<std::uint32_t>(static_cast<std::uint16_t>(x[i]));
    const std::uint32_t magnitude = bits & 0x7fffu;
    const auto shifted =
        __builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, magnitude << 13) * 0x1p112f);
    const std::uint32_t value = magnitude >= 0x7c00u ? 0x7fc00000u : shifted;
    out[i] = __builtin_bit_cast(float, value | (bits & 0x8000u) << 16);
  }
}

template <class Real>
SMOOTHBOUND_INLINE double sum_distances(const Real* x, std::size_t n, double a, double b,
                                        bool lower) {
  const double origin = lower ? a : b;
  const double direction = lower ? 1.0 : -1.0;
  double lane[sum_lanes] = {};
  std::uint64_t outside[sum_lanes] = {};
  const auto add = [&](double score, std::size_t j) {
    outside[j] |= score >= a && score <= b ? 0 : 1;
    lane[j] += direction * (score - origin);
  };
  std::size_t i = 0;
  for (; i + sum_lanes <= n; i += sum_lanes) {
#pragma omp simd
    for (std::size_t j = 0; j < sum_lanes; ++j) add(static_cast<double>(x[i + j]), j);
  }
  for (std::size_t j = 0; i < n; ++i, ++j) add(static_cast<double>(x[i]), j);
  for (std::size_t half = sum_lanes / 2; half > 0; half /= 2) {
    for (std::size_t j = 0; j < half; ++j) {
      lane[j] += lane[j + half];
      outside[j] |= outside[j + half];
    }
  }
  return outside[0] == 0 ? lane[0] : __builtin_nan("");
}

double sum_floats(const float* x, std::size_t n, double a, double b, bool lower) {
  return sum_distances(x, n, a, b, lower);
}

double sum_doubles(const double* x, std::size_t n, double a, double b, bool lower) {
  return sum_distances(x, n, a, b, lower);
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
