// Compiled once per tier with SMOOTHBOUND_KERNELS naming the table it defines. No contraction to
// fused multiply-add and a fixed order of additions: every tier returns the same bits. Nothing
// here may be an inline function with external linkage, or the linker could pick a copy that
// the machine cannot run.
#include "kernels.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

// A loop is vectorised only if everything in it is inlined.
#if defined(_MSC_VER)
#define SMOOTHBOUND_INLINE __forceinline
#else
#define SMOOTHBOUND_INLINE inline __attribute__((always_inline))
#endif

#include "spread.hpp"

namespace smoothbound::detail {
namespace {

SMOOTHBOUND_INLINE double from_bits(std::uint64_t bits) { return std::bit_cast<double>(bits); }
SMOOTHBOUND_INLINE std::uint64_t to_bits(double x) { return std::bit_cast<std::uint64_t>(x); }

// Adding and subtracting 1.5 * 2^52 rounds to the nearest whole number.
constexpr double round_magic = 0x1.8p52;

// 2^k for whole k in [-1022, 1023]: k + 1023 ends up in the low bits of a sum and is shifted
// into the exponent field.
SMOOTHBOUND_INLINE double power_of_two(double k) {
  return from_bits(to_bits(k + (0x1p52 + 1023.0)) << 52);
}

// exp(-a - c) for a in [0, 800], exact, and a small correction c, as {mantissa, exponent k}.
struct Scaled {
  double mantissa, k;
};

SMOOTHBOUND_INLINE Scaled exp_minus(double a, double c) {
  constexpr double log2_e = 0x1.71547652b82fep+0;
  constexpr double ln2_high = 0x1.62e42fef00000p-1;  // 32 bits: k * ln2_high is exact
  constexpr double ln2_low = 0x1.473de6af278edp-34;
  const double k = (-a * log2_e + round_magic) - round_magic;
  const double r = ((-a - k * ln2_high) - k * ln2_low) - c;
  double p = 0x1.6124613a86d09p-33;  // Taylor: |r| < 0.35, the next term is below 4e-18
  p = p * r + 0x1.1eed8eff8d898p-29;
  p = p * r + 0x1.ae64567f544e4p-26;
  p = p * r + 0x1.27e4fb7789f5cp-22;
  p = p * r + 0x1.71de3a556c734p-19;
  p = p * r + 0x1.a01a01a01a01ap-16;
  p = p * r + 0x1.a01a01a01a01ap-13;
  p = p * r + 0x1.6c16c16c16c17p-10;
  p = p * r + 0x1.1111111111111p-7;
  p = p * r + 0x1.5555555555555p-5;
  p = p * r + 0x1.5555555555555p-3;
  p = p * r + 0x1p-1;
  return {1.0 + (r + r * r * p), k};
}

// Phi(-t) exp(t^2 / 2) for t in [0, 39]: u times a polynomial in v, where u = 1 / (t + 4) is
// mapped to v in [-1, 1]. Chebyshev interpolation of degree 22, truncation error 4e-17 relative.
SMOOTHBOUND_INLINE double mills(double t) {
  const double u = 1.0 / (t + 4.0);
  const double v = u * 0x1.1a874b9b3113ep+3 - 0x1.350e97366227dp+0;
  const double v2 = v * v;
  double even = -0x1.de107e2ea5970p-34;
  even = even * v2 + 0x1.c1a50e04a539cp-30;
  even = even * v2 - 0x1.cf80777345094p-27;
  even = even * v2 + 0x1.62eeaf1f9e490p-24;
  even = even * v2 - 0x1.cef93ad39d480p-22;
  even = even * v2 + 0x1.23c647fc3b7bfp-19;
  even = even * v2 - 0x1.c862779023f60p-17;
  even = even * v2 + 0x1.33f1191fd3da2p-13;
  even = even * v2 - 0x1.46a0ebdd402eap-9;
  even = even * v2 + 0x1.5e43ad0cdd453p-5;
  even = even * v2 + 0x1.7462944ccf9fep-2;
  even = even * v2 + 0x1.a1c27f3be55ebp-1;
  double odd = -0x1.1f670bc07d9f5p-32;
  odd = odd * v2 + 0x1.afdf997be7032p-30;
  odd = odd * v2 + 0x1.9d1fb06829378p-29;
  odd = odd * v2 - 0x1.e28bfcb6bab30p-24;
  odd = odd * v2 + 0x1.4041fb4388a6ep-20;
  odd = odd * v2 - 0x1.5a91983299258p-17;
  odd = odd * v2 + 0x1.6f51bad9ce548p-14;
  odd = odd * v2 - 0x1.7f6e119e46932p-11;
  odd = odd * v2 + 0x1.a7340fb765449p-9;
  odd = odd * v2 + 0x1.3fa8ae6edbbd2p-3;
  odd = odd * v2 + 0x1.3e2120a5454fap-1;
  return u * (even + v * odd);
}

// Phi(z), and phi(z) to 1e-15 absolutely.
struct Normal {
  double cdf, pdf;
};

// exp(-t^2 / 2) needs t^2 to more digits than a double has: t = high + low, where high has so
// few bits that its square is exact.
SMOOTHBOUND_INLINE Normal normal_of(double z) {
  const double magnitude = from_bits(to_bits(z) & 0x7fffffffffffffffu);
  const double t = magnitude < 39.0 ? magnitude : 39.0;  // Phi(-39) and phi(39) round to 0
  const double high = from_bits(to_bits(t) & 0xfffffffff8000000u);
  const double low = t - high;
  const Scaled e = exp_minus(0.5 * high * high, 0.5 * low * (t + high));
  const double k_half = (0.5 * e.k + round_magic) - round_magic;
  const double scaled = e.mantissa * power_of_two(k_half);
  const double rest = power_of_two(e.k - k_half);
  const double tail = mills(t) * scaled * rest;  // the only rounding to subnormals
  return {z < 0.0 ? tail : 1.0 - tail, 0x1.9884533d43651p-2 * scaled * rest};
}

void cdf(const double* z, double* out, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const double x = z[i];
    const double y = x == 0.0 ? 0.5 : normal_of(x).cdf;  // where rounding would show
    out[i] = x == x ? y : x;
  }
}

void exp(const double* x, double* out, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const Scaled e = exp_minus(-x[i], 0.0);
    out[i] = e.mantissa * power_of_two(e.k);
  }
}

