/// \file sketch.hpp
/// Sketches: the scores of an input reduced to counts over fixed edges.
///
/// The edges a = e_0 < e_1 < ... < e_K = b divide the range into 2K + 1 cells, which are numbered
/// in ascending order: cell 2j is the edge e_j itself, and cell 2j + 1 is the open interval between
/// e_j and e_{j+1}. The counts of the cells give the exact number of draws >= e_j and <= e_j.
/// Theorem 2 with the edges as knots therefore applies to either side, at any radius, threshold and
/// alpha, without the scores. Counts of different draws can be added.
///
/// Loss: between neighbouring edges, the bound with every draw as a knot uses levels between those
/// of e_j and e_{j+1}. These differ only if the cell between them holds a draw. The levels fall
/// from at most 1 to at least 0 over the range, so the total loss is at most the width of the
/// widest cell that holds a draw.
///
/// \code
///   const smoothbound::ScoreCounter counter(edges);
///   std::vector<std::uint32_t> counts(n_inputs * counter.n_cells());
///   smoothbound::Failure f = counter.count(scores, counts);
///   f = smoothbound::certify({edges, counts, n_inputs, n_draws}, options, {bounds, certified});
/// \endcode
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "smoothbound/certify.hpp"
#include "smoothbound/detail/edge_grid.hpp"
#include "smoothbound/failure.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/scores.hpp"

namespace smoothbound {

/// Largest number of intervals of a sketch.
inline constexpr std::size_t max_sketch_bins = std::size_t{1} << 20;

/// Whether a sketch can have these edges: 2 to 2^20 + 1 finite doubles, strictly ascending, with a
/// finite distance from the first to the last.
bool valid_edges(std::span<const double> edges) noexcept;

/// Counts scores into the cells of fixed edges. The counts are exact: no rounding moves a score.
/// Make it once, because that takes some 0.1 ms for 4096 intervals. Many threads may call its const
/// members.
class ScoreCounter {
 public:
  /// \pre valid_edges(edges)
  explicit ScoreCounter(std::span<const double> edges);

  std::size_t n_cells() const noexcept { return 2 * edges_.size() - 1; }

  /// Adds the scores of every row to its row of counts. If a score is NaN or outside the edges,
  /// the failure names the first such score, and no count is changed.
  ///
  /// \param scores  (n_inputs, n_draws) half, float or double of any layout
  /// \param counts  row-major (n_inputs, n_cells()); \pre no count reaches 2^32
  /// \param threads >= 1; the counts do not depend on it
  template <class T>
  Failure count(const Scores<T>& scores, std::span<std::uint32_t> counts,
                int threads = 1) const noexcept;

 private:
  std::vector<double> edges_;
  detail::EdgeGrid<float> floats_;  // for half, too: every half is a float
  detail::EdgeGrid<double> doubles_;
};

/// Counts of many inputs over the same edges. All inputs have the same number of draws.
struct ScoreCounts {
  std::span<const double> edges;          ///< (K + 1)
  std::span<const std::uint32_t> counts;  ///< row-major (n_inputs, 2K + 1), in the order of cells
  std::size_t n_inputs;
  std::size_t n_draws;  ///< the sum of the counts of each input
};

/// Certifies every row by Theorem 2 with the edges as knots. The options `a` and `b` must be the
/// first and the last edge, and `bound` must be Bound::cdf. `shared_band` may be any band for
/// n_draws. Without one, the call makes a band with every draw as a knot.
Failure certify(const ScoreCounts& sketch, const Options& options, Certificates out) noexcept;

}  // namespace smoothbound
