#include "smoothbound/detail/curve.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/kernels.hpp"
#include "rounding.hpp"

namespace smoothbound::detail {
namespace {

std::size_t group_of(double z) {
  return static_cast<std::size_t>((z + curve_limit) * curve_groups_per_unit + 0.5);  // nearest
}

// The weights of every group at every r = k / 8. The centres of the groups are multiples of 1/8,
// too, so the weights depend only on group - k.
class EighthWeights {
 public:
  static constexpr std::size_t size = curve_groups + BoundCurve::last_eighth;

  EighthWeights() noexcept {
    static_assert(BoundCurve::last_eighth <= curve_groups && curve_groups_per_unit == 8);
    constexpr double last = static_cast<double>(BoundCurve::last_eighth) / 8;
    std::array<double, curve_terms * curve_groups> part;
    for (const double r : {last, 0.0}) {
      kernels().curve_weights(r, 0, curve_groups, part.data());
      const std::size_t start = r == 0.0 ? BoundCurve::last_eighth : 0;
      for (std::size_t t = 0; t < curve_terms; ++t) {
        std::copy_n(part.data() + t * curve_groups, curve_groups,
                    weights_.data() + t * size + start);
      }
    }
  }

  const double* at(std::size_t group, std::size_t k) const {
    return weights_.data() + BoundCurve::last_eighth + group - k;
  }

 private:
  std::array<double, curve_terms * size> weights_;
};

bool is_kept(double z) { return z >= -curve_limit; }

double kept(double z) { return std::min(z, static_cast<double>(curve_limit)); }

// Relative error of distance(r): that of Phi, of the moments of order 0, and of the sum over the
// groups in eight lanes. All terms have the same sign.
constexpr double relative_error =
    gaussian::cdf_relative_error + moment_error + (curve_groups / 8 + 8) * unit;

// Error of distance(r) relative to the sum of the gaps. It has three parts: the truncation (1e-16);
// the rounding of y, up to 16 units where phi(y) is not negligible; and the terms t >= 1, which add
// up to less than 1/32 and carry fewer than 1024 roundings. (h is exact.)
constexpr double absolute_error = 1e-16 + 16 * unit + 1024 * unit / 32;

// For r beyond this, every Phi(z - r) is 0, and the powers of r in the series would overflow.
constexpr double farthest = curve_limit + 39.0;

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

CurveRadii::CurveRadii(std::span<const double> r) : weights_(r.size() * stride) {
  for (std::size_t j = 0; j < r.size(); ++j) {
    kernels().curve_weights(std::min(r[j], farthest), 0, curve_groups,
                            weights_.data() + j * stride);
  }
}

void BoundCurve::clear() noexcept {
  if (first_ < last_) {
    for (auto& order : moments_) std::fill(order.begin() + first_, order.begin() + last_, 0.0);
  }
  first_ = curve_groups;
  last_ = 0;
  total_ = 0.0;
}

void BoundCurve::include(std::size_t group) noexcept {
  first_ = std::min(first_, group);
  last_ = std::max(last_, group + 1);
}

void BoundCurve::set(std::size_t group, const double* moments, std::size_t stride) noexcept {
  for (std::size_t t = 0; t < curve_terms; ++t) moments_[t][group] = moments[t * stride];
  include(group);
}

void BoundCurve::add(std::span<const double> gaps, const KnotLevels& levels) noexcept {
  for (const KnotGroup& group : levels.groups()) {
    add(gaps.data() + group.begin, levels.offsets().data() + group.begin, group.end - group.begin,
        group.index);
  }
}

void BoundCurve::add(std::span<const double> gaps, const KnotLevels& levels,
                     std::span<const std::size_t> at, std::span<double> offsets) noexcept {
  std::size_t begin = 0;
  for (const KnotGroup& group : levels.groups()) {
    std::size_t end = begin;
    for (; end < at.size() && at[end] < group.end; ++end) offsets[end] = levels.offsets()[at[end]];
    if (end > begin) add(gaps.data() + begin, offsets.data() + begin, end - begin, group.index);
    begin = end;
  }
}

void BoundCurve::add(const double* gaps, const double* offsets, std::size_t n,
                     std::size_t group) noexcept {
  double sums[curve_terms];
  kernels().moments(gaps, offsets, n, sums);
  for (std::size_t t = 0; t < curve_terms; ++t) moments_[t][group] += sums[t];
  include(group);
  total_ = (total_ + sums[0]) * (1.0 + 2 * moment_error);
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
  total_ = (total_ + gap) * (1.0 + 2 * moment_error);
}

// The number of groups in use, rounded up to whole vectors of eight. The groups beyond the last one
// hold 0 and add nothing.
std::size_t BoundCurve::groups() const noexcept {
  return std::min((last_ - first_ + 7) / 8 * 8, curve_groups - first_);
}

double BoundCurve::operator()(double r) const noexcept {
  if (first_ >= last_) return 0.0;
  double weights[curve_terms * curve_groups];
  kernels().curve_weights(std::min(r, farthest), first_, groups(), weights);
  return weighted(weights, curve_groups);
}

double BoundCurve::at(const CurveRadii& radii, std::size_t j) const noexcept {
  if (first_ >= last_) return 0.0;
  return weighted(radii.weights(j) + first_, curve_groups);
}

double BoundCurve::at_eighth(std::size_t k) const noexcept {
  if (first_ >= last_) return 0.0;
  static const EighthWeights table;
  return weighted(table.at(first_, k), EighthWeights::size);
}

double BoundCurve::weighted(const double* weights, std::size_t stride) const noexcept {
  return rounded_down(kernels().curve(&moments_[0][first_], weights, stride, groups()), total_);
}

double BoundCurve::rounded_down(double sum, double total) noexcept {
  return std::max(0.0, sum * (1.0 - relative_error) - total * absolute_error);
}

}  // namespace smoothbound::detail
