/// \file noise_curve.hpp
/// Binary certificates of other noises (docs/other-noises.md).
///
/// If the noise around x meets an event with probability p, then the noise around any x' within R
/// of x meets it with probability at least psi_R(p). This is all that Theorem 2 needs to know about
/// the noise: the Gaussian enters it only through psi_R(p) = Phi(Phi^-1(p) - R / sigma). psi_R does
/// not decrease in p or increase in R, and psi_0(p) = p.
#pragma once

#include <cstddef>
#include <span>

namespace smoothbound {

enum class CurveKind {
  gaussian,    ///< N(0, sigma^2 I) against l2 (Cohen et al. 2019)
  l1_uniform,  ///< uniform on [-sigma, sigma]^d against l1: max(p - R / (2 sigma), 0)
  l1_laplace,  ///< density exp(-|t| / sigma) / (2 sigma) in each coordinate, against l1
  ablation,    ///< all but `kept` of `pixels` pixels hidden, against l0 (Levine & Feizi 2020)
  table,       ///< a table of values of psi
};

/// A curve. `ablation` and `table` have no scale: sigma must be 1, and radii have units of their
/// own. For `ablation` the radius is the number of changed pixels.
struct NoiseCurve {
  CurveKind kind = CurveKind::gaussian;
  std::size_t pixels = 0, kept = 0;  ///< ablation: 1 <= kept <= pixels <= most_pixels
  /// table: values[j * p.size() + i] is a lower bound on psi at radii[j] and p[i]. Radii and p
  /// ascend. Values lie in [0, p], do not decrease along p, and do not increase with the radius.
  /// Between grid points, the value at the next lower p and the next larger radius is used.
  std::span<const double> radii = {}, p = {}, values = {};

  /// Whether sigma is the scale of the noise, so that psi depends on R / sigma alone.
  bool has_scale() const noexcept;

  /// Whether the values are convex in p, up to 1e-12. Bound::mean needs it.
  bool convex() const noexcept;

  /// A lower bound on psi, rounded down, at every probability of at least p and at least 1 - q.
  /// \param r  R / sigma, >= 0; for a curve without a scale R itself, at most the last of radii
  double operator()(double p_least, double q_most, double r) const noexcept;
};

inline constexpr std::size_t most_pixels = std::size_t{1} << 24;

}  // namespace smoothbound
