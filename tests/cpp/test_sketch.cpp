#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "smoothbound/sketch.hpp"

using namespace smoothbound;

namespace {

std::vector<double> equal_edges(double a, double b, std::size_t bins) {
  std::vector<double> edges(bins + 1);
  for (std::size_t j = 0; j <= bins; ++j) {
    edges[j] = a + (b - a) * (static_cast<double>(j) / static_cast<double>(bins));
  }
  edges.back() = b;
  return edges;
}

// Counts by one comparison after another.
template <class T>
std::vector<std::uint32_t> slow_counts(const std::vector<T>& scores,
                                       const std::vector<double>& edges) {
  std::vector<std::uint32_t> counts(2 * edges.size() - 1, 0);
  for (const T score : scores) {
    const double x = to_double(score);
    std::size_t j = 0;
    while (j + 1 < edges.size() && x >= edges[j + 1]) ++j;
    ++counts[x == edges[j] ? 2 * j : 2 * j + 1];
  }
  return counts;
}

template <class T>
Scores<T> one_row(const std::vector<T>& scores) {
  return {scores.data(), 1, scores.size(), static_cast<std::ptrdiff_t>(scores.size() * sizeof(T)),
          sizeof(T)};
}

template <class T>
void check_counts(const std::vector<T>& scores, const std::vector<double>& edges) {
  const ScoreCounter counter(edges);
  std::vector<std::uint32_t> counts(counter.n_cells(), 0);
  CHECK(!counter.count(one_row(scores), counts));
  CHECK(counts == slow_counts(scores, edges));
}

// Scores anywhere, and every edge with its neighbours.
template <class T>
std::vector<T> awkward_scores(const std::vector<double>& edges, std::size_t n) {
  const double a = edges.front();
  const double b = edges.back();
  std::vector<T> scores;
  const auto keep = [&](T x) {
    if (x >= a && x <= b) scores.push_back(x);
  };
  for (const double edge : edges) {
    if (std::fabs(edge) > static_cast<double>(std::numeric_limits<T>::max())) continue;
    const auto x = static_cast<T>(edge);
    keep(x);
    keep(std::nextafter(x, std::numeric_limits<T>::lowest()));
    keep(std::nextafter(x, std::numeric_limits<T>::max()));
  }
  keep(static_cast<T>(1e-30));
  keep(static_cast<T>(-1e-30));
  keep(static_cast<T>(-0.0));
  std::mt19937 random(3);
  std::uniform_real_distribution<double> uniform(a, b);
  for (std::size_t i = scores.size(); i < n; ++i) {
    const double x = uniform(random);
    if (std::fabs(x) <= static_cast<double>(std::numeric_limits<T>::max())) {
      keep(static_cast<T>(x));
    }
  }
  return scores;
}

void check_edges(const std::vector<double>& edges) {
  CHECK(valid_edges(edges));
  for (const std::size_t n : {10, 4096, 4097, 30000}) {
    check_counts(awkward_scores<float>(edges, n), edges);
    check_counts(awkward_scores<double>(edges, n), edges);
  }
  std::vector<half> halves;
  for (unsigned bits = 0; bits < 0x10000u; ++bits) {
    const auto x = static_cast<half>(bits);
    if (to_double(x) >= edges.front() && to_double(x) <= edges.back()) halves.push_back(x);
  }
  if (!halves.empty()) check_counts(halves, edges);
}

// Seven rows of scores, their counts, and options for them.
struct Setting {
  static constexpr std::size_t n_draws = 5000;
  std::vector<double> edges = equal_edges(0.0, 1.0, 4096);
  ScoreCounter counter{edges};
  std::vector<float> scores = std::vector<float>(7 * n_draws);
  Scores<float> view{scores.data(), 7, n_draws, n_draws * sizeof(float), sizeof(float)};
  std::vector<std::uint32_t> counts = std::vector<std::uint32_t>(7 * counter.n_cells());
  ScoreCounts sketch{edges, counts, 7, n_draws};
  std::vector<double> radii = {0.0, 0.25, 1.0}, thresholds = {0.4};
  Options options;
  std::vector<double> bounds = std::vector<double>(21), exact = bounds;

  Setting() {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(0.25f, 1.0f);
    for (float& x : scores) x = uniform(random);
    CHECK(!counter.count(view, counts));
    options.sigma = 0.5;
    options.radii = radii;
  }

  Failure certify(const Options& o) { return smoothbound::certify(sketch, o, {bounds, {}}); }
  bool refuses(const ScoreCounts& other) {
    return smoothbound::certify(other, options, {bounds, {}}).error == Error::bad_option;
  }
};

}  // namespace

