#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "smoothbound/gaussian.hpp"
#include "smoothbound/levels.hpp"

using namespace smoothbound;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t n_draws = 200;

// Two rows in steps of 1/8, with ties and infinities; the second is all ones.
template <class T>
std::vector<T> awkward_rows() {
  std::mt19937_64 random(7);
  std::vector<T> rows(2 * n_draws, T(1));
  for (std::size_t i = 0; i < n_draws; ++i) {
    rows[i] = static_cast<T>(static_cast<double>(random() % 17) / 8.0 - 1.0);
  }
  rows[3] = static_cast<T>(infinity);
  rows[5] = static_cast<T>(-infinity);
  return rows;
}

template <class T>
Scores<T> scores_of(const std::vector<T>& rows) {
  return {rows.data(), 2, n_draws, static_cast<std::ptrdiff_t>(n_draws * sizeof(T)), sizeof(T)};
}

LevelOptions usual() {
  LevelOptions options;
  options.sigma = 0.5;
  options.alpha = 0.01;
  return options;
}

struct Results {
  std::vector<double> bounds, radius;
  Failure failure;
};

template <class Source>
Results certify(const Source& source, const LevelOptions& o) {
  Results made{std::vector<double>(source.n_inputs * o.levels.size() * o.radii.size()),
               std::vector<double>(source.n_inputs * o.levels.size() * o.thresholds.size()),
               {}};
  made.failure = certify_levels(source, o, {made.bounds, made.radius});
  return made;
}

template <class T>
void check_probabilities() {
  const std::vector<T> rows = awkward_rows<T>();
  const std::vector<double> levels{-1.0, 0.0625, 0.125, 5.0}, radii{0.0, 0.25}, cuts{0.25};
  LevelOptions o = usual();
  o.levels = levels;
  o.radii = radii;
  o.thresholds = cuts;
  const Results lower = certify(scores_of(rows), o);
  CHECK(!lower.failure);
  o.side = Side::upper;
  o.thresholds = {};
  const Results upper = certify(scores_of(rows), o);
  CHECK(!upper.failure);
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t j = 0; j < levels.size(); ++j) {
      const auto* row = rows.data() + i * n_draws;
      const auto reach = static_cast<std::size_t>(std::count_if(
          row, row + n_draws, [&](T x) { return static_cast<double>(x) >= levels[j]; }));
      const double z = binomial_quantile(reach, n_draws, o.alpha);
      const double miss = binomial_quantile(n_draws - reach, n_draws, o.alpha);
      for (std::size_t m = 0; m < radii.size(); ++m) {
        const double r = radii[m] / o.sigma;
        const std::size_t at = (i * levels.size() + j) * radii.size() + m;
        const double low = gaussian::cdf(z - r);
        const double high = gaussian::cdf(r - miss);
        CHECK(lower.bounds[at] <= low && lower.bounds[at] >= low * (1 - 1e-12) - 1e-300);
        CHECK(upper.bounds[at] >= high && upper.bounds[at] <= high * (1 + 1e-12));
      }
      const double r = z - gaussian::quantile(cuts[0]);
      const double radius = lower.radius[i * levels.size() + j];
      CHECK(r >= 0 ? radius <= r * o.sigma && radius > r * o.sigma - 1e-12 : std::isnan(radius));
    }
  }
}

template <class T>
void check_quantiles() {
  const std::vector<T> rows = awkward_rows<T>();
  const std::vector<double> levels{0.001, 0.25, 0.5}, radii{0.0, 0.1, 3.0};
  for (const Side side : {Side::lower, Side::upper}) {
    LevelOptions o = usual();
    o.statistic = Statistic::quantile;
    o.side = side;
    o.levels = levels;
    o.radii = radii;
    const Results made = certify(scores_of(rows), o);
    CHECK(!made.failure);
    const double sign = side == Side::lower ? 1.0 : -1.0;
    for (std::size_t i = 0; i < 2; ++i) {
      std::vector<double> row(n_draws);
      for (std::size_t k = 0; k < n_draws; ++k) {
        row[k] = sign * static_cast<double>(rows[i * n_draws + k]);
      }
      std::sort(row.begin(), row.end(), std::greater<>());
      for (std::size_t j = 0; j < levels.size(); ++j) {
        for (std::size_t m = 0; m < radii.size(); ++m) {
          const double goal = -sign * gaussian::quantile(levels[j]) + radii[m] / o.sigma;
          std::size_t k = 1;
          while (k <= n_draws && !(binomial_quantile(k, n_draws, o.alpha) > goal)) ++k;
          const double expected = k <= n_draws ? sign * row[k - 1] : -sign * infinity;
          CHECK(made.bounds[(i * levels.size() + j) * radii.size() + m] == expected);
        }
      }
    }
  }
}

