#include "smoothbound/certify.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "kernels.hpp"
#include "rounding.hpp"
#include "short_rows.hpp"
#include "smoothbound/radius.hpp"
#include "smoothbound/tangent.hpp"

namespace smoothbound {
namespace {

// What does not depend on the scores, computed once per call.
struct Plan {
  Options options;
  Range range;
  std::size_t n_draws;
  CurveRadii radii;                      // radii / sigma, for curves ...
  std::vector<double> r;                 // ... and as they are
  std::vector<double> targets;           // distances of the thresholds
  double hoeffding = 0.0;                // deviation of the mean, Bound::mean
  const ConfidenceBand* band = nullptr;  // Bound::cdf: the knots and their levels
  std::vector<std::size_t> before;       // the positions before the knots (the first, at 0: 0)
  std::optional<ConfidenceBand> own_band;

  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  Plan(const Options& o, std::size_t m)
      : options(o), range{o.a, o.b, o.side}, n_draws(m), radii(scaled(o.radii, o.sigma)) {
    for (const double c : o.thresholds) targets.push_back(above(range.distance(c)));
    for (const double radius : o.radii) r.push_back(scaled_radius(radius, o.sigma));
    if (o.bound == Bound::mean) hoeffding = deviation(m, o.alpha);
    if (o.bound != Bound::cdf) return;
    if (o.prepared == nullptr) own_band.emplace(o.band, m, o.alpha, o.n_bins, 0.0, o.cancel);
    band = o.prepared == nullptr ? &*own_band : o.prepared;
    options.prepared = band;
    if (band->positions().size() < m) {
      for (const std::size_t at : band->positions()) before.push_back(at == 0 ? 0 : at - 1);
    }
  }

 private:
  static std::vector<double> scaled(std::span<const double> radii, double sigma) {
    std::vector<double> scaled_radii;
    for (const double radius : radii) scaled_radii.push_back(scaled_radius(radius, sigma));
    return scaled_radii;
  }
};

// Some scores of a row as neighbours of type Real, where they lie if they can be read there. The
// infinities of a half become NaN.
template <class Real>
class Block {
 public:
  // \pre n <= sum_block
  template <class T>
  Block(Row<T> row, std::size_t start, std::size_t n) {
    if (std::is_same_v<T, Real> && row.is_dense()) {
      data_ = reinterpret_cast<const Real*>(row.data) + start;
      return;
    }
    if constexpr (std::is_same_v<T, half>) {
      std::array<half, sum_block> narrow;
      for (std::size_t i = 0; i < n; ++i) narrow[i] = row[start + i];
      kernels().widen(narrow.data(), copy_.data(), n);
    } else {
      for (std::size_t i = 0; i < n; ++i) copy_[i] = row[start + i];
    }
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  const Real* data() const noexcept { return data_; }

 private:
  std::array<Real, sum_block> copy_;
  const Real* data_ = copy_.data();
};

// One of several short rows, shown as a Sorter shows its row.
struct ShortRow {
  const ShortRows& rows;
  std::size_t row, n_draws;

  double operator[](std::size_t i) const noexcept { return rows.at(row, i); }
  void pick(std::span<const std::size_t> positions, bool descending,
            std::span<double> out) const noexcept {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = rows.at(row, descending ? n_draws - 1 - positions[i] : positions[i]);
    }
  }
};

// Certifies rows, in memory of its own.
template <class T>
class Worker {
 public:
  explicit Worker(const Plan& plan)
      : plan_(plan),
        short_rows_(plan.band == nullptr ? nullptr : &plan.band->levels()),
        tangent_(plan.options.mean, plan.options.alpha),
        gaps_(plan.band == nullptr ? 0 : plan.band->positions().size()) {}

  // How many rows to certify in one call.
  static std::size_t rows_together(const Plan& plan) noexcept {
    if (plan.band == nullptr || std::is_same_v<T, double>) return 1;
    return ShortRows::fits(plan.band->levels()) ? ShortRows::together(plan.n_draws) : 1;
  }

  // Certifies the rows from `begin` to `end`, no more than rows_together().
  // \return false if one holds a score that is NaN or outside the range
  bool operator()(const Scores<T>& scores, std::size_t begin, std::size_t end, Certificates out) {
    const std::size_t n_radii = plan_.radii.size();
    const std::size_t n_thresholds = plan_.targets.size();
    const auto of_rows = [&](std::size_t i, std::size_t n) {
      return Certificates{out.bounds.subspan(i * n_radii, n * n_radii),
                          out.radius.subspan(i * n_thresholds, n * n_thresholds)};
    };
    if constexpr (!std::is_same_v<T, double>) {
      if (rows_together(plan_) > 1 && ShortRows::worthwhile(end - begin)) {
        return certify_together(scores, begin, of_rows(begin, end - begin), end - begin);
      }
    }
    for (std::size_t i = begin; i < end; ++i) {
      if (!certify(scores.row(i), scores.first_row + i, of_rows(i, 1))) return false;
    }
    return true;
  }

