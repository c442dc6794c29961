#include "smoothbound/sketch.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>

#include "batch.hpp"
#include "kernels.hpp"
#include "rounding.hpp"
#include "smoothbound/curve.hpp"
#include "smoothbound/radius.hpp"

namespace smoothbound {
namespace {

bool cells(const float* x, std::size_t n, const EdgeGrid<float>& grid, std::uint32_t* out) {
  return kernels().cells_float(x, n, grid, out);
}

bool cells(const double* x, std::size_t n, const EdgeGrid<double>& grid, std::uint32_t* out) {
  return kernels().cells_double(x, n, grid, out);
}

bool count(const float* x, std::size_t n, const EdgeGrid<float>& grid, std::uint32_t* tables,
           std::size_t stride) {
  return kernels().count_float(x, n, grid, tables, stride);
}

bool count(const double* x, std::size_t n, const EdgeGrid<double>& grid, std::uint32_t* tables,
           std::size_t stride) {
  return kernels().count_double(x, n, grid, tables, stride);
}

template <class Real>
Real next(Real x) noexcept {
  return std::nextafter(x, std::numeric_limits<Real>::infinity());
}

template <class Real>
Real previous(Real x) noexcept {
  return std::nextafter(x, -std::numeric_limits<Real>::infinity());
}

// The least number of type Real that is >= x; infinity beyond them all.
template <class Real>
Real least_from(double x) noexcept {
  constexpr auto most = static_cast<double>(std::numeric_limits<Real>::max());
  if (x > most) return std::numeric_limits<Real>::infinity();
  if (x < -most) return std::numeric_limits<Real>::lowest();
  const Real near = static_cast<Real>(x);
  return static_cast<double>(near) < x ? next(near) : near;
}

// A grid of n cells over [edges.front(), edges.back()], measured from 0 if that is exact (numbers
// near 0 keep their digits), else from a.
template <class Real>
void lay(EdgeGrid<Real>& grid, std::span<const double> edges, std::size_t n) {
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

// The grid cells are monotone in x. So they are the intervals, and their borders the edges, if
// this holds at each edge and at its neighbours; every other number is between two of those.
template <class Real>
bool is_exact(const EdgeGrid<Real>& grid, std::span<const double> edges) {
  const auto is = [&](Real x, std::size_t cell) {
    std::uint32_t found = 0;
    return !(x >= grid.a && x <= grid.b) || (cells(&x, 1, grid, &found), found == cell);
  };
  for (std::size_t j = 0; j < edges.size(); ++j) {
    const Real x = grid.least[j];
    const bool on_edge = static_cast<double>(x) == edges[j];
    if (j > 0 && !(previous(x) > grid.least[j - 1] && is(previous(x), 2 * j - 1))) return false;
    if (!is(x, on_edge ? 2 * j : 2 * j + 1) || !is(next(x), 2 * j + 1)) return false;
  }
  return true;
}

template <class Real>
EdgeGrid<Real> grid_of(std::span<const double> edges) {
  EdgeGrid<Real> grid{};
  for (const double edge : edges) grid.least.push_back(least_from<Real>(edge));
  grid.a = grid.least.front();
  grid.b = -least_from<Real>(-edges.back());
  const std::size_t bins = edges.size() - 1;
  lay(grid, edges, bins);
  grid.exact = is_exact(grid, edges);
  if (grid.exact) return grid;
  const std::size_t n = 2 * bins;  // if the edges are about equally spaced, at most one a cell
  lay(grid, edges, n);
  grid.first.assign(n + 2, 0);
  for (const Real x : grid.least) {
    std::uint32_t cell = 0;
    cells(&x, 1, grid, &cell);
    ++grid.first[cell / 2 + 1];
  }
  grid.sparse = *std::max_element(grid.first.begin(), grid.first.end()) <= 1;
  for (std::size_t c = 1; c < grid.first.size(); ++c) grid.first[c] += grid.first[c - 1];
  grid.least.push_back(std::numeric_limits<Real>::quiet_NaN());  // beyond every score
  return grid;
}

constexpr std::size_t block = 4096;  // scores at a time, so that their cells stay in the cache

template <class T>
bool is_aligned(const T* data) noexcept {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0;
}

template <class T>
using RealOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

}  // namespace

// Counts rows one at a time, in memory of its own.
template <class T>
class CountingWorker {
 public:
  explicit CountingWorker(const ScoreCounter& counter)
      : edges_(counter.edges_), n_cells_(counter.n_cells()) {
    if constexpr (std::is_same_v<Real, double>) grid_ = &counter.doubles_;
    if constexpr (std::is_same_v<Real, float>) grid_ = &counter.floats_;
  }

