#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "check.h"
#include "smoothbound/certify.hpp"
#include "smoothbound/detail/permute.hpp"

using namespace smoothbound;
using namespace smoothbound::detail;

namespace {

std::vector<int> permuted(int n, std::size_t steps, std::uint64_t seed, std::uint64_t row) {
  std::vector<int> draws(static_cast<std::size_t>(n));
  std::iota(draws.begin(), draws.end(), 0);
  permute(std::span<int>(draws), steps, seed, row);
  return draws;
}

// The words of a row are those of the counter that the header states.
CASE("the random words of a row") {
  constexpr std::uint64_t seed = 0x123456789abcdefu, row = 0xfedcba9876543210u;
  RowWords words(seed, row);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const PhiloxBlock expected = philox({{block, 0x76543210u, 0x80000000u, 0xfedcba98u}}, seed);
    for (const std::uint32_t word : expected.word) CHECK(words() == word);
  }
}

CASE("numbers below n") {
  for (const std::uint32_t n : {1u, 2u, 3u, 7u, 1u << 31, (1u << 31) + 1, 0xffffffffu}) {
    RowWords words(1, n);
    double sum = 0.0;
    for (int i = 0; i < 4000; ++i) {
      const std::uint32_t x = words.below(n);
      CHECK(x < n);
      sum += x;
    }
    const double mean = 0.5 * (n - 1.0);
    const double deviation = 0.2887 * n / 63.2;  // of the mean of 4000
    CHECK(sum / 4000 > mean - 5 * deviation && sum / 4000 < mean + 5 * deviation);
  }
}

CASE("permutations") {
  for (const int n : {1, 2, 17, 1000}) {
    std::vector<int> whole = permuted(n, static_cast<std::size_t>(n), 3, 4);
    const std::size_t part = static_cast<std::size_t>(n) / 2;
    const std::vector<int> begun = permuted(n, part, 3, 4);
    CHECK(std::equal(begun.begin(), begun.begin() + static_cast<std::ptrdiff_t>(part),
                     whole.begin()));
    std::sort(whole.begin(), whole.end());
    for (int i = 0; i < n; ++i) CHECK(whole[static_cast<std::size_t>(i)] == i);
  }
  CHECK(permuted(100, 100, 3, 4) != permuted(100, 100, 3, 5));
  CHECK(permuted(100, 100, 3, 4) != permuted(100, 100, 4, 4));
  CHECK(permuted(100, 100, 3, 4) != permuted(100, 100, 3, 4 + (std::uint64_t{1} << 32)));
}

// With Order::unknown, the order of the values affects a row only through its key.
CASE("certificates depend on order and key as stated") {
  std::vector<float> scores(2 * 500);
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(i % 500) / 500;
  const std::vector<double> radii = {0.0};
  std::vector<double> together(2), alone(1);
  Options options;
  options.sigma = 1.0;
  options.bound = Bound::tangent;
  options.mean = MeanKind::betting;
  options.n_pilot = 50;
  options.radii = radii;
  const Scores<float> all{scores.data(), 2, 500, 500 * sizeof(float), sizeof(float)};
  CHECK(!certify(all, options, {together, {}}));
  CHECK(together[0] != together[1]);  // equal rows, each with a key of its own
  CHECK(together[0] > 0.3 && together[0] < 0.5 && together[1] > 0.3 && together[1] < 0.5);
  Scores<float> second = all;
  second.n_inputs = 1;
  second.first_row = 1;
  CHECK(!certify(second, options, {alone, {}}));
  CHECK(alone[0] == together[1]);
  options.order = Order::drawn;
  CHECK(!certify(all, options, {together, {}}));
  CHECK(together[0] == together[1]);
}

}  // namespace

int main() { return run_cases(); }
