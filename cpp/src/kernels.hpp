// The inner loops, compiled once per tier of vector instructions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "smoothbound/binning.hpp"
#include "smoothbound/bound.hpp"
#include "smoothbound/curve.hpp"
#include "smoothbound/sketch.hpp"

namespace smoothbound {

// The level in the middle of a group.
static constexpr double centre_of(std::size_t group) {
  return static_cast<double>(static_cast<std::int32_t>(group)) / curve_groups_per_unit -
         curve_limit;
}

struct Kernels {
  const char* tier;

  // out[i] = Phi(z[i]), with the errors stated in gaussian.hpp; out may be z.
  void (*cdf)(const double* z, double* out, std::size_t n);

  // out[i] = exp(x[i]) for |x| <= 700, to 8 units of itself; out may be x.
  void (*exp)(const double* x, double* out, std::size_t n);

  // Tangents of psi_r(p) = Phi(Phi^-1(p) - r) at p = Phi(z[i]), |z| <= 9: for every p in [0, 1]
  //   psi_r(p) >= constant[i] - weight[i] (1 - p),   weight[i] > 0.
  void (*tangents)(const double* z, std::size_t n, double r, double* weight, double* constant);

  // sum x[i] for at most sum_block non-negative x, in eight running sums. Relative error at most
  // sum_error, also when blocks are added up with add_to().
  double (*sum)(const double* x, std::size_t n);

  // Replaces scores by their distances from a (lower) or from b. Returns whether all scores are
  // numbers in [a, b].
  bool (*distances)(double* x, std::size_t n, double a, double b, bool lower);

  // out[t] = sum gap[i] * h[i]^t / t! for t < curve_terms; gaps non-negative, |h| <= 1/16.
  // Relative error of out[0] at most moment_error.
  void (*moments)(const double* gap, const double* h, std::size_t n, double* out);

  // out[j] = sum over i < terms of weights[i] * p[j - i], for j < n; p must be readable, and 0
  // where it has no value, from p[1 - terms] to p[n - 1].
  void (*convolve)(const double* p, const double* weights, std::size_t terms, double* out,
                   std::size_t n);

  // What the bound at r needs of the groups first, first + 1, ...: with y = centre_of(group) - r,
  // out[t * curve_groups + g] is Phi(y) for t = 0, phi(y) for t = 1, (-1)^(t-1) He_{t-1}(y) above.
  void (*curve_weights)(double r, std::size_t first, std::size_t groups, double* out);

  // The sum over the groups g of
  //   M(0, g) Phi(y) + phi(y) sum_{t>=1} (-1)^(t-1) He_{t-1}(y) M(t, g),
  // where M(t, g) = moments[t * curve_groups + g], from the weights above, weights[t * stride + g].
  double (*curve)(const double* moments, const double* weights, std::size_t stride,
                  std::size_t groups);

  // out[i] = x[i], exactly, but infinities become NaN.
  void (*widen)(const half* x, float* out, std::size_t n);

  // out[i] = 2 c + 1, or 2 c where x[i] lies on the lower border of its grid cell c. Returns
  // whether all x are numbers in [grid.a, grid.b]; `out` stays within the grid even if not.
  bool (*cells_float)(const float* x, std::size_t n, const EdgeGrid<float>& grid,
                      std::uint32_t* out);
  bool (*cells_double)(const double* x, std::size_t n, const EdgeGrid<double>& grid,
                       std::uint32_t* out);

  // Adds 1 for each x[i] at this place of one of two tables, `stride` apart. They may hold
  // anything if it returns false: x[i] is not a number in [grid.a, grid.b].
  bool (*count_float)(const float* x, std::size_t n, const EdgeGrid<float>& grid,
                      std::uint32_t* tables, std::size_t stride);
  bool (*count_double)(const double* x, std::size_t n, const EdgeGrid<double>& grid,
                       std::uint32_t* tables, std::size_t stride);

  // How many rows the following take at once, at most 16; 0 where the compiler cannot make them.
  std::size_t row_lanes;

  // sorted[i * row_lanes + k] = score number i of rows[k] in ascending order, for k < count, where
  // 0 < count <= row_lanes; other lanes hold a copy of rows[0]. The rows have n scores each and
  // need not be aligned; `sorted` is aligned to 64 bytes, with room for row_room(n) scores a lane.
  // Returns false if there is a NaN.
  bool (*sort_rows)(const float* const* rows, std::size_t count, std::size_t n, float* sorted);

  // The moments of each group for each of the rows sorted, where every draw is a knot:
  // out[(k * curve_terms + t) * row_lanes + lane] is what moments() makes of groups[k], which may
  // hold at most moment_block knots, and total[lane] the sum of the gaps, rounded up.
  void (*row_moments)(const float* sorted, std::size_t n, const Range& range,
                      const KnotGroup* groups, std::size_t n_groups, const double* offsets,
                      double* out, double* total);

  // out[j * row_lanes + lane] = curve() at radius j from these moments; weights as there, those of
  // a radius following those of the one before.
  void (*row_curves)(const double* moments, const KnotGroup* groups, std::size_t n_groups,
                     const double* weights, std::size_t n_radii, double* out);
};

// n rounded up to a power of two, at least 8.
static constexpr std::size_t row_room(std::size_t n) {
  std::size_t room = 8;
  while (room < n) room *= 2;
  return room;
}

inline constexpr std::size_t sum_block = 512;
inline constexpr std::size_t moment_block = 256;

// (additions in a lane + additions of lanes + compensated total) * 2^-53, and slack.
inline constexpr double sum_error = (sum_block / 8 + 3 + 4) * 0x1p-53;
inline constexpr double moment_error = (moment_block / 4 + 2 + 4) * 0x1p-53;

// Adds `term` to `total`; what the addition rounds away goes to `lost` (two-sum).
static inline void add_to(double& total, double& lost, double term) {
  const double next = total + term;
  const double part = next - total;
  lost += (total - (next - part)) + (term - part);
  total = next;
}

// One per translation unit that was compiled for a tier.
extern const Kernels kernels_baseline;
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;

// The tier in use.
const Kernels& kernels() noexcept;

}  // namespace smoothbound
