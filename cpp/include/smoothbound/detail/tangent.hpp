/// \file detail/tangent.hpp
/// The tangent bound: a linear lower bound on the functional of Theorem 2, which reduces the
/// certificate to a bound on one mean. docs/tangent.md has the statement and the proof.
///
/// psi_r(p) = Phi(Phi^-1(p) - r) is convex for r >= 0, and so lies above its tangents. With a
/// tangent in every interval between knots, chosen only from pilot draws,
///     distance(r) >= sum_i h_i (value_i - weight_i (1 - G_i)) = constant + E phi(X),
/// where h_i is the length of the interval, G_i the mean of the survival function over it, and phi
/// is linear between the knots with the weights as slopes. The other draws bound E phi(X).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "smoothbound/detail/mean.hpp"
#include "smoothbound/detail/tangents.hpp"

namespace smoothbound::detail {

/// The bound of an input. An object keeps its memory between inputs: use one per thread.
class TangentBound {
 public:
  /// \param mean   how the mean is bounded: betting or bernstein
  /// \param alpha  failure probability of each number returned
  TangentBound(MeanKind mean, double alpha) noexcept : mean_(mean), alpha_(alpha) {}

  /// Takes the draws of one input, as distances from the safe end in units of the range, rounded
  /// down, in ascending order. The split into pilot and draws must not depend on the values.
  /// \pre neither part is empty
  void fit(std::span<const double> pilot, std::span<const double> draws);

  /// Lower bound on the distance at r = R / sigma, in units of the range; at least 0. It holds with
  /// probability at least 1 - alpha at one r. \pre fit() was called, r >= 0
  double operator()(double r) noexcept;

  /// The largest r of a grid such that the bound is above the target at this and at every smaller
  /// grid point; NaN if the bound at r = 0 is not above it. The pilot determines the grid, which
  /// starts at 0. Its steps are a sixteenth of the distance from the radius that the pilot
  /// predicts, but at least 2^-11. The radius holds with probability at least 1 - alpha. \param
  /// target  in units of the range, > 0
  double certified_radius(double target) noexcept;

  /// Upper bound on E (phi(1) - phi(X)) for the tangents at r. It holds with probability at least 1
  /// - alpha at one r. The choice of the tangents starts from that of the previous call.
  double shortfall(double r) noexcept;

  /// The slopes of the tangents for the last number returned, one for each interval between knots.
  std::span<const double> weights() const noexcept { return tangents_.weights(); }

  /// The choices for the last number returned, which depend only on the pilot: the knots, Phi^-1 of
  /// the points where the tangents touch in the intervals between the knots, and the stake
  /// (betting).
  std::span<const double> knots() const noexcept { return tally_.knots(); }
  std::span<const double> touching_points() const noexcept { return tangents_.z(); }
  double stake() const noexcept { return stake_; }

 private:
  // From the pilot alone.
  void restart() noexcept;
  void settle(double r) noexcept;
  void place_tangents(double r) noexcept;
  double next_step() noexcept;
  void change_stake(double step) noexcept;
  double forecast(double r) noexcept;
  double forecast_radius(double target) noexcept;

  // From the draws, with the tangents of the last settle().
  double missing() const noexcept;
  double bound() const noexcept;

  MeanKind mean_;
  double alpha_;
  Tally tally_;
  std::vector<double> masses_;  // the pilot's distribution, on the knots
  std::vector<double> worst_;   // the distribution at which the tangents touch
  double stake_ = 1.0;
  double damping_ = 1.0, last_step_ = 0.0;  // of the stake, as change_stake() moves it
  Tangents tangents_;
  std::vector<double> logs_;  // log(1 + stake v) at the knots
};

}  // namespace smoothbound::detail
