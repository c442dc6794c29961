/// \file curve.hpp
/// The bound of one input as a function of the radius, condensed into some hundred numbers.
///
/// Theorem 2 (and Theorem 1, with a single gap b - a) bounds the distance of the confidence from
/// the end of the range by
///     distance(r) = sum_i gap_i * Phi(z_i - r),     r = R / sigma,
/// over as many knots as there are draws. Knots with nearly the same z_i are taken together: with
/// h_i = z_i - c, c the nearest multiple of 1/8, and y = c - r,
///     Phi(y + h) = Phi(y) + phi(y) sum_{t>=1} (-1)^(t-1) He_{t-1}(y) h^t / t!
/// needs of them only the moments sum_i gap_i h_i^t / t!, and ten of these leave an error below
/// 1e-16 of the range (a fast Gauss transform; Greengard & Strain 1991). Any number of radii, and
/// the search over the radius, then cost microseconds, however many draws there were.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace smoothbound {

inline constexpr std::size_t curve_terms = 10;  ///< moments of a group, t = 0 ... 9
inline constexpr int curve_groups_per_unit = 8;
inline constexpr int curve_limit = 9;  ///< levels are kept for z in [-9, 9]
inline constexpr std::size_t curve_groups = 2 * curve_limit * curve_groups_per_unit + 1;

/// The knots [begin, end), whose levels are nearest to the same multiple of 1/8.
struct KnotGroup {
  std::size_t index, begin, end;
};

/// The levels of the knots, prepared once for the rows that share them. Throws std::bad_alloc
/// where there is no memory for them.
class KnotLevels {
 public:
  /// \param z  lower bounds on Phi^-1(p_i), in descending order, -inf allowed. Above 9 they are
  ///           lowered to 9, and below -9 taken as -inf, which is safe and loses 1e-19.
  explicit KnotLevels(std::span<const double> z);

  std::size_t size() const noexcept { return offsets_.size(); }

 private:
  friend class BoundCurve;
  friend class ShortRows;
  std::vector<double> offsets_;    // h_i, for the knots with a finite level
  std::vector<KnotGroup> groups_;  // from the highest level on
};

/// The radii at which many curves are evaluated: Phi and the rest are computed once for all.
class CurveRadii {
 public:
  /// \param r  >= 0, in units of sigma
  explicit CurveRadii(std::span<const double> r);

  std::size_t size() const noexcept { return weights_.size() / stride; }

 private:
  friend class BoundCurve;
  friend class ShortRows;
  static constexpr std::size_t stride = curve_terms * curve_groups;
  std::vector<double> weights_;
};

/// distance(r) of one input. Copyable; const members may be called from many threads.
class BoundCurve {
 public:
  /// Forgets all knots.
  void clear() noexcept;

  /// Adds knots: gap_i >= 0 at level i. \pre gaps.size() == the number of z given to `levels`
  void add(std::span<const double> gaps, const KnotLevels& levels) noexcept;

  /// Adds knots: gap_i >= 0 at level number at[i] of `levels`, ascending. What of them has a finite
  /// level needs room in `offsets`, which may hold anything afterwards.
  /// \pre at.size() == gaps.size() <= offsets.size()
  void add(std::span<const double> gaps, const KnotLevels& levels, std::span<const std::size_t> at,
           std::span<double> offsets) noexcept;

  /// Adds a single knot: gap >= 0 at level z, not NaN.
  void add(double gap, double z) noexcept;

  /// distance(r), rounded down: never above the exact sum, and below it by at most 2e-14 of the
  /// sum of the gaps. \param r  R / sigma, >= 0, infinity allowed
  double operator()(double r) const noexcept;

  /// The same, bit for bit, at radius number j of the `radii`. \pre j < radii.size()
  double at(const CurveRadii& radii, std::size_t j) const noexcept;

  /// The same, bit for bit, at r = k / 8, for which nothing need be prepared. \pre k <= last_eighth
  double at_eighth(std::size_t k) const noexcept;
  static constexpr std::size_t last_eighth = 80;

 private:
  friend class ShortRows;
  std::size_t groups() const noexcept;
  double weighted(const double* weights, std::size_t stride) const noexcept;
  static double rounded_down(double sum, double total) noexcept;
  void add(const double* gaps, const double* offsets, std::size_t n, std::size_t group) noexcept;
  void include(std::size_t group) noexcept;

  // Moments by order and group; [first_, last_) are the groups in use.
  std::array<std::array<double, curve_groups>, curve_terms> moments_{};
  std::size_t first_ = curve_groups, last_ = 0;
  double total_ = 0.0;  // sum of the gaps, rounded up
};

}  // namespace smoothbound
