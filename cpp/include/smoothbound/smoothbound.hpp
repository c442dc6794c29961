/// \file smoothbound.hpp
/// Everything: certified confidence for smoothed classifiers.
#pragma once

#include "smoothbound/band.hpp"
#include "smoothbound/binning.hpp"
#include "smoothbound/bound.hpp"
#include "smoothbound/certify.hpp"
#include "smoothbound/curve.hpp"
#include "smoothbound/gaussian.hpp"
#include "smoothbound/mean.hpp"
#include "smoothbound/radius.hpp"
#include "smoothbound/tangent.hpp"
#include "smoothbound/tier.hpp"
