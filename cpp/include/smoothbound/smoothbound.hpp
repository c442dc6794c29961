/// \file smoothbound.hpp
/// Everything: certified confidence for smoothed classifiers. certify.hpp is the way in, from
/// scores, and sketch.hpp from counts; smoothbound.h is the C interface. What lies in detail/ and
/// in the namespace smoothbound::detail are the steps they take, which may change at any time.
///
/// Threads: there is no global state; const members and functions may be called from any number of
/// threads, and an object that is written to from one at a time.
/// Errors: what is marked noexcept, certify() and Plan with it, reports by its result. What
/// allocates memory and is not so marked throws std::bad_alloc and nothing else. Arguments that
/// break a stated precondition (\pre) are not checked.
/// Arithmetic: the caller's floating-point environment must be the default one, or the bounds hold
/// no more: round to nearest, and subnormal numbers not flushed to zero.
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
#include "smoothbound/noise.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/scores.hpp"
#include "smoothbound/sketch.hpp"
#include "smoothbound/tier.hpp"
#include "smoothbound/version.h"
