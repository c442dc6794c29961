// Converts the options of C to those of C++.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "names.hpp"
#include "report.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/smoothbound.h"

namespace smoothbound::c {

smoothbound_options defaults() noexcept;

// Converts `given`, of any version, to `options`, whose spans point to the arrays of `given`.
std::int32_t options_of(const smoothbound_options* given, std::size_t n_draws, const Report& report,
                        Options& options) noexcept;

// Sets the caller's structure, of any version, to the defaults in `known`.
template <class Struct>
void init(Struct* given, std::size_t struct_size, const Struct& known) noexcept {
  if (given == nullptr || struct_size < sizeof given->struct_size) return;
  std::memset(given, 0, struct_size);
  std::memcpy(given, &known, std::min(struct_size, sizeof known));
  given->struct_size = struct_size;
}

// Sets `value` to the value of the code. \return false, with nothing set, if the code is unknown
template <class Enum, std::size_t n>
bool take(const detail::Name<Enum> (&names)[n], std::int32_t code, Enum& value) noexcept {
  const auto found = detail::coded(names, code);
  if (found) value = *found;
  return found.has_value();
}

// Sets the curve of options, whose arrays it then points to.
template <class Struct>
std::int32_t curve_of(const Struct& c, const Report& report, NoiseCurve& curve) noexcept {
  if (!take(detail::curves, c.curve, curve.kind)) return report.code("curve", c.curve);
  curve.pixels = c.pixels;
  curve.kept = c.kept;
  if (curve.kind != CurveKind::table) return SMOOTHBOUND_OK;
  if (c.curve_radii == nullptr) return report.null("options->curve_radii");
  if (c.curve_p == nullptr) return report.null("options->curve_p");
  if (c.curve_values == nullptr) return report.null("options->curve_values");
  constexpr std::size_t most = std::size_t{1} << 30;  // so that the product does not overflow
  const std::size_t n_radii = std::min(c.n_curve_radii, most);
  const std::size_t n_p = std::min(c.n_curve_p, most);
  curve.radii = {c.curve_radii, n_radii};
  curve.p = {c.curve_p, n_p};
  curve.values = {c.curve_values, n_radii * n_p};
  return SMOOTHBOUND_OK;
}

}  // namespace smoothbound::c
