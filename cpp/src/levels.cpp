#include "smoothbound/levels.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>
#include <vector>

#include "batch.hpp"
#include "level_plan.hpp"
#include "smoothbound/detail/binning.hpp"

namespace smoothbound {

using namespace detail;

namespace {

// The least Real that is at least t.
template <class Real>
Real least_from(double t) noexcept {
  constexpr auto most = static_cast<double>(std::numeric_limits<Real>::max());
  if (t > most) return std::numeric_limits<Real>::infinity();
  if (t < -most) return static_cast<Real>(std::isinf(t) ? t : -most);
  const auto near = static_cast<Real>(t);
  return static_cast<double>(near) < t ? std::nextafter(near, std::numeric_limits<Real>::infinity())
                                       : near;
}

// The scores of one row at a time, counted and ranked.
template <class T>
class ScoreRow {
 public:
  ScoreRow(const LevelPlan& plan, const Scores<T>& scores)
      : plan_(plan), scores_(scores), counts_(plan.counted().size()) {
    for (const double t : plan.counted()) least_.push_back(least_from<Real>(t));
  }

  // \return false if a score is NaN or outside the range
  bool load(std::size_t input) {
    const Row<T> row = scores_.row(input);
    if (!plan_.ranks().empty()) {
      if (!sort_(row, plan_.options().a, plan_.options().b)) return false;
      if (counts_.empty()) return true;
    }
    std::fill(counts_.begin(), counts_.end(), std::size_t{0});
    for (std::size_t start = 0; start < row.size; start += block) {
      const std::size_t n = std::min(block, row.size - start);
      const Real* x = block_of(row, start, n);
      if (!all_in_range(x, n)) return false;
      for (std::size_t j = 0; j < counts_.size(); ++j) counts_[j] += reaching(x, n, least_[j]);
    }
    if (plan_.options().side == Side::upper) {
      for (std::size_t& count : counts_) count = row.size - count;
    }
    return true;
  }

  // For each of plan.counted(): the draws that reach it (lower side), or are below it (upper side).
  std::span<const std::size_t> counts() const noexcept { return counts_; }

  double ranked(std::size_t rank) const noexcept {
    const bool lower = plan_.options().side == Side::lower;
    return sort_[lower ? plan_.n_draws() - rank : rank - 1] + 0.0;  // one zero, whatever its sign
  }

 private:
  using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;

  const Real* block_of(Row<T> row, std::size_t start, std::size_t n) {
    if constexpr (std::is_same_v<T, Real>) {
      if (row.is_dense()) return row.data + start;
    }
    for (std::size_t i = 0; i < n; ++i) copy_[i] = static_cast<Real>(to_double(row[start + i]));
    return copy_.data();
  }

  bool all_in_range(const Real* x, std::size_t n) const noexcept {
    const double a = plan_.options().a;
    const double b = plan_.options().b;
    std::uint32_t inside = 0;
#pragma omp simd reduction(+ : inside)
    for (std::size_t i = 0; i < n; ++i) {
      const auto value = static_cast<double>(x[i]);
      inside += static_cast<std::uint32_t>(value >= a) & static_cast<std::uint32_t>(value <= b);
    }
    return inside == n;
  }

  static std::size_t reaching(const Real* x, std::size_t n, Real least) noexcept {
    std::uint32_t count = 0;
#pragma omp simd reduction(+ : count)
    for (std::size_t i = 0; i < n; ++i) count += x[i] >= least ? 1 : 0;
    return count;
  }

  static constexpr std::size_t block = 4096;  // few enough to stay in the cache
  const LevelPlan& plan_;
  const Scores<T>& scores_;
  std::vector<Real> least_;          // the scores to be reached
  std::vector<std::size_t> counts_;  // draws that reach them
  std::array<Real, block> copy_;     // of scores that are not neighbours
  Sorter<T> sort_;
};

// The counts of one input at a time.
class SketchRow {
 public:
  SketchRow(const LevelPlan& plan, const ScoreCounts& sketch)
      : plan_(plan), edges_(sketch.edges), sketch_(sketch), before_(2 * edges_.size()) {
    for (const double t : plan.counted()) first_.push_back(first_cell(t));
    counts_.resize(first_.size());
  }

  // \return false if the counts do not add up to the number of draws
  bool load(std::size_t input) {
    const std::size_t n_cells = before_.size() - 1;
    const auto cells = sketch_.counts.subspan(input * n_cells, n_cells);
    before_[0] = 0;
    for (std::size_t c = 0; c < n_cells; ++c) before_[c + 1] = before_[c] + cells[c];
    if (before_[n_cells] != plan_.n_draws()) return false;
    const bool lower = plan_.options().side == Side::lower;
    for (std::size_t j = 0; j < counts_.size(); ++j) {
      const std::uint64_t below = before_[first_[j]];
      counts_[j] = static_cast<std::size_t>(lower ? plan_.n_draws() - below : below);
    }
    return true;
  }

