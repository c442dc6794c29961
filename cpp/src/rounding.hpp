// Directed rounding by small, stated margins, so that each step of a certificate errs to the safe
// side.
#pragma once

#include <cfloat>
#include <cmath>
#include <limits>

#include "smoothbound/gaussian.hpp"

#if defined(__FAST_MATH__)
#error "the margins hold for IEEE arithmetic only: compile without -ffast-math"
#endif
static_assert(FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 16,
              "doubles must be computed as doubles; on 32-bit x86 use -msse2 -mfpmath=sse");

namespace smoothbound::detail {

inline constexpr double unit = 0x1p-53;  // relative error of one rounded operation

inline double below(double x) noexcept {
  return std::nextafter(x, -std::numeric_limits<double>::infinity());
}
inline double above(double x) noexcept {
  return std::nextafter(x, std::numeric_limits<double>::infinity());
}

// A lower bound on Phi^-1(p), from a lower bound on p and an upper bound on 1 - p.
inline double lower_quantile(double p, double complement) noexcept {
  // A subnormal p has too few digits.
  if (!(p >= std::numeric_limits<double>::min())) return -std::numeric_limits<double>::infinity();
  const double z = p < 0.5 ? gaussian::quantile(p) : -gaussian::quantile(complement);
  return z - std::fabs(z) * (gaussian::quantile_relative_error + 2 * unit) -
         std::numeric_limits<double>::denorm_min();
}

}  // namespace smoothbound::detail
