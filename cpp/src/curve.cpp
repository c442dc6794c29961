#include "smoothbound/curve.hpp"

#include <algorithm>
#include <cmath>

#include "kernels.hpp"
#include "rounding.hpp"

namespace smoothbound {
namespace {

constexpr double centre_of(std::size_t group) {
  return static_cast<double>(group) / curve_groups_per_unit - curve_limit;
}

std::size_t group_of(double z) {
  return static_cast<std::size_t>((z + curve_limit) * curve_groups_per_unit + 0.5);  // nearest
}

bool is_kept(double z) { return z >= -curve_limit; }

double kept(double z) { return std::min(z, static_cast<double>(curve_limit)); }

// Of distance(r) relative to itself: Phi, the moments of order 0, and the sum over the groups in
// eight lanes; all of one sign.
constexpr double relative_error =
    gaussian::cdf_relative_error + moment_error + (curve_groups / 8 + 8) * unit;

// Relative to the sum of the gaps: the truncation (1e-16); the rounding of y, up to 16 units where
// phi(y) is not negligible; and the terms t >= 1, which add up to less than 1/32 and carry fewer
// than 1024 roundings. (h is exact.)
constexpr double absolute_error = 1e-16 + 16 * unit + 1024 * unit / 32;

}  // namespace

KnotLevels::KnotLevels(std::span<const double> z) {
  offsets_.reserve(z.size());
  for (std::size_t i = 0; i < z.size() && is_kept(z[i]); ++i) {
    const std::size_t group = group_of(kept(z[i]));
    offsets_.push_back(kept(z[i]) - centre_of(group));
    if (groups_.empty() || groups_.back().index != group) groups_.push_back({group, i, i});
    groups_.back().end = i + 1;
  }
}

void BoundCurve::clear() noexcept {
  for (auto& order : moments_) order.fill(0.0);
  first_ = curve_groups;
  last_ = 0;
  total_ = 0.0;
}

void BoundCurve::include(std::size_t group) noexcept {
  first_ = std::min(first_, group);
  last_ = std::max(last_, group + 1);
}

void BoundCurve::add(std::span<const double> gaps, const KnotLevels& levels) noexcept {
  for (const KnotLevels::Group& group : levels.groups_) {
    double sums[curve_terms];
    kernels().moments(gaps.data() + group.begin, levels.offsets_.data() + group.begin,
                      group.end - group.begin, sums);
    for (std::size_t t = 0; t < curve_terms; ++t) moments_[t][group.index] += sums[t];
    include(group.index);
    total_ = above(total_ + sums[0] * (1.0 + moment_error));
  }
}

void BoundCurve::add(double gap, double z) noexcept {
  if (!is_kept(z)) return;
  const std::size_t group = group_of(kept(z));
  const double h = kept(z) - centre_of(group);
  double term = gap;
  for (std::size_t t = 0; t < curve_terms; ++t) {
    moments_[t][group] += term;
    term *= h / static_cast<double>(t + 1);
  }
  include(group);
  total_ = above(total_ + gap);
}

double BoundCurve::operator()(double r) const noexcept {
  if (first_ >= last_) return 0.0;
  const double sum =
      kernels().curve(&moments_[0][first_], curve_groups, last_ - first_, centre_of(first_) - r);
  return std::max(0.0, sum * (1.0 - relative_error) - total_ * absolute_error);
}

}  // namespace smoothbound
