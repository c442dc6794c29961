#include "smoothbound/noise_curve.hpp"

#include <algorithm>

#include "smoothbound/detail/knot_sum.hpp"

namespace smoothbound {

bool NoiseCurve::has_scale() const noexcept {
  return kind != CurveKind::ablation && kind != CurveKind::table;
}

bool NoiseCurve::convex() const noexcept {
  if (kind != CurveKind::table) return true;
  constexpr double tolerance = 1e-12;  // because the values of a convex function are rounded
  for (std::size_t j = 0; j < radii.size(); ++j) {
    const double* v = values.data() + j * p.size();
    for (std::size_t i = 1; i + 1 < p.size(); ++i) {
      const double share = (p[i] - p[i - 1]) / (p[i + 1] - p[i - 1]);
      if (v[i] > v[i - 1] + share * (v[i + 1] - v[i - 1]) + tolerance) return false;
    }
  }
  return true;
}

double NoiseCurve::operator()(double p_least, double q_most, double r) const noexcept {
  return detail::CurveAt(*this, r)(p_least, q_most);
}

}  // namespace smoothbound