// The tangent at Phi(z) has the slope w = exp(r z - r^2 / 2) and, measured from p = 1, the height
// Phi(z - r) + w Phi(-z). A greater weight is safe, and so is a smaller height. The exponent is
// rounded by at most (18 r + r^2) 2^-53, which is the relative error of w; slack has room for the
// exponential and the products too. Where w is below e^-700 the weight is raised to that, and the
// height left without it.
void tangents(const double* z, std::size_t n, double r, double* weight, double* constant) {
  const double slack = (16.0 * r + r * r + 16.0) * 0x1p-52;
  const double half_square = 0.5 * r * r;
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const double x = r * z[i] - half_square;
    const Scaled e = exp_minus(x > -700.0 ? -x : 700.0, 0.0);
    const double w = e.mantissa * power_of_two(e.k);
    const double shifted = z[i] - r;
    const double magnitude = shifted < 0.0 ? -shifted : shifted;
    const double height = x > -700.0 ? w * (1.0 - slack) * normal_of(-z[i]).cdf : 0.0;
    weight[i] = w * (1.0 + slack);
    constant[i] =
        (normal_of(shifted - magnitude * 0x1p-52).cdf + height) * (1.0 - 4e-15) - 0x1p-1070;
  }
}

double sum(const double* x, std::size_t n) {
  double lane[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
#pragma omp simd
    for (std::size_t j = 0; j < 8; ++j) lane[j] += x[i + j];
  }
  for (std::size_t j = 0; i < n; ++i, ++j) lane[j] += x[i];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

template <class Real>
SMOOTHBOUND_INLINE double sum_distances(const Real* x, std::size_t n, double a, double b,
                                        bool lower) {
  const double origin = lower ? a : b;
  const double direction = lower ? 1.0 : -1.0;
  double lane[sum_lanes] = {};
  std::uint64_t outside[sum_lanes] = {};
  const auto add = [&](double score, std::size_t j) {
    outside[j] |= score >= a && score <= b ? 0 : 1;
    lane[j] += direction * (score - origin);
  };
  std::size_t i = 0;
  for (; i + sum_lanes <= n; i += sum_lanes) {
#pragma omp simd
    for (std::size_t j = 0; j < sum_lanes; ++j) add(static_cast<double>(x[i + j]), j);
  }
  for (std::size_t j = 0; i < n; ++i, ++j) add(static_cast<double>(x[i]), j);
  for (std::size_t half = sum_lanes / 2; half > 0; half /= 2) {
    for (std::size_t j = 0; j < half; ++j) {
      lane[j] += lane[j + half];
      outside[j] |= outside[j + half];
    }
  }
  return outside[0] == 0 ? lane[0] : std::numeric_limits<double>::quiet_NaN();
}

double sum_floats(const float* x, std::size_t n, double a, double b, bool lower) {
  return sum_distances(x, n, a, b, lower);
}

double sum_doubles(const double* x, std::size_t n, double a, double b, bool lower) {
  return sum_distances(x, n, a, b, lower);
}

// Sets lane[t][j] to gap[j] * h[j]^t, or adds this to it, for four knots.
template <bool add>
SMOOTHBOUND_INLINE void moments_of_four(const double* gap, const double* h,
                                        double (&lane)[curve_terms][4]) {
#pragma omp simd
  for (std::size_t j = 0; j < 4; ++j) {
    double term = gap[j];
#pragma GCC unroll 10
    for (std::size_t t = 0; t < curve_terms; ++t) {
      lane[t][j] = add ? lane[t][j] + term : term;
      term *= h[j];
    }
  }
}

void moments_of_block(const double* gap, const double* h, std::size_t n, double* out) {
  double lane[curve_terms][4];
  const std::size_t last = n % 4;
  double last_gap[4] = {};  // the knots beyond a multiple of four, and gaps of 0
  double last_h[4] = {};
  for (std::size_t j = 0; j < last; ++j) {
    last_gap[j] = gap[n - last + j];
    last_h[j] = h[n - last + j];
  }
  moments_of_four<false>(last_gap, last_h, lane);
  for (std::size_t i = 0; i + 4 <= n; i += 4) moments_of_four<true>(gap + i, h + i, lane);
  for (std::size_t t = 0; t < curve_terms; ++t) {
    out[t] = (lane[t][0] + lane[t][2]) + (lane[t][1] + lane[t][3]);
  }
}

// 1 / t!
constexpr double inverse_factorial[] = {1.0,         1.0,         1.0 / 2,   1.0 / 6,
                                        1.0 / 24,    1.0 / 120,   1.0 / 720, 1.0 / 5040,
                                        1.0 / 40320, 1.0 / 362880};

void moments(const double* gap, const double* h, std::size_t n, double* out) {
  moments_of_block(gap, h, n < moment_block ? n : moment_block, out);
  if (n > moment_block) {
    double lost[curve_terms] = {};
    double block[curve_terms];
    for (std::size_t i = moment_block; i < n; i += moment_block) {
      moments_of_block(gap + i, h + i, n - i < moment_block ? n - i : moment_block, block);
      for (std::size_t t = 0; t < curve_terms; ++t) add_to(out[t], lost[t], block[t]);
    }
    for (std::size_t t = 0; t < curve_terms; ++t) out[t] += lost[t];
  }
  for (std::size_t t = 0; t < curve_terms; ++t) out[t] *= inverse_factorial[t];
}

void curve_weights(double r, std::size_t first, std::size_t groups, double* out) {
#pragma omp simd
  for (std::size_t g = 0; g < groups; ++g) {
    const double difference = centre_of(first + g) - r;
    const double y = difference > -40.0 ? difference : -40.0;  // where Phi and phi round to 0
    const Normal normal = normal_of(y);
    out[g] = normal.cdf;
    out[curve_groups + g] = normal.pdf;
    // (-1)^k He_k(y), by He_{k+1} = y He_k - k He_{k-1}.
    double before = 0.0;
    double hermite = 1.0;
#pragma GCC unroll 10
    for (std::size_t t = 2; t < curve_terms; ++t) {
      const double next = -y * hermite - static_cast<double>(t - 2) * before;
      before = hermite;
      hermite = next;
      out[t * curve_groups + g] = hermite;
    }
  }
}

double curve(const double* moments, const double* weights, std::size_t stride, std::size_t groups) {
  double term[curve_groups];
#pragma omp simd
  for (std::size_t g = 0; g < groups; ++g) {
    double series = moments[curve_groups + g];
#pragma GCC unroll 10
    for (std::size_t t = 2; t < curve_terms; ++t) {
      series += weights[t * stride + g] * moments[t * curve_groups + g];
    }
    term[g] = moments[g] * weights[g] + weights[stride + g] * series;
  }
  return sum(term, groups);
}

// Sixteen outputs at a time stay in registers while the weights pass by.
void convolve(const double* p, const double* weights, std::size_t terms, double* out,
              std::size_t n) {
  constexpr std::size_t width = 16;
  std::size_t j = 0;
  for (; j + width <= n; j += width) {
    double sum[width] = {};
    for (std::size_t i = 0; i < terms; ++i) {
      const double* shifted = p + j - i;
#pragma omp simd
      for (std::size_t k = 0; k < width; ++k) sum[k] += weights[i] * shifted[k];
    }
    for (std::size_t k = 0; k < width; ++k) out[j + k] = sum[k];
  }
  for (; j < n; ++j) {
    double sum = 0.0;
    for (std::size_t i = 0; i < terms; ++i) sum += weights[i] * p[j - i];
    out[j] = sum;
  }
}

// The exponent of a half counts from 15, that of a float from 127: a product with 2^112 moves it,
// subnormals included.
void widen(const half* x, float* out, std::size_t n) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = static_cast<std::uint32_t>(static_cast<std::uint16_t>(x[i]));
    const std::uint32_t magnitude = bits & 0x7fffu;
    const auto shifted =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f);
    const std::uint32_t value = magnitude >= 0x7c00u ? 0x7fc00000u : shifted;
    out[i] = std::bit_cast<float>(value | (bits & 0x8000u) << 16);
  }
}