 private:
  // `number` is that of the row, from which its permutation follows.
  bool certify(Row<T> row, std::uint64_t number, Certificates out) {
    if (plan_.options.bound == Bound::tangent) return by_tangent(row, number, out);
    curve_.clear();
    if (plan_.options.bound == Bound::mean) {
      if (!add_mean(row, number)) return false;
    } else {
      if (!sort_(row, plan_.options.a, plan_.options.b)) return false;
      if (gaps_.size() == plan_.n_draws) {
        take_all_gaps(sort_);
        curve_.add(gaps_, plan_.band->levels());
      } else {
        add_knots(sort_);
      }
    }
    evaluate(curve_, out);
    return true;
  }

  // The same for short rows.
  bool certify_together(const Scores<T>& scores, std::size_t begin, Certificates out,
                        std::size_t count) {
    std::array<Row<T>, most_row_lanes> rows;
    for (std::size_t i = 0; i < count; ++i) rows[i] = scores.row(begin + i);
    if (!short_rows_.sort(std::span<const Row<T>>(rows.data(), count), plan_.range)) return false;
    const std::size_t n_thresholds = plan_.targets.size();
    const auto radii_of = [&](std::size_t i) {
      return out.radius.subspan(i * n_thresholds, n_thresholds);
    };
    if (gaps_.size() < plan_.n_draws) {
      for (std::size_t i = 0; i < count; ++i) {
        curve_.clear();
        add_knots(ShortRow{short_rows_, i, plan_.n_draws});
        const std::size_t n_radii = plan_.radii.size();
        evaluate(curve_, {out.bounds.subspan(i * n_radii, n_radii), radii_of(i)});
      }
      return true;
    }
    short_rows_.condense(plan_.range);
    short_rows_.evaluate(plan_.radii, out.bounds);
    for (double& bound : out.bounds) bound = plan_.range.confidence(bound);
    if (n_thresholds == 0) return true;
    const std::span<const BoundCurve> curves = short_rows_.curves();
    for (std::size_t i = 0; i < count; ++i) find_radii(curves[i], radii_of(i));
    return true;
  }

  void evaluate(const BoundCurve& curve, Certificates out) const {
    for (std::size_t j = 0; j < plan_.radii.size(); ++j) {
      out.bounds[j] = plan_.range.confidence(curve.at(plan_.radii, j));
    }
    find_radii(curve, out.radius);
  }

  void find_radii(const BoundCurve& curve, std::span<double> radius) const {
    for (std::size_t k = 0; k < plan_.targets.size(); ++k) {
      const double r = certified_radius(curve, plan_.range.width(), plan_.targets[k]);
      radius[k] = input_radius(r, plan_.options.sigma);
    }
  }

  // Theorem 1: one gap, the whole range, at the level of the mean.
  bool add_mean(Row<T> row, std::uint64_t number) {
    if (plan_.options.mean != MeanKind::hoeffding) return add_tallied_mean(row, number);
    const double width = plan_.range.width();
    if (width > widest) return add_wide_mean(row);
    double total = 0.0;
    double lost = 0.0;
    for (std::size_t start = 0; start < row.size; start += sum_block) {
      const std::size_t n = std::min(sum_block, row.size - start);
      add_to(total, lost, sum_distances(row, start, n, plan_.range));
    }
    const double sum = total + lost;
    if (std::isnan(sum)) return false;
    curve_.add(width, hoeffding_quantile(sum, row.size, width, plan_.hoeffding));
    return true;
  }

  // The same where the sum of 2^32 distances could overflow: it is taken of distances / 2^64.
  // What that loses of a distance is less than one part in 2^1900 of the range.
  bool add_wide_mean(Row<T> row) {
    const Range& range = plan_.range;
    double total = 0.0;
    double lost = 0.0;
    for (std::size_t i = 0; i < row.size; ++i) {
      const double x = to_double(row[i]);
      if (!(x >= range.a && x <= range.b)) return false;
      add_to(total, lost, range.distance(x) * 0x1p-64);
    }
    const double width = range.width();
    curve_.add(width, hoeffding_quantile(total + lost, row.size, width * 0x1p-64, plan_.hoeffding));
    return true;
  }

