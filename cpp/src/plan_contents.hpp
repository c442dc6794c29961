// The contents of a Plan: options, and all that can be computed from them without the scores.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "rounding.hpp"
#include "smoothbound/band.hpp"
#include "smoothbound/detail/curve.hpp"
#include "smoothbound/detail/joint.hpp"
#include "smoothbound/detail/knot_sum.hpp"
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

// The curve of another noise than the Gaussian at every radius, and the probabilities of the levels
// that all rows share.
class OtherCurve {
 public:
  // The options must outlive this object. No levels: null.
  OtherCurve(const Options& o, const KnotLevels* levels) : curve_(o.curve), levels_(levels) {
    if (levels != nullptr) probabilities_.emplace(*levels);
    for (const double radius : o.radii) {
      at_.emplace_back(curve_, curve_.has_scale() ? scaled_radius(radius, o.sigma) : radius);
    }
  }

  KnotSum sum() const noexcept { return {levels_, probabilities_ ? &*probabilities_ : nullptr}; }
  const CurveAt& at(std::size_t j) const noexcept { return at_[j]; }

  // The radius for a target, in the units of the input, rounded down.
  double radius(const KnotSum& sum, double target, double sigma) const noexcept {
    const double r = certified_radius(sum, curve_, target);
    return curve_.has_scale() ? input_radius(r, sigma) : r;
  }

 private:
  const NoiseCurve& curve_;
  const KnotLevels* levels_;
  std::optional<Probabilities> probabilities_;
  std::vector<CurveAt> at_;
};

struct PlanContents {
  std::vector<double> radii, thresholds;  // the spans of `options` point to these
  std::vector<double> curve_numbers;      // the radii, the p and the values of its table
  Options options;
  Range range;
  std::size_t n_draws;
  std::vector<double> r;                 // radii / sigma
  CurveRadii curve_radii;                // the same, for curves
  std::vector<double> targets;           // distances of the thresholds
  double hoeffding = 0.0;                // deviation of the mean, Bound::mean
  const ConfidenceBand* band = nullptr;  // Bound::cdf and joint: the knots and their levels
  std::vector<std::size_t> before;       // the positions before the knots; 0 for a knot at 0
  std::optional<ConfidenceBand> own_band;
  std::optional<OtherCurve> other;  // unless the noise is Gaussian

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
    if (o.bound == Bound::cdf || o.bound == Bound::joint) take_band();
    if (o.curve.kind != CurveKind::gaussian) take_curve();
  }
  PlanContents(const PlanContents&) = delete;
  PlanContents& operator=(const PlanContents&) = delete;

 private:
  void take_curve() {
    NoiseCurve& curve = options.curve;
    curve_numbers.reserve(curve.radii.size() + curve.p.size() + curve.values.size());
    for (std::span<const double>* part : {&curve.radii, &curve.p, &curve.values}) {
      const std::size_t start = curve_numbers.size();
      curve_numbers.insert(curve_numbers.end(), part->begin(), part->end());
      *part = std::span<const double>(curve_numbers).subspan(start, part->size());
    }
    other.emplace(options, band == nullptr ? nullptr : &band->levels());
  }

  void take_band() {
    const Options& o = options;
    if (o.shared_band == nullptr && o.bound == Bound::joint) {
      own_band.emplace(BandKind::ell, n_draws, o.alpha * joint_band_share, 0, 0.0, o.cancel);
    } else if (o.shared_band == nullptr) {
      own_band.emplace(o.band, n_draws, o.alpha, o.n_bins, 0.0, o.cancel);
    }
    band = o.shared_band == nullptr ? &*own_band : o.shared_band;
    options.shared_band = band;
    if (band->positions().size() == n_draws) return;  // no draw lies between the knots
    for (const std::size_t at : band->positions()) before.push_back(at == 0 ? 0 : at - 1);
  }
};

}  // namespace smoothbound::detail
