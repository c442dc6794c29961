// Moments and bounds of several sorted rows at once, one in each lane of a vector, as
// network-inl.hpp leaves them. Every sum has the order of additions of curve-inl.hpp, so results
// are bit-identical whichever rows are processed together.
#pragma once

#include "kernels/curve-inl.hpp"
#include "kernels/network-inl.hpp"

#if defined(SMOOTHBOUND_HAS_NETWORK)

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

// The functions below take a part of the lanes at a time, whose doubles fill a register.
constexpr std::size_t wide_lanes = vector_bytes / 8;
using Wide [[gnu::vector_size(8 * wide_lanes)]] = double;

SMOOTHBOUND_INLINE Wide load(const double* x) {
  Wide v;
  __builtin_memcpy(&v, x, sizeof(Wide));
  return v;
}

SMOOTHBOUND_INLINE void store(double* x, const Wide& v) { __builtin_memcpy(x, &v, sizeof(Wide)); }

// Writes the distance of the knot before `begin`, or 0 for the first, and the distances of the
// knots [begin, end), where every draw is a knot.
void lane_distances(const float* sorted, std::size_t n, std::size_t begin, std::size_t end,
                    const Range& range, double* out) {
  const double a = range.a;
  const double b = range.b;
  if (begin == 0) {
    __builtin_memset(out, 0, network_lanes * sizeof(double));
  } else {
    --begin;
    out -= network_lanes;
  }
  for (std::size_t i = begin; i < end; ++i) {
    out += network_lanes;
    if (range.side == Side::lower) {
      const float* score = sorted + i * network_lanes;
#pragma omp simd
      for (std::size_t lane = 0; lane < network_lanes; ++lane) out[lane] = score[lane] - a;
    } else {
      const float* score = sorted + (n - 1 - i) * network_lanes;
#pragma omp simd
      for (std::size_t lane = 0; lane < network_lanes; ++lane) out[lane] = b - score[lane];
    }
  }
}

// Sets sum[t] to the gap before knot i times h^t, or adds this product to it.
template <bool add>
SMOOTHBOUND_INLINE void lane_terms(const double* distances, const double* h, std::size_t i,
                                   Wide (&sum)[curve_terms]) {
  const double* distance = distances + i * network_lanes;
  Wide term = load(distance + network_lanes) - load(distance);
#pragma GCC unroll 10
  for (std::size_t t = 0; t < curve_terms; ++t) {
    sum[t] = add ? sum[t] + term : term;
    term *= h[i];
  }
}

// Does the same as moments_of_block(): four running sums, which begin with the last n % 4 knots.
SMOOTHBOUND_INLINE void lane_moments_of_block(const double* distances, const double* h,
                                              std::size_t n, double* out) {
  if (n < 4) {  // most groups in the tails
    Wide even[curve_terms];
    Wide odd[curve_terms] = {};
    lane_terms<false>(distances, h, 0, even);
    if (n > 1) lane_terms<false>(distances, h, 1, odd);
    if (n > 2) lane_terms<true>(distances, h, 2, even);
    for (std::size_t t = 0; t < curve_terms; ++t) {
      store(out + t * network_lanes, (even[t] + odd[t]) * inverse_factorial[t]);
    }
    return;
  }
  const std::size_t last = n % 4;
  Wide part[4][curve_terms];
  for (std::size_t j = 0; j < 4; ++j) {
    Wide sum[curve_terms] = {};
    if (j < last) lane_terms<false>(distances, h, n - last + j, sum);
    for (std::size_t i = j; i + last < n; i += 4) lane_terms<true>(distances, h, i, sum);
#pragma GCC unroll 10
    for (std::size_t t = 0; t < curve_terms; ++t) part[j][t] = sum[t];
  }
  for (std::size_t t = 0; t < curve_terms; ++t) {
    const Wide sum = (part[0][t] + part[2][t]) + (part[1][t] + part[3][t]);
    store(out + t * network_lanes, sum * inverse_factorial[t]);
  }
}

void row_moments(const float* sorted, std::size_t n, const Range& range, const KnotGroup* groups,
                 std::size_t n_groups, const double* offsets, double* out, double* total) {
  alignas(64) double distances[(moment_block + 1) * network_lanes];
  __builtin_memset(total, 0, network_lanes * sizeof(double));
  for (std::size_t k = 0; k < n_groups; ++k) {
    const KnotGroup& group = groups[k];
    double* moments = out + k * curve_terms * network_lanes;
    lane_distances(sorted, n, group.begin, group.end, range, distances);
    for (std::size_t first = 0; first < network_lanes; first += wide_lanes) {
      lane_moments_of_block(distances + first, offsets + group.begin, group.end - group.begin,
                            moments + first);
    }
    for (std::size_t lane = 0; lane < network_lanes; ++lane) {
      total[lane] = (total[lane] + moments[lane]) * (1.0 + 2 * moment_error);
    }
  }
}

// curve() for a part of the lanes at a few radii. Groups without knots would only add 0.
template <std::size_t most>
void lane_curves(const double* moments, const KnotGroup* groups, std::size_t n_groups,
                 const double* weights, std::size_t n_radii, double* out) {
  Wide lane[most][8] = {};
  for (std::size_t k = n_groups; k-- > 0;) {  // from the least group on
    Wide m[curve_terms];
#pragma GCC unroll 10
    for (std::size_t t = 0; t < curve_terms; ++t) {
      m[t] = load(moments + (k * curve_terms + t) * network_lanes);
    }
    const std::size_t place = (groups[k].index - groups[n_groups - 1].index) % 8;
    for (std::size_t j = 0; j < n_radii; ++j) {
      const double* w = weights + j * curve_terms * curve_groups + groups[k].index;
      Wide series = m[1];
#pragma GCC unroll 10
      for (std::size_t t = 2; t < curve_terms; ++t) series += w[t * curve_groups] * m[t];
      lane[j][place] += m[0] * w[0] + w[curve_groups] * series;
    }
  }
  for (std::size_t j = 0; j < n_radii; ++j) {
    const Wide(&x)[8] = lane[j];
    store(out + j * network_lanes,
          ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7])));
  }
}

void row_curves(const double* moments, const KnotGroup* groups, std::size_t n_groups,
                const double* weights, std::size_t n_radii, double* out) {
  constexpr std::size_t most = 24;  // radii at a time, whose sums stay in the fastest cache
  for (std::size_t j = 0; j < n_radii; j += most) {
    for (std::size_t first = 0; first < network_lanes; first += wide_lanes) {
      lane_curves<most>(moments + first, groups, n_groups, weights + j * curve_terms * curve_groups,
                        n_radii - j < most ? n_radii - j : most, out + j * network_lanes + first);
    }
  }
}

}  // namespace
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER

#endif
