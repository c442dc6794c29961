/// \file anytime.hpp
/// A test of "the confidence within R is at most c" that may be stopped at any time.
///
/// In units of the range, the null hypothesis is that the integral of psi_r(G) is at most the
/// target, where G is the survival function of a score and r = R / sigma. Tangents that are chosen
/// only from earlier draws give a function v and a number m such that E v(Z) <= m under the null
/// hypothesis (detail/tangents.hpp). For a stake s >= 0, which is also chosen only from earlier
/// draws, the expectation of
///     (1 + s v(Z)) / (1 + s m)
/// is then at most 1. The wealth, which is the product of these factors over all draws, is a
/// non-negative supermartingale, so the probability that it ever reaches 1 / alpha is at most alpha
/// (Ville 1939). The test may therefore be stopped at any draw and for any reason, and its claims
/// hold at alpha. The tangents and the stake are those with which the wealth would grow fastest if
/// the draws so far were the distribution: the tangents touch at the projection of this
/// distribution onto the null hypothesis. docs/anytime.md has the statements, the proofs and the
/// choices.
///
/// Every question (target, r) has a wealth of its own. It depends only on the record of the draws
/// (draw_record.hpp), so it can be computed while the draws are made or at any later time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "smoothbound/detail/tangents.hpp"
#include "smoothbound/draw_record.hpp"

namespace smoothbound {

/// The wealth of one question over the draws of one input (an e-process).
class EProcess {
 public:
  /// Throws std::bad_alloc.
  ///
  /// \param target  c as a distance from the safe end in units of the range, rounded up, in (0, 1):
  ///                threshold_share()
  /// \param r       R / sigma >= 0, rounded up
  /// \param first   the look from which draws count: 0, or, for a question that is asked after some
  ///                draws were seen, the first look after them. Draws before it are a guess.
  EProcess(double target, double r, std::size_t first = 0);

  /// Tests the draws of the record up to its last look, or up to the first look at which the wealth
  /// is at least 1 / alpha. \pre it is the record of the earlier calls, with at least as many draws
  /// \return the number of draws at that look, counted from the beginning of the record; 0 if the
  ///         wealth has not reached 1 / alpha
  std::uint64_t advance(const DrawRecord& record, double alpha) noexcept;

  /// The logarithm of the wealth at the last look, and its maximum over the looks so far. Both are
  /// at most those of exact arithmetic with the same tangents, stakes and draws.
  double log_wealth() const noexcept { return log_wealth_; }
  double highest() const noexcept { return highest_; }

  /// The expected growth of the logarithm of the wealth per draw, estimated at the last refresh; 0
  /// if the null hypothesis seems to hold. ln(1/alpha) / growth estimates the number of draws that
  /// the test takes.
  double growth() const noexcept { return growth_; }

  /// Whether the wealth has reached 1 / alpha at any look.
  bool reached(double alpha) const noexcept;

  /// The bet on the next draws: the tangents, the stake s, and m, rounded up.
  const detail::Tangents& tangents() const noexcept { return tangents_; }
  double stake() const noexcept { return stake_; }
  double null_mean() const noexcept { return null_mean_; }

 private:
  void suggest_masses() noexcept;
  void choose_bet() noexcept;
  void approach_projection() noexcept;
  void choose_stake() noexcept;
  void take(std::span<const DrawRecord::Entry> block, std::uint64_t n_draws) noexcept;

  double target_, r_;
  std::size_t first_, look_ = 0;
  std::uint64_t refresh_at_ = 0, seen_ = 0;  // numbers of draws; the second includes the guess
  double log_wealth_ = 0.0, highest_ = 0.0, growth_ = 0.0;
  detail::Tangents tangents_;
  double stake_ = 0.0, null_mean_ = 1.0;
  DrawRecord::Masses counts_{};
  std::vector<double> masses_;  // the distribution that the draws so far suggest
  std::vector<double> worst_;   // its projection onto the null hypothesis, where tangents touch
  std::vector<double> logs_;    // log(1 + stake v) at the knots
  double log_null_ = 0.0;       // log(1 + stake null_mean), rounded up
};

/// An estimate of how far a test can get: the functional of Theorem 2 for the distribution of the
/// guess and the draws up to the last look, and the standard deviation of one draw of its tangent
/// there. Both are in units of the range, and NaN if there are no scores. Throws std::bad_alloc.
struct FunctionalEstimate {
  double value, deviation;
};
FunctionalEstimate estimate_functional(const DrawRecord& record, double r);

/// c as a distance from the safe end in units of the range, rounded up; \pre c lies inside (a, b)
double threshold_share(double threshold, double a, double b, Side side) noexcept;

}  // namespace smoothbound
