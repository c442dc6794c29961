// What all rows of a call of certify_levels() share, and the bounds from counts.
#pragma once

#include <cstddef>
#include <vector>

#include "level_curve.hpp"
#include "smoothbound/levels.hpp"

namespace smoothbound::detail {

// \pre the options have passed check()
class LevelPlan {
 public:
  LevelPlan(const LevelOptions& options, std::size_t n_draws);

  const LevelOptions& options() const noexcept { return options_; }
  std::size_t n_draws() const noexcept { return n_draws_; }

  // The scores at which a row has to be counted.
  std::span<const double> counted() const noexcept;

  // The ranks of the draws that bound the quantiles, (n_levels, n_radii): the largest has rank 1
  // for the lower side, the smallest for the upper. 0: the end of the range is the bound.
  std::span<const std::size_t> ranks() const noexcept { return ranks_; }

  // Writes the bound of Clopper and Pearson from each count.
  void levels(std::span<const std::size_t> counts, std::span<LevelOfCount> out) const noexcept;

  // Writes the bounds on the probabilities, from the levels() of the draws that reach each level
  // (lower side) or are below it (upper side).
  void bound(std::span<const LevelOfCount> levels, std::span<double> bounds) const noexcept;

  // Writes the radii, from the levels() of the draws that reach each of counted().
  // \pre the lower side
  void find_radii(std::span<const LevelOfCount> levels, std::span<double> radius) const noexcept;

 private:
  LevelOfCount level_of(std::size_t count) const noexcept;
  std::size_t rank_of(std::size_t goal, std::size_t radius) const noexcept;

  const LevelOptions& options_;
  std::size_t n_draws_;
  LevelCurve curve_;
  std::vector<std::size_t> ranks_;
};

// The first option that is out of its range.
Failure check(const LevelOptions& options, std::size_t n_draws) noexcept;

}  // namespace smoothbound::detail
