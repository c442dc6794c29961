// The inner loops, compiled once per tier of vector instructions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "smoothbound/detail/edge_grid.hpp"
#include "smoothbound/detail/knot_groups.hpp"
#include "smoothbound/detail/philox.hpp"
#include "smoothbound/detail/range.hpp"
#include "smoothbound/scores.hpp"

namespace smoothbound::detail {

// The level in the middle of a group.
static constexpr double centre_of(std::size_t group) {
  return static_cast<double>(static_cast<std::int32_t>(group)) / curve_groups_per_unit -
         curve_limit;
}

// How the scores of a long row are shared among buckets. A score has a level, a level belongs to a
// cell, and a table has the cell's bucket. A greater score never has a lower bucket.
struct Spread {
  float a, b;                   // the ends of the range, rounded inwards
  std::int32_t least;           // the level where the cells begin
  int shift;                    // a cell has 2^shift levels
  std::uint32_t last;           // the last cell, for all levels beyond
  const std::uint16_t* bucket;  // of each cell
};

inline constexpr std::size_t most_row_lanes = 16;

// Where the expected growth of the logarithm of the wealth, as a function of the stake s, goes up:
// slope = sum mass (v - m) / (1 + s v), and decrease = sum mass (v - m) v / (1 + s v)^2, which is
// how fast the slope falls.
struct GrowthSlope {
  double slope, decrease;
};

// The comment on each function says what it computes, the arguments that are allowed (Range), the
// largest error of the result (Error), and whether the result never falls as an argument grows
// (Monotone). A unit is 2^-53. tests/cpp/test_errors.cpp compares stated and found errors.
struct Kernels {
  const char* tier;

  // out[i] = Phi(z[i]); out may be z.
  //   Range:    every double; NaN gives NaN
  //   Error:    cdf_relative_error, and cdf_absolute_error where the result is subnormal
  //   Monotone: no
  void (*cdf)(const double* z, double* out, std::size_t n);

  // out[i] = exp(x[i]); out may be x.
  //   Range:    |x| <= 700
  //   Error:    exp_relative_error
  //   Monotone: no
  void (*exp)(const double* x, double* out, std::size_t n);

  // out[i] = ln x[i]; out may be x.
  //   Range:    x > 0
  //   Error:    log_relative_error
  //   Monotone: no
  void (*log)(const double* x, double* out, std::size_t n);

  // out[i] = Phi^-1(p[i]): -inf at 0, +inf at 1, NaN outside [0, 1]; out may be p.
  //   Range:    every double
  //   Error:    quantile_relative_error in (0, 1)
  //   Monotone: no
  void (*quantile)(const double* p, double* out, std::size_t n);

  // Tangents of psi_r(p) = Phi(Phi^-1(p) - r) at p = Phi(z[i]).
  //   Range:    |z| <= 9, r >= 0
  //   Error:    to the safe side: for every p in [0, 1]
  //             psi_r(p) >= constant[i] - weight[i] (1 - p), and weight[i] > 0
  //   Monotone: no
  void (*tangents)(const double* z, std::size_t n, double r, double* weight, double* constant);

  // The sum of the distances of scores from a (lower) or from b; NaN if a score is not a number in
  // [a, b].
  //   Range:    n <= sum_block
  //   Error:    sum_error beside the rounding of the distances, also for blocks summed by add_to()
  //   Monotone: in every score
  double (*sum_floats)(const float* x, std::size_t n, double a, double b, bool lower);
  double (*sum_doubles)(const double* x, std::size_t n, double a, double b, bool lower);

  // out[t] = sum gap[i] * h[i]^t / t! for t < curve_terms.
  //   Range:    gap >= 0, |h| <= 1/16
  //   Error:    moment_error for out[0]; curve.cpp has what the others add
  //   Monotone: out[0] in every gap
  void (*moments)(const double* gap, const double* h, std::size_t n, double* out);

  // out[j] = sum over i < terms of weights[i] * p[j - i], for j < n; p must be readable, and 0
  // where it has no value, from p[1 - terms] to p[n - 1].
  //   Range:    weights >= 0, p >= 0
  //   Error:    (terms + 1) units
  //   Monotone: yes
  void (*convolve)(const double* p, const double* weights, std::size_t terms, double* out,
                   std::size_t n);

