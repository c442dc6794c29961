/// \file smoothbound.hpp
/// The whole library: certified confidence for smoothed classifiers. Start with certify.hpp, which
/// certifies scores, or with sketch.hpp, which certifies counts. smoothbound.h is the C interface.
/// The folder detail/ and the namespace smoothbound::detail hold the steps of the computation,
/// which may change at any time.
///
/// Threads: there is no global state. Any number of threads may call functions and const members at
/// the same time. Only one thread at a time may modify an object.
///
/// Errors: functions that are marked noexcept, such as certify() and the members of Plan, return a
/// Failure. The others throw std::bad_alloc if memory runs out, and nothing else. Arguments that
/// break a stated precondition (\pre) are not checked.
///
/// Arithmetic: the bounds hold only in the default floating-point environment: round to nearest,
/// and subnormal numbers not flushed to zero.
#pragma once

#include "smoothbound/anytime.hpp"
#include "smoothbound/anytime_batch.hpp"
#include "smoothbound/band.hpp"
#include "smoothbound/cancel.hpp"
#include "smoothbound/certify.hpp"
#include "smoothbound/draw_record.hpp"
#include "smoothbound/ell.hpp"
#include "smoothbound/failure.hpp"
#include "smoothbound/gaussian.hpp"
#include "smoothbound/levels.hpp"
#include "smoothbound/noise.hpp"
#include "smoothbound/noise_curve.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/scores.hpp"
#include "smoothbound/sketch.hpp"
#include "smoothbound/tier.hpp"
#include "smoothbound/version.h"
