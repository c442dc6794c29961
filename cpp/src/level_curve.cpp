#include "level_curve.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "largest_radius.hpp"
#include "rounding.hpp"
#include "smoothbound/detail/range.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound::detail {
namespace {

// Phi(z) from z, whose own error is accounted for: a lower bound, and an upper bound. The margin
// covers the error of cdf() and the product.
constexpr double cdf_margin = gaussian::cdf_relative_error + 2 * unit;

double cdf_below(double z) noexcept {
  const double p = gaussian::cdf(z);
  return std::max(0.0, p - p * cdf_margin - gaussian::cdf_absolute_error);
}

double cdf_above(double z) noexcept {
  const double p = gaussian::cdf(z);
  return std::min(1.0, p + p * cdf_margin + gaussian::cdf_absolute_error);
}

// An upper bound on Phi^-1(p) and one on -Phi^-1(p), for a p that is exact.
double quantile_above(double p) noexcept {
  const double z = gaussian::quantile(p);
  return above(z + std::fabs(z) * (gaussian::quantile_relative_error + 2 * unit));
}

double negative_quantile_above(double p) noexcept {
  const double z = -gaussian::quantile(p);
  return above(z + std::fabs(z) * (gaussian::quantile_relative_error + 2 * unit));
}

// An upper bound on 1 - q or q, of which a quantile needs a probability above it.
double goal_of_quantile(double q, Side side) noexcept {
  return side == Side::lower ? above(1.0 - q) : q;
}

}  // namespace

LevelCurve::LevelCurve(const LevelOptions& o) : curve_(o.curve), sigma_(o.sigma) {
  for (const double radius : o.radii) {
    r_.push_back(curve_.has_scale() ? scaled_radius(radius, o.sigma) : radius);
    if (!gaussian()) at_.emplace_back(curve_, r_.back());
  }
  if (o.statistic == Statistic::probability) {
    for (const double c : o.thresholds) goals_.push_back(gaussian() ? quantile_above(c) : c);
    return;
  }
  for (const double q : o.levels) {
    if (!gaussian()) {
      goals_.push_back(goal_of_quantile(q, o.side));
    } else {
      goals_.push_back(o.side == Side::lower ? negative_quantile_above(q) : quantile_above(q));
    }
  }
}

double LevelCurve::lower(const LevelOfCount& level, std::size_t radius) const noexcept {
  if (gaussian()) return cdf_below(below(level.z - r_[radius]));
  return at_[radius](level.p, level.q);
}

double LevelCurve::lost(const LevelOfCount& level, std::size_t radius) const noexcept {
  // 1 - psi_r(p) = Phi(r - Phi^-1(p)) keeps the digits of a small upper bound.
  if (gaussian()) return cdf_above(above(r_[radius] - level.z));
  const double kept = at_[radius](level.p, level.q);
  return kept > 0.0 ? std::min(1.0, above(1.0 - kept)) : 1.0;
}

bool LevelCurve::passes(const LevelOfCount& level, std::size_t goal,
                        std::size_t radius) const noexcept {
  if (gaussian()) return level.z > above(goals_[goal] + r_[radius]);
  return lower(level, radius) > goals_[goal];
}

double LevelCurve::radius(const LevelOfCount& level, std::size_t goal) const noexcept {
  if (gaussian()) {
    const double r = below(level.z - goals_[goal]);
    return r >= 0.0 ? input_radius(r, sigma_) : std::numeric_limits<double>::quiet_NaN();
  }
  const double r = largest_radius(
      curve_, [&](double at) { return CurveAt(curve_, at)(level.p, level.q) - goals_[goal]; });
  return curve_.has_scale() ? input_radius(r, sigma_) : r;
}

}  // namespace smoothbound::detail