template <class Real>
SMOOTHBOUND_INLINE bool cells(const Real* x, std::size_t n, const GridCells<Real>& grid,
                              std::uint32_t* out) {
  const Real scale = grid.scale;
  const Real shift = grid.shift;
  const Real low = grid.low;
  const Real high = grid.high;
  const Real a = grid.a;
  const Real b = grid.b;
  const auto origin = static_cast<std::int32_t>(low);
  std::uint32_t outside = 0;
#pragma omp simd reduction(| : outside)
  for (std::size_t i = 0; i < n; ++i) {
    const Real score = x[i];
    outside |= score >= a && score <= b ? 0u : 1u;
    Real y = (score - shift) * scale;
    y = y > low ? y : low;  // and where y is NaN
    y = y < high ? y : high;
    const auto border = static_cast<std::int32_t>(y);  // towards 0: y may lie on either side
    const auto at = static_cast<Real>(border);
    const std::int32_t beside = (at < y ? 1 : 0) - (at > y ? 1 : 0);
    out[i] = static_cast<std::uint32_t>(2 * (border - origin) + beside);
  }
  return outside == 0;
}

// Asks for the n numbers that lie 2 KiB further on, be they there or not. The machine by itself
// asks too late: between its loads are too many other instructions.
template <class Real>
SMOOTHBOUND_INLINE void prefetch(const Real* x, std::size_t n) {
#if defined(__GNUC__)
  const auto address = reinterpret_cast<std::uintptr_t>(x) + 2048;
  for (std::size_t byte = 0; byte < n * sizeof(Real); byte += 64) {
    __builtin_prefetch(reinterpret_cast<const void*>(address + byte));
  }
#else
  (void)x, (void)n;
#endif
}

