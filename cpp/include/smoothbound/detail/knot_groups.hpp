/// \file detail/knot_groups.hpp
/// Groups of knots with nearly the same level (curve.hpp).
#pragma once

#include <cstddef>

namespace smoothbound::detail {

inline constexpr std::size_t curve_terms = 10;  ///< moments of a group, t = 0 ... 9
inline constexpr int curve_groups_per_unit = 8;
inline constexpr int curve_limit = 9;  ///< levels are kept for z in [-9, 9]
inline constexpr std::size_t curve_groups = 2 * curve_limit * curve_groups_per_unit + 1;

/// The knots [begin, end), whose levels have the same nearest multiple of 1/8.
struct KnotGroup {
  std::size_t index, begin, end;
};

}  // namespace smoothbound::detail
