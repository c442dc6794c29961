/// \file detail/mean.hpp
/// Lower confidence bounds on the mean of independent draws from [0, 1].
///
/// They bound E v(X), where v is an increasing, concave function that is linear between knots, with
/// v(0) = 0 and v(1) = 1. For Theorem 1, v is the identity. For the tangent bound it is the
/// function of tangent.hpp. The draws are counted between the knots once. Each v then takes one
/// pass over the knots, whatever the number of draws. docs/tangent.md has the proofs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "smoothbound/options.hpp"

namespace smoothbound::detail {

/// Lower bound on P = E[distance] / (b - a) as a normal quantile, from the mean by Hoeffding's
/// inequality; the input of Theorem 1.
///
/// \param sum        sum of the n_draws distances from the end
/// \param deviation  deviation(n_draws, alpha)
double hoeffding_quantile(double sum, std::size_t n_draws, double width, double deviation) noexcept;

/// Counts of draws in [0, 1] between knots, for sums of piecewise linear functions over the draws.
class Tally {
 public:
  /// Removes all draws and sets new knots. \pre knots ascend strictly from 0 to 1
  void reset(std::span<const double> knots);

  /// Counts draws in [0, 1], given in ascending order.
  void count(std::span<const double> ascending) noexcept;

  std::size_t n_draws() const noexcept { return n_draws_; }
  std::span<const double> knots() const noexcept { return knots_; }

  /// The sum of v(x) over the draws x, and of v(x)^2, where v has the given non-negative and
  /// ascending values at the knots and is linear between them. Relative error at most tally_error.
  double sum(std::span<const double> values) const noexcept;
  double sum_of_squares(std::span<const double> values) const noexcept;

 private:
  // For each interval between knots: the number of draws in it, and the sums of f and f^2 over
  // them, where f in [0, 1] is the position of a draw in the interval.
  struct Interval {
    double count, part, square;
  };
  std::vector<double> knots_;
  std::vector<Interval> intervals_;
  std::size_t n_draws_ = 0;
};

/// Largest relative error of the sums of a Tally if the difference of neighbouring values has an
/// error of at most one unit of the larger. It counts units of 2^-53 for f, its sum, and each step
/// of the total.
inline constexpr double tally_error = 24 * 0x1p-53;

/// Lower bound on E v(X), at least 0, with probability at least 1 - alpha:
///     mean - sqrt(2 V ln(2/alpha) / n) - 7 ln(2/alpha) / (3 (n - 1)),
/// where V is the sample variance of v.
///
/// \param values  v at the knots of the tally, each known to 8 units of itself
double bernstein_lower(const Tally& tally, std::span<const double> values, double alpha) noexcept;

/// Lower bound on E v(X), at least 0, with probability at least 1 - alpha. Because
/// E prod (1 + stake v(X_j)) = (1 + stake E v(X))^n, Markov's inequality gives
///     log(1 + stake E v(X)) >= (sum log(1 + stake v(X_j)) - ln(1/alpha)) / n.
///
/// \param logs   log(1 + stake v) at the knots, as gaussian::log returns it from v known to 8 units
///               of itself. Between the knots it is treated as linear, which understates it.
/// \param stake  > 0, chosen without knowledge of the draws
double betting_lower(const Tally& tally, std::span<const double> logs, double stake,
                     double alpha) noexcept;

}  // namespace smoothbound::detail