// Of a few scores at a time the cells are found while those before are counted. Two cells are read
// at once; which of them is counted in which table does not matter.
template <class Real>
SMOOTHBOUND_INLINE bool count(const Real* x, std::size_t n, const GridCells<Real>& grid,
                              std::uint32_t* tables, std::size_t stride) {
  constexpr std::size_t few = 64;
  std::uint32_t cell[few];
  std::size_t start = 0;
  for (; start + few <= n; start += few) {
    prefetch(x + start, few);
    if (!cells(x + start, few, grid, cell)) return false;
    for (std::size_t i = 0; i < few; i += 2) {
      std::uint64_t two;
      std::memcpy(&two, cell + i, sizeof(two));
      ++tables[static_cast<std::uint32_t>(two)];
      ++tables[stride + (two >> 32)];
    }
  }
  if (!cells(x + start, n - start, grid, cell)) return false;
  for (std::size_t i = 0; i < n - start; ++i) ++tables[cell[i]];
  return true;
}

bool cells_float(const float* x, std::size_t n, const GridCells<float>& grid, std::uint32_t* out) {
  return cells(x, n, grid, out);
}

bool cells_double(const double* x, std::size_t n, const GridCells<double>& grid,
                  std::uint32_t* out) {
  return cells(x, n, grid, out);
}

