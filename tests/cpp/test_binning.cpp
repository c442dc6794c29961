#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "check.h"
#include "smoothbound/binning.hpp"

using namespace smoothbound;

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

void check_positions(std::size_t m, std::size_t n) {
  const std::vector<std::size_t> positions = equal_count_positions(m, n);
  const std::size_t expected = n == 0 ? m : std::min(n, m);
  CHECK(positions.size() == expected);
  for (std::size_t i = 0; i < positions.size(); ++i) CHECK(positions[i] == i * m / expected);
}

}  // namespace

int main() {
  for (const std::size_t m :
       {1u, 2u, 63u, 64u, 65u, 200u, 300u, 1000u, 5000u, 65535u, 65536u, 100000u}) {
    check_sort<float>(m, static_cast<unsigned>(m));
    check_sort<double>(m, static_cast<unsigned>(m));
  }
  for (std::size_t m = 1; m < 30; ++m) {
    for (std::size_t n = 0; n < 35; ++n) check_positions(m, n);
  }
  check_positions(100000, 10000);

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

  // All 16-bit floats of [0, 1] sort like their values.
  std::vector<half> halves;
  for (int bits = 0x3c00; bits >= 0; --bits) halves.push_back(half(bits));
  Sorter<half> sort;
  CHECK(sort(Row<half>{halves.data(), halves.size(), 2}, 0.0, 1.0));
  const std::vector<double> ordered = sorted(sort, halves.size());
  CHECK(std::is_sorted(ordered.begin(), ordered.end()) && ordered.back() == 1.0);
  return report();
}
