// Options of C as those of C++.
#pragma once

#include <cstddef>
#include <cstdint>

#include "report.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/smoothbound.h"

namespace smoothbound::c {

smoothbound_options defaults() noexcept;

// `given`, of whatever version, as `options`, which look at its arrays.
std::int32_t options_of(const smoothbound_options* given, std::size_t n_draws, const Report& report,
                        Options& options) noexcept;

}  // namespace smoothbound::c
