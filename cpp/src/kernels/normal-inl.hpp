// The normal distribution, exponentials and tangents.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

SMOOTHBOUND_INLINE double from_bits(std::uint64_t bits) { return __builtin_bit_cast(double, bits); }
SMOOTHBOUND_INLINE std::uint64_t to_bits(double x) { return __builtin_bit_cast(std::uint64_t, x); }

// Adding and subtracting 1.5 * 2^52 rounds to the nearest whole number.
constexpr double round_magic = 0x1.8p52;

// 2^k for whole k in [-1022, 1023]: k + 1023 ends up in the low bits of a sum and is shifted
// into the exponent field.
SMOOTHBOUND_INLINE double power_of_two(double k) {
  return from_bits(to_bits(k + (0x1p52 + 1023.0)) << 52);
}

// exp(-a - c) = mantissa * 2^k, for an exact a in [0, 800] and a small correction c.
struct Scaled {
  double mantissa, k;
};

SMOOTHBOUND_INLINE Scaled exp_minus(double a, double c) {
  constexpr double log2_e = 0x1.71547652b82fep+0;
  constexpr double ln2_high = 0x1.62e42fef00000p-1;  // 32 bits: k * ln2_high is exact
  constexpr double ln2_low = 0x1.473de6af278edp-34;
  const double k = (-a * log2_e + round_magic) - round_magic;
  const double r = ((-a - k * ln2_high) - k * ln2_low) - c;
  double p = 0x1.6124613a86d09p-33;  // Taylor: |r| < 0.35, the next term is below 4e-18
  p = p * r + 0x1.1eed8eff8d898p-29;
  p = p * r + 0x1.ae64567f544e4p-26;
  p = p * r + 0x1.27e4fb7789f5cp-22;
  p = p * r + 0x1.71de3a556c734p-19;
  p = p * r + 0x1.a01a01a01a01ap-16;
  p = p * r + 0x1.a01a01a01a01ap-13;
  p = p * r + 0x1.6c16c16c16c17p-10;
  p = p * r + 0x1.1111111111111p-7;
  p = p * r + 0x1.5555555555555p-5;
  p = p * r + 0x1.5555555555555p-3;
  p = p * r + 0x1p-1;
  return {1.0 + (r + r * r * p), k};
}

// Phi(-t) exp(t^2 / 2) for t in [0, 39]: u times a polynomial in v, where u = 1 / (t + 4) is
// mapped to v in [-1, 1]. Chebyshev interpolation of degree 22, truncation error 4e-17 relative.
SMOOTHBOUND_INLINE double mills(double t) {
  const double u = 1.0 / (t + 4.0);
  const double v = u * 0x1.1a874b9b3113ep+3 - 0x1.350e97366227dp+0;
  const double v2 = v * v;
  double even = -0x1.de107e2ea5970p-34;
  even = even * v2 + 0x1.c1a50e04a539cp-30;
  even = even * v2 - 0x1.cf80777345094p-27;
  even = even * v2 + 0x1.62eeaf1f9e490p-24;
  even = even * v2 - 0x1.cef93ad39d480p-22;
  even = even * v2 + 0x1.23c647fc3b7bfp-19;
  even = even * v2 - 0x1.c862779023f60p-17;
  even = even * v2 + 0x1.33f1191fd3da2p-13;
  even = even * v2 - 0x1.46a0ebdd402eap-9;
  even = even * v2 + 0x1.5e43ad0cdd453p-5;
  even = even * v2 + 0x1.7462944ccf9fep-2;
  even = even * v2 + 0x1.a1c27f3be55ebp-1;
  double odd = -0x1.1f670bc07d9f5p-32;
  odd = odd * v2 + 0x1.afdf997be7032p-30;
  odd = odd * v2 + 0x1.9d1fb06829378p-29;
  odd = odd * v2 - 0x1.e28bfcb6bab30p-24;
  odd = odd * v2 + 0x1.4041fb4388a6ep-20;
  odd = odd * v2 - 0x1.5a91983299258p-17;
  odd = odd * v2 + 0x1.6f51bad9ce548p-14;
  odd = odd * v2 - 0x1.7f6e119e46932p-11;
  odd = odd * v2 + 0x1.a7340fb765449p-9;
  odd = odd * v2 + 0x1.3fa8ae6edbbd2p-3;
  odd = odd * v2 + 0x1.3e2120a5454fap-1;
  return u * (even + v * odd);
}

// Phi(z), and phi(z) to 1e-15 absolutely.
struct Normal {
  double cdf, pdf;
};

// exp(-t^2 / 2) needs t^2 to more digits than a double has: t = high + low, where high has so
// few bits that its square is exact.
SMOOTHBOUND_INLINE Normal normal_of(double z) {
  const double magnitude = from_bits(to_bits(z) & 0x7fffffffffffffffu);
  const double t = magnitude < 39.0 ? magnitude : 39.0;  // Phi(-39) and phi(39) round to 0
  const double high = from_bits(to_bits(t) & 0xfffffffff8000000u);
  const double low = t - high;
  const Scaled e = exp_minus(0.5 * high * high, 0.5 * low * (t + high));
  const double k_half = (0.5 * e.k + round_magic) - round_magic;
  const double scaled = e.mantissa * power_of_two(k_half);
  const double rest = power_of_two(e.k - k_half);
  const double tail = mills(t) * scaled * rest;  // the only rounding to subnormals
  return {z < 0.0 ? tail : 1.0 - tail, 0x1.9884533d43651p-2 * scaled * rest};
}

void cdf(const double* z, double* out, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const double x = z[i];
    const double y = x == 0.0 ? 0.5 : normal_of(x).cdf;  // exact at 0
    out[i] = x == x ? y : x;
  }
}

void exp(const double* x, double* out, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const Scaled e = exp_minus(-x[i], 0.0);
    out[i] = e.mantissa * power_of_two(e.k);
  }
}

// The tangent at Phi(z) has the slope w = exp(r z - r^2 / 2) and, measured from p = 1, the height
// Phi(z - r) + w Phi(-z). A greater weight is safe, and so is a smaller height. The exponent is
// rounded by at most (18 r + r^2) 2^-53, which is the relative error of w. `slack` also covers the
// exponential and the products. Where w is below e^-700, the weight is raised to e^-700, and the
// height is Phi(z - r) alone.
void tangents(const double* z, std::size_t n, double r, double* weight, double* constant) {
  const double slack = (16.0 * r + r * r + 16.0) * 0x1p-52;
  const double half_square = 0.5 * r * r;
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const double x = r * z[i] - half_square;
    const Scaled e = exp_minus(x > -700.0 ? -x : 700.0, 0.0);
    const double w = e.mantissa * power_of_two(e.k);
    const double shifted = z[i] - r;
    const double magnitude = shifted < 0.0 ? -shifted : shifted;
    const double height = x > -700.0 ? w * (1.0 - slack) * normal_of(-z[i]).cdf : 0.0;
    weight[i] = w * (1.0 + slack);
    constant[i] =
        (normal_of(shifted - magnitude * 0x1p-52).cdf + height) * (1.0 - 4e-15) - 0x1p-1070;
  }
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
