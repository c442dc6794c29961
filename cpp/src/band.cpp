#include "smoothbound/band.hpp"

#include <algorithm>
#include <cmath>

#include "rounding.hpp"
#include "smoothbound/detail/binning.hpp"
#include "smoothbound/ell.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound {

using namespace detail;

double deviation(std::size_t n_draws, double alpha) noexcept {
  // log, division and square root: their relative errors add up to less than 8 units.
  const double x = std::sqrt(-gaussian::log(alpha) / (2.0 * static_cast<double>(n_draws)));
  return x * (1.0 + 8 * unit);
}

ConfidenceBand::ConfidenceBand(BandKind kind, std::size_t n_draws, double alpha, std::size_t n_bins,
                               double level, Cancel cancel)
    : kind_(kind),
      n_draws_(n_draws),
      deviation_(deviation(n_draws, alpha)),
      positions_(equal_count_positions(n_draws, n_bins)) {
  if (kind_ == BandKind::ell) {
    take_ell(alpha, level, cancel);
  } else {
    for (const std::size_t position : positions_) z_.push_back(dkw_quantile(n_draws_ - position));
  }
  levels_.emplace(z_);
}

void ConfidenceBand::take_ell(double alpha, double level, Cancel cancel) {
  std::vector<std::size_t> ranks(positions_.size());
  for (std::size_t i = 0; i < ranks.size(); ++i) ranks[i] = n_draws_ - *(positions_.rbegin() + i);
  if (level == 0.0) level = ell_level(n_draws_, alpha, ranks, false, cancel);
  const EllBounds bounds = ell_bounds(n_draws_, level, ranks, cancel);
  constexpr double error = 1e-12;  // of the bounds
  z_.resize(ranks.size());
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    z_[z_.size() - 1 - i] =
        lower_quantile(bounds.p[i] * (1.0 - error), bounds.q[i] * (1.0 + error));
  }
}

double ConfidenceBand::quantile(std::size_t count) const noexcept {
  if (positions_.size() == n_draws_) {  // every count but 0 is that of a knot
    return count == 0 ? -std::numeric_limits<double>::infinity() : z_[n_draws_ - count];
  }
  if (kind_ == BandKind::ell) {
    // The knot with the largest count that is at most `count`. It is the first at or after the
    // position n_draws - count.
    const auto knot = std::lower_bound(positions_.begin(), positions_.end(), n_draws_ - count);
    return knot == positions_.end() ? -std::numeric_limits<double>::infinity()
                                    : z_[static_cast<std::size_t>(knot - positions_.begin())];
  }
  return dkw_quantile(count);
}

void ConfidenceBand::quantiles(std::span<const std::size_t> counts,
                               std::span<double> z) const noexcept {
  for (std::size_t i = 0; i < counts.size(); ++i) z[i] = quantile(counts[i]);
}

double ConfidenceBand::dkw_quantile(std::size_t count) const noexcept {
  const auto n = static_cast<double>(n_draws_);
  // miss = 1 - p = (n - count) / n + deviation keeps its digits where p is near 1.
  const double miss = (static_cast<double>(n_draws_ - count) / n + deviation_) * (1.0 + 4 * unit);
  return lower_quantile(1.0 - miss - unit, miss);
}

}  // namespace smoothbound