  // The weights of the groups first, first + 1, ... in the bound at r. With y = centre_of(group) -
  // r, out[t * curve_groups + g] is Phi(y) for t = 0, phi(y) for t = 1, (-1)^(t-1) He_{t-1}(y)
  // above.
  //   Range:    0 <= r <= curve_limit + 39
  //   Error:    of Phi as stated for cdf, of phi 1e-15 absolutely; curve.cpp has the rest
  //   Monotone: no
  void (*curve_weights)(double r, std::size_t first, std::size_t groups, double* out);

  // The sum over the groups g of
  //   M(0, g) Phi(y) + phi(y) sum_{t>=1} (-1)^(t-1) He_{t-1}(y) M(t, g),
  // where M(t, g) = moments[t * curve_groups + g], from the weights above, weights[t * stride + g].
  //   Range:    groups <= curve_groups
  //   Error:    curve.cpp: relative_error of the sum and absolute_error of the sum of the gaps
  //   Monotone: no
  double (*curve)(const double* moments, const double* weights, std::size_t stride,
                  std::size_t groups);

  // out[i] = x[i], but infinities become NaN.
  //   Range:    every half
  //   Error:    none
  //   Monotone: yes
  void (*widen)(const half* x, float* out, std::size_t n);

  // out[i] = 2 c + 1, or 2 c where x[i] lies on the lower border of its grid cell c. Returns
  // whether all x are numbers in [grid.a, grid.b]. The values of `out` lie within the grid even if
  // it returns false.
  //   Range:    every number, and NaN
  //   Error:    borders are rounded; none where EdgeGrid::exact
  //   Monotone: yes
  bool (*cells_float)(const float* x, std::size_t n, const GridCells<float>& grid,
                      std::uint32_t* out);
  bool (*cells_double)(const double* x, std::size_t n, const GridCells<double>& grid,
                       std::uint32_t* out);

  // Adds 1 for each x[i] at its cell of one of two tables, which lie `stride` apart. Returns
  // whether all x are numbers in [grid.a, grid.b]; if not, the tables may hold anything.
  bool (*count_float)(const float* x, std::size_t n, const GridCells<float>& grid,
                      std::uint32_t* tables, std::size_t stride);
  bool (*count_double)(const double* x, std::size_t n, const GridCells<double>& grid,
                       std::uint32_t* tables, std::size_t stride);

  // words[j * stride + i] is word j of the random block of the counter with blocks[i] in front.
  //   Range:    all
  //   Error:    none
  //   Monotone: no
  void (*philox_words)(const std::uint32_t* blocks, std::size_t n, const PhiloxBlock& counter,
                       std::uint64_t key, std::uint32_t* words, std::size_t stride);

  // out[i] = (point[i] + K) / steps. The 16 bits of words[i] from `shift` on are the sign of K and
  // the index of the guide, which holds |K|. Where the guide is negative, undecided[i] is 1 and
  // out[i] is of no use; elsewhere undecided[i] is 0.
  //   Range:    |point| + |K| < 2^31
  //   Error:    two conversions and a division, each rounded to the nearest; the same everywhere
  //   Monotone: in point
  void (*lattice_float)(const std::uint32_t* words, unsigned shift, const std::int32_t* guide,
                        const std::int32_t* point, std::size_t n, float steps, float* out,
                        std::uint8_t* undecided);
  void (*lattice_double)(const std::uint32_t* words, unsigned shift, const std::int32_t* guide,
                         const std::int32_t* point, std::size_t n, double steps, double* out,
                         std::uint8_t* undecided);

  // Pairs of standard normals from pairs of words (Box & Muller 1958).
  //   Range:    all words
  //   Error:    normals_error of the radius, where that is 1e-3 or more; the same everywhere
  //   Monotone: no
  void (*normals)(const std::uint32_t* first, const std::uint32_t* second, std::size_t n, float* x,
                  float* y);

  // out[i] = point[i] + sigma * normal[i]
  //   Range:    every number
  //   Error:    a product and a sum, each rounded to the nearest; the same everywhere
  //   Monotone: in point
  void (*shift_float)(const float* point, const float* normal, float sigma, std::size_t n,
                      float* out);
  void (*shift_double)(const double* point, const float* normal, double sigma, std::size_t n,
                       double* out);

  // The functions from here to sort_in_place move scores without rounding, so their Error is none.

