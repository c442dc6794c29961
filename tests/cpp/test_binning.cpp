#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>

#include "check.h"
#include "smoothbound/detail/binning.hpp"

using namespace smoothbound;
using namespace smoothbound::detail;

namespace {

template <class T>
std::vector<double> sorted(const Sorter<T>& sort, std::size_t m) {
  std::vector<double> scores(m);
  for (std::size_t i = 0; i < m; ++i) scores[i] = sort[i];
  return scores;
}

template <class T>
void check_sort(std::size_t m, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  std::vector<T> scores(m);
  for (T& x : scores) x = static_cast<T>(uniform(random));
  std::vector<double> expected(scores.begin(), scores.end());
  std::sort(expected.begin(), expected.end());
  Sorter<T> sort;
  const Row<T> row{scores.data(), m, sizeof(T)};
  CHECK(sort(row, -1.0, 1.0));
  CHECK(sorted(sort, m) == expected);
  std::vector<double> part(m - m / 3);
  sort.copy(m / 3, part);
  CHECK(std::equal(part.begin(), part.end(), expected.begin() + m / 3));
  // From the last to the first: a stride may be negative.
  const Row<T> reversed{scores.data() + m - 1, m, -static_cast<std::ptrdiff_t>(sizeof(T))};
  CHECK(sort(reversed, -1.0, 1.0));
  CHECK(sorted(sort, m) == expected);
  for (const double bad :
       {std::nan(""), -std::nan(""), 1.5, -1.5, std::numeric_limits<double>::infinity()}) {
    std::vector<T> spoiled = scores;
    spoiled[m / 2] = static_cast<T>(bad);
    CHECK(!sort(Row<T>{spoiled.data(), m, sizeof(T)}, -1.0, 1.0));
  }
}

// Compares a long row with std::sort, as it is and with a bad score anywhere.
void check_long(std::vector<float> scores, double a, double b) {
  std::vector<double> expected(scores.begin(), scores.end());
  std::sort(expected.begin(), expected.end());
  const std::size_t m = scores.size();
  const Row<float> row{scores.data(), m, sizeof(float)};
  Sorter<float> sort;
  for (int repeat = 0; repeat < 2; ++repeat) {
    CHECK(sort(row, a, b));
    CHECK(sorted(sort, m) == expected);
  }
  std::vector<double> some(3), descending(3);
  const std::vector<std::size_t> positions = {0, m / 3, m - 1};
  sort.pick(positions, false, some);
  sort.pick(positions, true, descending);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(some[i] == expected[positions[i]]);
    CHECK(descending[i] == expected[m - 1 - positions[i]]);
  }
  for (const float bad : {std::nanf(""), -std::nanf(""), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{100}, m / 2, m - 1}) {
      const float good = std::exchange(scores[at], bad);
      CHECK(!sort(row, a, b));
      scores[at] = good;
    }
  }
  CHECK(sort(row, a, b));
  CHECK(sorted(sort, m) == expected);
  // Scores of which not one more is allowed.
  CHECK(sort(row, expected.front(), std::max(expected.back(), std::nextafter(expected[0], b))));
  if (expected.front() < expected.back()) {
    CHECK(!sort(row, std::nextafter(expected.front(), b), b));
    CHECK(!sort(row, a, std::nextafter(expected.back(), a)));
  }
}