CASE("probabilities follow from counts") {
  check_probabilities<float>();
  check_probabilities<double>();
}

CASE("quantiles are draws of the least rank that suffices") {
  check_quantiles<float>();
  check_quantiles<double>();
}

// The bounds of other noises are psi of the bound of Clopper and Pearson, and the ranks are the
// least with psi above the goal.
CASE("other noises enter through their curve") {
  const std::vector<double> at{0.5, 1.0}, grid{0.0, 0.5, 0.9, 1.0};
  const std::vector<double> values{0.0, 0.3, 0.7, 0.9, 0.0, 0.1, 0.5, 0.7};
  const std::vector<double> rows = awkward_rows<double>(), tau{-1.0, 0.125}, q{0.25, 0.5};
  const std::vector<double> radii{0.0, 0.5, 1.0}, cuts{0.25};
  for (const NoiseCurve& curve :
       {NoiseCurve{CurveKind::l1_uniform}, NoiseCurve{CurveKind::l1_laplace},
        NoiseCurve{CurveKind::ablation, 50, 3},
        NoiseCurve{CurveKind::table, 0, 0, at, grid, values}}) {
    LevelOptions o = usual();
    o.sigma = 1.0;
    o.curve = curve;
    o.levels = tau;
    o.radii = radii;
    o.thresholds = cuts;
    const auto psi = [&](std::size_t k, double r) {
      const double p = gaussian::cdf(binomial_quantile(k, n_draws, o.alpha));
      return curve(p, 1.0 - p, r);
    };
    const Results lower = certify(scores_of(rows), o);
    CHECK(!lower.failure);
    for (std::size_t j = 0; j < tau.size(); ++j) {
      const auto reach = static_cast<std::size_t>(
          std::count_if(rows.data(), rows.data() + n_draws, [&](double x) { return x >= tau[j]; }));
      for (std::size_t m = 0; m < radii.size(); ++m) {
        CHECK(std::fabs(lower.bounds[j * radii.size() + m] - psi(reach, radii[m])) < 1e-10);
      }
      const double r = lower.radius[j];
      CHECK(std::isnan(r) ? psi(reach, 0.0) <= 0.25 : psi(reach, r) > 0.25 - 1e-10);
    }
    o.statistic = Statistic::quantile;
    o.levels = q;
    o.thresholds = {};
    std::vector<double> row(rows.begin(), rows.begin() + n_draws);
    std::sort(row.begin(), row.end(), std::greater<>());
    const Results made = certify(scores_of(rows), o);
    for (std::size_t j = 0; j < q.size(); ++j) {
      for (std::size_t m = 0; m < radii.size(); ++m) {
        std::size_t k = 1;
        while (k <= n_draws && !(psi(k, radii[m]) > 1.0 - q[j])) ++k;
        CHECK(made.bounds[j * radii.size() + m] == (k <= n_draws ? row[k - 1] : -infinity));
      }
    }
  }
}

CASE("the level of a count grows with it, and with alpha") {
  for (const double alpha : {1e-302, 1e-9, 0.5, 0.9}) {
    for (std::size_t k = 0; k < n_draws; ++k) {
      const double z = binomial_quantile(k, n_draws, alpha);
      CHECK(z < binomial_quantile(k + 1, n_draws, alpha));
      CHECK(k == 0 || z <= binomial_quantile(k, n_draws, std::min(2 * alpha, 0.95)));
    }
  }
  CHECK(binomial_quantile(1, 0xffffffffu, 1e-302) < -37.7);  // of a subnormal probability
  CHECK(std::isfinite(binomial_quantile(0xffffffffu, 0xffffffffu, 1e-302)));
}