bool count_float(const float* x, std::size_t n, const GridCells<float>& grid, std::uint32_t* tables,
                 std::size_t stride) {
  return count(x, n, grid, tables, stride);
}

bool count_double(const double* x, std::size_t n, const GridCells<double>& grid,
                  std::uint32_t* tables, std::size_t stride) {
  return count(x, n, grid, tables, stride);
}

void philox_words(const std::uint32_t* blocks, std::size_t n, const PhiloxBlock& counter,
                  std::uint64_t key, std::uint32_t* words, std::size_t stride) {
  const PhiloxBlock c = counter;
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const PhiloxBlock block = philox({{blocks[i], c.word[1], c.word[2], c.word[3]}}, key);
    words[i] = block.word[0];
    words[stride + i] = block.word[1];
    words[2 * stride + i] = block.word[2];
    words[3 * stride + i] = block.word[3];
  }
}

template <class Real>
SMOOTHBOUND_INLINE void lattice(const std::uint32_t* words, unsigned shift,
                                const std::int32_t* guide, const std::int32_t* point, std::size_t n,
                                Real steps, Real* out, std::uint8_t* undecided) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t digit = words[i] >> shift;
    const std::int32_t size = guide[digit & 0x7fffu];
    const std::int32_t sign = -static_cast<std::int32_t>(digit >> 15 & 1u);
    out[i] = static_cast<Real>(point[i] + ((size ^ sign) - sign)) / steps;
    undecided[i] = static_cast<std::uint8_t>(size < 0);
  }
}

void lattice_float(const std::uint32_t* words, unsigned shift, const std::int32_t* guide,
                   const std::int32_t* point, std::size_t n, float steps, float* out,
                   std::uint8_t* undecided) {
  lattice(words, shift, guide, point, n, steps, out, undecided);
}

void lattice_double(const std::uint32_t* words, unsigned shift, const std::int32_t* guide,
                    const std::int32_t* point, std::size_t n, double steps, double* out,
                    std::uint8_t* undecided) {
  lattice(words, shift, guide, point, n, steps, out, undecided);
}

