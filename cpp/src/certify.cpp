#include "smoothbound/certify.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "kernels.hpp"
#include "rounding.hpp"
#include "smoothbound/radius.hpp"
#include "smoothbound/tangent.hpp"

namespace smoothbound {
namespace {

// What does not depend on the scores, computed once per call.
struct Plan {
  Options options;
  Range range;
  std::size_t n_draws;
  std::vector<double> r;        // radii / sigma
  std::vector<double> targets;  // distances of the thresholds
  double hoeffding = 0.0;       // deviation of the mean, Bound::mean
  // Bound::cdf: the knots and their levels.
  std::optional<ConfidenceBand> band;
  std::vector<std::size_t> positions;
  std::optional<KnotLevels> levels;

  Plan(const Options& o, std::size_t m) : options(o), range{o.a, o.b, o.side}, n_draws(m) {
    for (const double radius : o.radii) r.push_back(scaled_radius(radius, o.sigma));
    for (const double c : o.thresholds) targets.push_back(above(range.distance(c)));
    if (o.bound == Bound::mean) hoeffding = deviation(m, o.alpha);
    if (o.bound != Bound::cdf) return;
    band.emplace(o.band, m, o.alpha);
    positions = equal_count_positions(m, o.n_bins);
    std::vector<double> z;
    z.reserve(positions.size());
    for (const std::size_t position : positions) z.push_back(band->quantile(m - position));
    levels.emplace(z);
  }
};

// Certifies rows one at a time, in memory of its own.
template <class T>
class Worker {
 public:
  explicit Worker(const Plan& plan)
      : plan_(plan),
        tangent_(plan.options.mean, plan.options.alpha),
        gaps_(plan.positions.size()) {}

  // \return false if the row holds a score that is NaN or outside the range
  bool operator()(Row<T> row, std::span<double> bounds, std::span<double> radius) {
    if (plan_.options.bound == Bound::tangent) return by_tangent(row, bounds, radius);
    curve_.clear();
    if (!(plan_.options.bound == Bound::mean ? add_mean(row) : add_knots(row))) return false;
    for (std::size_t j = 0; j < plan_.r.size(); ++j) {
      bounds[j] = plan_.range.confidence(curve_(plan_.r[j]));
    }
    for (std::size_t k = 0; k < plan_.targets.size(); ++k) {
      const double r = certified_radius(curve_, plan_.range.width(), plan_.targets[k]);
      radius[k] = input_radius(r, plan_.options.sigma);
    }
    return true;
  }

 private:
  // Theorem 1: one gap, the whole range, at the level of the mean.
  bool add_mean(Row<T> row) {
    if (plan_.options.mean != MeanKind::hoeffding) return add_tallied_mean(row);
    const Range& range = plan_.range;
    bool valid = true;
    double total = 0.0;
    double lost = 0.0;
    std::array<double, sum_block> block;
    for (std::size_t start = 0; start < row.size; start += sum_block) {
      const std::size_t n = std::min(sum_block, row.size - start);
      if (row.stride == sizeof(T)) {  // vectorised
        for (std::size_t i = 0; i < n; ++i) block[i] = to_double(row.data[start + i]);
      } else {
        for (std::size_t i = 0; i < n; ++i) block[i] = to_double(row[start + i]);
      }
      valid &= kernels().distances(block.data(), n, range.a, range.b, range.side == Side::lower);
      add_to(total, lost, kernels().sum(block.data(), n));
    }
    if (!valid) return false;
    const double sum = total + lost;
    const double width = range.width();
    curve_.add(width, hoeffding_quantile(sum, row.size, width, plan_.hoeffding));
    return true;
  }

  // Theorem 1 with the other bounds on the mean. Betting is the tangent bound at r = 0, where every
  // tangent is the identity.
  bool add_tallied_mean(Row<T> row) {
    double share = 0.0;
    if (plan_.options.mean == MeanKind::betting) {
      if (!fit_tangent(row)) return false;
      share = tangent_(0.0);
    } else {
      if (!fill_shares(row, draws_)) return false;
      constexpr std::array<double, 2> identity = {0.0, 1.0};
      tally_.reset(identity);
      tally_.count(draws_);
      share = bernstein_lower(tally_, identity, plan_.options.alpha);
    }
    curve_.add(plan_.range.width(), lower_quantile(share, 1.0 - share));
    return true;
  }

  bool by_tangent(Row<T> row, std::span<double> bounds, std::span<double> radius) {
    if (!fit_tangent(row)) return false;
    const double width = plan_.range.width();
    for (std::size_t j = 0; j < plan_.r.size(); ++j) {
      bounds[j] = plan_.range.confidence(tangent_(plan_.r[j]) * width * (1.0 - 4 * unit));
    }
    for (std::size_t k = 0; k < plan_.targets.size(); ++k) {
      const double target = plan_.targets[k] / width * (1.0 + 4 * unit);
      radius[k] = input_radius(tangent_.certified_radius(target), plan_.options.sigma);
    }
    return true;
  }

  bool fit_tangent(Row<T> row) {
    const std::size_t n_pilot = plan_.options.n_pilot;
    if (!fill_shares({row.data, n_pilot, row.stride}, pilot_) ||
        !fill_shares({&row[n_pilot], row.size - n_pilot, row.stride}, draws_)) {
      return false;
    }
    tangent_.fit(pilot_, draws_);
    return true;
  }

