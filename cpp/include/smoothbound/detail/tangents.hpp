/// \file detail/tangents.hpp
/// Tangents to Theorem 2's functional, one in each interval between knots.
///
/// psi_r(p) = Phi(Phi^-1(p) - r) is convex for r >= 0, and so lies above its tangents. For every
/// distribution of a score Z in [0, 1] with the survival function G,
///     integral of psi_r(G) >= constant - greatest (1 - E v(Z)),
/// where v is the function that is linear between the knots, with v(0) = 0, v(1) = 1 and the slopes
/// of the tangents as its own slopes, in proportion. Statement and proof are in docs/tangent.md.
#pragma once

#include <span>
#include <vector>

namespace smoothbound::detail {

/// Keeps its memory: use one per thread, for one input after another.
class Tangents {
 public:
  /// Starts anew. \pre knots ascend strictly from 0 to 1
  void reset(std::span<const double> knots);

  /// Lays the tangents at the survival function of a distribution on the knots.
  ///
  /// \param masses  probabilities of the knots, which add up to about 1
  /// \param r       R / sigma >= 0
  void touch(std::span<const double> masses, double r) noexcept;

  /// Phi^-1 of the points where the tangents touch, at most 9 in size, of each interval.
  std::span<const double> z() const noexcept { return z_; }
  /// The slopes of the tangents, rounded up.
  std::span<const double> weights() const noexcept { return weights_; }
  /// v at the knots, known to 8 units of itself.
  std::span<const double> values() const noexcept { return values_; }
  /// The sum of the tangents at G = 1, rounded down.
  double constant() const noexcept { return constant_; }
  /// The sum of the slopes times the lengths of the intervals, known to 4 units of itself.
  double greatest() const noexcept { return greatest_; }

  /// The greatest E v(Z) of a distribution whose functional is at most the target, rounded up; 1 or
  /// more where the tangents tell nothing about it.
  double null_mean(double target) const noexcept;

 private:
  void find_touching_points(std::span<const double> masses) noexcept;

  std::vector<double> lengths_, z_, weights_, constants_;  // of the intervals
  std::vector<double> values_;                             // at the knots
  double constant_ = 0.0, greatest_ = 0.0;
};

}  // namespace smoothbound::detail