  static constexpr double widest = 0x1p980;

  // The sum of the distances of n <= sum_block scores, or NaN if one is bad.
  static double sum_distances(Row<T> row, std::size_t start, std::size_t n, const Range& range) {
    const bool lower = range.side == Side::lower;
    if constexpr (std::is_same_v<T, double>) {
      const Block<double> scores(row, start, n);
      return kernels().sum_doubles(scores.data(), n, range.a, range.b, lower);
    } else {
      const Block<float> scores(row, start, n);
      return kernels().sum_floats(scores.data(), n, range.a, range.b, lower);
    }
  }

  // Theorem 1 with the other bounds on the mean. Betting is the tangent bound at r = 0, where every
  // tangent is the identity.
  bool add_tallied_mean(Row<T> row, std::uint64_t number) {
    double share = 0.0;
    if (plan_.options.mean == MeanKind::betting) {
      if (!fit_tangent(row, number)) return false;
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

  bool by_tangent(Row<T> row, std::uint64_t number, Certificates out) {
    if (!fit_tangent(row, number)) return false;
    const double width = plan_.range.width();
    for (std::size_t j = 0; j < plan_.r.size(); ++j) {
      out.bounds[j] = plan_.range.confidence(tangent_(plan_.r[j]) * width * (1.0 - 4 * unit));
    }
    for (std::size_t k = 0; k < plan_.targets.size(); ++k) {
      const double target = plan_.targets[k] / width * (1.0 + 4 * unit);
      out.radius[k] = input_radius(tangent_.certified_radius(target), plan_.options.sigma);
    }
    return true;
  }

  bool fit_tangent(Row<T> row, std::uint64_t number) {
    const std::size_t n_pilot = plan_.options.n_pilot;
    if (plan_.options.order == Order::unknown) {
      permuted_.resize(row.size);
      for (std::size_t i = 0; i < row.size; ++i) permuted_[i] = row[i];
      // The order within the pilot and within the rest has no effect.
      permute(std::span<T>(permuted_), n_pilot, plan_.options.seed, number);
      row = {permuted_.data(), row.size, sizeof(T)};
    }
    if (!fill_shares({row.data, n_pilot, row.stride}, pilot_) ||
        !fill_shares(row.after(n_pilot), draws_)) {
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

  // Theorem 2 with bins: the gaps between the knots, from a Sorter or a ShortRow.
  template <class Sorted>
  void add_knots(const Sorted& sorted) {
    take_gaps(sorted);
    add_tied_knots(sorted);
    curve_.add(gaps_, plan_.band->levels());
  }

  template <class Sorted>
  void take_gaps(const Sorted& sorted) {
    distances_.resize(gaps_.size());
    sorted.pick(plan_.band->positions(), plan_.range.side == Side::upper, distances_);
    for (double& x : distances_) x = plan_.range.distance(x);
    double previous = 0.0;
    for (std::size_t i = 0; i < gaps_.size(); ++i) {
      gaps_[i] = distances_[i] - previous;
      previous = distances_[i];
    }
  }

  // The gaps where every draw is a knot, in blocks that stay in the cache.
  void take_all_gaps(const Sorter<T>& sorted) noexcept {
    const Range& range = plan_.range;
    std::array<double, sum_block + 1> distances;  // after that of the knot before
    distances[0] = 0.0;
    for (std::size_t start = 0; start < gaps_.size(); start += sum_block) {
      const std::size_t n = std::min(sum_block, gaps_.size() - start);
      const std::span<double> block(distances.data() + 1, n);
      if (range.side == Side::lower) {
        sorted.copy(start, block);
        for (double& x : block) x -= range.a;
      } else {
        sorted.copy(gaps_.size() - start - n, block);
        std::reverse(block.begin(), block.end());
        for (double& x : block) x = range.b - x;
      }
      for (std::size_t i = 0; i < n; ++i) gaps_[start + i] = distances[i + 1] - distances[i];
      distances[0] = distances[n];
    }
  }

  // Where a knot is tied with a draw beyond it, more draws reach it than its position says: its
  // gap is added by itself, at the level of the true count.
  template <class Sorted>
  void add_tied_knots(const Sorted& sorted) {
    const std::size_t last = plan_.n_draws - 1;
    const bool lower = plan_.range.side == Side::lower;
    const auto at = [&](std::size_t position) {
      return plan_.range.distance(sorted[lower ? position : last - position]);
    };
    const std::span<const std::size_t> positions = plan_.band->positions();
    before_.resize(gaps_.size());  // the distance of the draw before each knot but the first, at 0
    sorted.pick(plan_.before, !lower, before_);
    for (std::size_t i = 1; i < gaps_.size(); ++i) {
      const double distance = distances_[i];
      if (plan_.range.distance(before_[i]) != distance || gaps_[i] == 0.0) continue;
      std::size_t first = positions[i] - 1;
      while (first > 0 && at(first - 1) == distance) --first;
      curve_.add(std::exchange(gaps_[i], 0.0), plan_.band->quantile(plan_.n_draws - first));
    }
  }

  const Plan& plan_;
  Sorter<T> sort_;
  ShortRows short_rows_;
  BoundCurve curve_;
  TangentBound tangent_;
  Tally tally_;
  std::vector<double> gaps_, distances_, before_, pilot_, draws_;
  std::vector<T> permuted_;
};

bool has_pilot(const Options& o, std::size_t n_draws) noexcept {
  return o.n_pilot >= 1 && o.n_pilot < n_draws;
}

// The first row from `begin` on with a bad score. Where there is none, the scores have changed
// during the call.
template <class T>
Failure first_bad_score(const Scores<T>& scores, std::size_t begin, double a, double b) noexcept {
  Failure failure{Error::bad_score, begin};
  for (std::size_t i = begin; i < scores.n_inputs; ++i) {
    failure = bad_score(scores, i, a, b);
    if (!(failure.got >= a && failure.got <= b)) break;
  }
  return failure;
}

template <class T>
Failure certify_rows(const Scores<T>& scores, const Plan& plan, Certificates out, Cancel cancel) {
  const auto threads = static_cast<std::size_t>(plan.options.threads);
  const std::size_t rows =
      std::clamp<std::size_t>(scores.n_inputs / threads, 1, Worker<T>::rows_together(plan));
  const std::size_t blocks = (scores.n_inputs + rows - 1) / rows;
  const Failure failure = for_each_input(
      blocks, plan.options.threads,
      [&] {
        return [&, worker = Worker<T>(plan)](std::size_t block) mutable {
          const std::size_t begin = block * rows;
          return worker(scores, begin, std::min(begin + rows, scores.n_inputs), out);
        };
      },
      cancel);
  if (failure.error == Error::bad_score) {
    return first_bad_score(scores, failure.input * rows, plan.options.a, plan.options.b);
  }
  return failure;
}

}  // namespace

// The first option that is out of its range.
Failure check(const Options& o, std::size_t n_draws) noexcept {
  const auto finite = [](double x) { return std::isfinite(x); };
  const auto bad = [](const char* need, double got) {
    return Failure{Error::bad_option, 0, 0, need, got};
  };
  if (!(o.sigma > 0.0 && finite(o.sigma))) return bad("sigma must be positive and finite", o.sigma);
  if (!(o.alpha > 0.0 && o.alpha < 1.0)) {
    return bad("alpha must lie strictly between 0 and 1", o.alpha);
  }
  if (o.alpha < least_alpha) return bad("alpha must be at least 1e-302", o.alpha);
  if (!finite(o.a)) return bad("a must be finite", o.a);
  if (!(o.a < o.b && finite(o.b - o.a))) return bad("b must be finite and above a", o.b);
  if (o.b - o.a < least_width) return bad("b - a must be at least 1e-300", o.b - o.a);
  if (o.threads < 1) return bad("threads must be at least 1", o.threads);
  for (const double radius : o.radii) {
    if (!(finite(radius) && radius >= 0.0)) {
      return bad("radii must be finite and not negative", radius);
    }
  }
  if (o.side != Side::lower && !o.thresholds.empty()) {
    return bad("thresholds need the lower side: their number must be 0 for the upper",
               static_cast<double>(o.thresholds.size()));
  }
  for (const double c : o.thresholds) {
    if (!(c > o.a && c < o.b)) return bad("thresholds must lie strictly between a and b", c);
  }
  if (n_draws == 0 || n_draws > std::numeric_limits<std::uint32_t>::max()) {
    return bad("n_draws must be at least 1 and below 2^32", static_cast<double>(n_draws));
  }
  if (o.bound == Bound::tangent && o.mean == MeanKind::hoeffding) {
    return bad("mean must be betting or bernstein for the tangent bound", 0.0);
  }
  const bool needs_pilot =
      o.bound == Bound::tangent || (o.bound == Bound::mean && o.mean == MeanKind::betting);
  if (needs_pilot && !has_pilot(o, n_draws)) {
    return bad("n_pilot must be at least 1 and below n_draws", static_cast<double>(o.n_pilot));
  }
  if (o.bound == Bound::cdf && o.prepared != nullptr && o.prepared->draws() != n_draws) {
    return bad("n_draws must be what the prepared band was made for", static_cast<double>(n_draws));
  }
  return {};
}

// Whether a span has the size rows * columns, which may be too large for a size_t.
bool holds(std::span<const double> out, std::size_t rows, std::size_t columns) noexcept {
  if (rows == 0 || columns == 0) return out.empty();
  return out.size() / columns == rows && out.size() % columns == 0;
}

Failure out_of_memory() noexcept { return {Error::out_of_memory, 0, 0, "out of memory", 0.0}; }
Failure cancelled() noexcept { return {Error::cancelled, 0, 0, "cancelled", 0.0}; }

void describe(const Failure& failure, std::span<char> words) noexcept {
  if (words.empty()) return;
  int length = 0;
  switch (failure.error) {
    case Error::none:
    case Error::out_of_memory:
    case Error::cancelled:
      length = std::snprintf(words.data(), words.size(), "%s", failure.need);
      break;
    case Error::bad_option:
    case Error::bad_output:
      length =
          std::snprintf(words.data(), words.size(), "%s, got %.17g", failure.need, failure.got);
      break;
    case Error::bad_score:
      length = std::snprintf(words.data(), words.size(), "scores[%zu, %zu] %s, got %.17g",
                             failure.input, failure.draw, failure.need, failure.got);
      break;
  }
  if (length < 0) words[0] = '\0';
}

struct Certifier::State {
  std::vector<double> radii, thresholds;  // what the options of the plan look at
  Plan plan;

  State(const Options& o, std::size_t m)
      : radii(o.radii.begin(), o.radii.end()),
        thresholds(o.thresholds.begin(), o.thresholds.end()),
        plan(own(o), m) {}

 private:
  Options own(Options o) const noexcept {
    o.radii = radii;
    o.thresholds = thresholds;
    return o;
  }
};

Failure Certifier::prepare(const Options& options, std::size_t n_draws) noexcept {
  state_.reset();
  if (const Failure failure = check(options, n_draws)) return failure;
  try {
    state_ = std::make_shared<const State>(options, n_draws);
    return {};
  } catch (Cancelled) {
    return cancelled();
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return out_of_memory();
  }
}

const Options* Certifier::options() const noexcept {
  return state_ == nullptr ? nullptr : &state_->plan.options;
}

template <class T>
Failure Certifier::operator()(const Scores<T>& scores, Certificates out) const noexcept {
  return (*this)(scores, out, state_ == nullptr ? Cancel{} : state_->plan.options.cancel);
}

template <class T>
Failure Certifier::operator()(const Scores<T>& scores, Certificates out,
                              Cancel cancel) const noexcept {
  const auto refused = [](Error error, const char* need, std::size_t got) {
    return Failure{error, 0, 0, need, static_cast<double>(got)};
  };
  if (state_ == nullptr) return refused(Error::bad_option, "prepare() must have succeeded", 0);
  const Plan& plan = state_->plan;
  if (scores.n_draws != plan.n_draws) {
    return refused(Error::bad_option, "n_draws must be what the certifier was prepared for",
                   scores.n_draws);
  }
  if (!holds(out.bounds, scores.n_inputs, plan.radii.size())) {
    return refused(Error::bad_output, "bounds must hold n_inputs * n_radii numbers",
                   out.bounds.size());
  }
  if (!holds(out.radius, scores.n_inputs, plan.targets.size())) {
    return refused(Error::bad_output, "radius must hold n_inputs * n_thresholds numbers",
                   out.radius.size());
  }
  return certify_rows(scores, plan, out, cancel);
}

template <class T>
Failure certify(const Scores<T>& scores, const Options& options, Certificates out) noexcept {
  Certifier certifier;
  if (const Failure failure = certifier.prepare(options, scores.n_draws)) return failure;
  return certifier(scores, out);
}

template Failure Certifier::operator()(const Scores<half>&, Certificates) const noexcept;
template Failure Certifier::operator()(const Scores<float>&, Certificates) const noexcept;
template Failure Certifier::operator()(const Scores<double>&, Certificates) const noexcept;
template Failure Certifier::operator()(const Scores<half>&, Certificates, Cancel) const noexcept;
template Failure Certifier::operator()(const Scores<float>&, Certificates, Cancel) const noexcept;
template Failure Certifier::operator()(const Scores<double>&, Certificates, Cancel) const noexcept;
template Failure certify(const Scores<half>&, const Options&, Certificates) noexcept;
template Failure certify(const Scores<float>&, const Options&, Certificates) noexcept;
template Failure certify(const Scores<double>&, const Options&, Certificates) noexcept;

}  // namespace smoothbound
