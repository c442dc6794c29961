/// \file scores.hpp
/// Scores in the caller's memory: their types, single rows, and blocks of rows.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace smoothbound {

/// The bits of a 16-bit IEEE float, for which C++20 has no type.
enum class half : std::uint16_t {};

/// Value of a half as a double (exact). The shifted bits of a half are those of a float that is
/// 2^112 times smaller. This holds for subnormal numbers too. Infinities and NaN keep the highest
/// exponent.
inline double to_double(half x) noexcept {
  const auto bits = static_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = (bits & 0x7fffu) << 13;
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  if (magnitude >= 0x7c00u << 13) return std::bit_cast<float>(sign | magnitude | 0x7f800000u);
  return std::bit_cast<float>(sign | magnitude) * 0x1p112f;
}
inline double to_double(float x) noexcept { return x; }
inline double to_double(double x) noexcept { return x; }

/// Scores of one input at a fixed distance in memory: element i is at reinterpret_cast<const
/// char*>(data) + i * stride. The scores may be misaligned, as in a packed record, and the stride
/// may be negative or zero.
template <class T>
struct Row {
  const T* data;
  std::size_t size;
  std::ptrdiff_t stride;  ///< bytes from one score to the next

  /// Whether the scores can be read as an array at `data`.
  bool is_dense() const noexcept {
    return stride == sizeof(T) && reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0;
  }
  T operator[](std::size_t i) const noexcept {
    return load(reinterpret_cast<const char*>(data) + static_cast<std::ptrdiff_t>(i) * stride);
  }
  /// The scores from index i on. \pre i <= size
  Row after(std::size_t i) const noexcept {
    return {reinterpret_cast<const T*>(reinterpret_cast<const char*>(data) +
                                       static_cast<std::ptrdiff_t>(i) * stride),
            size - i, stride};
  }
  /// Score i of a contiguous row (stride == sizeof(T)). Compilers vectorise this form.
  T packed(std::size_t i) const noexcept {
    return load(reinterpret_cast<const char*>(data) + i * sizeof(T));
  }

 private:
  static T load(const char* at) noexcept {
    T x;
    std::memcpy(&x, at, sizeof(T));
    return x;
  }
};

/// (n_inputs, n_draws) scores in memory of any layout; T is half, float or double. Strides may be
/// negative or zero, and the scores need not be aligned. n_draws is at least 1 and below 2^32.
template <class T>
struct Scores {
  const T* data;
  std::size_t n_inputs, n_draws;
  std::ptrdiff_t row_stride, draw_stride;  ///< bytes
  std::uint64_t first_row = 0;  ///< number of row 0 if the rows come in parts (Order::unknown)

  Row<T> row(std::size_t i) const noexcept {
    return {reinterpret_cast<const T*>(reinterpret_cast<const char*>(data) +
                                       static_cast<std::ptrdiff_t>(i) * row_stride),
            n_draws, draw_stride};
  }
};

}  // namespace smoothbound
