/// \file certify.hpp
/// Certificates for many inputs at once.
///
/// \code
///   smoothbound::Options options;
///   options.sigma = 0.25;
///   options.radii = radii;             // e.g. {0.0, 0.25, 0.5}
///   options.thresholds = thresholds;   // e.g. {0.5}
///   smoothbound::Scores<float> scores{data, n_inputs, n_draws, n_draws * 4, 4};
///   if (smoothbound::Failure f = smoothbound::certify(scores, options, {bounds, certified})) {
///     char words[200];
///     smoothbound::describe(f, words);
///   }
/// \endcode
///
/// Nothing here throws, and there is no global state: any number of threads may certify at once,
/// with one Certifier or with several. The caller's floating-point environment must be the default
/// one (round to nearest, subnormal numbers kept), or the proofs of the margins do not hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "smoothbound/band.hpp"
#include "smoothbound/binning.hpp"
#include "smoothbound/bound.hpp"
#include "smoothbound/cancel.hpp"
#include "smoothbound/mean.hpp"
#include "smoothbound/order.hpp"

namespace smoothbound {

enum class Bound {
  mean,     ///< Theorem 1, a bound on the mean
  cdf,      ///< Theorem 2, a confidence band of the survival function
  tangent,  ///< a tangent to Theorem 2 from pilot draws, and a bound on one mean
};

/// What to certify, and how.
struct Options {
  double sigma = 0.0;       ///< noise level, > 0, in the units of the model's input
  double alpha = 1e-3;      ///< failure probability of each certificate, in [least_alpha, 1)
  double a = 0.0, b = 1.0;  ///< range of the scores, b - a finite and at least least_width
  Side side = Side::lower;
  Bound bound = Bound::cdf;
  BandKind band = BandKind::ell;
  std::size_t n_bins = 0;  ///< equal-count bins; 0: every draw is a knot
  /// A band made for alpha and the number of draws, instead of `band` and `n_bins`; null: made in
  /// the call. It must outlive the call, and the Certifier.
  const ConfidenceBand* prepared = nullptr;
  MeanKind mean = MeanKind::hoeffding;  ///< for `mean` any, for `tangent` betting or bernstein
  /// The first draws of every row, in the order below, from which stakes and tangents are chosen,
  /// and nothing else; in [1, n_draws) for betting and for `tangent`, else without effect.
  std::size_t n_pilot = 0;
  /// In which order these two use the draws. For `unknown`, the permutation of each row has the key
  /// (seed, Scores::first_row + i), and the seed must be fixed before the scores are seen.
  Order order = Order::unknown;
  std::uint64_t seed = 0;
  std::span<const double> radii;       ///< >= 0, in the units of sigma
  std::span<const double> thresholds;  ///< inside (a, b)
  int threads = 1;                     ///< >= 1
  Cancel cancel = {};                  ///< asked by every call with these options
};

/// Below these the margins of subnormal numbers would be more than what they are margins of.
inline constexpr double least_alpha = 1e-302, least_width = 1e-300;

/// (n_inputs, n_draws) scores in memory of any layout; T is half, float or double. Strides may be
/// negative or zero, and the scores need not be aligned. n_draws is at least 1 and below 2^32.
template <class T>
struct Scores {
  const T* data;
  std::size_t n_inputs, n_draws;
  std::ptrdiff_t row_stride, draw_stride;  ///< bytes
  std::uint64_t first_row = 0;  ///< number of row 0, where the rows come in parts (order.hpp)

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
  cancelled,  ///< Options::cancel said so
};

/// What went wrong; false if nothing did. After a failure the outputs hold nothing of use.
struct Failure {
  Error error = Error::none;
  std::size_t input = 0, draw = 0;  ///< the first bad score (bad_score only)
  const char* need = "";            ///< the argument at fault and what it must be, a literal
  double got = 0.0;                 ///< what it was instead (not for out_of_memory)

  explicit operator bool() const noexcept { return error != Error::none; }
};

/// Writes a failure in words, "sigma must be positive and finite, got 0", ended by a zero and cut
/// to the space there is (200 characters are always enough).
void describe(const Failure& failure, std::span<char> words) noexcept;

/// Certifies again and again with the same options and number of draws. What does not depend on
/// the scores, such as the band's levels, is prepared once. Copies share it.
class Certifier {
 public:
  /// Checks and copies the options; the spans in them need not outlive the call.
  Failure prepare(const Options& options, std::size_t n_draws) noexcept;

  /// Certifies every row. Rows are shared among the threads, and the result does not depend on
  /// how many there are. May be called from many threads at once. \pre prepare() succeeded
  template <class T>
  Failure operator()(const Scores<T>& scores, Certificates out) const noexcept;

  /// The same, with a Cancel for this call instead of that of the options.
  template <class T>
  Failure operator()(const Scores<T>& scores, Certificates out, Cancel cancel) const noexcept;

  /// What was prepared, with `prepared` the band in use, for calls that take options (sketch.hpp);
  /// null before prepare() succeeded. Lives until the next prepare(), or the end of all copies.
  const Options* options() const noexcept;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

/// Certifies every row, with options for this call alone. The radius is defined for the lower side
/// only: with Side::upper, thresholds must be empty.
template <class T>
Failure certify(const Scores<T>& scores, const Options& options, Certificates out) noexcept;

}  // namespace smoothbound
