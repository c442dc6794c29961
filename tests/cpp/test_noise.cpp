#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "check.h"
#include "smoothbound/detail/philox.hpp"
#include "smoothbound/noise.hpp"

using namespace smoothbound;
using namespace smoothbound::detail;

namespace {

constexpr bool equal(const PhiloxBlock& a, const PhiloxBlock& b) {
  for (int j = 0; j < 4; ++j) {
    if (a.word[j] != b.word[j]) return false;
  }
  return true;
}

// The known answers that Random123 publishes.
static_assert(equal(philox({{0, 0, 0, 0}}, 0), {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
static_assert(equal(philox({{~0u, ~0u, ~0u, ~0u}}, ~std::uint64_t{0}),
                    {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
static_assert(equal(philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822),
                    {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));

// The rows of a batch, with the numbers that determine each.
struct Batch {
  std::vector<std::int64_t> points{1, 0, 1}, indices{0, 7, 0x7fffffff}, draws{0, 0xffffffff, 3},
      streams{0, 1, 1};
  NoiseRows rows() const { return {points, indices, draws, streams}; }
  NoiseRows row(std::size_t i) const {
    const auto one = [i](const std::vector<std::int64_t>& x) {
      return std::span<const std::int64_t>(x).subspan(i, 1);
    };
    return {one(points), one(indices), one(draws), one(streams)};
  }
};

// Element by element, with three thresholds: |K| <= 1 wholly by the leading bits.
const std::vector<std::int32_t> high{100, 20000, 20000};
const std::vector<std::uint64_t> low{0, std::uint64_t{1} << 62, std::uint64_t{3} << 62};

int slow_step(std::uint64_t seed, std::size_t size, std::size_t e, const Batch& batch,
              std::size_t row) {
  const auto draw = static_cast<std::uint32_t>(batch.draws[row]);
  const auto index = static_cast<std::uint32_t>(batch.indices[row]);
  const auto stream = static_cast<std::uint32_t>(batch.streams[row]);
  const std::size_t blocks = (size + 7) / 8;
  const std::size_t part = e / blocks;
  const auto block = static_cast<std::uint32_t>(e % blocks);
  const std::uint32_t word = philox({{block, draw, index, stream}}, seed).word[part / 2];
  const std::uint32_t digit = word >> 16 * (part % 2) & 0xffffu;
  const PhiloxBlock further =
      philox({{static_cast<std::uint32_t>(e), draw, index, stream | 1u << 31}}, seed);
  const std::uint64_t rest = further.word[0] | static_cast<std::uint64_t>(further.word[1]) << 32;
  const auto leading = static_cast<std::int32_t>(digit & 0x7fffu);
  int k = 0;
  for (std::size_t t = 0; t < high.size(); ++t) {
    k += leading > high[t] || (leading == high[t] && rest >= low[t]) ? 1 : 0;
  }
  return digit >> 15 != 0 ? -k : k;
}

template <class T>
void check_lattice(std::size_t size) {
  const LatticeNoise noise(high, low, 510);
  const Batch batch;
  const std::uint64_t seed = 0xfedcba9876543210;
  std::vector<std::int32_t> points(2 * size);
  for (std::size_t i = 0; i < points.size(); ++i) points[i] = static_cast<std::int32_t>(i % 256);
  std::vector<T> out(3 * size), again(3 * size), one(size);
  const Points<std::int32_t> view{points.data(), 2, size};
  CHECK(!noise.add<T>(view, batch.rows(), seed, out));
  CHECK(!noise.add<T>(view, batch.rows(), seed, again, 3));
  CHECK(out == again);
  for (std::size_t row = 0; row < 3; ++row) {
    CHECK(!noise.add<T>(view, batch.row(row), seed, one));
    for (std::size_t e = 0; e < size; ++e) {
      const std::int32_t point = points[static_cast<std::size_t>(batch.points[row]) * size + e];
      const T expected =
          static_cast<T>(point + slow_step(seed, size, e, batch, row)) / static_cast<T>(510);
      CHECK(out[row * size + e] == expected);
      CHECK(one[e] == expected);
    }
  }
}

template <class T>
void check_gaussian(std::size_t size) {
  const Batch batch;
  std::vector<T> points(2 * size, T{3}), out(3 * size), again(3 * size), one(size);
  const Points<T> view{points.data(), 2, size};
  CHECK(!add_gaussian<T>(view, batch.rows(), 0.5, 9, out));
  CHECK(!add_gaussian<T>(view, batch.rows(), 0.5, 9, again, 3));
  CHECK(out == again);
  CHECK(!add_gaussian<T>(view, batch.row(1), 0.5, 9, one));
  CHECK(std::equal(one.begin(), one.end(), out.begin() + static_cast<std::ptrdiff_t>(size)));
  double mean = 0.0, square = 0.0;
  for (const T x : out) {
    const double z = (static_cast<double>(x) - 3.0) / 0.5;
    CHECK(std::fabs(z) < 6.7);
    mean += z / static_cast<double>(out.size());
    square += z * z / static_cast<double>(out.size());
  }
  const double n = static_cast<double>(out.size());
  CHECK(std::fabs(mean) < 5.0 / std::sqrt(n));
  CHECK(std::fabs(square - 1.0) < 7.0 * std::sqrt(2.0 / n) + 10.0 / n);
}

}  // namespace

CASE("what is refused") {
  const LatticeNoise noise(high, low, 255);
  const std::vector<std::int32_t> points(20);
  std::vector<float> out(30);
  const auto refused = [&](const Batch& batch, std::size_t size = 10, int threads = 1) {
    return noise.add<float>({points.data(), 2, size}, batch.rows(), 0, out, threads).error;
  };
  CHECK(refused({}) == Error::none);
  CHECK(refused({}, 9) == Error::bad_output);
  CHECK(refused({}, 0) == Error::bad_output);
  CHECK(refused({}, 10, 0) == Error::bad_option);
  for (const std::int64_t wrong : {std::int64_t{-1}, std::int64_t{1} << 32}) {
    for (std::vector<std::int64_t> Batch::* part :
         {&Batch::points, &Batch::indices, &Batch::draws, &Batch::streams}) {
      Batch batch;
      (batch.*part)[2] = wrong;
      CHECK(refused(batch) == Error::bad_option);
    }
  }
  Batch batch;
  batch.points[0] = 2;
  CHECK(refused(batch) == Error::bad_option);
  batch = {};
  batch.streams.pop_back();
  CHECK(refused(batch) == Error::bad_option);
}

CASE("a lattice has fewer than 2^24 thresholds") {
  std::vector<std::int32_t> leading(LatticeNoise::max_thresholds + 1, 7);
  std::vector<std::uint64_t> rest(leading.size(), 0);
  const std::vector<std::int32_t> points(20);
  std::vector<float> out(30);
  const Batch batch;
  const auto added = [&] {
    const LatticeNoise noise(leading, rest, 255);
    return noise.add<float>({points.data(), 2, 10}, batch.rows(), 0, out);
  };
  const Failure failure = added();
  CHECK(failure.error == Error::bad_option);
  CHECK(failure.got == 16777216.0);
  leading.pop_back();
  rest.pop_back();
  CHECK(!added());
}

CASE("noise is that of its definition, element by element") {
  for (const std::size_t size : {1, 7, 8, 9, 1000, 8193, 20000}) {
    check_lattice<float>(size);
    check_lattice<double>(size);
    check_gaussian<float>(size);
    check_gaussian<double>(size);
  }
}

int main() { return run_cases(); }
