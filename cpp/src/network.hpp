// Sorts several short rows at once, one in each lane of a vector, by a bitonic network (Batcher
// 1968) in which every comparison puts the smaller key first. What is compared does not depend on
// the keys, so nothing is mispredicted. Included by kernels.cpp, once per tier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__has_builtin) && !defined(SMOOTHBOUND_PORTABLE)
#if __has_builtin(__builtin_shufflevector)
#define SMOOTHBOUND_HAS_NETWORK
#endif
#endif

#if defined(SMOOTHBOUND_HAS_NETWORK)

namespace smoothbound {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

#if defined(__AVX512F__)
constexpr std::size_t network_lanes = 16;
#else
constexpr std::size_t network_lanes = 8;
#endif

using Lanes [[gnu::vector_size(4 * network_lanes), gnu::may_alias]] = std::int32_t;
using Eight [[gnu::vector_size(32)]] = std::int32_t;

SMOOTHBOUND_INLINE void order(Lanes& low, Lanes& high) {
  const Lanes x = low;
  const Lanes y = high;
  low = x < y ? x : y;
  high = x < y ? y : x;
}

// The steps at distances 2^(steps-1) gap, ..., 2 gap, gap, of the keys at x, x + gap, ...
template <int steps>
SMOOTHBOUND_INLINE void clean(Lanes* x, std::size_t gap) {
  constexpr int n = 1 << steps;
  Lanes v[n];
#pragma GCC unroll 8
  for (int j = 0; j < n; ++j) v[j] = x[static_cast<std::size_t>(j) * gap];
#pragma GCC unroll 3
  for (int distance = n / 2; distance > 0; distance /= 2) {
#pragma GCC unroll 8
    for (int j = 0; j < n; ++j) {
      if ((j & distance) == 0) order(v[j], v[j + distance]);
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < n; ++j) x[static_cast<std::size_t>(j) * gap] = v[j];
}

// The steps at `distance`, distance / 2, ... of n keys; there may be greatest keys beyond them.
template <int steps>
void clean_all(Lanes* x, std::size_t n, std::size_t distance) {
  const std::size_t gap = distance >> (steps - 1);
  for (std::size_t begin = 0; begin < n; begin += 2 * distance) {
    const std::size_t end = n - begin < gap ? n : begin + gap;
    for (std::size_t i = begin; i < end; ++i) clean<steps>(x + i, gap);
  }
}

// Eight neighbours: the best network has 19 comparisons (Knuth, TAOCP 3, 5.3.4).
SMOOTHBOUND_INLINE void sort_eight(Lanes* x) {
  constexpr int pairs[19][2] = {{0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6},
                                {3, 7}, {0, 1}, {2, 3}, {4, 5}, {6, 7}, {2, 4}, {3, 5},
                                {1, 4}, {3, 6}, {1, 2}, {3, 4}, {5, 6}};
  Lanes v[8];
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) v[j] = x[j];
#pragma GCC unroll 19
  for (int j = 0; j < 19; ++j) order(v[pairs[j][0]], v[pairs[j][1]]);
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) x[j] = v[j];
}

// The first two steps that merge the sorted halves of a block: each key with its mirror image, then
// at a quarter of the block.
SMOOTHBOUND_INLINE void fold(Lanes* x, std::size_t block) {
  const std::size_t quarter = block / 4;
  for (std::size_t i = 0; i < quarter; ++i) {
    Lanes a = x[i];
    Lanes b = x[i + quarter];
    Lanes c = x[block - 1 - i - quarter];
    Lanes d = x[block - 1 - i];
    order(a, d);
    order(b, c);
    order(a, b);
    order(c, d);
    x[i] = a;
    x[i + quarter] = b;
    x[block - 1 - i - quarter] = c;
    x[block - 1 - i] = d;
  }
}

