/// \file detail/curve.hpp
/// The bound of one input as a function of the radius, reduced to some hundred numbers.
///
/// Theorem 2 (and Theorem 1, with a single gap b - a) bounds the distance of the confidence from
/// the end of the range by
///     distance(r) = sum_i gap_i * Phi(z_i - r),     r = R / sigma,
/// over as many knots as there are draws. Knots with nearly the same z_i form a group. Let c be
/// the nearest multiple of 1/8, h_i = z_i - c and y = c - r. Then
///     Phi(y + h) = Phi(y) + phi(y) sum_{t>=1} (-1)^(t-1) He_{t-1}(y) h^t / t!.
/// A group is therefore represented by its moments sum_i gap_i h_i^t / t!. Ten moments leave an
/// error below 1e-16 of the range (a fast Gauss transform; Greengard & Strain 1991). Evaluation at
/// many radii, and the search over the radius, then take microseconds, whatever the number of
/// draws.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "smoothbound/detail/knot_groups.hpp"

namespace smoothbound::detail {

/// The levels of the knots, computed once for all rows that share them. The constructor may throw
/// std::bad_alloc.
class KnotLevels {
 public:
  /// \param z  lower bounds on Phi^-1(p_i), in descending order, -inf allowed. A bound above 9 is
  ///           lowered to 9, and one below -9 to -inf. This is safe and loses 1e-19.
  explicit KnotLevels(std::span<const double> z);

  /// h_i, for the knots with a finite level.
  const std::vector<double>& offsets() const noexcept { return offsets_; }

  /// The groups in descending order of their levels.
  const std::vector<KnotGroup>& groups() const noexcept { return groups_; }

 private:
  std::vector<double> offsets_;
  std::vector<KnotGroup> groups_;
};

/// The radii at which many curves are evaluated. The values of Phi, phi and the Hermite polynomials
/// are computed once for all curves.
class CurveRadii {
 public:
  /// \param r  >= 0, in units of sigma
  explicit CurveRadii(std::span<const double> r);

  std::size_t size() const noexcept { return weights_.size() / stride; }

  /// The curve_terms * curve_groups weights of radius j.
  const double* weights(std::size_t j) const noexcept { return weights_.data() + j * stride; }

 private:
  static constexpr std::size_t stride = curve_terms * curve_groups;
  std::vector<double> weights_;
};

/// distance(r) of one input. Many threads may call its const members.
class BoundCurve {
 public:
  /// Removes all knots.
  void clear() noexcept;

  /// Adds a knot with gap_i >= 0 at each level i. \pre gaps.size() == the number of z in `levels`
  void add(std::span<const double> gaps, const KnotLevels& levels) noexcept;

  /// Adds a knot with gap_i >= 0 at level at[i] of `levels`, for each i; `at` ascends. `offsets` is
  /// scratch space.
  /// \pre at.size() == gaps.size() <= offsets.size()
  void add(std::span<const double> gaps, const KnotLevels& levels, std::span<const std::size_t> at,
           std::span<double> offsets) noexcept;

  /// Adds a single knot: gap >= 0 at level z, not NaN.
  void add(double gap, double z) noexcept;

  /// Sets the moments of a group: term t is moments[t * stride].
  void set(std::size_t group, const double* moments, std::size_t stride) noexcept;

  /// Sets the sum of the gaps, rounded up.
  void set_total(double total) noexcept { total_ = total; }

  /// distance(r), rounded down. It is never above the exact sum, and below it by at most 2e-14 of
  /// the sum of the gaps. \param r  R / sigma, >= 0, infinity allowed
  double operator()(double r) const noexcept;

  /// The same bits at radius j of `radii`. \pre j < radii.size()
  double at(const CurveRadii& radii, std::size_t j) const noexcept;

  /// The same bits at r = k / 8, without a CurveRadii. \pre k <= last_eighth
  double at_eighth(std::size_t k) const noexcept;
  static constexpr std::size_t last_eighth = 80;

  /// The distance, rounded down, from the result `sum` of the kernel `curve` and the sum of the
  /// gaps.
  static double rounded_down(double sum, double total) noexcept;

 private:
  std::size_t groups() const noexcept;
  double weighted(const double* weights, std::size_t stride) const noexcept;
  void add(const double* gaps, const double* offsets, std::size_t n, std::size_t group) noexcept;
  void include(std::size_t group) noexcept;

  // Moments by order and group; [first_, last_) are the groups in use.
  std::array<std::array<double, curve_groups>, curve_terms> moments_{};
  std::size_t first_ = curve_groups, last_ = 0;
  double total_ = 0.0;  // sum of the gaps, rounded up
};

}  // namespace smoothbound::detail
