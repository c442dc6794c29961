#include "smoothbound/detail/joint.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/kernels.hpp"
#include "rounding.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound::detail {
namespace {

// These constants need no derivation, because the bound holds for every mixture and at all radii.
// _numba/_means/joint.py has the same constants.
constexpr double z_limit = 9.0;         // of the touching points
constexpr double least_mixed = 1e-300;  // of a slope whose logarithm is taken
constexpr int most_steps = 24;
constexpr double least_gain = 0x1p-24;   // of the bound, for one more step
constexpr double first_ridge = 0x1p-20;  // of Newton's method, as a share of the diagonal
constexpr double ridge_step = 8.0;
constexpr int most_changes = 20;        // of the free coordinates, in a step
constexpr double least_slope = 1e-12;   // of a coordinate that becomes free
constexpr int most_halvings = 30;       // of the first mixture
constexpr double resolution = 0x1p-20;  // of a radius
constexpr int most_trials = 60;         // of the search for a radius

constexpr std::size_t n_tangents = JointBound::n_tangents;
using Weights = JointBound::Weights;
using Square = std::array<Weights, n_tangents>;

// Solves a x = b for the x_k that are free, by elimination; the others are 0. A singular a gives
// numbers of no use.
Weights solve(Square a, Weights b, const std::array<bool, n_tangents>& free) noexcept {
  for (std::size_t k = 0; k < n_tangents; ++k) {
    if (free[k]) continue;
    for (std::size_t l = 0; l < n_tangents; ++l) a[k][l] = a[l][k] = 0.0;
    a[k][k] = 1.0;
    b[k] = 0.0;
  }
  for (std::size_t i = 0; i < n_tangents; ++i) {
    for (std::size_t j = i + 1; j < n_tangents; ++j) {
      const double share = a[j][i] / a[i][i];
      for (std::size_t k = i; k < n_tangents; ++k) a[j][k] -= share * a[i][k];
      b[j] -= share * b[i];
    }
  }
  for (std::size_t i = n_tangents; i-- > 0;) {
    for (std::size_t k = i + 1; k < n_tangents; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

// The greatest b x - x a x / 2 over x >= 0, from x on, by the active-set method of Lawson and
// Hanson (1974): x goes to the best point with the free coordinates, or until one of them is 0,
// which is then held there. One that would rise becomes free.
Weights maximise(const Square& a, const Weights& b, Weights x) noexcept {
  std::array<bool, n_tangents> free;
  for (std::size_t k = 0; k < n_tangents; ++k) free[k] = x[k] > 0.0;
  for (int change = 0; change < most_changes; ++change) {
    const Weights best = solve(a, b, free);
    double part = 1.0;
    std::size_t changed = n_tangents;
    for (std::size_t k = 0; k < n_tangents; ++k) {
      if (!free[k] || best[k] > 0.0 || !(x[k] / (x[k] - best[k]) < part)) continue;
      part = x[k] / (x[k] - best[k]);
      changed = k;
    }
    for (std::size_t k = 0; k < n_tangents; ++k)
      x[k] = std::max(x[k] + part * (best[k] - x[k]), 0.0);
    if (changed < n_tangents) {
      x[changed] = 0.0;
      free[changed] = false;
      continue;
    }
    double steepest = least_slope;
    for (std::size_t k = 0; k < n_tangents; ++k) {
      double slope = b[k];
      for (std::size_t l = 0; l < n_tangents; ++l) slope -= a[k][l] * x[l];
      if (free[k] || !(slope > steepest)) continue;
      steepest = slope;
      changed = k;
    }
    if (changed == n_tangents) break;
    free[changed] = true;
  }
  return x;
}

std::size_t nearest_tangents(double r) noexcept {
  std::size_t nearest = 0;
  for (std::size_t k = 1; k < n_tangents; ++k) {
    if (std::fabs(joint_radii[k] - r) < std::fabs(joint_radii[nearest] - r)) nearest = k;
  }
  return nearest;
}

// The mixture at which the quadratic that touches the bound at a mixture is greatest.
Weights newton_step(const JointBound::Slopes& s, const Weights& mixture, double ridge) noexcept {
  Square fall = s.fall;
  Weights rise = s.rise;
  for (std::size_t k = 0; k < n_tangents; ++k) {
    fall[k][k] += ridge * fall[k][k] + 1e-300;
    for (std::size_t l = 0; l < n_tangents; ++l) rise[k] += fall[k][l] * mixture[l];
  }
  return maximise(fall, rise, mixture);
}

}  // namespace

// The level of each mean, rounded down, so that the sum of the levels is at most alpha.
JointBound::JointBound(double alpha) noexcept
    : tangent_(MeanKind::betting, below(alpha / n_tangents)) {}

void JointBound::fit(std::span<const double> pilot, std::span<const double> draws) {
  tangent_.fit(pilot, draws);
  for (std::size_t k = 0; k < n_tangents; ++k) {
    shortfalls_[k] = tangent_.shortfall(joint_radii[k]);
    weights_[k].assign(tangent_.weights().begin(), tangent_.weights().end());
    stakes_[k] = tangent_.stake();
  }
  const std::span<const double> knots = tangent_.knots();
  const std::size_t n = knots.size() - 1;
  lengths_.resize(n);
  for (std::size_t i = 0; i < n; ++i) lengths_[i] = knots[i + 1] - knots[i];
  for (auto* of_intervals : {&mixed_, &z_, &shifted_, &below_}) of_intervals->assign(n, 0.0);
}

// u, and the points where psi_r has the slope u: exp(r z - r^2 / 2) = u. At r = 0, whose slope is 1
// everywhere, the tangent near 1 loses least to rounding.
void JointBound::mix(const Weights& mixture, double r) noexcept {
  const std::size_t n = lengths_.size();
  for (std::size_t i = 0; i < n; ++i) {
    double u = 0.0;
    for (std::size_t k = 0; k < n_tangents; ++k) u += mixture[k] * weights_[k][i];
    mixed_[i] = u;
    z_[i] = std::max(u, least_mixed);
  }
  if (r == 0.0) {
    std::fill(z_.begin(), z_.end(), z_limit);
    return;
  }
  gaussian::log(z_, z_);
  for (double& z : z_) z = std::clamp((z + 0.5 * r * r) / r, -z_limit, z_limit);
}

// The bound for a mixture, without regard to rounding.
double JointBound::value_of(const Weights& mixture, double r) noexcept {
  mix(mixture, r);
  const std::size_t n = lengths_.size();
  for (std::size_t i = 0; i < n; ++i) {
    shifted_[i] = z_[i] - r;
    below_[i] = -z_[i];
  }
  gaussian::cdf(shifted_, shifted_);
  gaussian::cdf(below_, below_);
  double value = 0.0;
  for (std::size_t i = 0; i < n; ++i) value += lengths_[i] * (shifted_[i] + mixed_[i] * below_[i]);
  for (std::size_t k = 0; k < n_tangents; ++k) value -= mixture[k] * shortfalls_[k];
  return value;
}

// Of the value_of() computed last.
JointBound::Slopes JointBound::slopes(double r) noexcept {
  constexpr double height = 0.39894228040143267794;  // 1 / sqrt(2 pi)
  Slopes s{};
  for (std::size_t i = 0; i < lengths_.size(); ++i) shifted_[i] = -0.5 * z_[i] * z_[i];
  kernels().exp(shifted_.data(), shifted_.data(), shifted_.size());
  for (std::size_t i = 0; i < lengths_.size(); ++i) {
    const double falls = height * shifted_[i] / (r * std::max(mixed_[i], least_mixed));
    for (std::size_t k = 0; k < n_tangents; ++k) {
      const double w = lengths_[i] * weights_[k][i];
      s.rise[k] += w * below_[i];
      for (std::size_t l = 0; l <= k; ++l) s.fall[k][l] += w * weights_[l][i] * falls;
    }
  }
  for (std::size_t k = 0; k < n_tangents; ++k) {
    s.rise[k] -= shortfalls_[k];
    for (std::size_t l = 0; l < k; ++l) s.fall[l][k] = s.fall[k][l];
  }
  return s;
}

// The bound is concave in the mixture: Newton's method, with a ridge that grows where a step fails.
// It begins with the nearest tangents, at a size that makes the bound positive, because the bound
// of no tangents is 0.
void JointBound::find_mixture(double r) noexcept {
  mixture_ = {};
  double& nearest = mixture_[nearest_tangents(r)];
  nearest = 1.0;
  if (r == 0.0) return;
  double value = value_of(mixture_, r);
  for (int halvings = 0; halvings < most_halvings && !(value > 0.0); ++halvings) {
    nearest *= 0.5;
    value = value_of(mixture_, r);
  }
  Slopes s = slopes(r);
  double ridge = first_ridge;
  for (int steps = 0; steps < most_steps; ++steps) {
    const Weights next = newton_step(s, mixture_, ridge);
    double gain = 0.0;
    for (std::size_t k = 0; k < n_tangents; ++k) gain += s.rise[k] * (next[k] - mixture_[k]);
    if (!(gain > least_gain * value)) return;
    const double found = value_of(next, r);
    if (found > value) {
      mixture_ = next;
      value = found;
      s = slopes(r);
      ridge /= ridge_step;
    } else {
      ridge *= ridge_step;
    }
  }
}

// The bound for the mixture at r. The sums of positive terms are compensated: lengths, products and
// totals are known to 4 units of themselves, u to 6. A greater w_i - u_i is safe. The last term
// covers products that are subnormal.
double JointBound::certified(double r) noexcept {
  mix(mixture_, r);
  std::vector<double>& slopes = below_;
  std::vector<double>& constants = shifted_;
  const std::size_t n = lengths_.size();
  kernels().tangents(z_.data(), n, r, slopes.data(), constants.data());
  double constant = 0.0, constant_lost = 0.0;
  double excess = 0.0, excess_lost = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    add_to(constant, constant_lost, lengths_[i] * constants[i]);
    const double over = slopes[i] - mixed_[i] * (1.0 - 8 * unit);
    if (over > 0.0) add_to(excess, excess_lost, lengths_[i] * over);
  }
  double missing = (excess + excess_lost) * (1.0 + 8 * unit);
  for (std::size_t k = 0; k < n_tangents; ++k) missing += mixture_[k] * shortfalls_[k];
  const double most = (constant + constant_lost) * (1.0 - 8 * unit);
  const double bound = below(most - missing * (1.0 + 16 * unit)) - 0x1p-1060;
  return bound > 0.0 ? std::min(bound, 1.0) : 0.0;
}

double JointBound::operator()(double r) noexcept {
  find_mixture(r);
  return certified(r);
}

// Interpolates inversely between two points, with the height of the other end halved after each
// step (the Illinois method), in the coordinate Phi^-1 of the bound, in which it is nearly a line.
double JointBound::certified_radius(double target) noexcept {
  double found = (*this)(0.0);
  if (!(found > target)) return std::numeric_limits<double>::quiet_NaN();
  const double goal = gaussian::quantile(target);
  double low = 0.0;
  double low_height = gaussian::quantile(found) - goal;
  double high = 1.0;
  while ((found = (*this)(high)) > target) {  // it is 0 from some radius on, because |z| <= 9
    low = high;
    low_height = gaussian::quantile(found) - goal;
    high *= 2.0;
  }
  double high_height = gaussian::quantile(found) - goal;
  for (int trial = 0; trial < most_trials && high - low > resolution * (1.0 + low); ++trial) {
    double r = low + (high - low) * (low_height / (low_height - high_height));
    if (trial % 4 == 3 || !(r > low && r < high)) r = 0.5 * (low + high);
    found = (*this)(r);
    const double height = gaussian::quantile(found) - goal;
    if (found > target) {
      low = r;
      low_height = height;
      high_height *= 0.5;
    } else {
      high = r;
      high_height = height;
      low_height *= 0.5;
    }
  }
  return low;
}

}  // namespace smoothbound::detail
