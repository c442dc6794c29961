/// \file tier.hpp
/// Which set of vector instructions the kernels use.
#pragma once

namespace smoothbound {

/// Name of the tier in use: "avx512", "avx2" or "baseline". It is the best tier that was compiled
/// in and that the machine has. The environment variable SMOOTHBOUND_TIER caps it; it is read once,
/// at first use. Every tier returns the same bits.
const char* tier() noexcept;

}  // namespace smoothbound
