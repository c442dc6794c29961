// The logarithm, and the inverse of the normal distribution function.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"
#include "kernels/normal-inl.hpp"

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

// x = 2^k m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1).
SMOOTHBOUND_INLINE double log_of(double x) {
  constexpr double ln2_high = 0x1.62e42fef00000p-1;
  constexpr double ln2_low = 0x1.473de6af278edp-34;
  const bool subnormal = x < 0x1p-1022;
  const std::uint64_t bits = to_bits(subnormal ? x * 0x1p54 : x);
  const std::uint64_t fraction = bits & 0xfffffffffffffu;
  const bool upper = fraction > 0x6a09e667f3bcdu;  // of the octave from 1 to 2: above sqrt(2)
  const double m = from_bits(fraction | (upper ? 0x3fe0000000000000u : 0x3ff0000000000000u));
  const double exponent = from_bits((bits >> 52) | to_bits(0x1p52)) - 0x1p52;
  const double k = exponent - (subnormal ? 1077.0 : 1023.0) + (upper ? 1.0 : 0.0);
  const double s = (m - 1.0) / (m + 1.0);
  const double t = s * s;
  double series = 1.0 / 23;
  series = series * t + 1.0 / 21;
  series = series * t + 1.0 / 19;
  series = series * t + 1.0 / 17;
  series = series * t + 1.0 / 15;
  series = series * t + 1.0 / 13;
  series = series * t + 1.0 / 11;
  series = series * t + 1.0 / 9;
  series = series * t + 1.0 / 7;
  series = series * t + 1.0 / 5;
  series = series * t + 1.0 / 3;
  const double log_m = 2.0 * (s + s * (t * series));
  return k * ln2_high + (log_m + k * ln2_low);
}

// Ratio of two polynomials of degree 7, coefficients from the constant upwards.
struct Rational {
  double p[8], q[8];

  SMOOTHBOUND_INLINE double operator()(double x) const {
    double above = p[7];
    double below = q[7];
#pragma GCC unroll 7
    for (int i = 6; i >= 0; --i) {
      above = above * x + p[i];
      below = below * x + q[i];
    }
    return above / below;
  }
};

// Coefficients of PPND16, Wichura 1988: the centre |p - 1/2| <= 0.425, and two pieces of the tail
// in sqrt(-log p), below and above 5.
constexpr Rational centre_piece = {
    {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3},
    {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3}};
constexpr Rational near_piece = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9}};
constexpr Rational far_piece = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15}};

// All pieces are computed, so that the loop has no branch.
SMOOTHBOUND_INLINE double quantile_of(double p) {
  const double q = p - 0.5;
  const double r = __builtin_sqrt(-log_of(q < 0.0 ? p : 1.0 - p));
  const double tail = r <= 5.0 ? near_piece(r - 1.6) : far_piece(r - 5.0);
  const double centre = q * centre_piece(0.180625 - q * q);
  const double z = q < 0.0 ? -tail : tail;
  return (q < 0.0 ? -q : q) <= 0.425 ? centre : z;
}

void log(const double* x, double* out, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = log_of(x[i]);
}

void quantile(const double* p, double* out, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const double inside = quantile_of(p[i]);
    const double at_ends = p[i] == 0.0 ? -__builtin_inf() : __builtin_inf();
    const double z = p[i] > 0.0 && p[i] < 1.0 ? inside : at_ends;
    out[i] = p[i] >= 0.0 && p[i] <= 1.0 ? z : __builtin_nan("");
  }
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
