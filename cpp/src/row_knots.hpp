// Theorem 2: the knots of a sorted row, as gaps between neighbours at the levels of a band.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "kernels/kernels.hpp"
#include "plan_contents.hpp"
#include "short_rows.hpp"
#include "smoothbound/detail/binning.hpp"
#include "smoothbound/detail/curve.hpp"

namespace smoothbound::detail {

// One of several short rows, with the interface of a Sorter.
struct ShortRow {
  const ShortRows& rows;
  std::size_t row, n_draws;

  double operator[](std::size_t i) const noexcept { return rows.at(row, i); }
  void pick(std::span<const std::size_t> positions, bool descending,
            std::span<double> out) const noexcept {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = rows.at(row, descending ? n_draws - 1 - positions[i] : positions[i]);
    }
  }
};

// Adds knots to a BoundCurve or a KnotSum. Keeps its memory from row to row.
class RowKnots {
 public:
  // add() may be called only if the plan has a band.
  explicit RowKnots(const PlanContents& plan)
      : plan_(plan), gaps_(plan.band == nullptr ? 0 : plan.band->positions().size()) {}

  bool every_draw_is_a_knot() const noexcept { return gaps_.size() == plan_.n_draws; }

  template <class T, class Curve>
  void add(const Sorter<T>& sorted, Curve& curve) {
    if (!every_draw_is_a_knot()) return add_bins(sorted, curve);
    take_all_gaps(sorted);
    curve.add(gaps_, plan_.band->levels());
  }

  void add(const ShortRow& sorted, BoundCurve& curve) { add_bins(sorted, curve); }

 private:
  template <class Sorted, class Curve>
  void add_bins(const Sorted& sorted, Curve& curve) {
    take_gaps(sorted);
    add_tied_knots(sorted, curve);
    curve.add(gaps_, plan_.band->levels());
  }

  template <class Sorted>
  void take_gaps(const Sorted& sorted) {
    distances_.resize(gaps_.size());
    sorted.pick(plan_.band->positions(), plan_.range.side == Side::upper, distances_);
    for (double& x : distances_) x = plan_.range.distance(x);
    double previous = 0.0;
    for (std::size_t i = 0; i < gaps_.size(); ++i) {
      gaps_[i] = distances_[i] - previous;
      previous = distances_[i];
    }
  }

  // Sets the gaps where every draw is a knot, in blocks that stay in the cache.
  template <class T>
  void take_all_gaps(const Sorter<T>& sorted) noexcept {
    const Range& range = plan_.range;
    std::array<double, sum_block + 1> distances;  // distances[0] is that of the knot before
    distances[0] = 0.0;
    for (std::size_t start = 0; start < gaps_.size(); start += sum_block) {
      const std::size_t n = std::min(sum_block, gaps_.size() - start);
      const std::span<double> block(distances.data() + 1, n);
      if (range.side == Side::lower) {
        sorted.copy(start, block);
        for (double& x : block) x -= range.a;
      } else {
        sorted.copy(gaps_.size() - start - n, block);
        std::reverse(block.begin(), block.end());
        for (double& x : block) x = range.b - x;
      }
      for (std::size_t i = 0; i < n; ++i) gaps_[start + i] = distances[i + 1] - distances[i];
      distances[0] = distances[n];
    }
  }

  // Adds the gaps of tied knots. Where a knot is tied with a draw before it, more draws reach it
  // than its position says, so its gap is added separately, at the level of the true count.
  template <class Sorted, class Curve>
  void add_tied_knots(const Sorted& sorted, Curve& curve) {
    const std::size_t last = plan_.n_draws - 1;
    const bool lower = plan_.range.side == Side::lower;
    const auto at = [&](std::size_t position) {
      return plan_.range.distance(sorted[lower ? position : last - position]);
    };
    const std::span<const std::size_t> positions = plan_.band->positions();
    before_.resize(gaps_.size());  // distance of the draw before each knot; unused for the first
    sorted.pick(plan_.before, !lower, before_);
    for (std::size_t i = 1; i < gaps_.size(); ++i) {
      const double distance = distances_[i];
      if (plan_.range.distance(before_[i]) != distance || gaps_[i] == 0.0) continue;
      std::size_t first = positions[i] - 1;
      while (first > 0 && at(first - 1) == distance) --first;
      curve.add(std::exchange(gaps_[i], 0.0), plan_.band->quantile(plan_.n_draws - first));
    }
  }

  const PlanContents& plan_;
  std::vector<double> gaps_, distances_, before_;
};

}  // namespace smoothbound::detail