  // Adds a row to its counts, `sign` times.
  // \return false, with no count changed, if a score is NaN or outside the edges
  bool operator()(Row<T> row, std::uint32_t* counts, std::uint32_t sign) {
    if (row.size <= block) {
      if (!find_cells(contiguous(row, 0, row.size), row.size)) return false;
      for (std::size_t i = 0; i < row.size; ++i) counts[cells_[i]] += sign;
      return true;
    }
    tables_.assign(2 * n_cells_, 0);  // two, so that a score need not wait for the one before
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

  bool find_cells(const Real* x, std::size_t n) {
    if (!cells(x, n, *grid_, cells_.data())) return false;
    if (grid_->exact) return true;
    if (grid_->sparse) {
      for (std::size_t i = 0; i < n; ++i) cells_[i] = cell_of<true>(x[i], cells_[i] / 2);
    } else {
      for (std::size_t i = 0; i < n; ++i) cells_[i] = cell_of<false>(x[i], cells_[i] / 2);
    }
    return true;
  }

  // The scores as floats or doubles side by side: where they are, or in a buffer.
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

  // Edges in lower grid cells are below x, edges in higher ones above; the rest are compared. If a
  // cell holds no more than one, that is the first which is not lower, or nothing.
  template <bool sparse>
  std::uint32_t cell_of(Real x, std::uint32_t guess) const {
    const Real* least = grid_->least.data();
    std::uint32_t n = grid_->first[guess];  // edges <= x
    if constexpr (sparse) {
      n += x >= least[n] ? 1 : 0;
    } else {
      const Real* above = std::upper_bound(least + n, least + grid_->first[guess + 1], x);
      n = static_cast<std::uint32_t>(above - least);
    }
    return 2 * n - (static_cast<double>(x) == edges_[n - 1] ? 2 : 1);
  }

  bool fill_tables(const Real* x, std::size_t n) {
    if (grid_->exact) return count(x, n, *grid_, tables_.data(), n_cells_);
    if (!find_cells(x, n)) return false;
    for (std::size_t i = 0; i < n; ++i) ++tables_[i % 2 * n_cells_ + cells_[i]];
    return true;
  }

  std::span<const double> edges_;
  std::size_t n_cells_;
  const EdgeGrid<Real>* grid_ = nullptr;
  std::vector<std::uint32_t> tables_;
  std::array<std::uint32_t, block> cells_;
  std::array<Real, block> scores_;
};

bool valid_edges(std::span<const double> edges) noexcept {
  if (edges.size() < 2 || edges.size() > max_sketch_bins + 1) return false;
  for (std::size_t j = 1; j < edges.size(); ++j) {
    if (!(edges[j - 1] < edges[j])) return false;
  }
  return std::isfinite(edges.front()) && std::isfinite(edges.back() - edges.front());
}

ScoreCounter::ScoreCounter(std::span<const double> edges)
    : edges_(edges.begin(), edges.end()),
      floats_(grid_of<float>(edges)),
      doubles_(grid_of<double>(edges)) {}

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
    const auto row_of = [&](std::size_t i) { return counts.data() + i * n_cells(); };
    const Failure failure = for_each_input(scores.n_inputs, threads, [&] {
      return [&, worker = std::make_unique<CountingWorker<T>>(*this)](std::size_t i) mutable {
        const bool valid = (*worker)(scores.row(i), row_of(i), 1);
        done[i] = valid ? 1 : 0;
        return valid;
      };
    });
    if (failure) {  // what was added is taken away again, modulo 2^32
      const auto worker = std::make_unique<CountingWorker<T>>(*this);
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

namespace {

// What the rows share, computed once per call.
struct SketchPlan {
  const ScoreCounts& sketch;
  const Options& options;
  Range range;
  CurveRadii radii;             // radii / sigma
  std::vector<double> targets;  // distances of the thresholds
  std::optional<ConfidenceBand> own_band;
  const ConfidenceBand* band;

  SketchPlan(const ScoreCounts& s, const Options& o)
      : sketch(s), options(o), range{o.a, o.b, o.side}, radii(scaled(o)), band(o.prepared) {
    for (const double c : o.thresholds) targets.push_back(above(range.distance(c)));
    if (band == nullptr) band = &own_band.emplace(o.band, s.n_draws, o.alpha, 0, 0.0, o.cancel);
  }

  std::span<const std::uint32_t> row(std::size_t i) const noexcept {
    const std::size_t n_cells = 2 * sketch.edges.size() - 1;
    return sketch.counts.subspan(i * n_cells, n_cells);
  }

 private:
  static std::vector<double> scaled(const Options& o) {
    std::vector<double> r;
    for (const double radius : o.radii) r.push_back(scaled_radius(radius, o.sigma));
    return r;
  }
};

// Certifies rows one at a time, in memory of its own.
class SketchWorker {
 public:
  explicit SketchWorker(const SketchPlan& plan)
      : plan_(plan), gaps_(plan.sketch.edges.size()), z_(gaps_.size()), passed_(gaps_.size()) {}

  // \return false if the counts do not add up to the number of draws
  bool operator()(std::size_t i, std::span<double> bounds, std::span<double> radius) {
    curve_.clear();
    if (!add_knots(plan_.row(i))) return false;
    for (std::size_t j = 0; j < plan_.radii.size(); ++j) {
      bounds[j] = plan_.range.confidence(curve_.at(plan_.radii, j));
    }
    for (std::size_t k = 0; k < plan_.targets.size(); ++k) {
      const double r = certified_radius(curve_, plan_.range.width(), plan_.targets[k]);
      radius[k] = input_radius(r, plan_.options.sigma);
    }
    return true;
  }

 private:
  bool add_knots(std::span<const std::uint32_t> cells) {
    const bool lower = plan_.range.side == Side::lower;
    const std::size_t n = lower ? find_knots<true>(cells.data()) : find_knots<false>(cells.data());
    if (n == invalid) return false;
    const auto gaps = std::span<const double>(gaps_).first(n);
    const auto passed = std::span<const std::size_t>(passed_).first(n);
    const ConfidenceBand& band = *plan_.band;
    if (band.positions().size() == band.draws()) {  // level number k is that after k draws
      curve_.add(gaps, band.levels(), passed, z_);
    } else {
      for (std::size_t i = 0; i < n; ++i) z_[i] = band.quantile(band.draws() - passed[i]);
      curve_.add(gaps, KnotLevels(std::span(z_).first(n)));
    }
    return true;
  }

  // The edges at which the level changes: how many draws lie before each, and its distance from
  // the one before. The upper side is the lower side of the reflected scores: cells and edges from
  // the other end. About half of the edges count, at random, so that there is no branch.
  // \return their number, or `invalid` if the counts do not add up to the number of draws
  template <bool lower>
  std::size_t find_knots(const std::uint32_t* cells) {
    const double* edges = plan_.sketch.edges.data();
    const std::size_t last = plan_.sketch.edges.size() - 1;
    const auto cell = [&](std::size_t c) -> std::uint64_t {
      return cells[lower ? c : 2 * last - c];
    };
    const auto edge = [&](std::size_t j) { return edges[lower ? j : last - j]; };
    std::uint64_t passed = cell(0) + cell(1);  // draws before the edge
    double start = edge(0);
    std::size_t n = 0;
    for (std::size_t j = 1; j <= last; ++j) {
      // If there are none, the next edge is reached by as many, and further on.
      const std::uint64_t here = cell(2 * j) + (j < last ? cell(2 * j + 1) : 0);
      // The margin makes up for the rounding of the difference and of the product.
      gaps_[n] = std::fabs(edge(j) - start) * (1.0 - 2 * unit);
      passed_[n] = static_cast<std::size_t>(passed);
      n += here != 0 ? 1 : 0;
      start = here != 0 ? edge(j) : start;
      passed += here;
    }
    return passed == plan_.sketch.n_draws ? n : invalid;
  }

  static constexpr std::size_t invalid = static_cast<std::size_t>(-1);
  const SketchPlan& plan_;
  BoundCurve curve_;
  std::vector<double> gaps_, z_;
  std::vector<std::size_t> passed_;  // draws before the knot
};

Failure check(const ScoreCounts& sketch, const Options& o, const Certificates& out) noexcept {
  const auto refused = [](Error error, const char* need, double got) {
    return Failure{error, 0, 0, need, got};
  };
  if (const Failure failure = check(o, sketch.n_draws)) return failure;
  if (!valid_edges(sketch.edges)) {
    return refused(Error::bad_option, "edges must be 2 to 2^20 + 1 ascending numbers",
                   static_cast<double>(sketch.edges.size()));
  }
  if (o.a != sketch.edges.front()) return refused(Error::bad_option, "a must be an edge", o.a);
  if (o.b != sketch.edges.back()) return refused(Error::bad_option, "b must be an edge", o.b);
  if (o.bound != Bound::cdf) return refused(Error::bad_option, "bound must be cdf", 0.0);
  const std::size_t n_cells = 2 * sketch.edges.size() - 1;
  if (sketch.counts.size() / n_cells != sketch.n_inputs || sketch.counts.size() % n_cells != 0) {
    return refused(Error::bad_option, "counts must hold n_inputs * (2 n_edges - 1) numbers",
                   static_cast<double>(sketch.counts.size()));
  }
  if (!holds(out.bounds, sketch.n_inputs, o.radii.size())) {
    return refused(Error::bad_output, "bounds must hold n_inputs * n_radii numbers",
                   static_cast<double>(out.bounds.size()));
  }
  if (!holds(out.radius, sketch.n_inputs, o.thresholds.size())) {
    return refused(Error::bad_output, "radius must hold n_inputs * n_thresholds numbers",
                   static_cast<double>(out.radius.size()));
  }
  return {};
}

}  // namespace

Failure certify(const ScoreCounts& sketch, const Options& options, Certificates out) noexcept {
  if (const Failure failure = check(sketch, options, out)) return failure;
  const std::size_t n_radii = options.radii.size();
  const std::size_t n_thresholds = options.thresholds.size();
  try {
    const SketchPlan plan(sketch, options);
    const Failure failure = for_each_input(
        sketch.n_inputs, options.threads,
        [&] {
          return [&, worker = SketchWorker(plan)](std::size_t i) mutable {
            return worker(i, out.bounds.subspan(i * n_radii, n_radii),
                          out.radius.subspan(i * n_thresholds, n_thresholds));
          };
        },
        options.cancel);
    if (failure.error != Error::bad_score) return failure;
    return {Error::bad_option, failure.input, 0, "counts of each input must add up to n_draws",
            static_cast<double>(sketch.n_draws)};
  } catch (Cancelled) {
    return cancelled();
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return out_of_memory();
  }
}

}  // namespace smoothbound
