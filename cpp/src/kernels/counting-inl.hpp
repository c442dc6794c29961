// The cells of scores among the edges of a sketch, and their counts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

template <class Real>
SMOOTHBOUND_INLINE bool cells(const Real* x, std::size_t n, const GridCells<Real>& grid,
                              std::uint32_t* out) {
  const Real scale = grid.scale;
  const Real shift = grid.shift;
  const Real low = grid.low;
  const Real high = grid.high;
  const Real a = grid.a;
  const Real b = grid.b;
  const auto origin = static_cast<std::int32_t>(low);
  std::uint32_t outside = 0;
#pragma omp simd reduction(| : outside)
  for (std::size_t i = 0; i < n; ++i) {
    const Real score = x[i];
    outside |= score >= a && score <= b ? 0u : 1u;
    Real y = (score - shift) * scale;
    y = y > low ? y : low;  // NaN becomes low, too
    y = y < high ? y : high;
    const auto border = static_cast<std::int32_t>(y);  // rounds towards 0, so y may lie below it
    const auto at = static_cast<Real>(border);
    const std::int32_t beside = (at < y ? 1 : 0) - (at > y ? 1 : 0);
    out[i] = static_cast<std::uint32_t>(2 * (border - origin) + beside);
  }
  return outside == 0;
}

// Prefetches the n numbers that lie 2 KiB ahead, which is harmless past the end. The hardware
// prefetcher starts too late here, because too many other instructions lie between the loads.
template <class Real>
SMOOTHBOUND_INLINE void prefetch(const Real* x, std::size_t n) {
  const auto address = reinterpret_cast<std::uintptr_t>(x) + 2048;
  for (std::size_t byte = 0; byte < n * sizeof(Real); byte += 64) {
    __builtin_prefetch(reinterpret_cast<const void*>(address + byte));
  }
}

// Finds the cells of a few scores at a time while the scores before them are counted. Two cells are
// read at once. Each may be counted in either table.
template <class Real>
SMOOTHBOUND_INLINE bool count(const Real* x, std::size_t n, const GridCells<Real>& grid,
                              std::uint32_t* tables, std::size_t stride) {
  constexpr std::size_t few = 64;
  std::uint32_t cell[few];
  std::size_t start = 0;
  for (; start + few <= n; start += few) {
    prefetch(x + start, few);
    if (!cells(x + start, few, grid, cell)) return false;
    for (std::size_t i = 0; i < few; i += 2) {
      std::uint64_t two;
      __builtin_memcpy(&two, cell + i, sizeof(two));
      ++tables[static_cast<std::uint32_t>(two)];
      ++tables[stride + (two >> 32)];
    }
  }
  if (!cells(x + start, n - start, grid, cell)) return false;
  for (std::size_t i = 0; i < n - start; ++i) ++tables[cell[i]];
  return true;
}

bool cells_float(const float* x, std::size_t n, const GridCells<float>& grid, std::uint32_t* out) {
  return cells(x, n, grid, out);
}

bool cells_double(const double* x, std::size_t n, const GridCells<double>& grid,
                  std::uint32_t* out) {
  return cells(x, n, grid, out);
}

bool count_float(const float* x, std::size_t n, const GridCells<float>& grid, std::uint32_t* tables,
                 std::size_t stride) {
  return count(x, n, grid, tables, stride);
}

bool count_double(const double* x, std::size_t n, const GridCells<double>& grid,
                  std::uint32_t* tables, std::size_t stride) {
  return count(x, n, grid, tables, stride);
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
