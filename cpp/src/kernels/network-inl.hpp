// Sorts several short rows at once, one in each lane of a vector, by a bitonic network (Batcher
// 1968) in which every comparison puts the smaller score first. The comparisons do not depend on
// the scores, so no branch is mispredicted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"

#if defined(__has_builtin) && !defined(SMOOTHBOUND_PORTABLE)
#if __has_builtin(__builtin_shufflevector)
#define SMOOTHBOUND_HAS_NETWORK
#endif
#endif

#if defined(SMOOTHBOUND_HAS_NETWORK)

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

// The bytes of a vector register.
#if defined(__AVX512F__)
constexpr std::size_t vector_bytes = 64;
#elif defined(__AVX__)
constexpr std::size_t vector_bytes = 32;
#else
constexpr std::size_t vector_bytes = 16;
#endif

constexpr std::size_t network_lanes = vector_bytes < 32 ? 8 : vector_bytes / 4;

struct [[gnu::may_alias]] Lanes {
  using Part [[gnu::vector_size(vector_bytes)]] = float;
  Part part[4 * network_lanes / vector_bytes];
};
using Eight [[gnu::vector_size(32)]] = float;

template <int n>
struct Constant {
  constexpr operator int() const { return n; }  // NOLINT(google-explicit-constructor)
};

// Calls f(0), ..., f(n - 1) with constants. Arrays that f indexes so can stay in registers;
// compilers unroll loops too late for that.
template <int n, class F>
SMOOTHBOUND_INLINE void each(const F& f) {
  if constexpr (n > 0) {
    each<n - 1>(f);
    f(Constant<n - 1>{});
  }
}

// Orders two scores in each lane. Compilers take one instruction for each of the two lines. Of two
// zeros with different signs, or of a number and NaN, one may be kept twice.
SMOOTHBOUND_INLINE void order(Lanes& low, Lanes& high) {
#pragma GCC unroll 2
  for (std::size_t i = 0; i < 4 * network_lanes / vector_bytes; ++i) {
    const Lanes::Part x = low.part[i];
    const Lanes::Part y = high.part[i];
    low.part[i] = x < y ? x : y;
    high.part[i] = x > y ? x : y;
  }
}

// Compares the scores at x, x + gap, ... at the distances 2^(steps-1) gap, ..., 2 gap, gap.
template <int steps>
SMOOTHBOUND_INLINE void clean(Lanes* x, std::size_t gap) {
  constexpr int n = 1 << steps;
  Lanes v[n];
  each<n>([&](auto j) { v[j] = x[j * gap]; });
  each<steps>([&](auto step) {
    constexpr int distance = n / 2 >> step;
    each<n>([&](auto j) {
      if constexpr ((j & distance) == 0) order(v[j], v[j + distance]);
    });
  });
  each<n>([&](auto j) { x[j * gap] = v[j]; });
}

// Compares n scores at `distance`, distance / 2, ..., in `steps` steps. Infinite scores may follow
// them.
template <int steps>
void clean_all(Lanes* x, std::size_t n, std::size_t distance) {
  const std::size_t gap = distance >> (steps - 1);
  for (std::size_t begin = 0; begin < n; begin += 2 * distance) {
    const std::size_t end = n - begin < gap ? n : begin + gap;
    for (std::size_t i = begin; i < end; ++i) clean<steps>(x + i, gap);
  }
}

// Compares n scores at all distances from `distance`, a power of two, down to 1.
void clean_down(Lanes* x, std::size_t n, std::size_t distance) {
  for (; distance >= 4; distance /= 8) clean_all<3>(x, n, distance);
  if (distance == 2) clean_all<2>(x, n, distance);
  if (distance == 1) clean_all<1>(x, n, distance);
}

