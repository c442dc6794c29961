// Moments of groups of knots, and the bound as a function of the radius.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"
#include "kernels/normal-inl.hpp"

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

// Sets lane[t][j] to gap[j] * h[j]^t for four knots, or adds these products to it.
template <bool add>
SMOOTHBOUND_INLINE void moments_of_four(const double* gap, const double* h,
                                        double (&lane)[curve_terms][4]) {
#pragma omp simd
  for (std::size_t j = 0; j < 4; ++j) {
    double term = gap[j];
#pragma GCC unroll 10
    for (std::size_t t = 0; t < curve_terms; ++t) {
      lane[t][j] = add ? lane[t][j] + term : term;
      term *= h[j];
    }
  }
}

void moments_of_block(const double* gap, const double* h, std::size_t n, double* out) {
  double lane[curve_terms][4];
  const std::size_t last = n % 4;
  double last_gap[4] = {};  // the last n % 4 knots, and gaps of 0 after them
  double last_h[4] = {};
  for (std::size_t j = 0; j < last; ++j) {
    last_gap[j] = gap[n - last + j];
    last_h[j] = h[n - last + j];
  }
  moments_of_four<false>(last_gap, last_h, lane);
  for (std::size_t i = 0; i + 4 <= n; i += 4) moments_of_four<true>(gap + i, h + i, lane);
  for (std::size_t t = 0; t < curve_terms; ++t) {
    out[t] = (lane[t][0] + lane[t][2]) + (lane[t][1] + lane[t][3]);
  }
}

// 1 / t!
constexpr double inverse_factorial[] = {1.0,         1.0,         1.0 / 2,   1.0 / 6,
                                        1.0 / 24,    1.0 / 120,   1.0 / 720, 1.0 / 5040,
                                        1.0 / 40320, 1.0 / 362880};

void moments(const double* gap, const double* h, std::size_t n, double* out) {
  moments_of_block(gap, h, n < moment_block ? n : moment_block, out);
  if (n > moment_block) {
    double lost[curve_terms] = {};
    double block[curve_terms];
    for (std::size_t i = moment_block; i < n; i += moment_block) {
      moments_of_block(gap + i, h + i, n - i < moment_block ? n - i : moment_block, block);
      for (std::size_t t = 0; t < curve_terms; ++t) add_to(out[t], lost[t], block[t]);
    }
    for (std::size_t t = 0; t < curve_terms; ++t) out[t] += lost[t];
  }
  for (std::size_t t = 0; t < curve_terms; ++t) out[t] *= inverse_factorial[t];
}

void curve_weights(double r, std::size_t first, std::size_t groups, double* out) {
#pragma omp simd
  for (std::size_t g = 0; g < groups; ++g) {
    const double difference = centre_of(first + g) - r;
    const double y = difference > -40.0 ? difference : -40.0;  // Phi and phi round to 0 from here
    const Normal normal = normal_of(y);
    out[g] = normal.cdf;
    out[curve_groups + g] = normal.pdf;
    // (-1)^k He_k(y), by He_{k+1} = y He_k - k He_{k-1}.
    double before = 0.0;
    double hermite = 1.0;
#pragma GCC unroll 10
    for (std::size_t t = 2; t < curve_terms; ++t) {
      const double next = -y * hermite - static_cast<double>(t - 2) * before;
      before = hermite;
      hermite = next;
      out[t * curve_groups + g] = hermite;
    }
  }
}

double sum(const double* x, std::size_t n) {
  double lane[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
#pragma omp simd
    for (std::size_t j = 0; j < 8; ++j) lane[j] += x[i + j];
  }
  for (std::size_t j = 0; i < n; ++i, ++j) lane[j] += x[i];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

double curve(const double* moments, const double* weights, std::size_t stride, std::size_t groups) {
  double term[curve_groups];
#pragma omp simd
  for (std::size_t g = 0; g < groups; ++g) {
    double series = moments[curve_groups + g];
#pragma GCC unroll 10
    for (std::size_t t = 2; t < curve_terms; ++t) {
      series += weights[t * stride + g] * moments[t * curve_groups + g];
    }
    term[g] = moments[g] * weights[g] + weights[stride + g] * series;
  }
  return sum(term, groups);
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
