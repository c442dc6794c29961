// The places of scores among the knots of a record, and the sums of a bet.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"
#include "kernels/normal-inl.hpp"
#include "knot_layout.hpp"

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

// The whole number below or above x, x itself if it is one; \pre 0 <= x < 2^51
SMOOTHBOUND_INLINE double whole(double x, bool up) {
  const double nearest = (x + 0x1p52) - 0x1p52;
  const double floor = nearest > x ? nearest - 1.0 : nearest;
  const double ceiling = nearest < x ? nearest + 1.0 : nearest;
  return up ? ceiling : floor;
}

// The place of a distance d < 2^-5 from an end. In the octaves, the exponent of a double and the
// first twelve bits of its mantissa count the places.
SMOOTHBOUND_INLINE double place_in_tail(double d, bool up) {
  const std::uint64_t above =
      to_bits(d) - to_bits(0x1p-17) + (up ? (std::uint64_t{1} << 40) - 1 : 0);
  const double in_octaves = from_bits((above >> 40) | to_bits(0x1p52)) - 0x1p52;
  return d < 0x1p-17 ? whole(d * 0x1p26, up) : places_per_interval + in_octaves;
}

// The place of u in [0, 1], rounded down. No step but the last is inexact: 1 - u is near 0, and
// u - 2^-5 has no more digits than u.
SMOOTHBOUND_INLINE double place_of(double u) {
  constexpr double middle_begin = places_per_interval * tail_intervals;
  const bool low = u < 0x1p-5;
  const bool high = u > 1.0 - 0x1p-5;
  const double tail = place_in_tail(high ? 1.0 - u : u, high);
  const double middle = middle_begin + whole(low ? 0.0 : (u - 0x1p-5) * 0x1p17, false);
  const double lower = low ? tail : middle;
  return high ? last_place - tail : lower;
}

// A distance in units of the width is known to 4 units: that of the far end is 1.
template <class Real>
SMOOTHBOUND_INLINE bool places(const Real* x, std::size_t n, const Range& range,
                               std::uint32_t* out) {
  const double a = range.a;
  const double b = range.b;
  const double origin = range.side == Side::lower ? a : b;
  const double far = range.side == Side::lower ? b : a;
  const double direction = range.side == Side::lower ? 1.0 : -1.0;
  const double width = b - a;
  std::uint64_t outside = 0;
#pragma omp simd reduction(| : outside)
  for (std::size_t i = 0; i < n; ++i) {
    const auto score = static_cast<double>(x[i]);
    outside |= score >= a && score <= b ? 0u : 1u;
    const double share = direction * (score - origin) / width * (1.0 - 0x1p-50);
    const double u = score == far ? 1.0 : share;
    const double positive = u > 0.0 ? u : 0.0;  // and where u is NaN
    out[i] = static_cast<std::uint32_t>(
        static_cast<std::int32_t>(place_of(positive < 1.0 ? positive : 1.0)));
  }
  return outside == 0;
}

bool places_float(const float* x, std::size_t n, const Range& range, std::uint32_t* out) {
  return places(x, n, range, out);
}

bool places_double(const double* x, std::size_t n, const Range& range, std::uint32_t* out) {
  return places(x, n, range, out);
}

GrowthSlope growth_slope(const double* masses, const double* v, std::size_t n, double m,
                         double stake) {
  constexpr std::size_t lanes = 8;
  double slope[lanes] = {};
  double decrease[lanes] = {};
  const auto add = [&](std::size_t i, std::size_t k) {
    const double odds = 1.0 / (1.0 + stake * v[i]);
    const double term = masses[i] * (v[i] - m) * odds;
    slope[k] += term;
    decrease[k] += term * v[i] * odds;
  };
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
#pragma omp simd
    for (std::size_t k = 0; k < lanes; ++k) add(i + k, k);
  }
  for (std::size_t k = 0; i < n; ++i, ++k) add(i, k);
  for (std::size_t half = lanes / 2; half > 0; half /= 2) {
    for (std::size_t k = 0; k < half; ++k) {
      slope[k] += slope[k + half];
      decrease[k] += decrease[k + half];
    }
  }
  return {slope[0], decrease[0]};
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