CASE("scores are counted exactly, over edges of every kind") {
  check_edges(equal_edges(0.0, 1.0, 4096));
  check_edges(equal_edges(-1.0, 1.0, 4096));
  check_edges(equal_edges(0.0, 1.0, 1000));
  check_edges(equal_edges(-0.3, 7.1, 4096));
  check_edges(equal_edges(1e6, 1e6 + 1.0, 64));  // finer than floats are
  check_edges(equal_edges(-1e308, 7e307, 100));  // beyond floats
  check_edges(equal_edges(0.0, 1e-310, 50));     // subnormal
  check_edges({0.0, 1.0});
  check_edges({0.0, 1e-9, 2e-9, 0.5, 0.5 + 1e-12, 0.999999, 1.0});
  check_edges({-65504.0, -1.0, 0.0, 1e-7, 65504.0});
}

CASE("edges that cannot be are refused") {
  for (const std::vector<double>& wrong :
       std::vector<std::vector<double>>{{},
                                        {0.0},
                                        {0.0, 0.0},
                                        {0.0, 2.0, 1.0},
                                        {0.0, std::nan("")},
                                        {0.0, std::numeric_limits<double>::infinity()},
                                        {-1.7e308, 1.7e308}}) {
    CHECK(!valid_edges(wrong));
  }
}

CASE("a bad score leaves all counts as they were, whatever the number of threads") {
  Setting s;
  const std::vector<std::uint32_t> before = s.counts;
  for (const float bad : {std::nanf(""), -1e-9f, 1.0000001f}) {
    s.scores[2 * s.n_draws + 4999] = s.scores[5 * s.n_draws] = bad;
    for (const int threads : {1, 3}) {
      const Failure failure = s.counter.count(s.view, s.counts, threads);
      CHECK(failure.error == Error::bad_score && failure.input == 2);
      CHECK(s.counts == before);
    }
  }
  CHECK(s.counter.count(s.view, std::span(s.counts).first(3)).error == Error::bad_output);
  CHECK(s.counter.count(s.view, s.counts, 0).error == Error::bad_option);
}

CASE("the certificate of counts is below that of the scores, by an interval at most") {
  Setting s;
  std::vector<double> radius(7);
  for (const Side side : {Side::lower, Side::upper}) {
    const bool lower = side == Side::lower;
    s.options.side = side;
    s.options.thresholds = std::span(s.thresholds).first(lower ? 1 : 0);
    const std::span<double> found = std::span(radius).first(lower ? 7 : 0);
    CHECK(!certify(s.view, s.options, {s.exact, found}));
    CHECK(!certify(s.sketch, s.options, {s.bounds, found}));
    for (std::size_t i = 0; i < 21; ++i) {
      const double loss = lower ? s.exact[i] - s.bounds[i] : s.bounds[i] - s.exact[i];
      CHECK(loss >= -1e-14 && loss <= 1.0 / 4096);
    }
    const std::vector<double> one = s.bounds;
    s.options.threads = 3;
    CHECK(!certify(s.sketch, s.options, {s.bounds, found}));
    CHECK(one == s.bounds);
    s.options.threads = 1;
  }
}

CASE("counts that do not add up, and other options, are refused") {
  Setting s;
  CHECK(!s.refuses(s.sketch));
  for (const std::size_t wrong : {std::size_t{0}, s.n_draws - 1, s.n_draws + 1}) {
    CHECK(s.refuses({s.edges, s.counts, 7, wrong}));
  }
  s.counts[8192] += 1;  // beyond the draw with which all were there
  CHECK(s.refuses(s.sketch));
  s.counts[8192] -= 1;
  CHECK(s.refuses({s.edges, std::span(s.counts).first(9), 7, s.n_draws}));
  Options wrong = s.options;
  wrong.b = 2.0;
  CHECK(s.certify(wrong).error == Error::bad_option);
  wrong = s.options;
  wrong.bound = Bound::mean;
  CHECK(s.certify(wrong).error == Error::bad_option);
}

CASE("a band that was made for few knots gives the same bits as one for all") {
  Setting s;
  s.options.band = BandKind::dkw;
  for (const Side side : {Side::lower, Side::upper}) {
    s.options.side = side;
    s.options.shared_band = nullptr;
    CHECK(!s.certify(s.options));
    const ConfidenceBand few(BandKind::dkw, s.n_draws, s.options.alpha, 1);
    s.options.shared_band = &few;
    CHECK(!certify(s.sketch, s.options, {s.exact, {}}));
    CHECK(s.exact == s.bounds);
  }
}

int main() { return run_cases(); }
