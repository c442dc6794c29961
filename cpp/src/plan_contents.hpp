// The contents of a Plan: options, and all that can be computed from them without the scores.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "rounding.hpp"
#include "smoothbound/band.hpp"
#include "smoothbound/detail/curve.hpp"
#include "smoothbound/detail/range.hpp"
#include "smoothbound/options.hpp"

namespace smoothbound::detail {

// radii / sigma, rounded up.
inline std::vector<double> scaled_radii(const Options& options) {
  std::vector<double> r;
  for (const double radius : options.radii) r.push_back(scaled_radius(radius, options.sigma));
  return r;
}

// The distances of the thresholds, rounded up.
inline std::vector<double> targets_of(const Options& options, const Range& range) {
  std::vector<double> targets;
  for (const double c : options.thresholds) targets.push_back(above(range.distance(c)));
  return targets;
}

struct PlanContents {
  std::vector<double> radii, thresholds;  // the spans of `options` point to these
  Options options;
  Range range;
  std::size_t n_draws;
  std::vector<double> r;                 // radii / sigma
  CurveRadii curve_radii;                // the same, for curves
  std::vector<double> targets;           // distances of the thresholds
  double hoeffding = 0.0;                // deviation of the mean, Bound::mean
  const ConfidenceBand* band = nullptr;  // Bound::cdf: the knots and their levels
  std::vector<std::size_t> before;       // the positions before the knots; 0 for a knot at 0
  std::optional<ConfidenceBand> own_band;

  PlanContents(const Options& o, std::size_t n)
      : radii(o.radii.begin(), o.radii.end()),
        thresholds(o.thresholds.begin(), o.thresholds.end()),
        options(o),
        range{o.a, o.b, o.side},
        n_draws(n),
        r(scaled_radii(o)),
        curve_radii(r),
        targets(targets_of(o, range)) {
    options.radii = radii;
    options.thresholds = thresholds;
    if (o.bound == Bound::mean) hoeffding = deviation(n, o.alpha);
    if (o.bound == Bound::cdf) take_band();
  }
  PlanContents(const PlanContents&) = delete;
  PlanContents& operator=(const PlanContents&) = delete;

 private:
  void take_band() {
    const Options& o = options;
    if (o.shared_band == nullptr)
      own_band.emplace(o.band, n_draws, o.alpha, o.n_bins, 0.0, o.cancel);
    band = o.shared_band == nullptr ? &*own_band : o.shared_band;
    options.shared_band = band;
    if (band->positions().size() == n_draws) return;  // no draw lies between the knots
    for (const std::size_t at : band->positions()) before.push_back(at == 0 ? 0 : at - 1);
  }
};

}  // namespace smoothbound::detail
