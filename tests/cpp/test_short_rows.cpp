// Short rows are certified many at a time: results must be bit-identical whichever rows are
// processed together.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "check.h"
#include "smoothbound/certify.hpp"

using namespace smoothbound;

namespace {

struct Results {
  std::vector<double> bounds, radius;
  Failure failure;

  bool operator==(const Results& other) const {
    const auto same = [](const std::vector<double>& x, const std::vector<double>& y) {
      const auto bits = [](double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; };
      return std::equal(x.begin(), x.end(), y.begin(), y.end(), bits);
    };
    return same(bounds, other.bounds) && same(radius, other.radius);
  }
};

template <class T>
Results certified(const Scores<T>& scores, const Options& options) {
  Results results{std::vector<double>(scores.n_inputs * options.radii.size()),
                  std::vector<double>(scores.n_inputs * options.thresholds.size()),
                  {}};
  results.failure = certify(scores, options, {results.bounds, results.radius});
  return results;
}

template <class T>
Results one_by_one(const Scores<T>& scores, const Options& options) {
  Results results;
  for (std::size_t i = 0; i < scores.n_inputs; ++i) {
    const Scores<T> row{scores.row(i).data, 1, scores.n_draws, 0, scores.draw_stride};
    const Results one = certified(row, options);
    results.bounds.insert(results.bounds.end(), one.bounds.begin(), one.bounds.end());
    results.radius.insert(results.radius.end(), one.radius.begin(), one.radius.end());
  }
  return results;
}

// A float or half in [-1, 1]; every third row has many ties, zeros of both signs among them.
template <class T>
T random_score(std::mt19937_64& random, std::size_t row) {
  if constexpr (std::is_same_v<T, half>) {
    const auto bits = static_cast<std::uint16_t>(random() % 0x3c01);
    return half(static_cast<std::uint16_t>(bits | (random() & 0x8000u)));
  } else {
    const int bits = row % 3 == 0 ? 2 : 24;
    const auto whole = static_cast<double>(random() % ((std::uint64_t{1} << bits) + 1));
    const T x = static_cast<T>(std::ldexp(whole, -bits));
    return random() % 2 == 0 ? x : -x;
  }
}

const std::vector<double> radii = {0.0, 0.1, 0.25, 0.7, 2.0, 30.0};
const std::vector<double> thresholds = {-0.9, 0.0, 0.3};

Options options_of(Side side, const ConfidenceBand& band) {
  Options options;
  options.sigma = 0.5;
  options.a = -1.0;
  options.b = 1.0;
  options.side = side;
  options.shared_band = &band;
  options.radii = radii;
  if (side == Side::lower) options.thresholds = thresholds;
  return options;
}

template <class T>
void check_company(std::size_t n_draws, std::size_t n_inputs, std::size_t n_bins) {
  std::mt19937_64 random(n_draws);
  std::vector<T> data(n_inputs * n_draws);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = random_score<T>(random, i / n_draws);
  constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
  const Scores<T> by_rows{data.data(), n_inputs, n_draws,
                          static_cast<std::ptrdiff_t>(n_draws) * size, size};
  const Scores<T> by_columns{data.data(), n_inputs, n_draws, size,
                             static_cast<std::ptrdiff_t>(n_inputs) * size};
  for (const BandKind kind : {BandKind::dkw, BandKind::ell}) {
    const ConfidenceBand band(kind, n_draws, 1e-3, n_bins);
    for (const Side side : {Side::lower, Side::upper}) {
      Options options = options_of(side, band);
      for (const Scores<T>& scores : {by_rows, by_columns}) {
        const Results alone = one_by_one(scores, options);
        for (const int threads : {1, 2}) {
          options.threads = threads;
          CHECK(certified(scores, options) == alone);
        }
        options.threads = 1;
      }
    }
  }
}

// The first bad score of all is found, whatever the rows beside it hold.
void check_bad_scores(std::size_t n_draws) {
  constexpr std::size_t n_inputs = 40;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const ConfidenceBand band(BandKind::dkw, n_draws, 1e-3);
  const Options options = options_of(Side::lower, band);
  for (const float bad : {std::nanf(""), -std::nanf(""), infinity, -infinity, 1.0000001f, -1.5f}) {
    for (std::size_t draw = 0; draw < n_draws; draw += 1 + n_draws / 7) {
      std::vector<float> data(n_inputs * n_draws, 0.5f);
      data[21 * n_draws + draw] = data[30 * n_draws] = bad;
      const Scores<float> scores{data.data(), n_inputs, n_draws,
                                 static_cast<std::ptrdiff_t>(n_draws) * 4, 4};
      const Failure failure = certified(scores, options).failure;
      CHECK(failure.error == Error::bad_score && failure.input == 21 && failure.draw == draw);
    }
  }
}

}  // namespace

CASE("the bits of a row do not depend on the rows beside it") {
  for (std::size_t m = 1; m < 40; ++m) check_company<float>(m, 37, 0);
  for (const std::size_t m : {64u, 127u, 129u, 257u, 1000u, 1025u, 2047u, 2048u, 2049u}) {
    check_company<float>(m, 21, 0);
    check_company<half>(m, 21, 0);
  }
  check_company<float>(1000, 21, 100);
  check_company<float>(1000, 21, 77);
  check_company<half>(300, 35, 10);
  check_company<double>(300, 35, 0);
}

CASE("the first bad score is found") {
  for (const std::size_t m : {1u, 7u, 8u, 100u, 1000u}) check_bad_scores(m);
}

int main() { return run_cases(); }