  std::span<const std::size_t> counts() const noexcept { return counts_; }

  // The edge on the safe side of the draw with a rank.
  double ranked(std::size_t rank) const noexcept {
    const bool lower = plan_.options().side == Side::lower;
    const std::uint64_t place = lower ? plan_.n_draws() - rank : rank - 1;  // in ascending order
    const auto after = std::upper_bound(before_.begin(), before_.end(), place);
    const auto cell = static_cast<std::size_t>(after - before_.begin()) - 1;
    return edges_[lower ? cell / 2 : (cell + 1) / 2] + 0.0;  // one zero, whatever its sign
  }

 private:
  // Lower side: the first cell all of whose scores reach t. Upper side: the first cell that is not
  // wholly below t.
  std::size_t first_cell(double t) const noexcept {
    const auto edge = std::lower_bound(edges_.begin(), edges_.end(), t);
    const auto j = static_cast<std::size_t>(edge - edges_.begin());
    if (plan_.options().side == Side::lower) return std::min(2 * j, before_.size() - 1);
    if (edge == edges_.end()) return before_.size() - 1;
    return *edge == t || j == 0 ? 2 * j : 2 * j - 1;
  }

  const LevelPlan& plan_;
  std::span<const double> edges_;
  const ScoreCounts& sketch_;
  std::vector<std::uint64_t> before_;  // draws before each cell, and all of them
  std::vector<std::size_t> first_, counts_;
};

Failure check_output(const LevelOptions& o, std::size_t n_inputs, const Certificates& out) {
  const auto refused = [](const char* need, std::size_t got) {
    return Failure{Error::bad_output, 0, 0, need, static_cast<double>(got)};
  };
  const std::size_t n_levels = o.levels.size();
  if (!holds(out.bounds.size(), n_inputs, n_levels * o.radii.size())) {
    return refused("bounds must hold n_inputs * n_levels * n_radii numbers", out.bounds.size());
  }
  if (!holds(out.radius.size(), n_inputs, n_levels * o.thresholds.size())) {
    return refused("radius must hold n_inputs * n_levels * n_thresholds numbers",
                   out.radius.size());
  }
  return {};
}

// Certifies every input by rows of a kind: ScoreRow or SketchRow.
template <class RowOf, class Source>
Failure certify_rows(const Source& source, const LevelPlan& plan, Certificates out) {
  const LevelOptions& o = plan.options();
  const std::size_t n_bounds = o.levels.size() * o.radii.size();
  const std::size_t n_radius = o.levels.size() * o.thresholds.size();
  return for_each_input(
      source.n_inputs, o.threads,
      [&] {
        return [&, row = RowOf(plan, source),
                levels = std::vector<LevelOfCount>(plan.counted().size())](std::size_t i) mutable {
          if (!row.load(i)) return false;
          plan.levels(row.counts(), levels);
          const auto bounds = out.bounds.subspan(i * n_bounds, n_bounds);
          if (o.statistic == Statistic::probability) plan.bound(levels, bounds);
          for (std::size_t j = 0; j < plan.ranks().size(); ++j) {
            const std::size_t rank = plan.ranks()[j];
            bounds[j] = rank > 0 ? row.ranked(rank) : (o.side == Side::lower ? o.a : o.b);
          }
          plan.find_radii(levels, out.radius.subspan(i * n_radius, n_radius));
          return true;
        };
      },
      o.cancel);
}

template <class RowOf, class Source>
Failure certify(const Source& source, const LevelOptions& options, Certificates out) noexcept {
  if (const Failure failure = detail::check(options, source.n_draws)) return failure;
  if (const Failure failure = check_output(options, source.n_inputs, out)) return failure;
  try {
    return certify_rows<RowOf>(source, LevelPlan(options, source.n_draws), out);
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return out_of_memory();
  }
}

}  // namespace

template <class T>
Failure certify_levels(const Scores<T>& scores, const LevelOptions& options,
                       Certificates out) noexcept {
  const Failure failure = certify<ScoreRow<T>>(scores, options, out);
  if (failure.error != Error::bad_score) return failure;
  return bad_score(scores, failure.input, options.a, options.b);
}

Failure certify_levels(const ScoreCounts& sketch, const LevelOptions& options,
                       Certificates out) noexcept {
  if (const Failure failure = check_counts(sketch, options.a, options.b)) return failure;
  const Failure failure = certify<SketchRow>(sketch, options, out);
  if (failure.error != Error::bad_score) return failure;
  return {Error::bad_option, failure.input, 0, "counts of each input must add up to n_draws",
          static_cast<double>(sketch.n_draws)};
}

template Failure certify_levels(const Scores<half>&, const LevelOptions&, Certificates) noexcept;
template Failure certify_levels(const Scores<float>&, const LevelOptions&, Certificates) noexcept;
template Failure certify_levels(const Scores<double>&, const LevelOptions&, Certificates) noexcept;

}  // namespace smoothbound
