#include "smoothbound/sketch.hpp"

#include <cmath>
#include <memory>
#include <optional>

#include "batch.hpp"
#include "plan_contents.hpp"
#include "rounding.hpp"
#include "smoothbound/detail/curve.hpp"
#include "smoothbound/detail/radius.hpp"

namespace smoothbound {

using namespace detail;

bool valid_edges(std::span<const double> edges) noexcept {
  if (edges.size() < 2 || edges.size() > max_sketch_bins + 1) return false;
  for (std::size_t j = 1; j < edges.size(); ++j) {
    if (!(edges[j - 1] < edges[j])) return false;
  }
  return std::isfinite(edges.front()) && std::isfinite(edges.back() - edges.front());
}

namespace {

// The values that all rows share, computed once per call.
struct SketchPlan {
  const ScoreCounts& sketch;
  const Options& options;
  Range range;
  CurveRadii radii;             // radii / sigma
  std::vector<double> targets;  // distances of the thresholds
  std::unique_ptr<const ConfidenceBand> own_band;
  const ConfidenceBand* band;
  std::optional<OtherCurve> other;  // unless the noise is Gaussian

  SketchPlan(const ScoreCounts& s, const Options& o)
      : sketch(s),
        options(o),
        range{o.a, o.b, o.side},
        radii(scaled_radii(o)),
        targets(targets_of(o, range)),
        band(o.shared_band) {
    if (band == nullptr) {
      own_band =
          std::make_unique<const ConfidenceBand>(o.band, s.n_draws, o.alpha, 0, 0.0, o.cancel);
      band = own_band.get();
    }
    if (o.curve.kind != CurveKind::gaussian) other.emplace(o, &band->levels());
  }

  std::span<const std::uint32_t> row(std::size_t i) const noexcept {
    const std::size_t n_cells = 2 * sketch.edges.size() - 1;
    return sketch.counts.subspan(i * n_cells, n_cells);
  }
};

// Certifies rows one at a time, in memory of its own.
class SketchWorker {
 public:
  explicit SketchWorker(const SketchPlan& plan)
      : plan_(plan),
        sum_(plan.other ? plan.other->sum() : KnotSum(nullptr, nullptr)),
        gaps_(plan.sketch.edges.size()),
        z_(gaps_.size()),
        passed_(gaps_.size()) {}

  // \return false if the counts do not add up to the number of draws
  bool operator()(std::size_t i, std::span<double> bounds, std::span<double> radius) {
    if (plan_.other) return by_sum(i, bounds, radius);
    curve_.clear();
    if (!add_knots(plan_.row(i), curve_)) return false;
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
  // The same for another noise than the Gaussian.
  bool by_sum(std::size_t i, std::span<double> bounds, std::span<double> radius) {
    sum_.clear();
    if (!add_knots(plan_.row(i), sum_)) return false;
    for (std::size_t j = 0; j < bounds.size(); ++j) {
      bounds[j] = plan_.range.confidence(sum_(plan_.other->at(j)));
    }
    for (std::size_t k = 0; k < radius.size(); ++k) {
      radius[k] = plan_.other->radius(sum_, plan_.targets[k], plan_.options.sigma);
    }
    return true;
  }

  template <class Curve>
  bool add_knots(std::span<const std::uint32_t> cells, Curve& curve) {
    const bool lower = plan_.range.side == Side::lower;
    const std::size_t n = lower ? find_knots<true>(cells.data()) : find_knots<false>(cells.data());
    if (n == invalid) return false;
    const auto gaps = std::span<const double>(gaps_).first(n);
    const auto passed = std::span<const std::size_t>(passed_).first(n);
    const ConfidenceBand& band = *plan_.band;
    if (band.positions().size() == band.n_draws()) {  // level k is that of the knot after k draws
      curve.add(gaps, band.levels(), passed, z_);
    } else {
      for (std::size_t i = 0; i < n; ++i) z_[i] = band.quantile(band.n_draws() - passed[i]);
      curve.add(gaps, KnotLevels(std::span(z_).first(n)));
    }
    return true;
  }

  // Finds the edges at which the level changes: the number of draws before each, and its distance
  // from the edge found before. The upper side is the lower side of the reflected scores, so it
  // takes cells and edges from the other end. The code has no branch on whether an edge counts,
  // because about half of them do, at random.
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
      // If there are none, as many draws reach the next edge, which lies further on.
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
  KnotSum sum_;
  std::vector<double> gaps_, z_;
  std::vector<std::size_t> passed_;  // draws before the knot
};

Failure check(const ScoreCounts& sketch, const Options& o, const Certificates& out) noexcept {
  const auto refused = [](Error error, const char* need, double got) {
    return Failure{error, 0, 0, need, got};
  };
  if (const Failure failure = detail::check(o, sketch.n_draws)) return failure;
  if (const Failure failure = check_counts(sketch, o.a, o.b)) return failure;
  if (o.bound != Bound::cdf) return refused(Error::bad_option, "bound must be cdf", 0.0);
  if (!holds(out.bounds.size(), sketch.n_inputs, o.radii.size())) {
    return refused(Error::bad_output, "bounds must hold n_inputs * n_radii numbers",
                   static_cast<double>(out.bounds.size()));
  }
  if (!holds(out.radius.size(), sketch.n_inputs, o.thresholds.size())) {
    return refused(Error::bad_output, "radius must hold n_inputs * n_thresholds numbers",
                   static_cast<double>(out.radius.size()));
  }
  return {};
}

}  // namespace

Failure detail::check_counts(const ScoreCounts& sketch, double a, double b) noexcept {
  const auto refused = [](const char* need, double got) {
    return Failure{Error::bad_option, 0, 0, need, got};
  };
  if (!valid_edges(sketch.edges)) {
    return refused("edges must be 2 to 2^20 + 1 ascending numbers",
                   static_cast<double>(sketch.edges.size()));
  }
  if (a != sketch.edges.front()) return refused("a must be an edge", a);
  if (b != sketch.edges.back()) return refused("b must be an edge", b);
  const std::size_t n_cells = 2 * sketch.edges.size() - 1;
  if (sketch.counts.size() / n_cells != sketch.n_inputs || sketch.counts.size() % n_cells != 0) {
    return refused("counts must hold n_inputs * (2 n_edges - 1) numbers",
                   static_cast<double>(sketch.counts.size()));
  }
  return {};
}

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
