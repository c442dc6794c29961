/// \file band.hpp
/// Confidence bands: simultaneous lower bounds on a survival function G(s) = P(Z >= s).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "smoothbound/cancel.hpp"
#include "smoothbound/detail/curve.hpp"
#include "smoothbound/options.hpp"

namespace smoothbound {

/// Half-width sqrt(ln(1/alpha) / (2 n_draws)) of the one-sided DKW band and of Hoeffding's bound,
/// rounded up.
double deviation(std::size_t n_draws, double alpha) noexcept;

/// A one-sided band at level alpha from n_draws independent draws, and its levels at equal-count
/// knots: with probability at least 1 - alpha, G(s) >= Phi(quantile(k(s))) at every s at once,
/// where k(s) is the number of draws >= s. A band does not depend on the scores, so it can be made
/// once and shared by calls and threads.
class ConfidenceBand {
 public:
  /// \param kind    which band
  /// \param n_draws number of draws, >= 1
  /// \param alpha   failure probability, in (0, 1)
  /// \param n_bins  number of equal-count bins, for whose knots the band has levels; with 0 every
  ///                draw is a knot. The band `ell` is calibrated for these knots. At another count
  ///                it has the level of the next lower count.
  /// \param level   local level of `ell`, as ell_level() returns it for one side with the counts of
  ///                the knots as ranks; 0 calibrates it, which takes seconds for 100 000 draws
  ConfidenceBand(BandKind kind, std::size_t n_draws, double alpha, std::size_t n_bins = 0,
                 double level = 0.0, Cancel cancel = {});

  BandKind kind() const noexcept { return kind_; }
  std::size_t n_draws() const noexcept { return n_draws_; }
  [[deprecated("it is n_draws()")]] std::size_t draws() const noexcept { return n_draws_; }

  /// Positions of the knots among the draws in ascending order (equal_count_positions()).
  const std::vector<std::size_t>& positions() const noexcept { return positions_; }

  /// Levels of the knots.
  const detail::KnotLevels& levels() const noexcept { return *levels_; }

  /// Phi^-1 of the lower bound on G at a point that `count` of the draws reach, rounded down; -inf
  /// if nothing is known. The bounds use this quantile because, unlike the probability, it keeps
  /// its digits near 1. \pre count <= n_draws()
  double quantile(std::size_t count) const noexcept;

  /// z[i] = quantile(counts[i]); \pre z.size() >= counts.size()
  void quantiles(std::span<const std::size_t> counts, std::span<double> z) const noexcept;

 private:
  void take_ell(double alpha, double level, Cancel cancel);
  double dkw_quantile(std::size_t count) const noexcept;

  BandKind kind_;
  std::size_t n_draws_;
  double deviation_;                    // dkw
  std::vector<std::size_t> positions_;  // ascending; the counts n_draws - position descend
  std::vector<double> z_;               // quantile at the knots
  std::optional<detail::KnotLevels> levels_;
};

}  // namespace smoothbound
