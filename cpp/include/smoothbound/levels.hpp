/// \file levels.hpp
/// Probabilities that a score reaches a level, and quantiles of the scores, certified within a
/// radius from counts of draws.
///
/// Let k of n independent draws of h(x + delta) reach a level t, and let p(k) be the bound of
/// Clopper and Pearson: the p at which k or more of n draws succeed with probability alpha. With
/// probability at least 1 - alpha, at all points x' within R of x simultaneously,
///
///   P(h(x' + delta) >= t) >= psi_r(p(k)),   r = R / sigma,
///
/// by the definition of the curve psi of the noise (noise_curve.hpp). For the Gaussian, psi_r(p) =
/// Phi(Phi^-1(p) - r) follows from the lemma of Neyman and Pearson. The upper bound is 1 -
/// psi_r(p(k')), where k' is the number of draws below t. A q-quantile of h(x' + delta) is any m
/// with P(h < m) <= q <= P(h <= m). Let k be the least count with psi_r(p(k)) > 1 - q. The k-th
/// largest draw is a lower bound on every q-quantile at every x' within R. The upper bound is the
/// k-th smallest draw, for the least k with psi_r(p(k)) > q (Chiang et al. 2020, arXiv 2007.03730).
/// docs/levels.md has the proofs.
///
/// Scores may be infinite, because they are only compared. Nothing here throws.
#pragma once

#include <cstddef>
#include <limits>
#include <span>

#include "smoothbound/cancel.hpp"
#include "smoothbound/certify.hpp"
#include "smoothbound/failure.hpp"
#include "smoothbound/noise_curve.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/scores.hpp"
#include "smoothbound/sketch.hpp"

namespace smoothbound {

enum class Statistic {
  probability,  ///< the probability that the score is at least the level
  quantile,     ///< the quantile of the scores at the level
};

/// What to certify about the distribution of the scores.
struct LevelOptions {
  double sigma = 0.0;  ///< noise level, > 0; 1 for a curve without a scale
  /// Failure probability of each level, in [least_alpha, 1). Values above 1/2 are treated as 1/2.
  double alpha = 1e-3;
  /// Range of the scores, a < b. Either end may be infinite. If the draws do not bound a quantile,
  /// its lower bound is a and its upper bound is b.
  double a = -std::numeric_limits<double>::infinity();
  double b = std::numeric_limits<double>::infinity();
  Side side = Side::lower;
  Statistic statistic = Statistic::probability;
  /// For a probability, scores to reach, not NaN. For quantiles, their levels, in (0, 1).
  std::span<const double> levels;
  std::span<const double> radii;  ///< >= 0, in the units of sigma
  /// For a probability, numbers in (0, 1). For a quantile, any scores but NaN. Lower side only.
  std::span<const double> thresholds;
  int threads = 1;        ///< >= 1; the result does not depend on it
  Cancel cancel = {};     ///< polled by the calling thread
  NoiseCurve curve = {};  ///< the noise; its arrays must outlive the call
};

/// Certifies every row. All radii and thresholds of a level of a probability hold at once, with
/// probability at least 1 - alpha. Each bound on a quantile holds with this probability by itself.
///
/// \param out  `bounds` is row-major (n_inputs, n_levels, n_radii); `radius`, row-major (n_inputs,
///             n_levels, n_thresholds), is the radius within which the probability stays above the
///             threshold, or every quantile at or above it; NaN if R = 0 fails
template <class T>
Failure certify_levels(const Scores<T>& scores, const LevelOptions& options,
                       Certificates out) noexcept;

/// As above, from counts, whose first and last edge must be a and b. At edges the probabilities are
/// those of the scores. Other levels and all quantiles are moved to an edge on the safe side.
Failure certify_levels(const ScoreCounts& sketch, const LevelOptions& options,
                       Certificates out) noexcept;

/// A lower bound on Phi^-1(p(k)) for k of n_draws draws; -inf for k = 0.
///
/// \pre k <= n_draws, 1 <= n_draws < 2^32, alpha in [least_alpha, 1)
double binomial_quantile(std::size_t k, std::size_t n_draws, double alpha) noexcept;

}  // namespace smoothbound
