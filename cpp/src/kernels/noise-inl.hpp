// Random words, lattice noise and standard normals.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/inline.hpp"
#include "kernels/kernels.hpp"

namespace smoothbound::detail::SMOOTHBOUND_TIER {
namespace {  // NOLINT(misc-anonymous-namespace-in-header): a part of kernels.cpp

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
    const auto bits = __builtin_bit_cast(std::int32_t, u);
    const std::int32_t exponent = (bits - 0x3f3504f3) >> 23;
    const float f = __builtin_bit_cast(float, bits - exponent * (1 << 23)) - 1.0f;
    float p = 0x1.67f774p-4f;  // log(1 + f) = f + f^2 p to 6e-8 relative
    p = p * f + -0x1.22057ep-3f;
    p = p * f + 0x1.2fd2c8p-3f;
    p = p * f + -0x1.53baa8p-3f;
    p = p * f + 0x1.9906dep-3f;
    p = p * f + -0x1.000304p-2f;
    p = p * f + 0x1.555638p-2f;
    p = p * f + -0x1.fffffep-2f;
    const float log = static_cast<float>(exponent) * 0x1.62e430p-1f + (f + f * f * p);
    const float radius = __builtin_sqrtf(-2.0f * log);

    // The angle is a number of whole quarters of a turn plus g in [-pi/4, pi/4].
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
}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