// Sorts n keys in each lane; up to the next power of two, from 8 on, there are greatest keys.
void sort_lanes(Lanes* x, std::size_t n) {
  for (std::size_t begin = 0; begin < n; begin += 8) sort_eight(x + begin);
  int left = 2;  // how many distances are left after the fold: block / 8, ..., 2, 1
  for (std::size_t block = 16; block / 2 < n; block *= 2, ++left) {
    for (std::size_t begin = 0; begin + block / 2 < n; begin += block) fold(x + begin, block);
    std::size_t distance = block / 8;
    if (left % 3 == 1) clean_all<1>(x, n, distance);
    if (left % 3 == 2) clean_all<2>(x, n, distance);
    for (distance >>= left % 3; distance > 0; distance /= 8) clean_all<3>(x, n, distance);
  }
}

// Exchanges the bit `step` of the index of a vector with that of the index of a lane.
template <int step>
SMOOTHBOUND_INLINE void exchange(Eight (&v)[8]) {
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) {
    if ((j & step) != 0) continue;
    const Eight x = v[j];
    const Eight y = v[j + step];
    if constexpr (step == 1) {
      v[j] = __builtin_shufflevector(x, y, 0, 8, 2, 10, 4, 12, 6, 14);
      v[j + 1] = __builtin_shufflevector(x, y, 1, 9, 3, 11, 5, 13, 7, 15);
    } else if constexpr (step == 2) {
      v[j] = __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13);
      v[j + 2] = __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15);
    } else {
      v[j] = __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11);
      v[j + 4] = __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15);
    }
  }
}

// to(j)[i] = from(i)[j] with the first bit of the key turned over, for i and j below 8.
template <class From, class To>
SMOOTHBOUND_INLINE void transpose(const From& from, const To& to) {
  Eight v[8];
#pragma GCC unroll 8
  for (std::size_t j = 0; j < 8; ++j) std::memcpy(&v[j], from(j), sizeof(Eight));
  exchange<1>(v);
  exchange<2>(v);
  exchange<4>(v);
#pragma GCC unroll 8
  for (std::size_t j = 0; j < 8; ++j) {
    const Eight turned = v[j] ^ INT32_MIN;
    std::memcpy(to(j), &turned, sizeof(Eight));
  }
}

// Keys are unsigned and lanes signed, which is what processors compare.
SMOOTHBOUND_INLINE std::int32_t turned(std::uint32_t key) {
  return static_cast<std::int32_t>(key ^ 0x80000000u);
}

void sort_rows(std::uint32_t* const* rows, std::size_t count, std::size_t n,
               std::int32_t* scratch) {
  const auto source = [&](std::size_t row) { return rows[row < count ? row : 0]; };
  const std::size_t whole = n / 8 * 8;
  for (std::size_t first = 0; first < network_lanes; first += 8) {
    for (std::size_t i = 0; i < whole; i += 8) {
      transpose([&](std::size_t j) { return source(first + j) + i; },
                [&](std::size_t j) { return scratch + (i + j) * network_lanes + first; });
    }
  }
  std::size_t size = 8;
  while (size < n) size *= 2;
  for (std::size_t i = whole; i < size; ++i) {
    for (std::size_t row = 0; row < network_lanes; ++row) {
      scratch[i * network_lanes + row] = i < n ? turned(source(row)[i]) : INT32_MAX;
    }
  }
  sort_lanes(reinterpret_cast<Lanes*>(scratch), n);
  std::uint32_t spare[8];
  for (std::size_t first = 0; first < count; first += 8) {
    for (std::size_t i = 0; i < whole; i += 8) {
      transpose([&](std::size_t j) { return scratch + (i + j) * network_lanes + first; },
                [&](std::size_t j) { return first + j < count ? rows[first + j] + i : spare; });
    }
  }
  for (std::size_t row = 0; row < count; ++row) {
    for (std::size_t i = whole; i < n; ++i) {
      rows[row][i] = static_cast<std::uint32_t>(scratch[i * network_lanes + row]) ^ 0x80000000u;
    }
  }
}

}  // namespace
}  // namespace smoothbound

#endif