CASE("counts give what scores give, at edges") {
  std::vector<double> rows = awkward_rows<double>();
  rows[3] = 1.0;
  rows[5] = -1.0;
  std::vector<double> edges;
  for (int j = -8; j <= 8; ++j) edges.push_back(j / 8.0);
  const ScoreCounter counter(edges);
  std::vector<std::uint32_t> counts(2 * counter.n_cells(), 0);
  CHECK(!counter.count(scores_of(rows), counts));
  const ScoreCounts sketch{edges, counts, 2, n_draws};
  const std::vector<double> tau{-1.0, 0.125, 1.0}, q{0.1, 0.5, 0.9}, radii{0.0, 0.2}, cut{0.25};
  for (const Statistic statistic : {Statistic::probability, Statistic::quantile}) {
    for (const Side side : {Side::lower, Side::upper}) {
      LevelOptions o = usual();
      o.a = -1.0;
      o.b = 1.0;
      o.statistic = statistic;
      o.side = side;
      o.levels = statistic == Statistic::probability ? tau : q;
      o.radii = radii;
      if (side == Side::lower) o.thresholds = cut;
      const Results exact = certify(scores_of(rows), o);
      const Results counted = certify(sketch, o);
      CHECK(!exact.failure && !counted.failure);
      CHECK(exact.bounds == counted.bounds);
      for (std::size_t k = 0; k < exact.radius.size(); ++k) {
        CHECK(exact.radius[k] == counted.radius[k] || std::isnan(exact.radius[k]));
      }
    }
  }
}

CASE("bad options, outputs and scores are refused") {
  const std::vector<double> rows = awkward_rows<double>(), levels{0.5}, radii{0.0};
  const auto refused = [&](const auto& change) {
    LevelOptions o = usual();
    o.levels = levels;
    o.radii = radii;
    change(o);
    return certify(scores_of(rows), o).failure.error;
  };
  const std::vector<double> zero{0.0}, one{1.0}, nan{std::nan("")}, negative{-1.0};
  CHECK(refused([](LevelOptions&) {}) == Error::none);
  CHECK(refused([](LevelOptions& o) { o.sigma = 0.0; }) == Error::bad_option);
  CHECK(refused([](LevelOptions& o) { o.alpha = 1.0; }) == Error::bad_option);
  CHECK(refused([](LevelOptions& o) { o.a = infinity; }) == Error::bad_option);
  CHECK(refused([](LevelOptions& o) { o.threads = 0; }) == Error::bad_option);
  CHECK(refused([&](LevelOptions& o) { o.radii = negative; }) == Error::bad_option);
  CHECK(refused([&](LevelOptions& o) { o.levels = nan; }) == Error::bad_option);
  CHECK(refused([&](LevelOptions& o) { o.thresholds = one; }) == Error::bad_option);
  CHECK(refused([&](LevelOptions& o) {
          o.statistic = Statistic::quantile;
          o.levels = zero;
        }) == Error::bad_option);
  CHECK(refused([&](LevelOptions& o) {
          o.side = Side::upper;
          o.thresholds = levels;
        }) == Error::bad_option);
  CHECK(refused([](LevelOptions& o) { o.b = 0.5; }) == Error::bad_score);
  CHECK(refused([](LevelOptions& o) { o.curve = {CurveKind::ablation, 5, 2}; }) ==
        Error::bad_option);  // sigma is not 1
  CHECK(refused([](LevelOptions& o) {
          o.sigma = 1.0;
          o.curve = {CurveKind::ablation, 5, 6};
        }) == Error::bad_option);
  CHECK(refused([](LevelOptions& o) {
          o.sigma = 1.0;
          o.curve = {CurveKind::table};
        }) == Error::bad_option);
  LevelOptions o = usual();
  o.levels = levels;
  o.radii = radii;
  std::vector<double> bounds(1);
  CHECK(certify_levels(scores_of(rows), o, {bounds, {}}).error == Error::bad_output);
  o.cancel = {[](void*) { return 1; }, nullptr};
  CHECK(certify(scores_of(rows), o).failure.error == Error::cancelled);
}

}  // namespace

int main() { return run_cases(); }
