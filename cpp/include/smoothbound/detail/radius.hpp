/// \file detail/radius.hpp
/// The certified radius, within which a certified confidence stays above a threshold.
#pragma once

#include "smoothbound/detail/curve.hpp"

namespace smoothbound::detail {

/// The largest r = R / sigma for which the search finds bound(r) > target. The search interpolates
/// inversely in the coordinate Phi^-1(bound / width), in which the bound is nearly linear.
///
/// \param bound   the bound as a function of r, non-increasing
/// \param width   b - a
/// \param target  distance of the threshold from the end, 0 < target < width
/// \return an r at which the bound was evaluated and exceeds the target; NaN if bound(0) does not
double certified_radius(const BoundCurve& bound, double width, double target) noexcept;

}  // namespace smoothbound::detail
