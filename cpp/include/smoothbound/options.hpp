/// \file options.hpp
/// The options of a call: what to certify, and how.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "smoothbound/cancel.hpp"
#include "smoothbound/noise_curve.hpp"

namespace smoothbound {

class ConfidenceBand;  // band.hpp

enum class Side {
  lower,  ///< confidence cannot fall below
  upper,  ///< confidence cannot rise above
};

enum class Bound {
  mean,     ///< Theorem 1, a bound on the mean
  cdf,      ///< Theorem 2, a confidence band of the survival function
  tangent,  ///< a tangent to Theorem 2 from pilot draws, and a bound on one mean
  joint,    ///< tangents at fixed radii, whose means together bound all radii, and the band `ell`
            ///< (detail/joint.hpp)
};

enum class BandKind {
  dkw,  ///< Dvoretzky-Kiefer-Wolfowitz with Massart's constant (Massart 1990), the paper's
  ell,  ///< equal local levels (ell.hpp)
};

enum class MeanKind {
  hoeffding,  ///< Hoeffding 1963, the paper's
  bernstein,  ///< empirical Bernstein; Maurer & Pontil 2009, Theorem 4
  betting,    ///< bets on one draw after the other (for tangents, a stake that the pilot fixes)
};

/// The order in which the draws of a row are used. Betting uses one draw after the other, and the
/// tangent and the joint bound set the first ones aside (the pilot), so the order must not depend
/// on the values.
enum class Order {
  unknown,  ///< the order may depend on the values, so the positions are permuted first
  drawn,    ///< the order does not depend on the values, like that of drawing, and is kept
};

/// What to certify, and how.
struct Options {
  double sigma = 0.0;       ///< noise level, > 0, in the units of the model's input
  double alpha = 1e-3;      ///< failure probability of each certificate, in [least_alpha, 1)
  double a = 0.0, b = 1.0;  ///< range of the scores, b - a finite and at least least_width
  Side side = Side::lower;
  Bound bound = Bound::cdf;
  BandKind band = BandKind::ell;  ///< for `cdf`
  std::size_t n_bins = 0;         ///< for `cdf`: equal-count bins; 0: every draw is a knot
  /// A band made for alpha and the number of draws, which is used instead of `band` and `n_bins`.
  /// That of `joint` is `ell`, with every draw a knot, for joint_band_share * alpha. It must
  /// outlive the call and the Plan. Null: the call or the Plan makes its own band.
  const ConfidenceBand* shared_band = nullptr;
  MeanKind mean = MeanKind::hoeffding;  ///< for `mean` any, for `tangent` betting or bernstein, for
                                        ///< `joint` betting
  /// How many draws of every row, the first in `order`, serve to choose stakes and tangents and for
  /// nothing else; in [1, n_draws) for `tangent` and `joint`, otherwise without effect.
  std::size_t n_pilot = 0;
  /// For Order::unknown, row i is permuted with the key (seed, Scores::first_row + i). Fix the seed
  /// before you see the scores.
  Order order = Order::unknown;
  std::uint64_t seed = 0;
  /// Which noise, and against what: Bound::tangent needs the Gaussian, and Bound::mean a convex
  /// curve. A Plan copies its table; a call of certify() on counts reads it.
  NoiseCurve curve = {};
  std::span<const double> radii;       ///< >= 0, in the units of sigma
  std::span<const double> thresholds;  ///< inside (a, b)
  int threads = 1;                     ///< >= 1
  Cancel cancel = {};                  ///< asked by every call with these options
};

/// Below these limits, the margins for subnormal numbers would exceed the numbers themselves.
inline constexpr double least_alpha = 1e-302, least_width = 1e-300;

}  // namespace smoothbound