// Scores of every kind that buckets may be wrong for.
void check_long_rows(std::size_t m) {
  std::mt19937_64 random(m);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  std::normal_distribution<double> normal;
  const auto check = [&](const auto& draw, double a = 0.0, double b = 1.0) {
    std::vector<float> scores(m);
    for (std::size_t i = 0; i < m; ++i) scores[i] = static_cast<float>(draw(i));
    check_long(std::move(scores), a, b);
  };
  const auto logistic = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  for (const double centre : {0.0, 4.0, 10.0, 15.0, 20.0, -30.0}) {
    check([&](std::size_t) { return logistic(centre + 2.0 * normal(random)); });
  }
  check([&](std::size_t) { return 0.5; });
  check([&](std::size_t) { return std::round(64.0 * uniform(random)) / 64.0; });
  check([&](std::size_t) { return uniform(random) < 0.4 ? 1.0 : uniform(random); });
  check([&](std::size_t) { return uniform(random) < 0.4 ? 0.0 : -0.0; }, -1.0);
  check([&](std::size_t i) { return i == m / 2 ? 0.1 : 0.7 + 1e-5 * uniform(random); });
  check([&](std::size_t) { return uniform(random) < 0.9 ? 0.7 + 1e-5 * uniform(random) : 0.3; });
  check([&](std::size_t i) { return static_cast<double>(i) / static_cast<double>(m); });
  check([&](std::size_t i) { return static_cast<double>(m - i) / static_cast<double>(m); });
  // What any sample of neighbours in steps of a power of two misses.
  check([&](std::size_t i) { return i / 16 % 2 == 0 ? uniform(random) : 1e-3 * uniform(random); });
  check([&](std::size_t i) { return i / 16 % 8 == 0 ? uniform(random) : 1e-3 * uniform(random); });
  check([&](std::size_t) { return std::ldexp(uniform(random), -140); });
  check([&](std::size_t) { return std::ldexp(uniform(random), -140); }, -1e-45, 1e-40);
  check([&](std::size_t) { return std::ldexp(normal(random), 100); }, -1e300, 1e300);
  check([&](std::size_t) { return std::ldexp(2.0 * uniform(random) - 1.0, 127); }, -3e38, 3e38);
  check([&](std::size_t) { return 1e6 + uniform(random); }, 1e6 - 1.0, 1e6 + 1.5);
}

void check_positions(std::size_t m, std::size_t n) {
  const std::vector<std::size_t> positions = equal_count_positions(m, n);
  const std::size_t expected = n == 0 ? m : std::min(n, m);
  CHECK(positions.size() == expected);
  for (std::size_t i = 0; i < positions.size(); ++i) CHECK(positions[i] == i * m / expected);
}

}  // namespace

CASE("rows of every length are sorted, whatever their layout") {
  for (const std::size_t m :
       {1u, 2u, 63u, 64u, 65u, 200u, 300u, 1000u, 5000u, 65535u, 65536u, 100000u}) {
    check_sort<float>(m, static_cast<unsigned>(m));
    check_sort<double>(m, static_cast<unsigned>(m));
  }
  for (const std::size_t m : {32767u, 32768u, 32769u, 100003u, 262144u}) check_long_rows(m);
}

CASE("equal-count positions") {
  for (std::size_t m = 1; m < 30; ++m) {
    for (std::size_t n = 0; n < 35; ++n) check_positions(m, n);
  }
  check_positions(100000, 10000);
}

CASE("the value of every half") {
  CHECK(to_double(half{0x3c00}) == 1.0);
  CHECK(to_double(half{0xb800}) == -0.5);
  CHECK(to_double(half{0x0001}) == std::ldexp(1.0, -24));
  CHECK(to_double(half{0x7bff}) == 65504.0);
  CHECK(to_double(half{0xfc00}) == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(to_double(half{0x7e00})) && std::isnan(to_double(half{0xffff})));
  for (int bits = 0; bits < 0x7c00; ++bits) {
    const int exponent = std::max(bits >> 10, 1);
    const int fraction = bits < 0x400 ? bits : (bits & 0x3ff) | 0x400;
    CHECK(to_double(half(bits)) == std::ldexp(fraction, exponent - 25));
    CHECK(to_double(half(bits | 0x8000)) == -to_double(half(bits)));
  }
}

CASE("all halves of [0, 1] sort like their values") {
  std::vector<half> halves;
  for (int bits = 0x3c00; bits >= 0; --bits) halves.push_back(half(bits));
  Sorter<half> sort;
  CHECK(sort(Row<half>{halves.data(), halves.size(), 2}, 0.0, 1.0));
  const std::vector<double> ordered = sorted(sort, halves.size());
  CHECK(std::is_sorted(ordered.begin(), ordered.end()) && ordered.back() == 1.0);
}

int main() { return run_cases(); }
