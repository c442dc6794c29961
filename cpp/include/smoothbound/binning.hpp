/// \file binning.hpp
/// Sorted scores and equal-count bins (Kumar et al. 2020, author feedback, lines 25-29).
///
/// What allocates memory here may throw std::bad_alloc, and nothing else.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace smoothbound {

/// The 16-bit IEEE float, as its bits: C++20 has no type for it.
enum class half : std::uint16_t {};

/// Value of a half as a double (exact). The bits of a half, shifted, are those of a float 2^112
/// times smaller, subnormal numbers included; infinities and NaN take the highest exponent of each.
inline double to_double(half x) noexcept {
  const auto bits = static_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = (bits & 0x7fffu) << 13;
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  if (magnitude >= 0x7c00u << 13) return std::bit_cast<float>(sign | magnitude | 0x7f800000u);
  return std::bit_cast<float>(sign | magnitude) * 0x1p112f;
}
inline double to_double(float x) noexcept { return x; }
inline double to_double(double x) noexcept { return x; }

/// Scores of one input at a fixed distance in memory: element i is at
/// reinterpret_cast<const char*>(data) + i * stride. They may be misaligned, as in a packed record,
/// and the stride may be negative or zero.
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
  /// The scores from number i on. \pre i <= size
  Row after(std::size_t i) const noexcept {
    return {reinterpret_cast<const T*>(reinterpret_cast<const char*>(data) +
                                       static_cast<std::ptrdiff_t>(i) * stride),
            size - i, stride};
  }
  /// The same for neighbouring scores (stride == sizeof(T)), in a form that compilers vectorise.
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

struct Spread;

/// A sort of long rows of floats. A sample of the row says where to cut the range into buckets of
/// about the same number of draws; each draw is moved to its bucket, and each bucket is sorted in
/// the cache, several at once.
class BucketSort {
 public:
  enum class Outcome {
    sorted,
    bad_score,  ///< one is NaN or outside [a, b]
    uneven,     ///< the sample tells too little of the rest: nothing is sorted
  };

  /// Whether this is the fastest sort of a row that the Sorter has.
  static bool suits(Row<float> row) noexcept;

  /// \param keys  gets the bits of the scores, in ascending order and so that they ascend, too
  Outcome operator()(Row<float> row, double a, double b, std::vector<std::uint32_t>& keys);

 private:
  Spread plan(Row<float> row, double a, double b);
  void sort_each();
  void sort_large(float* begin, float* end);

  std::vector<std::int32_t> sample_;
  std::vector<std::uint32_t> histogram_;
  std::vector<std::uint16_t> bucket_;         // of each cell
  std::vector<std::uint32_t> starts_, ends_;  // of each bucket in room_
  std::vector<float> room_, scratch_;
  std::vector<std::uint32_t> large_, other_;
};

/// The scores of one row in ascending order, by a sort of their bits. Keeps its memory from row to
/// row: use one per thread.
template <class T>
class Sorter {
 public:
  /// Sorts a row.
  ///
  /// \param row  scores, any layout; \pre 0 < row.size < 2^32
  /// \param a    least score allowed
  /// \param b    greatest score allowed, a < b
  /// \return false, with nothing sorted, if a score is NaN or outside [a, b]
  bool operator()(Row<T> row, double a, double b);

  /// Score number i of the row last sorted, from the least on, exactly. \pre i < its size
  double operator[](std::size_t i) const noexcept;

  /// The scores number positions[i], counted from the greatest on if `descending`.
  /// \pre out.size() <= positions.size(), and all positions are below the size of the row
  void pick(std::span<const std::size_t> positions, bool descending,
            std::span<double> out) const noexcept;

  /// The scores number `first` and on, as many as `out` holds. \pre first + out.size() <= its size
  void copy(std::size_t first, std::span<double> out) const noexcept;

 private:
  using Key = std::conditional_t<sizeof(T) == 2, std::uint16_t,
                                 std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
  // The keys of a row, and whether its scores are good; then they may be sorted.
  bool take(Row<T> row, double a, double b);
  void sort();

  std::vector<Key> keys_, other_;  // bits in an order of their own, less base_
  Key base_ = 0, least_ = 0, most_ = 0;
  std::vector<std::uint32_t> histogram_;
  struct Nothing {};
  [[no_unique_address]] std::conditional_t<std::is_same_v<T, float>, BucketSort, Nothing> buckets_;
};

/// Positions of the knots of `n_bins` equal-count bins among m scores in ascending order, from 0:
/// knot i is the score at floor(i m / n), and m - floor(i m / n) draws or more are >= it. Every
/// draw is a knot if n_bins is 0 or at least m.
std::vector<std::size_t> equal_count_positions(std::size_t m, std::size_t n_bins);

}  // namespace smoothbound