  // Writes the levels of sample_run neighbours out of each sample_step scores to `out`, and the
  // least and the greatest of them.
  void (*levels)(const float* x, std::size_t runs, const Spread& spread, std::int32_t* out,
                 std::int32_t& least, std::int32_t& most);

  // Appends each of n scores to its bucket, at room[ends[bucket]++]. Returns whether all are
  // numbers in [spread.a, spread.b]. It uses only buckets of the table even if it returns false.
  bool (*scatter)(const float* x, std::size_t n, const Spread& spread, float* room,
                  std::uint32_t* ends);

  // The places of scores among the knots of a record (knot_layout.hpp): their distances from the
  // safe end of the range in units of its width, rounded down to a place. Returns whether all are
  // numbers in [range.a, range.b]; no place is beyond the last one even if not.
  //   Range:    every number, and NaN
  //   Error:    downwards, by a place and 2^-50 of the distance at most; none at the ends
  //   Monotone: yes
  bool (*places_float)(const float* x, std::size_t n, const Range& range, std::uint32_t* out);
  bool (*places_double)(const double* x, std::size_t n, const Range& range, std::uint32_t* out);

  // The growth by a stake on v at these masses, with the mean m under the null hypothesis.
  //   Range:    masses, v, m and stake not negative
  //   Error:    in proportion to the terms; the same everywhere
  //   Monotone: no
  GrowthSlope (*growth_slope)(const double* masses, const double* v, std::size_t n, double m,
                              double stake);

  // How many rows the following functions take at once, at most most_row_lanes; 0 where the
  // compiler has no vector extensions for them.
  std::size_t row_lanes = 0;

  // sorted[i * row_lanes + k] = score number i of rows[k] in ascending order, for k < count, where
  // 0 < count <= row_lanes; other lanes hold a copy of rows[0]. The rows have n scores each and
  // need not be aligned; `sorted` is aligned to 64 bytes, with room for row_room(n) scores a lane.
  // Returns false if there is a NaN.
  bool (*sort_rows)(const float* const* rows, std::size_t count, std::size_t n,
                    float* sorted) = nullptr;

  // The same in place, where n is a multiple of 8; `scratch` has the size and alignment of
  // `sorted`.
  void (*sort_in_place)(float* const* rows, std::size_t count, std::size_t n,
                        float* scratch) = nullptr;

  // The moments of each group for each of the sorted rows, where every draw is a knot.
  // out[(k * curve_terms + t) * row_lanes + lane] is the result t of moments() for groups[k], which
  // may hold at most moment_block knots. total[lane] is the sum of the gaps, rounded up.
  //   Error:    the same bits as moments()
  void (*row_moments)(const float* sorted, std::size_t n, const Range& range,
                      const KnotGroup* groups, std::size_t n_groups, const double* offsets,
                      double* out, double* total) = nullptr;

  // out[j * row_lanes + lane] = curve() at radius j from these moments. The weights are as there;
  // the radii follow one another.
  //   Error:    the same bits as curve()
  void (*row_curves)(const double* moments, const KnotGroup* groups, std::size_t n_groups,
                     const double* weights, std::size_t n_radii, double* out) = nullptr;
};

// n rounded up to a power of two, at least 8.
static constexpr std::size_t row_room(std::size_t n) {
  std::size_t room = 8;
  while (room < n) room *= 2;
  return room;
}

inline constexpr std::size_t sample_run = 16;
inline constexpr std::size_t sample_step = 128;

inline constexpr std::size_t sum_block = 512;
inline constexpr std::size_t sum_lanes = 16;
inline constexpr std::size_t moment_block = 256;

// Units: the additions in a lane, the additions of lanes, and the compensated total with some
// slack.
inline constexpr double sum_error = (sum_block / sum_lanes + 4 + 4) * 0x1p-53;
inline constexpr double normals_error = 5e-7;  // of float operations, the logarithm and the angle
inline constexpr double moment_error = (moment_block / 4 + 2 + 4) * 0x1p-53;

// Adds `term` to `total`, and the rounding error of this addition to `lost` (two-sum).
static inline void add_to(double& total, double& lost, double term) {
  const double next = total + term;
  const double part = next - total;
  lost += (total - (next - part)) + (term - part);
  total = next;
}

// Each tier has its own table, in its own object file.
namespace baseline {
extern const Kernels table;
}
namespace avx2 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}

// The tier in use.
const Kernels& kernels() noexcept;

}  // namespace smoothbound::detail
