#include "smoothbound/detail/range.hpp"

#include <algorithm>

#include "rounding.hpp"

namespace smoothbound::detail {

double Range::confidence(double distance) const noexcept {
  const double safe = std::clamp(distance, 0.0, width());
  if (side == Side::lower) return safe == 0.0 ? a : std::max(a, below(a + safe));
  return safe == 0.0 ? b : std::min(b, above(b - safe));
}

double scaled_radius(double radius, double sigma) noexcept {
  return radius == 0.0 ? 0.0 : above(radius / sigma);
}

double input_radius(double r, double sigma) noexcept {
  const double radius = r * sigma;
  return radius > 0.0 ? below(radius) : radius;
}

}  // namespace smoothbound::detail
