/// \file options.hpp
/// The options of a call: what to certify, and by which method.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "smoothbound/cancel.hpp"
#include "smoothbound/noise_curve.hpp"

namespace smoothbound {

class ConfidenceBand;  // band.hpp

enum class Side {
  lower,  ///< lower bounds on the confidence
  upper,  ///< upper bounds on the confidence
};

enum class Bound {
  mean,     ///< Theorem 1, a bound on the mean
  cdf,      ///< Theorem 2, a confidence band of the survival function
  tangent,  ///< a tangent to Theorem 2 from pilot draws, and a bound on one mean
  joint,    ///< tangents at fixed radii, whose means together bound all radii, and the band `ell`
            ///< (detail/joint.hpp)
};

enum class BandKind {
  dkw,  ///< the paper's: Dvoretzky-Kiefer-Wolfowitz with Massart's constant (1990)
  ell,  ///< equal local levels (ell.hpp)
};

enum class MeanKind {
  hoeffding,  ///< the paper's: Hoeffding 1963
  bernstein,  ///< empirical Bernstein; Maurer & Pontil 2009, Theorem 4
  betting,    ///< bets on the draws in turn (for tangents, with a stake that the pilot fixes)
};

/// The order in which the draws of a row are used. Betting uses the draws in turn, and the tangent
/// and the joint bound use the first draws as a pilot, so the order must not depend on the values.
enum class Order {
  unknown,  ///< the order may depend on the values, so the positions are permuted first
  drawn,    ///< the order is kept; it must not depend on the values, like that of drawing
};

/// What to certify, and by which method.
struct Options {
  double sigma = 0.0;       ///< noise level, > 0, in the units of the model's input
  double alpha = 1e-3;      ///< failure probability of each certificate, in [least_alpha, 1)
  double a = 0.0, b = 1.0;  ///< range of the scores, b - a finite and at least least_width
  Side side = Side::lower;
  Bound bound = Bound::cdf;
  BandKind band = BandKind::ell;  ///< for `cdf`
  std::size_t n_bins = 0;  ///< for `cdf`: number of equal-count bins; with 0 every draw is a knot
  /// A band for alpha and the number of draws, which replaces `band` and `n_bins`. For `joint` it
  /// is the band `ell` for joint_band_share * alpha, with every draw a knot. It must outlive the
  /// call and the Plan. If null, the call or the Plan makes its own band.
  const ConfidenceBand* shared_band = nullptr;
  MeanKind mean = MeanKind::hoeffding;  ///< for `mean` any, for `tangent` betting or bernstein, for
                                        ///< `joint` betting
  /// Number of pilot draws of each row, which serve only to choose stakes and tangents. They are
  /// the first in `order`. It lies in [1, n_draws) for `tangent` and `joint`, and is ignored
  /// otherwise.
  std::size_t n_pilot = 0;
  /// With Order::unknown, row i is permuted with the key (seed, Scores::first_row + i). Fix the
  /// seed before you see the scores.
  Order order = Order::unknown;
  std::uint64_t seed = 0;
  /// The noise and the measure of distance. Bound::tangent and Bound::joint need the Gaussian, and
  /// Bound::mean needs a convex curve. A Plan copies its table; a call of certify() on counts reads
  /// it.
  NoiseCurve curve = {};
  std::span<const double> radii;       ///< >= 0, in the units of sigma
  std::span<const double> thresholds;  ///< inside (a, b)
  int threads = 1;                     ///< >= 1
  Cancel cancel = {};                  ///< polled by every call with these options
};

/// Below these limits, margins for subnormal numbers would exceed the numbers themselves.
inline constexpr double least_alpha = 1e-302, least_width = 1e-300;

}  // namespace smoothbound
