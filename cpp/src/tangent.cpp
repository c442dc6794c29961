#include "smoothbound/detail/tangent.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/kernels.hpp"
#include "rounding.hpp"
#include "smoothbound/detail/binning.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound::detail {
namespace {

// These constants need no derivation, because the bound holds for any tangents and any stake that
// are chosen from the pilot. _numba/_means/tangent.py has the same constants.
constexpr std::size_t pilot_knots = 128;  // equal-count knots; the greatest pilot draw is one more
constexpr std::size_t even_knots = 128;   // equally spaced knots, where the pilot has no draws
constexpr double prior_weight = 0.1;      // weight of a uniform distribution, in pilot draws
constexpr double least_stake = 0x1p-20;
constexpr double greatest_stake = 0x1p30;
constexpr int most_steps = 16;
constexpr double settled_step = 0x1p-8;      // of log stake
constexpr double finest_step = 0x1p-11;      // of the grid of radii
constexpr double coarsest_share = 1.0 / 16;  // step, as a share of the distance from the forecast

void fill_knots(std::span<const double> pilot, std::vector<double>& knots) {
  knots = {pilot.back(), 1.0};
  for (const std::size_t i : equal_count_positions(pilot.size(), pilot_knots)) {
    knots.push_back(pilot[i]);
  }
  for (std::size_t i = 0; i < even_knots; ++i) {
    knots.push_back(static_cast<double>(i) / even_knots);
  }
  std::sort(knots.begin(), knots.end());
  knots.erase(std::unique(knots.begin(), knots.end()), knots.end());
}

}  // namespace

void TangentBound::fit(std::span<const double> pilot, std::span<const double> draws) {
  std::vector<double> knots;
  fill_knots(pilot, knots);
  const std::size_t n = knots.size() - 1;
  tangents_.reset(knots);
  // Each pilot draw is shared between its neighbouring knots, which keeps the mean. The prior keeps
  // the stake away from its extremes.
  masses_.assign(n + 1, 0.0);
  std::size_t i = 0;
  for (const double x : pilot) {
    while (i + 1 < n && x >= knots[i + 1]) ++i;
    const double f = (x - knots[i]) / (knots[i + 1] - knots[i]);
    masses_[i] += 1.0 - f;
    masses_[i + 1] += f;
  }
  const double total = static_cast<double>(pilot.size()) + prior_weight;
  for (std::size_t k = 0; k <= n; ++k) {
    const double below_it = k > 0 ? knots[k] - knots[k - 1] : 0.0;
    const double above_it = k < n ? knots[k + 1] - knots[k] : 0.0;
    const double nearby = below_it + above_it;
    masses_[k] = (masses_[k] + prior_weight * 0.5 * nearby) / total;
  }
  tally_.reset(knots);
  tally_.count(draws);
  for (auto* of_knots : {&worst_, &logs_}) of_knots->assign(n + 1, 0.0);
  restart();
}

void TangentBound::restart() noexcept {
  worst_ = masses_;
  stake_ = 1.0;
  damping_ = 1.0;
}

void TangentBound::place_tangents(double r) noexcept {
  tangents_.touch(worst_, r);
  const std::span<const double> values = tangents_.values();
  for (std::size_t i = 0; i < values.size(); ++i) logs_[i] = 1.0 + stake_ * values[i];
  gaussian::log(logs_, logs_);
}

// E (phi(1) - phi(X)), rounded up.
double TangentBound::missing() const noexcept {
  const double share = mean_ == MeanKind::betting
                           ? betting_lower(tally_, logs_, stake_, alpha_)
                           : bernstein_lower(tally_, tangents_.values(), alpha_);
  const double missing = tangents_.greatest() * (1.0 + 8 * unit) * above(1.0 - share);
  return missing * (1.0 + 2 * unit);
}

double TangentBound::bound() const noexcept {
  return std::clamp(below(tangents_.constant() - missing()), 0.0, 1.0);
}

