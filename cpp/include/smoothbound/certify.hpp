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
/// Nothing here throws, and there is no global state. Any number of threads may certify at once,
/// with one Plan or with several. The caller's floating-point environment must be the default one
/// (round to nearest, subnormal numbers kept), because the proofs of the margins need it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "smoothbound/band.hpp"
#include "smoothbound/cancel.hpp"
#include "smoothbound/failure.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/scores.hpp"

namespace smoothbound {

/// Outputs for the certificates, row-major (n_inputs, n_radii) and (n_inputs, n_thresholds).
struct Certificates {
  std::span<double> bounds;  ///< certified confidence at each radius
  std::span<double> radius;  ///< certified radius for each threshold; NaN if R = 0 fails
};

namespace detail {
struct PlanContents;
}  // namespace detail

/// Options and a number of draws, with everything that can be computed from them without the
/// scores, such as the levels of the band. One plan serves any number of calls. Copies share its
/// contents.
class Plan {
 public:
  /// Checks and copies the options; the spans in them need not outlive the call. After a failure
  /// the plan is empty, like a new Plan.
  Failure create(const Options& options, std::size_t n_draws) noexcept;

  /// Certifies every row. The rows are divided among the threads, and the result does not depend on
  /// their number. Many threads may call it at the same time. \pre create() succeeded
  template <class T>
  Failure certify(const Scores<T>& scores, Certificates out) const noexcept;

  /// As above, with a Cancel for this call instead of that of the options.
  template <class T>
  Failure certify(const Scores<T>& scores, Certificates out, Cancel cancel) const noexcept;

  /// The options with `shared_band` set to the plan's band, for calls that take options
  /// (sketch.hpp); null before create() succeeded. They are valid until the next create(), or until
  /// the last copy of the plan is destroyed.
  const Options* options() const noexcept;

 private:
  std::shared_ptr<const detail::PlanContents> contents_;
};

/// Certifies every row, with options for this call only. The radius is defined for the lower side
/// only: with Side::upper, thresholds must be empty.
template <class T>
Failure certify(const Scores<T>& scores, const Options& options, Certificates out) noexcept;

/// The former name of Plan.
class [[deprecated("it is smoothbound::Plan: create() and certify()")]] Certifier : private Plan {
 public:
  using Plan::options;
  Failure prepare(const Options& options, std::size_t n_draws) noexcept {
    return create(options, n_draws);
  }
  template <class T>
  Failure operator()(const Scores<T>& scores, Certificates out) const noexcept {
    return certify(scores, out);
  }
  template <class T>
  Failure operator()(const Scores<T>& scores, Certificates out, Cancel cancel) const noexcept {
    return certify(scores, out, cancel);
  }
};

}  // namespace smoothbound
