/// \file gaussian.hpp
/// The standard normal distribution function and its inverse.
///
/// Both are computed without fused multiply-add and without the transcendental functions of the C
/// library, so every machine returns the same bits.
#pragma once

#include <span>

namespace smoothbound::gaussian {

/// Largest relative error of cdf() over all doubles. Where the result is subnormal (below
/// 2.2e-308), one subnormal step is added.
inline constexpr double cdf_relative_error = 2e-15;
inline constexpr double cdf_absolute_error = 4.940656458412465e-324;

/// Largest relative error of quantile() over (0, 1), including subnormal p.
inline constexpr double quantile_relative_error = 2e-15;

/// Phi(z) = P(N(0, 1) <= z) for every double: 0 at -inf, 1 at +inf, NaN for NaN.
double cdf(double z) noexcept;

/// out[i] = cdf(z[i]); \pre out.size() >= z.size(). `out` may be `z` itself.
void cdf(std::span<const double> z, std::span<double> out) noexcept;

/// Phi^-1(p): -inf at 0, +inf at 1, NaN outside [0, 1].
///
/// Wichura 1988, algorithm AS 241 (PPND16). Near p = 1 a double holds 1 - p more precisely than p,
/// so call -quantile(1 - p) if 1 - p is known.
double quantile(double p) noexcept;

/// out[i] = quantile(p[i]); \pre out.size() >= p.size(). `out` may be `p` itself.
void quantile(std::span<const double> p, std::span<double> out) noexcept;

/// Largest relative error of log() over all positive doubles.
inline constexpr double log_relative_error = 8 * 0x1p-53;

/// Natural logarithm of a positive double. The bits are the same on every machine.
double log(double x) noexcept;

/// out[i] = log(x[i]); \pre out.size() >= x.size(). `out` may be `x` itself.
void log(std::span<const double> x, std::span<double> out) noexcept;

/// Largest relative errors of exp(): the first for |x| <= 700, the second for other x, with one
/// subnormal step in addition.
inline constexpr double exp_relative_error = 8 * 0x1p-53;
inline constexpr double far_exp_relative_error = 18 * 0x1p-53;

/// Exponential function of a double that is not NaN. The bits are the same on every machine.
double exp(double x) noexcept;

}  // namespace smoothbound::gaussian
