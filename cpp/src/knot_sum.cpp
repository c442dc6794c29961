#include "smoothbound/detail/knot_sum.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/kernels.hpp"
#include "largest_radius.hpp"
#include "rounding.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound::detail {
namespace {

constexpr std::size_t block = 256;
constexpr std::size_t lanes = 4;

// Units: the additions in a lane and of the lanes, the product, the gap (its distances, its
// difference), and the compensated total with some slack.
constexpr double sum_of_products_error = (block / lanes + 2 + 1 + 4 + 4) * unit;

constexpr double cdf_step = gaussian::cdf_absolute_error;  // a subnormal step
constexpr double least_exp = 1e-300;                       // rounding is relative above it

double sum_of_products(const double* x, const double* y, std::size_t n) noexcept {
  double sums[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (std::size_t k = 0; k < lanes; ++k) sums[k] += x[i + k] * y[i + k];
  }
  for (; i < n; ++i) sums[i % lanes] += x[i] * y[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Delta, rounded up: the probability that one of the changed pixels stays. It is
// 1 - C(d - R, k) / C(d, k), which is symmetric in R and k.
double loss_of_ablation(std::size_t d, std::size_t k, double r) noexcept {
  if (r >= static_cast<double>(d - k + 1)) return 1.0;
  const auto changed = static_cast<std::size_t>(r);
  if (changed == 0) return 0.0;
  const std::size_t few = std::min(changed, k);
  const std::size_t many = std::max(changed, k);
  double hidden = 1.0;
  for (std::size_t i = 0; i < few && hidden >= unit; ++i) {
    hidden *= static_cast<double>(d - many - i) / static_cast<double>(d - i) * (1.0 - 4 * unit);
  }
  return hidden < unit ? 1.0 : above(1.0 - hidden);
}

// Added to a loss, it covers the rounding of p - loss too.
constexpr double margin_of_loss = 4 * unit;

// exp(-r) rounded down is that of a larger radius. What holds there holds here too.
double laplace(double p, double q, double e) noexcept {
  if (e < least_exp) return 0.0;
  if (q >= 0.5) return std::max(0.0, p * e * (1.0 - 8 * unit) - cdf_step);
  if (q >= 0.5 * e) return std::min(p, e / (4.0 * q) * (1.0 - 8 * unit));
  return std::clamp(1.0 - q / e * (1.0 + 8 * unit) - unit, 0.0, p);
}

double shifted(double p, double q, double r) noexcept {
  const double z = lower_quantile(p, q);
  if (std::isinf(z)) return z > 0.0 ? p : 0.0;
  const double x = below(z - r);
  const double y = gaussian::cdf(x) * (1.0 - gaussian::cdf_relative_error - 2 * unit) - cdf_step;
  return std::clamp(y, 0.0, p);
}

}  // namespace

Probabilities::Probabilities(const KnotLevels& levels) {
  const std::size_t n = levels.offsets().size();
  p.resize(n);
  q.resize(n);
  for (const KnotGroup& group : levels.groups()) {
    for (std::size_t i = group.begin; i < group.end; ++i) {
      p[i] = centre_of(group.index) + levels.offsets()[i];  // exact
      q[i] = -p[i];
    }
  }
  gaussian::cdf(p, p);
  gaussian::cdf(q, q);
  // A level is at least -9, so neither is subnormal.
  constexpr double error = gaussian::cdf_relative_error + 2 * unit;
  for (double& x : p) x *= 1.0 - error;
  for (double& x : q) x *= 1.0 + error;
}

CurveAt::CurveAt(const NoiseCurve& curve, double r) noexcept : curve_(curve), form_(Form::line) {
  if (r == 0.0) return;
  switch (curve.kind) {
    case CurveKind::gaussian:
      form_ = Form::gaussian;
      value_ = r;
      break;
    case CurveKind::l1_uniform:
      value_ = 0.5 * r + margin_of_loss;
      break;
    case CurveKind::l1_laplace:
      form_ = Form::laplace;
      value_ = gaussian::exp(-r) * (1.0 - gaussian::far_exp_relative_error - 2 * unit);
      break;
    case CurveKind::ablation:
      if (r >= 1.0) value_ = loss_of_ablation(curve.pixels, curve.kept, r) + margin_of_loss;
      break;
    case CurveKind::table: {
      form_ = Form::table;
      const auto at = std::lower_bound(curve.radii.begin(), curve.radii.end(), r);
      row_ =
          curve.values.data() + static_cast<std::size_t>(at - curve.radii.begin()) * curve.p.size();
    }
  }
}

double CurveAt::operator()(double p, double q) const noexcept {
  double out = 0.0;
  (*this)(&p, &q, &out, 1);
  return out;
}

void CurveAt::operator()(const double* p, const double* q, double* out,
                         std::size_t n) const noexcept {
  switch (form_) {
    case Form::line:
#pragma omp simd
      for (std::size_t i = 0; i < n; ++i) out[i] = p[i] > value_ ? p[i] - value_ : 0.0;
      return;
    case Form::laplace:
      for (std::size_t i = 0; i < n; ++i) out[i] = laplace(p[i], q[i], value_);
      return;
    case Form::gaussian:
      for (std::size_t i = 0; i < n; ++i) out[i] = shifted(p[i], q[i], value_);
      return;
    case Form::table: {
      const double* grid = curve_.p.data();
      const double* end = grid + curve_.p.size();
      for (std::size_t i = 0; i < n; ++i) {
        const double* next = std::upper_bound(grid, end, p[i]);
        out[i] = next == grid ? 0.0 : row_[next - grid - 1];
      }
    }
  }
}

void KnotSum::clear() noexcept {
  gaps_.clear();
  p_.clear();
  q_.clear();
}

void KnotSum::add(std::span<const double> gaps, const KnotLevels& levels) {
  const std::size_t n = levels.offsets().size();  // the other levels are too low to count
  gaps_.insert(gaps_.end(), gaps.begin(), gaps.begin() + static_cast<std::ptrdiff_t>(n));
  const auto take = [&](const Probabilities& all) {
    p_.insert(p_.end(), all.p.begin(), all.p.end());
    q_.insert(q_.end(), all.q.begin(), all.q.end());
  };
  if (&levels == shared_) return take(*probabilities_);
  take(Probabilities(levels));
}

void KnotSum::add(std::span<const double> gaps, const KnotLevels&, std::span<const std::size_t> at,
                  std::span<double>) {
  for (std::size_t i = 0; i < at.size() && at[i] < probabilities_->p.size(); ++i) {
    gaps_.push_back(gaps[i]);
    p_.push_back(probabilities_->p[at[i]]);
    q_.push_back(probabilities_->q[at[i]]);
  }
}

void KnotSum::add(double gap, double z) {
  const double one[] = {gap};
  const double at[] = {z};
  const KnotLevels level(at);
  if (!level.offsets().empty()) add(std::span<const double>(one), level);
}

double KnotSum::operator()(const CurveAt& psi) const noexcept {
  double total = 0.0;
  double lost = 0.0;
  std::array<double, block> weights;
  for (std::size_t start = 0; start < gaps_.size(); start += block) {
    const std::size_t n = std::min(block, gaps_.size() - start);
    psi(p_.data() + start, q_.data() + start, weights.data(), n);
    add_to(total, lost, sum_of_products(gaps_.data() + start, weights.data(), n));
  }
  const double safe = (total + lost) * (1.0 - sum_of_products_error);
  // A product that is subnormal errs by a step at most.
  return std::max(0.0, safe - cdf_step * static_cast<double>(gaps_.size() + 1));
}

double certified_radius(const KnotSum& sum, const NoiseCurve& curve, double target) noexcept {
  return largest_radius(curve, [&](double r) { return sum(CurveAt(curve, r)) - target; });
}

}  // namespace smoothbound::detail
