#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "batch.hpp"
#include "cells.hpp"
#include "kernels/kernels.hpp"
#include "smoothbound/sketch.hpp"

namespace smoothbound {

using namespace detail;

namespace {

constexpr std::size_t block = 4096;  // scores per pass, few enough for their cells to stay in cache

template <class T>
bool is_aligned(const T* data) noexcept {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0;
}

template <class T>
using RealOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Counts rows one at a time, in memory of its own.
template <class T>
class CountingWorker {
 public:
  CountingWorker(std::span<const double> edges, const EdgeGrid<RealOf<T>>& grid)
      : edges_(edges), n_cells_(2 * edges.size() - 1), grid_(grid) {}

  // Adds a row to its counts, `sign` times.
  // \return false, with no count changed, if a score is NaN or outside the edges
  bool operator()(Row<T> row, std::uint32_t* counts, std::uint32_t sign) {
    if (row.size <= block) {
      if (!take_cells(contiguous(row, 0, row.size), row.size)) return false;
      for (std::size_t i = 0; i < row.size; ++i) counts[cells_[i]] += sign;
      return true;
    }
    tables_.assign(2 * n_cells_,
                   0);  // two tables, so that a score need not wait for the one before
    for (std::size_t start = 0; start < row.size; start += block) {
      const std::size_t n = std::min(block, row.size - start);
      if (!fill_tables(contiguous(row, start, n), n)) return false;
    }
    for (std::size_t c = 0; c < n_cells_; ++c) {
      counts[c] += sign * (tables_[c] + tables_[n_cells_ + c]);
    }
    return true;
  }

 private:
  using Real = RealOf<T>;

  bool take_cells(const Real* x, std::size_t n) {
    if (!detail::find_cells(x, n, grid_.cells, cells_.data())) return false;
    if (grid_.exact) return true;
    if (grid_.sparse) {
      for (std::size_t i = 0; i < n; ++i) cells_[i] = cell_of<true>(x[i], cells_[i] / 2);
    } else {
      for (std::size_t i = 0; i < n; ++i) cells_[i] = cell_of<false>(x[i], cells_[i] / 2);
    }
    return true;
  }

  // The scores as neighbouring floats or doubles: in place if they are so already, or in a buffer.
  const Real* contiguous(Row<T> row, std::size_t start, std::size_t n) {
    const bool dense = row.stride == sizeof(T) && is_aligned(row.data);
    if constexpr (std::is_same_v<T, Real>) {
      if (dense) return row.data + start;
      for (std::size_t i = 0; i < n; ++i) scores_[i] = row[start + i];
    } else {
      std::array<T, block> narrow;
      for (std::size_t i = 0; !dense && i < n; ++i) narrow[i] = row[start + i];
      kernels().widen(dense ? row.data + start : narrow.data(), scores_.data(), n);
    }
    return scores_.data();
  }

  // The cell of x. Edges in lower grid cells are below x, and edges in higher grid cells above it.
  // Only the edges in the same grid cell are compared with x. In a sparse grid there is at most
  // one.
  template <bool sparse>
  std::uint32_t cell_of(Real x, std::uint32_t guess) const {
    const Real* least = grid_.least.data();
    std::uint32_t n = grid_.first[guess];  // edges <= x
    if constexpr (sparse) {
      n += x >= least[n] ? 1 : 0;
    } else {
      const Real* above = std::upper_bound(least + n, least + grid_.first[guess + 1], x);
      n = static_cast<std::uint32_t>(above - least);
    }
    return 2 * n - (static_cast<double>(x) == edges_[n - 1] ? 2 : 1);
  }

  bool fill_tables(const Real* x, std::size_t n) {
    if (grid_.exact) return count_cells(x, n, grid_.cells, tables_.data(), n_cells_);
    if (!take_cells(x, n)) return false;
    for (std::size_t i = 0; i < n; ++i) ++tables_[i % 2 * n_cells_ + cells_[i]];
    return true;
  }

  std::span<const double> edges_;
  std::size_t n_cells_;
  const EdgeGrid<Real>& grid_;
  std::vector<std::uint32_t> tables_;
  std::array<std::uint32_t, block> cells_;
  std::array<Real, block> scores_;
};

}  // namespace

ScoreCounter::ScoreCounter(std::span<const double> edges)
    : edges_(edges.begin(), edges.end()), floats_(edges), doubles_(edges) {}

template <class T>
Failure ScoreCounter::count(const Scores<T>& scores, std::span<std::uint32_t> counts,
                            int threads) const noexcept {
  if (threads < 1) {
    return {Error::bad_option, 0, 0, "threads must be at least 1", static_cast<double>(threads)};
  }
  if (counts.size() / n_cells() != scores.n_inputs || counts.size() % n_cells() != 0) {
    return {Error::bad_output, 0, 0, "counts must hold n_inputs * n_cells() numbers",
            static_cast<double>(counts.size())};
  }
  try {
    std::vector<char> done(scores.n_inputs, 0);
    const auto make_worker = [&] {
      if constexpr (std::is_same_v<T, double>) {
        return std::make_unique<CountingWorker<T>>(edges_, doubles_);
      } else {
        return std::make_unique<CountingWorker<T>>(edges_, floats_);
      }
    };
    const auto row_of = [&](std::size_t i) { return counts.data() + i * n_cells(); };
    const Failure failure = for_each_input(scores.n_inputs, threads, [&] {
      return [&, worker = make_worker()](std::size_t i) mutable {
        const bool valid = (*worker)(scores.row(i), row_of(i), 1);
        done[i] = valid ? 1 : 0;
        return valid;
      };
    });
    if (failure) {  // take away again what was added, modulo 2^32
      const auto worker = make_worker();
      for (std::size_t i = 0; i < scores.n_inputs; ++i) {
        if (done[i] != 0) (*worker)(scores.row(i), row_of(i), static_cast<std::uint32_t>(-1));
      }
    }
    if (failure.error != Error::bad_score) return failure;
    return bad_score(scores, failure.input, edges_.front(), edges_.back());
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return out_of_memory();
  }
}

template Failure ScoreCounter::count(const Scores<half>&, std::span<std::uint32_t>,
                                     int) const noexcept;
template Failure ScoreCounter::count(const Scores<float>&, std::span<std::uint32_t>,
                                     int) const noexcept;
template Failure ScoreCounter::count(const Scores<double>&, std::span<std::uint32_t>,
                                     int) const noexcept;

}  // namespace smoothbound
