#include "smoothbound/detail/tangents.hpp"

#include <algorithm>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "rounding.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound::detail {
namespace {

constexpr double z_limit = 9.0;  // wherever the tangents touch, the bound holds

}  // namespace

void Tangents::reset(std::span<const double> knots) {
  const std::size_t n = knots.size() - 1;
  lengths_.resize(n);
  for (std::size_t i = 0; i < n; ++i) lengths_[i] = knots[i + 1] - knots[i];
  for (auto* of_intervals : {&z_, &weights_, &constants_}) of_intervals->assign(n, 0.0);
  values_.assign(n + 1, 0.0);
}

// z_i = Phi^-1(G_i) with G_i the mass at and beyond the upper knot of interval i, from the smaller
// of the two tails.
void Tangents::find_touching_points(std::span<const double> masses) noexcept {
  std::size_t split = z_.size();  // where the upper tail begins to be the smaller one
  double beyond = 0.0;
  while (split > 0 && beyond + masses[split] < 0.5) {
    beyond += masses[split];
    z_[--split] = beyond;
  }
  double before = 0.0;
  for (std::size_t i = 0; i < split; ++i) {
    before += masses[i];
    z_[i] = std::min(before, 0.5);
  }
  gaussian::quantile(z_, z_);
  for (std::size_t i = 0; i < z_.size(); ++i) {
    const double z = i < split ? -z_[i] : z_[i];
    z_[i] = z == z ? std::clamp(z, -z_limit, z_limit) : 0.0;
  }
}

void Tangents::touch(std::span<const double> masses, double r) noexcept {
  find_touching_points(masses);
  const std::size_t n = lengths_.size();
  kernels().tangents(z_.data(), n, r, weights_.data(), constants_.data());
  // All terms are positive, and the sums compensated: lengths, products and totals are known to 4
  // units of themselves.
  double phi = 0.0;
  double phi_lost = 0.0;
  double constant = 0.0;
  double constant_lost = 0.0;
  values_[0] = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    add_to(phi, phi_lost, lengths_[i] * weights_[i]);
    values_[i + 1] = phi + phi_lost;
    add_to(constant, constant_lost, lengths_[i] * constants_[i]);
  }
  constant_ = (constant + constant_lost) * (1.0 - 8 * unit);
  greatest_ = values_[n];
  for (double& value : values_) value /= greatest_;  // now known to 8 units of itself
}

double Tangents::null_mean(double target) const noexcept {
  const double spare = below(constant_ - target);
  return above(1.0 - spare / greatest_ * (1.0 - (spare > 0.0 ? 8 : -8) * unit));
}

}  // namespace smoothbound::detail
