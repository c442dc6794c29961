// Convolution with the weights of a Poisson increment.
#pragma once

#include <cstddef>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

// Sixteen outputs at a time stay in registers while the weights pass by.
void convolve(const double* p, const double* weights, std::size_t terms, double* out,
              std::size_t n) {
  constexpr std::size_t width = 16;
  std::size_t j = 0;
  for (; j + width <= n; j += width) {
    double sum[width] = {};
    for (std::size_t i = 0; i < terms; ++i) {
      const double* shifted = p + j - i;
#pragma omp simd
      for (std::size_t k = 0; k < width; ++k) sum[k] += weights[i] * shifted[k];
    }
    for (std::size_t k = 0; k < width; ++k) out[j + k] = sum[k];
  }
  for (; j < n; ++j) {
    double sum = 0.0;
    for (std::size_t i = 0; i < terms; ++i) sum += weights[i] * p[j - i];
    out[j] = sum;
  }
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
