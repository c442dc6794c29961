#include "smoothbound/options.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "batch.hpp"
#include "smoothbound/band.hpp"
#include "smoothbound/detail/joint.hpp"

namespace smoothbound::detail {
namespace {

bool needs_pilot(const Options& o) noexcept {
  return o.bound == Bound::tangent || o.bound == Bound::joint;
}

bool has_pilot(const Options& o, std::size_t n_draws) noexcept {
  return o.n_pilot >= 1 && o.n_pilot < n_draws;
}

bool ascend(std::span<const double> x) noexcept {
  return std::adjacent_find(x.begin(), x.end(), [](double a, double b) { return !(a < b); }) ==
         x.end();
}

// What a table lacks to be the values of a curve; null if nothing.
const char* fault_of_table(const NoiseCurve& c) noexcept {
  if (c.radii.empty() || c.p.empty() || c.values.size() / c.p.size() != c.radii.size() ||
      c.values.size() % c.p.size() != 0) {
    return "curve.values must hold a number for each of curve.radii and each of curve.p";
  }
  if (!(ascend(c.radii) && c.radii.front() >= 0.0 && std::isfinite(c.radii.back()))) {
    return "curve.radii must be finite, not negative and ascending";
  }
  if (!(ascend(c.p) && c.p.front() >= 0.0 && c.p.back() <= 1.0)) {
    return "curve.p must ascend in [0, 1]";
  }
  for (std::size_t k = 0; k < c.values.size(); ++k) {
    const std::size_t i = k % c.p.size();
    if (!(c.values[k] >= 0.0 && c.values[k] <= c.p[i])) return "curve.values must lie in [0, p]";
    if (i > 0 && c.values[k] < c.values[k - 1]) return "curve.values must not decrease along p";
    if (k >= c.p.size() && c.values[k] > c.values[k - c.p.size()]) {
      return "curve.values must not increase with the radius";
    }
  }
  return nullptr;
}

// What the curve lacks for this bound; null if nothing.
const char* fault_with_bound(const Options& o) noexcept {
  if (o.curve.kind != CurveKind::gaussian && needs_pilot(o)) {
    return "curve must be gaussian for the tangent and the joint bound";
  }
  if (o.bound == Bound::mean && !o.curve.convex()) {
    return "curve.values must be convex for the bound mean";
  }
  return nullptr;
}

}  // namespace

const char* fault_of(const NoiseCurve& c, std::span<const double> radii, double sigma) noexcept {
  if (c.kind == CurveKind::ablation &&
      !(c.kept >= 1 && c.kept <= c.pixels && c.pixels <= most_pixels)) {
    return "curve.kept must be at least 1 and at most curve.pixels, which is at most 2^24";
  }
  if (c.kind == CurveKind::table) {
    if (const char* fault = fault_of_table(c)) return fault;
    for (const double radius : radii) {
      if (radius > c.radii.back()) return "radii must be at most the last of curve.radii";
    }
  }
  if (!c.has_scale() && sigma != 1.0) return "sigma must be 1 for a curve without a scale";
  return nullptr;
}

// The first option that is out of its range.
Failure check(const Options& o, std::size_t n_draws) noexcept {
  const auto finite = [](double x) { return std::isfinite(x); };
  const auto bad = [](const char* need, double got) {
    return Failure{Error::bad_option, 0, 0, need, got};
  };
  if (!(o.sigma > 0.0 && finite(o.sigma))) return bad("sigma must be positive and finite", o.sigma);
  if (!(o.alpha > 0.0 && o.alpha < 1.0)) {
    return bad("alpha must lie strictly between 0 and 1", o.alpha);
  }
  if (o.alpha < least_alpha) return bad("alpha must be at least 1e-302", o.alpha);
  if (!finite(o.a)) return bad("a must be finite", o.a);
  if (!(o.a < o.b && finite(o.b - o.a))) return bad("b must be finite and above a", o.b);
  if (o.b - o.a < least_width) return bad("b - a must be at least 1e-300", o.b - o.a);
  if (o.threads < 1) return bad("threads must be at least 1", o.threads);
  for (const double radius : o.radii) {
    if (!(finite(radius) && radius >= 0.0)) {
      return bad("radii must be finite and not negative", radius);
    }
  }
  if (const char* fault = fault_of(o.curve, o.radii, o.sigma)) return bad(fault, o.sigma);
  if (const char* fault = fault_with_bound(o)) return bad(fault, o.sigma);
  if (o.side != Side::lower && !o.thresholds.empty()) {
    return bad("thresholds need the lower side: their number must be 0 for the upper",
               static_cast<double>(o.thresholds.size()));
  }
  for (const double c : o.thresholds) {
    if (!(c > o.a && c < o.b)) return bad("thresholds must lie strictly between a and b", c);
  }
  if (n_draws == 0 || n_draws > std::numeric_limits<std::uint32_t>::max()) {
    return bad("n_draws must be at least 1 and below 2^32", static_cast<double>(n_draws));
  }
  if (o.bound == Bound::tangent && o.mean == MeanKind::hoeffding) {
    return bad("mean must be betting or bernstein for the tangent bound", 0.0);
  }
  if (o.bound == Bound::joint && o.mean != MeanKind::betting) {
    return bad("mean must be betting for the joint bound", 0.0);
  }
  if (o.bound == Bound::joint && o.alpha * joint_band_share < least_alpha) {
    return bad("alpha must be at least 8e-302 for the joint bound", o.alpha);
  }
  if (needs_pilot(o) && !has_pilot(o, n_draws)) {
    return bad("n_pilot must be at least 1 and below n_draws", static_cast<double>(o.n_pilot));
  }
  const bool has_band = o.bound == Bound::cdf || o.bound == Bound::joint;
  if (has_band && o.shared_band != nullptr && o.shared_band->n_draws() != n_draws) {
    return bad("n_draws must be that of shared_band", static_cast<double>(n_draws));
  }
  return {};
}

// Whether a size is rows * columns, which may be too large for a size_t.
bool holds(std::size_t size, std::size_t rows, std::size_t columns) noexcept {
  if (rows == 0 || columns == 0) return size == 0;
  return size / columns == rows && size % columns == 0;
}

}  // namespace smoothbound::detail
