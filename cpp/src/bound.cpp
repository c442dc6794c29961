#include "smoothbound/bound.hpp"

#include <algorithm>

#include "kernels.hpp"
#include "rounding.hpp"

namespace smoothbound {

double Range::confidence(double distance) const noexcept {
  const double safe = std::clamp(distance, 0.0, width());
  if (side == Side::lower) return safe == 0.0 ? a : std::max(a, below(a + safe));
  return safe == 0.0 ? b : std::min(b, above(b - safe));
}

double hoeffding_quantile(double sum, std::size_t m, double width, double deviation) noexcept {
  // Distances, blocks, total, division: at most sum_error and a few units.
  const double mean = sum / (static_cast<double>(m) * width) * (1.0 - sum_error - 8 * unit);
  return lower_quantile(mean - deviation - unit, ((1.0 - mean) + deviation) * (1.0 + 4 * unit));
}

double scaled_radius(double radius, double sigma) noexcept {
  return radius == 0.0 ? 0.0 : above(radius / sigma);
}

double input_radius(double r, double sigma) noexcept {
  const double radius = r * sigma;
  return radius > 0.0 ? below(radius) : radius;
}

}  // namespace smoothbound