// Sorts eight neighbours by the best network, which has 19 comparisons (Knuth, TAOCP 3, 5.3.4).
SMOOTHBOUND_INLINE void sort_eight(Lanes* x) {
  constexpr int pairs[19][2] = {{0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6},
                                {3, 7}, {0, 1}, {2, 3}, {4, 5}, {6, 7}, {2, 4}, {3, 5},
                                {1, 4}, {3, 6}, {1, 2}, {3, 4}, {5, 6}};
  Lanes v[8];
  each<8>([&](auto j) { v[j] = x[j]; });
  each<19>([&](auto j) { order(v[pairs[j][0]], v[pairs[j][1]]); });
  each<8>([&](auto j) { x[j] = v[j]; });
}

// Takes the first two steps that merge the sorted halves of a block: it compares each score with
// its mirror image, then with the score a quarter of the block away.
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

// Sorts n scores in each lane, where n <= block and block is a power of two. The scores from n up
// to block are infinite. After the fold, the quarters of a block are independent, so each is
// finished while it lies in the fastest cache.
void sort_lanes(Lanes* x, std::size_t n, std::size_t block) {
  if (block == 8) return sort_eight(x);
  const std::size_t half = block / 2;
  sort_lanes(x, n < half ? n : half, half);
  if (n <= half) return;
  sort_lanes(x + half, n - half, half);
  fold(x, block);
  const std::size_t quarter = block / 4;
  for (std::size_t begin = 0; begin < n; begin += quarter) {
    clean_down(x + begin, n - begin < quarter ? n - begin : quarter, quarter / 2);
  }
}

// Exchanges the bit `step` of the index of a vector with the bit `step` of the index of a lane.
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

// Stores v[i][j] at to(j)[i], for i and j below 8.
template <class To>
SMOOTHBOUND_INLINE void transpose(Eight (&v)[8], const To& to) {
  exchange<1>(v);
  exchange<2>(v);
  exchange<4>(v);
#pragma GCC unroll 8
  for (std::size_t j = 0; j < 8; ++j) __builtin_memcpy(to(j), &v[j], sizeof(Eight));
}

bool sort_rows(const float* const* rows, std::size_t count, std::size_t n, float* sorted) {
  const auto source = [&](std::size_t row) { return rows[row < count ? row : 0]; };
  const std::size_t whole = n / 8 * 8;
  std::int32_t numbers = -1;
  for (std::size_t first = 0; first < network_lanes; first += 8) {
    auto same = Eight{} == Eight{};
    for (std::size_t i = 0; i < whole; i += 8) {
      Eight v[8];
#pragma GCC unroll 8
      for (std::size_t j = 0; j < 8; ++j) {
        __builtin_memcpy(&v[j], source(first + j) + i, sizeof(Eight));
        same &= v[j] == v[j];
      }
      transpose(v, [&](std::size_t j) { return sorted + (i + j) * network_lanes + first; });
    }
    for (std::size_t j = 0; j < 8; ++j) numbers &= same[j];
  }
  const std::size_t room = row_room(n);
  for (std::size_t i = whole; i < room; ++i) {
    for (std::size_t row = 0; row < network_lanes; ++row) {
      float score = __builtin_inff();
      if (i < n) __builtin_memcpy(&score, source(row) + i, sizeof(float));
      sorted[i * network_lanes + row] = score;
      if (score != score) numbers = 0;
    }
  }
  sort_lanes(reinterpret_cast<Lanes*>(sorted), n, room);
  return numbers != 0;
}

void sort_in_place(float* const* rows, std::size_t count, std::size_t n, float* scratch) {
  sort_rows(rows, count, n, scratch);
  float spare[8];
  for (std::size_t first = 0; first < count; first += 8) {
    for (std::size_t i = 0; i < n; i += 8) {
      Eight v[8];
#pragma GCC unroll 8
      for (std::size_t j = 0; j < 8; ++j) {
        __builtin_memcpy(&v[j], scratch + (i + j) * network_lanes + first, sizeof(Eight));
      }
      transpose(v, [&](std::size_t j) { return first + j < count ? rows[first + j] + i : spare; });
    }
  }
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER

#endif
