// The kernels that find and count cells, by the type of the scores.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.hpp"
#include "smoothbound/detail/edge_grid.hpp"

namespace smoothbound::detail {

inline bool find_cells(const float* x, std::size_t n, const GridCells<float>& grid,
                       std::uint32_t* out) {
  return kernels().cells_float(x, n, grid, out);
}

inline bool find_cells(const double* x, std::size_t n, const GridCells<double>& grid,
                       std::uint32_t* out) {
  return kernels().cells_double(x, n, grid, out);
}

inline bool count_cells(const float* x, std::size_t n, const GridCells<float>& grid,
                        std::uint32_t* tables, std::size_t stride) {
  return kernels().count_float(x, n, grid, tables, stride);
}

inline bool count_cells(const double* x, std::size_t n, const GridCells<double>& grid,
                        std::uint32_t* tables, std::size_t stride) {
  return kernels().count_double(x, n, grid, tables, stride);
}

}  // namespace smoothbound::detail