// Returns the next change of log stake. The best stake and the distribution at which the tangents
// should touch depend on each other. Let E = (1 + stake v) / S with S = sum p / (1 + stake v).
// Among the distributions with the same mean of v, p / E is the nearest to the pilot's p in the
// Kullback-Leibler divergence sum p log E. The stake is right when n draws from p give just the
// evidence ln(1/alpha). This is one step of Newton's method in (log stake, log divergence).
double TangentBound::next_step() noexcept {
  const std::span<const double> values = tangents_.values();
  double sum = 0.0;  // S
  double logs = 0.0;
  double first = 0.0;
  double second = 0.0;
  for (std::size_t i = 0; i < masses_.size(); ++i) {
    const double odds = 1.0 / (1.0 + stake_ * values[i]);
    const double mass = masses_[i] * odds;
    sum += mass;
    logs += masses_[i] * logs_[i];
    first += mass * values[i];
    second += mass * odds * values[i];
  }
  const double wanted = -gaussian::log(alpha_) / static_cast<double>(tally_.n_draws());
  const double divergence = logs + gaussian::log(sum);
  const double slope = stake_ * (first - second / sum);
  if (!(divergence > 0.0 && slope > 0.0)) return 1.0;  // the stake is so small that rounding rules
  return std::clamp(gaussian::log(wanted / divergence) * divergence / slope, -3.0, 3.0);
}

// Changes the stake, and sets the distribution for it. The new tangents move the divergence again,
// often in the other direction. The damping follows from the last two steps.
void TangentBound::change_stake(double step) noexcept {
  const std::span<const double> values = tangents_.values();
  const double left = step / last_step_;  // the share of the last undamped step that is left
  if (left < 1.0) damping_ = std::clamp(damping_ / (1.0 - left), 0.125, 1.0);
  last_step_ = step;
  stake_ = std::clamp(stake_ * gaussian::exp(damping_ * step), least_stake, greatest_stake);
  double sum = 0.0;
  for (std::size_t i = 0; i < masses_.size(); ++i) {
    worst_[i] = masses_[i] / (1.0 + stake_ * values[i]);
    sum += worst_[i];
  }
  for (double& mass : worst_) mass /= sum;
}

void TangentBound::settle(double r) noexcept {
  last_step_ = std::numeric_limits<double>::infinity();
  for (int steps = 0;; ++steps) {
    place_tangents(r);
    const double step = next_step();
    // One small step may be chance, so the step before it must have been small, too.
    const bool settled =
        std::fabs(step) < settled_step && std::fabs(last_step_) < 16 * settled_step;
    if (steps == most_steps || settled) return;
    change_stake(step);
  }
}

double TangentBound::operator()(double r) noexcept {
  restart();
  settle(r);
  return bound();
}

double TangentBound::shortfall(double r) noexcept {
  settle(r);
  return missing();
}

double TangentBound::forecast(double r) noexcept {
  settle(r);
  const std::span<const double> values = tangents_.values();
  double expected = 0.0;
  for (std::size_t i = 0; i < worst_.size(); ++i) expected += worst_[i] * values[i];
  return tangents_.constant() - tangents_.greatest() * (1.0 - expected);
}

double TangentBound::forecast_radius(double target) noexcept {
  restart();
  double low = 0.0;
  double high = 1.0;
  while (high < 64.0 && forecast(high) > target) {
    low = high;
    high *= 2.0;
  }
  for (int i = 0; i < 8; ++i) {
    const double middle = 0.5 * (low + high);
    (forecast(middle) > target ? low : high) = middle;
  }
  return low;
}

double TangentBound::certified_radius(double target) noexcept {
  const double guess = forecast_radius(target);
  restart();
  double certified = std::numeric_limits<double>::quiet_NaN();
  for (double r = 0.0;; r += std::max(finest_step, coarsest_share * std::fabs(r - guess))) {
    settle(r);
    if (!(bound() > target)) return certified;
    certified = r;
  }
}

}  // namespace smoothbound::detail
