// The search for a certified radius that all curves share (noise_curve.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "smoothbound/noise_curve.hpp"

namespace smoothbound::detail {

inline constexpr double radius_resolution = 1e-14;  // of r, in units of 1 + r
inline constexpr int most_radius_steps = 200;

// Halves [low, high], of which low passes, until nothing is left between them: radius(step) passes
// or not.
template <class Radius, class Passes>
double last_passing(std::size_t low, std::size_t high, const Radius& radius, const Passes& passes) {
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (passes(radius(middle)) ? low : high) = middle;
  }
  return radius(low);
}

// The Illinois rule, with every eighth step in the middle. A step that would end nearer to an end
// of the bracket than half the resolution goes so far, so that the bracket closes around the root.
template <class Excess>
double largest_passing(const Excess& excess) {
  double low = 0.0;
  double low_weight = excess(0.0);
  double high = 1.0;
  double high_weight = excess(high);
  while (high_weight > 0.0) {
    low = high;
    low_weight = high_weight;
    high *= 2.0;
    high_weight = excess(high);
  }
  int moved = 0;  // the end that the last step moved
  for (int step = 0; step < most_radius_steps && high - low > radius_resolution * (1.0 + low);
       ++step) {
    double r = low + (high - low) * low_weight / (low_weight - high_weight);
    const double least = 0.5 * radius_resolution * (1.0 + low);
    r = std::max(low + least, std::min(r, high - least));
    if (step % 8 == 7 || !(low < r && r < high)) r = low + 0.5 * (high - low);
    if (!(low < r && r < high)) break;
    const double found = excess(r);
    const int end = found > 0.0 ? 1 : -1;
    if (end > 0) {
      low = r;
      low_weight = found;
      if (moved == end) high_weight *= 0.5;
    } else {
      high = r;
      high_weight = found;
      if (moved == end) low_weight *= 0.5;
    }
    moved = end;
  }
  return low;
}

// The largest radius for which the search finds an excess above 0, in the units of `curve`: a whole
// number for `ablation`, and one of the radii, or 0, for `table`.
// \return a radius that was evaluated and passed; NaN if R = 0 fails
template <class Excess>
double largest_radius(const NoiseCurve& curve, const Excess& excess) {
  const auto passes = [&](double r) { return excess(r) > 0.0; };
  if (!passes(0.0)) return std::numeric_limits<double>::quiet_NaN();
  if (curve.kind == CurveKind::ablation) {
    const auto number = [](std::size_t step) { return static_cast<double>(step); };
    return last_passing(0, curve.pixels - curve.kept + 1, number, passes);
  }
  if (curve.kind == CurveKind::table) {
    const auto radius = [&](std::size_t step) { return step == 0 ? 0.0 : curve.radii[step - 1]; };
    return last_passing(0, curve.radii.size() + 1, radius, passes);
  }
  return largest_passing(excess);
}

}  // namespace smoothbound::detail