  // Distances in units of the range, in ascending order. They are known to 3 units, and lowered by
  // at least as much.
  bool fill_shares(Row<T> row, std::vector<double>& shares) {
    if (!sort_(row, plan_.options.a, plan_.options.b)) return false;
    const bool lower = plan_.range.side == Side::lower;
    const double width = plan_.range.width();
    shares.resize(row.size);
    for (std::size_t i = 0; i < row.size; ++i) {
      const double distance = plan_.range.distance(sort_[lower ? i : row.size - 1 - i]);
      shares[i] = std::max(0.0, below(distance / width * (1.0 - 4 * unit)));
    }
    return true;
  }

  // Theorem 2: the gaps between the knots.
  bool add_knots(Row<T> row) {
    if (!sort_(row, plan_.options.a, plan_.options.b)) return false;
    const std::size_t n = gaps_.size();
    const bool lower = plan_.range.side == Side::lower;
    const auto at = [&](std::size_t position) {
      return plan_.range.distance(sort_[lower ? position : row.size - 1 - position]);
    };
    double previous = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      const double distance = at(plan_.positions[i]);
      gaps_[i] = distance - previous;
      previous = distance;
    }
    if (n < row.size) add_tied_knots(at);
    curve_.add(gaps_, *plan_.levels);
    return true;
  }

  // Where a knot is tied with a draw beyond it, more draws reach it than its position says: its
  // gap is added by itself, at the level of the true count.
  template <class At>
  void add_tied_knots(const At& at) {
    for (std::size_t i = 0; i < gaps_.size(); ++i) {
      std::size_t first = plan_.positions[i];
      const double distance = at(first);
      if (gaps_[i] == 0.0 || first == 0 || at(first - 1) != distance) continue;
      while (first > 0 && at(first - 1) == distance) --first;
      curve_.add(std::exchange(gaps_[i], 0.0), plan_.band->quantile(plan_.n_draws - first));
    }
  }

  const Plan& plan_;
  Sorter<T> sort_;
  BoundCurve curve_;
  TangentBound tangent_;
  Tally tally_;
  std::vector<double> gaps_, pilot_, draws_;
};

bool has_pilot(const Options& o, std::size_t n_draws) noexcept {
  return o.n_pilot >= 1 && o.n_pilot < n_draws;
}

bool valid(const Options& o, std::size_t n_draws) noexcept {
  const auto finite = [](double x) { return std::isfinite(x); };
  return o.sigma > 0.0 && finite(o.sigma) && o.alpha > 0.0 && o.alpha < 1.0 && finite(o.a) &&
         finite(o.b) && o.a < o.b && finite(o.b - o.a) && o.threads >= 1 &&
         (o.side == Side::lower || o.thresholds.empty()) &&
         (o.bound != Bound::tangent || (o.mean != MeanKind::hoeffding && has_pilot(o, n_draws))) &&
         (o.bound != Bound::mean || o.mean != MeanKind::betting || has_pilot(o, n_draws)) &&
         std::all_of(
             o.radii.begin(), o.radii.end(),
             [&](double radius) { return finite(radius) && radius >= 0.0; }) &&
         std::all_of(
             o.thresholds.begin(), o.thresholds.end(),
             [&](double c) { return c > o.a && c < o.b; });
}

template <class T>
Failure certify_rows(const Scores<T>& scores, const Plan& plan, Certificates out) {
  const std::size_t n_radii = plan.r.size();
  const std::size_t n_thresholds = plan.targets.size();
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> first_bad{scores.n_inputs};
  std::atomic<bool> out_of_memory{false};
  const auto work = [&]() noexcept {
    try {
      Worker<T> worker(plan);
      for (std::size_t i = next++; i < scores.n_inputs; i = next++) {
        if (worker(scores.row(i), out.bounds.subspan(i * n_radii, n_radii),
                   out.radius.subspan(i * n_thresholds, n_thresholds))) {
          continue;
        }
        std::size_t seen = first_bad.load();  // the least bad row, whatever the thread
        while (i < seen && !first_bad.compare_exchange_weak(seen, i)) {
        }
      }
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  };
  const auto wanted = static_cast<std::size_t>(plan.options.threads);
  std::vector<std::thread> others;
  for (std::size_t t = 1; t < std::min(wanted, scores.n_inputs); ++t) {
    try {
      others.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // fewer threads than asked for: slower, not wrong
    }
  }
  work();
  for (std::thread& thread : others) thread.join();
  if (out_of_memory) return {Error::out_of_memory};
  if (first_bad < scores.n_inputs) return {Error::bad_score, first_bad};
  return {};
}

}  // namespace

template <class T>
Failure certify(const Scores<T>& scores, const Options& options, Certificates out) noexcept {
  if (!valid(options, scores.n_draws) || scores.n_draws == 0 ||
      scores.n_draws > std::numeric_limits<std::uint32_t>::max()) {
    return {Error::bad_option};
  }
  if (out.bounds.size() != scores.n_inputs * options.radii.size() ||
      out.radius.size() != scores.n_inputs * options.thresholds.size()) {
    return {Error::bad_output};
  }
  try {
    return certify_rows(scores, Plan(options, scores.n_draws), out);
  } catch (const std::bad_alloc&) {
    return {Error::out_of_memory};
  }
}

template Failure certify(const Scores<half>&, const Options&, Certificates) noexcept;
template Failure certify(const Scores<float>&, const Options&, Certificates) noexcept;
template Failure certify(const Scores<double>&, const Options&, Certificates) noexcept;

}  // namespace smoothbound
