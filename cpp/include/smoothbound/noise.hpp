/// \file noise.hpp
/// Noise that belongs to (seed, index, stream, draw) and to nothing else: the same bits for every
/// batch, order, thread and machine.
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

/// Inputs of `size` elements each, below 2^31, one after another.
template <class T>
struct Points {
  const T* data;
  std::size_t count, size;
};

/// What each row of a batch is made from; four spans of one length.
struct NoiseRows {
  std::span<const std::int64_t> points;   ///< below Points::count
  std::span<const std::int64_t> indices;  ///< below 2^31
  std::span<const std::int64_t> draws;    ///< below 2^32
  std::span<const std::int64_t> streams;  ///< below 2^31: selection 0, estimation 1
};

namespace detail {
/// The thresholds of a lattice, ready for use.
struct LatticeTable {
  std::vector<std::uint64_t> low;
  /// Entry i is for the 15 leading bits i: |K| where these bits decide it, otherwise
  /// -1 - (the number of thresholds below). One more entry follows the last.
  std::vector<std::int32_t> guide;
  double steps;
};
}  // namespace detail

/// The rounded Gaussian, drawn as whole numbers by exact thresholds.
///
/// The size |K| is the number of thresholds high * 2^64 + low that a uniform whole number below
/// 2^79 reaches; the sign is one more bit.
class LatticeNoise {
 public:
  /// The most thresholds. A float32 still holds every whole number of steps up to this one.
  static constexpr std::size_t max_thresholds = (std::size_t{1} << 24) - 1;

  /// \param high, low thresholds, ascending; high < 2^15. There may be at most max_thresholds of
  ///                  them; with more, every add() fails
  /// \param steps     grid steps in one unit of the input, positive, normal as a float
  LatticeNoise(std::span<const std::int32_t> high, std::span<const std::uint64_t> low,
               double steps);

  /// The largest |K|: the number of thresholds.
  std::size_t largest() const noexcept { return table_.low.size(); }

  /// out[i] = T(points[rows.points[i]] + K) / T(steps), where T is float or double: two conversions
  /// and a division, each rounded to the nearest.
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

/// Standard normal floats by Box and Muller, times sigma, added in the type T: float or double.
///
/// No operation is fused, and no library function is called, so the bits are the same everywhere.
/// The other parameters are as for LatticeNoise::add.
/// \param sigma in the units of the input
template <class T>
Failure add_gaussian(const Points<T>& points, const NoiseRows& rows, double sigma,
                     std::uint64_t seed, std::span<T> out, int threads = 1) noexcept;

}  // namespace smoothbound
