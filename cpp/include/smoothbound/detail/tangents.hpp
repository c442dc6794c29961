/// \file detail/tangents.hpp
/// Tangents to the functional of Theorem 2, one in each interval between knots.
///
/// psi_r(p) = Phi(Phi^-1(p) - r) is convex for r >= 0, and so lies above its tangents. For every
/// distribution of a score Z in [0, 1] with the survival function G,
///     integral of psi_r(G) >= constant - greatest (1 - E v(Z)),
/// where v is linear between the knots, with v(0) = 0, v(1) = 1 and slopes proportional to those of
/// the tangents. docs/tangent.md has the statement and the proof.
#pragma once

#include <span>
#include <vector>

namespace smoothbound::detail {

/// An object keeps its memory between calls: use one per thread, for many inputs.
class Tangents {
 public:
  /// Removes all tangents and sets new knots. \pre knots ascend strictly from 0 to 1
  void reset(std::span<const double> knots);

  /// Places the tangents at the survival function of a distribution on the knots.
  ///
  /// \param masses  probabilities of the knots, whose sum is about 1
  /// \param r       R / sigma >= 0
  void touch(std::span<const double> masses, double r) noexcept;

  /// Phi^-1 of the point where the tangent touches in each interval, within [-9, 9].
  std::span<const double> z() const noexcept { return z_; }
  /// The slopes of the tangents, rounded up.
  std::span<const double> weights() const noexcept { return weights_; }
  /// v at the knots, known to 8 units of itself.
  std::span<const double> values() const noexcept { return values_; }
  /// The sum of the tangents at G = 1, rounded down.
  double constant() const noexcept { return constant_; }
  /// The sum of the slopes times the lengths of the intervals, known to 4 units of itself.
  double greatest() const noexcept { return greatest_; }

  /// The largest E v(Z) of a distribution whose functional is at most the target, rounded up. It is
  /// 1 or more if the tangents give no information.
  double null_mean(double target) const noexcept;

 private:
  void find_touching_points(std::span<const double> masses) noexcept;

  std::vector<double> lengths_, z_, weights_, constants_;  // of the intervals
  std::vector<double> values_;                             // at the knots
  double constant_ = 0.0, greatest_ = 0.0;
};

}  // namespace smoothbound::detail
