/// \file noise.hpp
/// Noise that depends only on (seed, index, stream, draw). Its bits are the same for every batch,
/// order, thread and machine.
///
/// Blocks of random words come from Philox 4x32-10 (detail/philox.hpp) with the seed as its key and
/// the counter (block, draw, index, stream). docs/noise.md has the layout and the proof that
/// lattice noise is exactly Gaussian smoothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "smoothbound/failure.hpp"

namespace smoothbound {

/// Contiguous inputs of `size` elements each; size is below 2^31.
template <class T>
struct Points {
  const T* data;
  std::size_t count, size;
};

/// The origin of each row of a batch: four spans of equal length.
struct NoiseRows {
  std::span<const std::int64_t> points;   ///< below Points::count
  std::span<const std::int64_t> indices;  ///< below 2^31
  std::span<const std::int64_t> draws;    ///< below 2^32
  std::span<const std::int64_t> streams;  ///< below 2^31: selection 0, estimation 1
};

namespace detail {
/// The thresholds of a lattice, with a table for lookup.
struct LatticeTable {
  std::vector<std::uint64_t> low;
  /// Entry i is for the 15 leading bits i. It is |K| if these bits determine it, and otherwise -1 -
  /// (the number of thresholds below). One more entry follows the last.
  std::vector<std::int32_t> guide;
  double steps;
};
}  // namespace detail

/// The rounded Gaussian, drawn as integers by exact thresholds.
///
/// The size |K| is the number of thresholds high * 2^64 + low that a uniform integer below 2^79
/// reaches. One more bit is the sign.
class LatticeNoise {
 public:
  /// The largest number of thresholds. A float32 represents every integer up to this one exactly.
  static constexpr std::size_t max_thresholds = (std::size_t{1} << 24) - 1;

  /// \param high, low thresholds, ascending; high < 2^15. There may be at most max_thresholds; with
  ///     more, every add() fails
  /// \param steps     grid steps per unit of the input, positive, normal as a float
  LatticeNoise(std::span<const std::int32_t> high, std::span<const std::uint64_t> low,
               double steps);

  /// The largest |K|: the number of thresholds.
  std::size_t largest() const noexcept { return table_.low.size(); }

  /// out[i] = T(points[rows.points[i]] + K) / T(steps), where T is float or double. Two conversions
  /// and a division are each rounded to nearest.
  ///
  /// \param points  in grid steps; \pre |points| + largest() below 2^31
  /// \param out     row-major (rows, points.size)
  /// \param threads >= 1; the result does not depend on it
  template <class T>
  Failure add(const Points<std::int32_t>& points, const NoiseRows& rows, std::uint64_t seed,
              std::span<T> out, int threads = 1) const noexcept;

 private:
  detail::LatticeTable table_;
};

/// Adds standard normal floats by Box and Muller, times sigma, in the type T: float or double.
///
/// No operation is fused, and no library function is called, so the bits are the same everywhere.
/// The other parameters are as for LatticeNoise::add.
/// \param sigma in the units of the input
template <class T>
Failure add_gaussian(const Points<T>& points, const NoiseRows& rows, double sigma,
                     std::uint64_t seed, std::span<T> out, int threads = 1) noexcept;

}  // namespace smoothbound
