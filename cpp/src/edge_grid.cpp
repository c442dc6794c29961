#include "smoothbound/detail/edge_grid.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cells.hpp"

namespace smoothbound::detail {
namespace {

template <class Real>
Real next(Real x) noexcept {
  return std::nextafter(x, std::numeric_limits<Real>::infinity());
}

template <class Real>
Real previous(Real x) noexcept {
  return std::nextafter(x, -std::numeric_limits<Real>::infinity());
}

// The least number of type Real that is >= x; infinity if all are below x.
template <class Real>
Real least_from(double x) noexcept {
  constexpr auto most = static_cast<double>(std::numeric_limits<Real>::max());
  if (x > most) return std::numeric_limits<Real>::infinity();
  if (x < -most) return std::numeric_limits<Real>::lowest();
  const Real near = static_cast<Real>(x);
  return static_cast<double>(near) < x ? next(near) : near;
}

// Sets a grid of n cells over [edges.front(), edges.back()]. Cells are measured from 0 if that is
// exact, because numbers near 0 keep their digits, and otherwise from a.
template <class Real>
void set_cells(GridCells<Real>& grid, std::span<const double> edges, std::size_t n) {
  const double scale = static_cast<double>(n) / (edges.back() - edges.front());
  const double origin = edges.front() * scale;
  grid.scale = static_cast<Real>(scale);
  grid.shift = grid.low = Real{0};
  grid.high = static_cast<Real>(n);
  if (!std::isnormal(grid.scale)) {
    grid.scale = Real{0};  // a single cell
  } else if (std::fabs(origin) <= 0x1p22 && origin == std::nearbyint(origin)) {
    grid.low = static_cast<Real>(origin);
    grid.high += grid.low;
  } else {
    grid.shift = grid.a;
  }
}

// Whether the grid cells are the intervals between the edges. It is enough to look at each edge and
// at its neighbours: the grid cells are monotone in x, and every other number lies between two of
// these.
template <class Real>
bool is_exact(const EdgeGrid<Real>& grid, std::span<const double> edges) {
  const auto is = [&](Real x, std::size_t cell) {
    std::uint32_t found = 0;
    const bool inside = x >= grid.cells.a && x <= grid.cells.b;
    return !inside || (find_cells(&x, 1, grid.cells, &found), found == cell);
  };
  for (std::size_t j = 0; j < edges.size(); ++j) {
    const Real x = grid.least[j];
    const bool on_edge = static_cast<double>(x) == edges[j];
    if (j > 0 && !(previous(x) > grid.least[j - 1] && is(previous(x), 2 * j - 1))) return false;
    if (!is(x, on_edge ? 2 * j : 2 * j + 1) || !is(next(x), 2 * j + 1)) return false;
  }
  return true;
}

}  // namespace

template <class Real>
EdgeGrid<Real>::EdgeGrid(std::span<const double> edges) {
  for (const double edge : edges) least.push_back(least_from<Real>(edge));
  cells.a = least.front();
  cells.b = -least_from<Real>(-edges.back());
  const std::size_t bins = edges.size() - 1;
  set_cells(cells, edges, bins);
  exact = is_exact(*this, edges);
  if (exact) return;
  const std::size_t n =
      2 * bins;  // at most one edge in each cell, if they are about equally spaced
  set_cells(cells, edges, n);
  first.assign(n + 2, 0);
  for (const Real x : least) {
    std::uint32_t cell = 0;
    find_cells(&x, 1, cells, &cell);
    ++first[cell / 2 + 1];
  }
  sparse = *std::max_element(first.begin(), first.end()) <= 1;
  for (std::size_t c = 1; c < first.size(); ++c) first[c] += first[c - 1];
  least.push_back(std::numeric_limits<Real>::quiet_NaN());  // beyond every score
}

template struct EdgeGrid<float>;
template struct EdgeGrid<double>;

}  // namespace smoothbound::detail
