// Converts the options of C to those of C++.
#pragma once

#include <cstddef>
#include <cstdint>

#include "report.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/smoothbound.h"

namespace smoothbound::c {

smoothbound_options defaults() noexcept;

// Converts `given`, of any version, to `options`, whose spans point to the arrays of `given`.
std::int32_t options_of(const smoothbound_options* given, std::size_t n_draws, const Report& report,
                        Options& options) noexcept;

}  // namespace smoothbound::c
