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

// One comparison after another.
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

}  // namespace

int main() {
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

  // A bad score leaves all counts as they were, whatever the number of threads.
  const std::vector<double> edges = equal_edges(0.0, 1.0, 4096);
  const ScoreCounter counter(edges);
  constexpr std::size_t m = 5000;
  std::vector<float> scores(7 * m, 0.3f);
  const Scores<float> view{scores.data(), 7, m, m * sizeof(float), sizeof(float)};
  const std::vector<std::uint32_t> before(7 * counter.n_cells(), 5);
  std::vector<std::uint32_t> counts = before;
  for (const float bad : {std::nanf(""), -1e-9f, 1.0000001f}) {
    scores[2 * m + 4999] = scores[5 * m] = bad;
    for (const int threads : {1, 3}) {
      const Failure failure = counter.count(view, counts, threads);
      CHECK(failure.error == Error::bad_score && failure.input == 2);
      CHECK(counts == before);
    }
  }
  CHECK(counter.count(view, std::span(counts).first(3)).error == Error::bad_output);
  CHECK(counter.count(view, counts, 0).error == Error::bad_option);

  // The certificate of the counts: below that of the scores, by a bin at most.
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(0.25f, 1.0f);
  for (float& x : scores) x = uniform(random);
  counts.assign(counts.size(), 0);
  CHECK(!counter.count(view, counts));
  const std::vector<double> radii = {0.0, 0.25, 1.0}, thresholds = {0.4};
  Options options;
  options.sigma = 0.5;
  options.radii = radii;
  std::vector<double> exact(21), bounds(21), radius(7), one;
  for (const Side side : {Side::lower, Side::upper}) {
    options.side = side;
    const bool lower = side == Side::lower;
    options.thresholds = std::span(thresholds).first(lower ? 1 : 0);
    const std::span<double> found = std::span(radius).first(lower ? 7 : 0);
    CHECK(!certify(view, options, {exact, found}));
    CHECK(!certify(ScoreCounts{edges, counts, 7, m}, options, {bounds, found}));
    for (std::size_t i = 0; i < 21; ++i) {
      const double loss = lower ? exact[i] - bounds[i] : bounds[i] - exact[i];
      CHECK(loss >= -1e-14 && loss <= 1.0 / 4096);
    }
    one = bounds;
    options.threads = 3;
    CHECK(!certify(ScoreCounts{edges, counts, 7, m}, options, {bounds, found}));
    CHECK(one == bounds);
    options.threads = 1;
  }

  options.side = Side::lower;
  const auto refused = [&](const ScoreCounts& sketch, const Options& o) {
    return certify(sketch, o, {bounds, {}}).error == Error::bad_option;
  };
  options.thresholds = {};
  CHECK(!refused({edges, counts, 7, m}, options));
  CHECK(refused({edges, counts, 7, 0}, options));
  CHECK(refused({edges, counts, 7, m - 1}, options));
  CHECK(refused({edges, counts, 7, m + 1}, options));
  counts[8192] += 1;  // beyond the draw with which all were there
  CHECK(refused({edges, counts, 7, m}, options));
  counts[8192] -= 1;
  CHECK(refused({edges, std::span(counts).first(9), 7, m}, options));

  // A band that was prepared for few knots gives the same bits as one for all.
  options.band = BandKind::dkw;
  for (const Side side : {Side::lower, Side::upper}) {
    options.side = side;
    options.prepared = nullptr;
    CHECK(!certify(ScoreCounts{edges, counts, 7, m}, options, {bounds, {}}));
    const ConfidenceBand few(BandKind::dkw, m, options.alpha, 1);
    options.prepared = &few;
    CHECK(!certify(ScoreCounts{edges, counts, 7, m}, options, {exact, {}}));
    CHECK(exact == bounds);
  }
  options.side = Side::lower;
  options.prepared = nullptr;
  Options wrong = options;
  wrong.b = 2.0;
  CHECK(refused({edges, counts, 7, m}, wrong));
  wrong = options;
  wrong.bound = Bound::mean;
  CHECK(refused({edges, counts, 7, m}, wrong));
  return report();
}
