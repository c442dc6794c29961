/// \file detail/aimed.hpp
/// Lower confidence bound on the mean of n draws from [0, 1], by bets that aim at the last draw.
///
/// For each possible mean c, a player bets on the draws in turn. The wealth starts at alpha, and
/// the aim is a wealth of 1 after the last draw. Near the end of a long game with nearly normal
/// draws, the best bet is that of an option that pays 1 or nothing: with the wealth u, a standard
/// deviation s and N draws left, the stake on x - c is phi(Phi^-1(u)) / (s sqrt(N)). At the true
/// mean the wealth reaches 1 with probability at most alpha, whatever the bets. The final wealth
/// decreases with c, so the c at which it just reaches 1 is the bound. If all draws are 0 or 1, it
/// is the exact bound of Clopper and Pearson. docs/tangent.md has the proofs.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace smoothbound::detail {

struct Proportion;

/// An object keeps its memory between calls: use one per thread, for many inputs.
class AimedBets {
 public:
  /// Throws std::bad_alloc.
  explicit AimedBets(double alpha);

  /// The bound, at least 0, at level alpha. Throws std::bad_alloc.
  ///
  /// \param draws  in an order that does not depend on their values; not empty
  double operator()(std::span<const double> draws);

  /// A piece of the stake, height + slope u for the wealth u, before it is scaled.
  struct Line {
    double height, slope;
  };
  /// The pieces: up to 2^-64, and 16 of each octave above it.
  std::span<const Line> lines() const noexcept { return lines_; }
  /// The factor of the stake on each draw of the last call, which earlier draws determine.
  std::span<const double> scales() const noexcept { return scales_; }

 private:
  static constexpr std::size_t n_lanes = 4;  // means that are tried together
  using Lanes = std::array<double, n_lanes>;

  // The test that rejects a mean if at least k of all draws are 1.
  struct Count {
    std::size_t k;
    double mean;       // at which the test has the level alpha, rounded down
    double low, high;  // the wealth if the first draw that is no vote were 0, or 1; rounded down
  };

  std::size_t line_of(double wealth) const noexcept;
  void choose_scales(std::span<const double> draws);
  double start(std::span<const double> draws, double c);
  std::size_t least_ones(double c);
  const Count& count_of(std::size_t k);
  double wealth_if(std::size_t k, Proportion p, std::size_t ones) const noexcept;
  std::size_t passed(std::span<const double> draws, const Lanes& c);
  double search(std::span<const double> draws);

  double alpha_;
  std::span<const Line> lines_;           // the stake as a function of the wealth, in pieces
  std::vector<double> scales_;            // 1 / (s sqrt(N)) before each draw
  std::size_t n_votes_ = 0, n_ones_ = 0;  // of the votes, the draws before the first other one
  std::vector<Count> counts_;             // the counts that the search of this row has used
  std::size_t n_draws_ = 0;
  double mean_ = 0.0, deviation_ = 0.0;  // where to search
};

}  // namespace smoothbound::detail