// The order of operations is part of the noise: other implementations repeat it bit for bit.
void normals(const std::uint32_t* first, const std::uint32_t* second, std::size_t n, float* x,
             float* y) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    // u = 2^exponent (1 + f) in (0, 1], with 1 + f in [sqrt(1/2), sqrt(2)).
    const float u =
        (static_cast<float>(static_cast<std::int32_t>(first[i] >> 1)) + 0.5f) * 0x1p-31f;
    const auto bits = std::bit_cast<std::int32_t>(u);
    const std::int32_t exponent = (bits - 0x3f3504f3) >> 23;
    const float f = std::bit_cast<float>(bits - exponent * (1 << 23)) - 1.0f;
    float p = 0x1.67f774p-4f;  // log(1 + f) = f + f^2 p to 6e-8 relative
    p = p * f + -0x1.22057ep-3f;
    p = p * f + 0x1.2fd2c8p-3f;
    p = p * f + -0x1.53baa8p-3f;
    p = p * f + 0x1.9906dep-3f;
    p = p * f + -0x1.000304p-2f;
    p = p * f + 0x1.555638p-2f;
    p = p * f + -0x1.fffffep-2f;
    const float log = static_cast<float>(exponent) * 0x1.62e430p-1f + (f + f * f * p);
    const float radius = std::sqrt(-2.0f * log);

    // The angle: whole quarters of a turn, and g in [-pi/4, pi/4].
    const std::uint32_t quarter = (second[i] + (1u << 29)) >> 30;
    const float g = static_cast<float>(static_cast<std::int32_t>(second[i] - (quarter << 30))) *
                    0x1.921fb6p-30f;
    const float square = g * g;
    float s = -0x1.9ac98ep-13f;  // sin g and cos g to 1e-8
    s = s * square + 0x1.110c28p-7f;
    s = s * square + -0x1.555552p-3f;
    const float sine = g + g * square * s;
    float c = 0x1.9bd880p-16f;
    c = c * square + -0x1.6c12d2p-10f;
    c = c * square + 0x1.555554p-5f;
    const float cosine = (1.0f - 0.5f * square) + square * square * c;
    const bool swap = (quarter & 1u) != 0;
    const float across = swap ? sine : cosine;
    const float up = swap ? cosine : sine;
    x[i] = radius * (((quarter + 1u) & 2u) != 0 ? -across : across);
    y[i] = radius * ((quarter & 2u) != 0 ? -up : up);
  }
}

template <class Real>
SMOOTHBOUND_INLINE void shift(const Real* point, const float* normal, Real sigma, std::size_t n,
                              Real* out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = point[i] + sigma * static_cast<Real>(normal[i]);
}

void shift_float(const float* point, const float* normal, float sigma, std::size_t n, float* out) {
  shift(point, normal, sigma, n, out);
}

void shift_double(const double* point, const float* normal, double sigma, std::size_t n,
                  double* out) {
  shift(point, normal, sigma, n, out);
}

}  // namespace
}  // namespace smoothbound::detail

#include "lanes.hpp"

namespace smoothbound::detail {

#if defined(SMOOTHBOUND_HAS_NETWORK)
#define SMOOTHBOUND_ROWS network_lanes, sort_rows, sort_in_place, row_moments, row_curves
#else
#define SMOOTHBOUND_ROWS 0, nullptr, nullptr, nullptr, nullptr
#endif

const Kernels SMOOTHBOUND_KERNELS = {SMOOTHBOUND_TIER_NAME,
                                     cdf,
                                     exp,
                                     tangents,
                                     sum_floats,
                                     sum_doubles,
                                     moments,
                                     convolve,
                                     curve_weights,
                                     curve,
                                     widen,
                                     cells_float,
                                     cells_double,
                                     count_float,
                                     count_double,
                                     philox_words,
                                     lattice_float,
                                     lattice_double,
                                     normals,
                                     shift_float,
                                     shift_double,
                                     levels,
                                     scatter,
                                     SMOOTHBOUND_ROWS};

}  // namespace smoothbound::detail
