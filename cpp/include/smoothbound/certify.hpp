/// \file certify.hpp
/// Certificates for many inputs at once.
///
/// \code
///   smoothbound::Options options;
///   options.sigma = 0.25;
///   options.radii = radii;             // e.g. {0.0, 0.25, 0.5}
///   options.thresholds = thresholds;   // e.g. {0.5}
///   smoothbound::Scores<float> scores{data, n_inputs, n_draws, n_draws * 4, 4};
///   smoothbound::Failure f = smoothbound::certify(scores, options, {bounds, certified});
/// \endcode
#pragma once

#include <cstddef>
#include <span>

#include "smoothbound/band.hpp"
#include "smoothbound/binning.hpp"
#include "smoothbound/bound.hpp"
#include "smoothbound/mean.hpp"

namespace smoothbound {

enum class Bound {
  mean,     ///< Theorem 1, a bound on the mean
  cdf,      ///< Theorem 2, a confidence band of the survival function
  tangent,  ///< a tangent to Theorem 2 from pilot draws, and a bound on one mean
};

/// What to certify, and how.
struct Options {
  double sigma = 0.0;       ///< noise level, > 0, in the units of the model's input
  double alpha = 1e-3;      ///< failure probability of each certificate, in (0, 1)
  double a = 0.0, b = 1.0;  ///< range of the scores, a < b
  Side side = Side::lower;
  Bound bound = Bound::cdf;
  BandKind band = BandKind::dkw;
  MeanKind mean = MeanKind::hoeffding;  ///< for `mean` any, for `tangent` betting or bernstein
  /// The first draws of every row, from which stakes and tangents are chosen, and nothing else; in
  /// [1, n_draws) for betting and for `tangent`, else without effect.
  std::size_t n_pilot = 0;
  std::size_t n_bins = 0;              ///< equal-count bins; 0: every draw is a knot
  std::span<const double> radii;       ///< >= 0, in the units of sigma
  std::span<const double> thresholds;  ///< inside (a, b)
  int threads = 1;                     ///< >= 1
};

/// (n_inputs, n_draws) scores in memory of any layout; T is half, float or double.
template <class T>
struct Scores {
  const T* data;
  std::size_t n_inputs, n_draws;
  std::ptrdiff_t row_stride, draw_stride;  ///< bytes

  Row<T> row(std::size_t i) const noexcept {
    return {reinterpret_cast<const T*>(reinterpret_cast<const char*>(data) +
                                       static_cast<std::ptrdiff_t>(i) * row_stride),
            n_draws, draw_stride};
  }
};

/// Where the certificates go: row-major (n_inputs, n_radii) and (n_inputs, n_thresholds).
struct Certificates {
  std::span<double> bounds;  ///< certified confidence at each radius
  std::span<double> radius;  ///< certified radius for each threshold, NaN where R = 0 fails
};

enum class Error {
  none,
  bad_option,  ///< an option is out of its range
  bad_output,  ///< an output span has the wrong size
  bad_score,   ///< a score is NaN or outside [a, b]
  out_of_memory,
};

/// What went wrong, and in which row of the scores (bad_score only).
struct Failure {
  Error error = Error::none;
  std::size_t input = 0;

  explicit operator bool() const noexcept { return error != Error::none; }
};

/// Certifies every row. The band and the weights are computed once; rows are shared among the
/// threads, and the result does not depend on how many there are. The radius is defined for the
/// lower side only: with Side::upper, thresholds must be empty.
template <class T>
Failure certify(const Scores<T>& scores, const Options& options, Certificates out) noexcept;

}  // namespace smoothbound
