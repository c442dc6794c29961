#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "check.h"
#include "smoothbound/detail/curve.hpp"
#include "smoothbound/detail/radius.hpp"
#include "smoothbound/gaussian.hpp"

using namespace smoothbound;
using namespace smoothbound::detail;

namespace {

struct Knots {
  std::vector<double> gaps, z;
};

Knots random_knots(std::size_t n, double lowest, double highest, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> level(lowest, highest), gap(0.0, 2.0 / n);
  Knots knots;
  for (std::size_t i = 0; i < n; ++i) {
    knots.gaps.push_back(gap(random));
    knots.z.push_back(level(random));
  }
  std::sort(knots.z.rbegin(), knots.z.rend());
  return knots;
}

// The sum in long double, term by term.
long double naive(const Knots& knots, double r) {
  long double sum = 0.0L;
  for (std::size_t i = 0; i < knots.gaps.size(); ++i) {
    const long double x = static_cast<long double>(knots.z[i]) - r;
    sum += knots.gaps[i] * 0.5L * std::erfc(-x / std::sqrt(2.0L));
  }
  return sum;
}

void check(const Knots& knots) {
  BoundCurve together, one_by_one;
  together.add(knots.gaps, KnotLevels(knots.z));
  double total = 0.0;
  for (std::size_t i = 0; i < knots.gaps.size(); ++i) {
    one_by_one.add(knots.gaps[i], knots.z[i]);
    total += knots.gaps[i];
  }
  const std::vector<double> radii{0.0, 0.1, 1.0, 3.7, 10.0, 60.0, 1e300};
  const CurveRadii curve_radii(radii);
  for (std::size_t j = 0; j < radii.size(); ++j) {
    const double r = radii[j];
    const long double exact = naive(knots, r);
    CHECK(together.at(curve_radii, j) == together(r));
    CHECK(together(r) <= exact && together(r) >= exact - 2e-14L * total);
    CHECK(std::fabs(one_by_one(r) - together(r)) <= 1e-13 * total);
  }
  for (std::size_t k = 0; k <= BoundCurve::last_eighth; ++k) {
    CHECK(together.at_eighth(k) == together(static_cast<double>(k) / 8));
  }
  BoundCurve again = one_by_one;
  again.clear();
  again.add(knots.gaps, KnotLevels(knots.z));
  CHECK(again(0.3) == together(0.3));
  const double target = 0.5 * together(0.0);
  const double r = certified_radius(together, std::max(total, 1.0), target);
  CHECK(together(r) > target && together(r + 1e-11) <= target);
  CHECK(std::isnan(certified_radius(together, std::max(total, 1.0), together(0.0))));
}

// Adding knots at some of many levels gives the same bits as levels made for these knots alone.
void check_choice(const Knots& knots, std::size_t step) {
  Knots chosen;
  std::vector<std::size_t> at;
  for (std::size_t i = step / 2; i < knots.z.size(); i += step) {
    at.push_back(i);
    chosen.gaps.push_back(knots.gaps[i]);
    chosen.z.push_back(knots.z[i]);
  }
  BoundCurve some, alone;
  std::vector<double> room(at.size());
  some.add(chosen.gaps, KnotLevels(knots.z), at, room);
  alone.add(chosen.gaps, KnotLevels(chosen.z));
  for (const double r : {0.0, 0.1, 1.0, 3.7, 10.0}) CHECK(some(r) == alone(r));
}

}  // namespace

CASE("some of many levels give the same bits as these levels alone") {
  for (const std::size_t step : {1u, 3u, 40u, 2000u}) {
    check_choice(random_knots(1000, -12.0, 12.0, 4), step);
    check_choice(random_knots(1000, 0.9, 1.1, 5), step);
  }
}

CASE("the curve is at most the sum, and close") {
  for (const std::size_t n : {1u, 2u, 5u, 300u, 1000u, 100000u}) {
    check(random_knots(n, -4.0, 4.0, 1));
    check(random_knots(n, -8.9, 8.9, 2));
    check(random_knots(n, 0.9, 1.1, 3));
  }
}

CASE("levels that are not kept are understated: none at all counts for nothing") {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> gaps = {0.25, 0.25, 0.5};
  const std::vector<double> z = {20.0, 0.0, -infinity};
  BoundCurve curve;
  CHECK(curve(0.0) == 0.0);
  curve.add(gaps, KnotLevels(z));
  CHECK(curve(0.0) <= 0.375 && curve(0.0) > 0.375 - 2e-14);
  for (const double r : {20.0, 48.0, 1e10, 1e40, 1e308, infinity}) CHECK(curve(r) == 0.0);
  curve.clear();
  CHECK(curve(0.0) == 0.0);
}

int main() { return run_cases(); }
