// The plan of the C interface.
#pragma once

#include <cstddef>
#include <cstdint>

#include "report.hpp"
#include "smoothbound/certify.hpp"
#include "smoothbound/smoothbound.h"

struct smoothbound_plan {
  smoothbound::Plan plan;
};

namespace smoothbound::c {

std::int32_t create(smoothbound_plan& plan, const smoothbound_options* options, std::size_t n_draws,
                    const Report& report) noexcept;

}  // namespace smoothbound::c
