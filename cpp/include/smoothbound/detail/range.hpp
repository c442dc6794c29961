/// \file detail/range.hpp
/// The range of the scores, with the safe end from which the theorems measure.
///
/// Theorem 1 and Theorem 2 of Kumar et al. 2020 are stated for the lower bound. The upper bound is
/// the lower bound of the reflected scores, e_upper(Z; a, b) = -e_lower(-Z; -b, -a), so it needs no
/// separate formula. The code measures the distance from the safe end of the range (a for lower, b
/// for upper). A bound may only understate this distance. curve.hpp computes the distance as a
/// function of the radius.
#pragma once

#include "smoothbound/options.hpp"

namespace smoothbound::detail {

/// The range [a, b] of the scores, with the side that determines the safe end.
struct Range {
  double a, b;
  Side side;

  double width() const noexcept { return b - a; }
  /// Distance of the score x from the end: x - a for the lower side, b - x for the upper.
  double distance(double x) const noexcept { return side == Side::lower ? x - a : b - x; }
  /// The certified confidence at a certified distance, rounded to the safe side.
  double confidence(double distance) const noexcept;
};

/// r = R / sigma, rounded up, so that the bound holds at the requested radius.
double scaled_radius(double radius, double sigma) noexcept;

/// R = r * sigma, rounded down, in the units of sigma; NaN for NaN.
double input_radius(double r, double sigma) noexcept;

}  // namespace smoothbound::detail
