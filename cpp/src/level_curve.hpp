// The curve of a plan of levels, at its radii: what bounds, ranks and certified radii ask of it.
#pragma once

#include <cstddef>
#include <vector>

#include "smoothbound/detail/knot_sum.hpp"
#include "smoothbound/levels.hpp"

namespace smoothbound::detail {

// A lower bound p on a probability, and an upper bound q on 1 - p, which keeps the digits near 1.
struct LevelOfCount {
  double p, q;
  double z;  // lower_quantile(p, q), which only the Gaussian needs
};

// psi at the radii of some options, and the goals that it has to be above: the thresholds of a
// probability; for the level q of a quantile 1 - q (lower side) or q (upper side).
class LevelCurve {
 public:
  // \pre the options have passed check(), and outlive this object
  explicit LevelCurve(const LevelOptions& options);

  std::size_t n_radii() const noexcept { return r_.size(); }
  std::size_t n_goals() const noexcept { return goals_.size(); }

  // A lower bound on psi(p) at a radius, and an upper bound on 1 - psi(p).
  double lower(const LevelOfCount& level, std::size_t radius) const noexcept;
  double lost(const LevelOfCount& level, std::size_t radius) const noexcept;

  // Whether psi(p) at a radius is above a goal.
  bool passes(const LevelOfCount& level, std::size_t goal, std::size_t radius) const noexcept;

  // The largest radius at which psi(p) is found above a goal, in the units of the input, rounded
  // down; NaN if R = 0 fails.
  double radius(const LevelOfCount& level, std::size_t goal) const noexcept;

 private:
  bool gaussian() const noexcept { return curve_.kind == CurveKind::gaussian; }

  const NoiseCurve& curve_;
  double sigma_;
  std::vector<double> r_;      // radii / sigma, rounded up; the radii where there is no scale
  std::vector<CurveAt> at_;    // psi at the radii; none for the Gaussian
  std::vector<double> goals_;  // upper bounds on the goals; for the Gaussian on their Phi^-1
};

}  // namespace smoothbound::detail
