/// \file detail/tangent.hpp
/// The tangent bound: a linear lower bound on Theorem 2's functional, which turns the certificate
/// into one bound on one mean. Statement and proof are in docs/tangent.md.
///
/// psi_r(p) = Phi(Phi^-1(p) - r) is convex for r >= 0, and so lies above its tangents. With a
/// tangent in every interval between knots, chosen from pilot draws alone,
///     distance(r) >= sum_i h_i (value_i - weight_i (1 - G_i)) = constant + E phi(X),
/// where h_i is the length of the interval, G_i the mean of the survival function over it, and phi
/// the function that is linear between the knots with the weights as slopes. The other draws bound
/// E phi(X).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "smoothbound/detail/mean.hpp"
#include "smoothbound/detail/tangents.hpp"

namespace smoothbound::detail {

/// The bound of one input after another: keeps its memory, use one per thread.
class TangentBound {
 public:
  /// \param mean   how the mean is bounded: betting or bernstein
  /// \param alpha  failure probability of each number returned
  TangentBound(MeanKind mean, double alpha) noexcept : mean_(mean), alpha_(alpha) {}

  /// Takes the draws of one input, as distances from the safe end in units of the range, rounded
  /// down, in ascending order. The split into pilot and draws must not depend on the values.
  /// \pre neither part is empty
  void fit(std::span<const double> pilot, std::span<const double> draws);

  /// Lower bound on the distance at r = R / sigma, in units of the range; at least 0. Holds with
  /// probability at least 1 - alpha at one r. \pre fit() was called, r >= 0
  double operator()(double r) noexcept;

  /// The largest r of a grid such that the bound is above the target there and at every grid point
  /// before; NaN if the bound at r = 0 is not. The pilot fixes the grid, which starts at 0: its
  /// steps are a sixteenth of the distance from the radius that the pilot predicts, but at least
  /// 2^-11. Holds with probability at least 1 - alpha. \param target  in units of the range, > 0
  double certified_radius(double target) noexcept;

  /// Upper bound on E (phi(1) - phi(X)) for the tangents at r. Holds with probability at least
  /// 1 - alpha at one r. The choice of the tangents goes on from that of the call before.
  double shortfall(double r) noexcept;

  /// The slopes of the tangents behind the last number returned, of each interval between knots.
  std::span<const double> weights() const noexcept { return tangents_.weights(); }

  /// The choices behind the last number returned, all made from the pilot: the knots, Phi^-1 of the
  /// points where the tangents touch on the intervals between the knots, and the stake (betting).
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
