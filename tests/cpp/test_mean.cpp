#include <algorithm>
#include <cmath>
#include <random>

#include "check.h"
#include "smoothbound/detail/mean.hpp"
#include "smoothbound/gaussian.hpp"

using namespace smoothbound;
using namespace smoothbound::detail;

namespace {

// An increasing, concave v: its values at the knots, and at x by interpolation in long double.
struct Function {
  std::vector<double> knots, values;

  long double operator()(double x) const {
    const auto next = std::upper_bound(knots.begin() + 1, knots.end() - 1, x);
    const auto i = static_cast<std::size_t>(next - knots.begin()) - 1;
    const long double f = (static_cast<long double>(x) - knots[i]) /
                          (static_cast<long double>(knots[i + 1]) - knots[i]);
    return values[i] + f * (static_cast<long double>(values[i + 1]) - values[i]);
  }
};

Function concave(std::size_t n, std::mt19937_64& random) {
  std::uniform_real_distribution<double> uniform;
  Function v;
  v.knots = {0.0, 1.0};
  while (v.knots.size() < n + 1) v.knots.push_back(std::pow(uniform(random), 3.0));
  std::sort(v.knots.begin(), v.knots.end());
  for (const double x : v.knots) v.values.push_back(std::sqrt(x));
  return v;
}

void check(std::size_t n_draws, std::size_t n_intervals, double power, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  const Function v = concave(n_intervals, random);
  std::vector<double> draws(n_draws);
  for (double& x : draws) x = std::pow(uniform(random), power);
  draws[0] = 0.0;
  draws[n_draws / 2] = 1.0;
  std::sort(draws.begin(), draws.end());
  Tally tally;
  tally.reset(v.knots);
  tally.count(draws);
  CHECK(tally.n_draws() == n_draws);

  long double sum = 0.0L;
  long double squares = 0.0L;
  for (const double x : draws) {
    sum += v(x);
    squares += v(x) * v(x);
  }
  CHECK(std::fabs(tally.sum(v.values) / sum - 1.0L) < tally_error);
  CHECK(std::fabs(tally.sum_of_squares(v.values) / squares - 1.0L) < 2 * tally_error);

  const auto n = static_cast<long double>(n_draws);
  for (const double alpha : {0.5, 1e-3, 1e-300}) {
    const long double spread = (squares - sum * sum / n) / (n - 1.0L);
    const long double evidence = std::log(2.0L / alpha);
    const long double bernstein =
        sum / n - std::sqrt(2.0L * spread * evidence / n) - 7.0L * evidence / (3.0L * (n - 1.0L));
    const double bound = bernstein_lower(tally, v.values, alpha);
    CHECK(bound <= std::max(bernstein, 0.0L));
    CHECK(bound >= bernstein - 1e-6L);

    for (const double stake : {1e-6, 0.1, 1.0, 300.0, 1e9}) {
      std::vector<double> logs;
      for (const double value : v.values) logs.push_back(gaussian::log(1.0 + stake * value));
      const Function log_growth{v.knots, logs};
      long double exact = 0.0L;  // without the chords
      long double with_chords = 0.0L;
      for (const double x : draws) {
        exact += std::log1p(stake * v(x));
        with_chords += log_growth(x);
      }
      CHECK(with_chords <= exact * (1.0L + 1e-10L));
      const long double needed = -std::log(static_cast<long double>(alpha));
      const auto mean = [&](long double total) {
        return std::max(0.0L, std::expm1((total - needed) / n) / stake);
      };
      const double betting = betting_lower(tally, logs, stake, alpha);
      CHECK(betting <= mean(exact));
      CHECK(betting >= mean(with_chords) - 1e-12L * (1.0L + 1.0L / stake));
    }
  }
}

}  // namespace

CASE("sums, and both bounds on a mean") {
  for (const std::size_t draws : {2u, 3u, 100u, 20000u}) {
    check(draws, 1, 1.0, 1);
    check(draws, 7, 1.0, 2);
    check(draws, 300, 0.01, 3);
    check(draws, 300, 20.0, 4);
  }
}

CASE("draws are counted in parts") {
  Tally one;
  const std::vector<double> identity = {0.0, 1.0};
  one.reset(identity);
  CHECK(one.n_draws() == 0);
  one.count(identity);
  one.count(identity);  // two halves
  CHECK(one.n_draws() == 4 && one.sum(identity) == 2.0);
}

int main() { return run_cases(); }
