/// \file smoothbound.hpp
/// Everything: certified confidence for smoothed classifiers. certify.hpp is the way in; the other
/// headers are the steps it takes. smoothbound.h is the C interface.
///
/// Threads: there is no global state; const members and functions may be called from any number of
/// threads, and an object that is written to from one at a time.
/// Errors: what is marked noexcept, certify() and Certifier with it, reports by its result. What
/// allocates memory and is not so marked throws std::bad_alloc and nothing else. Arguments that
/// break a stated precondition (\pre) are not checked.
/// Arithmetic: the caller's floating-point environment must be the default one, or the bounds hold
/// no more: round to nearest, and subnormal numbers not flushed to zero.
#pragma once

#include "smoothbound/band.hpp"
#include "smoothbound/binning.hpp"
#include "smoothbound/bound.hpp"
#include "smoothbound/cancel.hpp"
#include "smoothbound/certify.hpp"
#include "smoothbound/crossing.hpp"
#include "smoothbound/curve.hpp"
#include "smoothbound/ell.hpp"
#include "smoothbound/gaussian.hpp"
#include "smoothbound/mean.hpp"
#include "smoothbound/noise.hpp"
#include "smoothbound/order.hpp"
#include "smoothbound/philox.hpp"
#include "smoothbound/radius.hpp"
#include "smoothbound/sketch.hpp"
#include "smoothbound/tangent.hpp"
#include "smoothbound/tier.hpp"
