/// \file detail/joint.hpp
/// The joint bound: tangents at a few fixed radii, whose means are bounded together, give a bound
/// at every radius. docs/joint.md has the statement and the proof.
///
/// The tangents at the radius r_k have the slopes w_ki >= 0 on the intervals between the knots,
/// whose lengths are h_i. The draws bound each of the shortfalls at the level alpha / K:
///     m_k >= integral of w_k (1 - G).
/// Then, for every r >= 0, all lambda_k >= 0 and all tangents to psi_r with the slopes w_i and the
/// values c_i at p = 1, with u_i = sum_k lambda_k w_ki,
///     distance(r) >= sum_i h_i (c_i - max(w_i - u_i, 0)) - sum_k lambda_k m_k.
/// This holds for all r, lambda and tangents at once, so they may depend on the draws.
///
/// Bound::joint is the larger one of this bound, with 7/8 of alpha, and Theorem 2 with the band of
/// equal local levels, with 1/8 of alpha. The band is the larger one for scores with few values.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "smoothbound/detail/tangent.hpp"

namespace smoothbound::detail {

/// The radii r_k = R / sigma of the tangents.
inline constexpr std::array<double, 5> joint_radii = {0.0, 0.4, 0.9, 1.8, 3.3};

/// Share of alpha for the band. It is a power of 2, so that the shares are exact.
inline constexpr double joint_band_share = 0.125;

/// The bound from the tangents alone. An object keeps its memory between inputs: use one per
/// thread.
class JointBound {
 public:
  static constexpr std::size_t n_tangents = joint_radii.size();
  /// One number for each of joint_radii.
  using Weights = std::array<double, n_tangents>;

  /// The derivatives of the bound with respect to each lambda, and minus its second derivatives.
  struct Slopes {
    Weights rise;
    std::array<Weights, n_tangents> fall;
  };

  /// \param alpha  failure probability of all numbers together that are returned for an input
  explicit JointBound(double alpha) noexcept;

  /// Takes the draws of one input, as distances from the safe end in units of the range, rounded
  /// down, in ascending order. The split into pilot and draws must not depend on the values.
  /// \pre neither part is empty
  void fit(std::span<const double> pilot, std::span<const double> draws);

  /// Lower bound on the distance at r = R / sigma, in units of the range; at least 0. It holds for
  /// all r at once with probability at least 1 - alpha. \pre fit() was called, r >= 0
  double operator()(double r) noexcept;

  /// The largest r that a search finds at which the bound is above the target; NaN if the bound at
  /// r = 0 is not above it. \param target  in units of the range, > 0
  double certified_radius(double target) noexcept;

  /// The choices for the last number returned. The pilot determines the knots, the slopes of each
  /// of the tangents between them, and the stakes. Those for r are lambda, and Phi^-1 of the points
  /// where the tangents to psi_r touch.
  std::span<const double> knots() const noexcept { return tangent_.knots(); }
  std::span<const double> weights(std::size_t k) const noexcept { return weights_[k]; }
  const Weights& stakes() const noexcept { return stakes_; }
  const Weights& mixture() const noexcept { return mixture_; }
  std::span<const double> touching_points() const noexcept { return z_; }

 private:
  void mix(const Weights& mixture, double r) noexcept;
  double value_of(const Weights& mixture, double r) noexcept;
  Slopes slopes(double r) noexcept;
  void find_mixture(double r) noexcept;
  double certified(double r) noexcept;

  TangentBound tangent_;
  std::array<std::vector<double>, n_tangents> weights_;  // of the intervals
  Weights shortfalls_{}, stakes_{};
  std::vector<double> lengths_;
  Weights mixture_{};
  std::vector<double> mixed_, z_, shifted_, below_;  // of the intervals, for a mixture at r
};

}  // namespace smoothbound::detail
