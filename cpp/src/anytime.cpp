#include "smoothbound/anytime.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/kernels.hpp"
#include "rounding.hpp"
#include "smoothbound/detail/range.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound {
namespace {

using detail::above;
using detail::below;
using detail::kernels;
using detail::unit;

// Nothing in this block needs to be exact: whatever the test bets on, its wealth is a
// supermartingale.
constexpr double prior_weight = 0.5;  // in draws, spread evenly over the knots
constexpr int first_steps = 5;        // towards the projection, from the draws themselves
constexpr int later_steps = 1;        // from the one before
constexpr double kept = 0.3;          // of the masses before a step: whole steps may go to and fro
constexpr double settled_step = 0x1p-8, longest_step = 2.0;  // of log stake
constexpr int most_root_steps = 40;
constexpr double least_log_stake = -30.0, greatest_log_stake = 40.0;

// The number of draws at which the bets are chosen again: a quarter more.
std::uint64_t next_refresh(std::uint64_t n_draws) noexcept { return n_draws + 2 + n_draws / 4; }

constexpr double mass_of_one = 1.0 / DrawRecord::one;

// The stake that grows the wealth most under these masses: the root of the slope of the growth, by
// Newton's method in log stake within a bracket; 0 where every stake loses.
double best_stake(std::span<const double> masses, std::span<const double> v, double m,
                  double guess) noexcept {
  const auto at_stake = [&](double stake) {
    return kernels().growth_slope(masses.data(), v.data(), masses.size(), m, stake);
  };
  if (!(m < 1.0 && at_stake(0.0).slope > 0.0)) return 0.0;
  double low = least_log_stake;
  double high = greatest_log_stake;
  double x = std::clamp(gaussian::log(guess), low, high);
  for (int steps = 0; steps < most_root_steps; ++steps) {
    const double stake = gaussian::exp(x);
    const auto [slope, decrease] = at_stake(stake);
    (slope > 0.0 ? low : high) = x;
    const double step = std::clamp(slope / (stake * decrease), -longest_step, longest_step);
    const double next = x + step;
    const bool inside = decrease > 0.0 && next > low && next < high;
    x = inside ? next : 0.5 * (low + high);
    if (inside && std::fabs(step) < settled_step) break;
  }
  return gaussian::exp(x);
}

// The sum of f(k) over the knots.
template <class F>
double sum_over_knots(const F& f) noexcept {
  double sum = 0.0;
  for (std::size_t k = 0; k < DrawRecord::n_knots; ++k) sum += f(k);
  return sum;
}

// ln(1/alpha), rounded up: the logarithm is known to 8 units of itself.
double evidence(double alpha) noexcept { return -gaussian::log(alpha) * (1.0 + 10 * unit); }

}  // namespace

EProcess::EProcess(double target, double r, std::size_t first)
    : target_(target),
      r_(r),
      first_(first),
      masses_(DrawRecord::n_knots),
      worst_(DrawRecord::n_knots),
      logs_(DrawRecord::n_knots) {
  tangents_.reset(DrawRecord::knots());
}

bool EProcess::reached(double alpha) const noexcept { return highest_ >= evidence(alpha); }

std::uint64_t EProcess::advance(const DrawRecord& record, double alpha) noexcept {
  const double enough = evidence(alpha);
  if (look_ == 0) {
    counts_ = record.guessed();
    seen_ = record.n_guess();
  }
  while (look_ < record.n_looks()) {
    const std::uint64_t n_draws = record.draws_at(look_);
    if (look_ >= first_) {
      if (log_wealth_ >= enough) return n_draws;
      if (n_draws >= refresh_at_) {
        choose_bet();
        refresh_at_ = next_refresh(n_draws);
      }
    }
    if (look_ + 1 == record.n_looks()) break;
    take(record.between(look_), record.draws_at(look_ + 1) - n_draws);
    ++look_;
  }
  return 0;
}

void EProcess::suggest_masses() noexcept {
  const double total = static_cast<double>(seen_) + prior_weight;
  constexpr double prior = prior_weight / DrawRecord::n_knots;
  for (std::size_t k = 0; k < masses_.size(); ++k) {
    masses_[k] = (static_cast<double>(counts_[k]) * mass_of_one + prior) / total;
  }
}

// Tangents and stake from the draws so far.
void EProcess::choose_bet() noexcept {
  suggest_masses();
  approach_projection();
  const std::span<const double> v = tangents_.values();
  for (std::size_t k = 0; k < logs_.size(); ++k) logs_[k] = 1.0 + stake_ * v[k];
  gaussian::log(logs_, logs_);
  log_null_ = gaussian::log(1.0 + stake_ * null_mean_);
  growth_ = sum_over_knots([&](std::size_t k) { return masses_[k] * logs_[k]; }) - log_null_;
  if (!(growth_ > 0.0)) growth_ = 0.0;
}

// The tangents that grow the wealth most touch at the distribution nearest to the masses p, in
// Kullback-Leibler divergence, that the null hypothesis allows: q = p (1 + stake m) / (1 + stake v)
// with the best stake for these tangents. Each step goes most of the way from the q before to the
// next, and lays the tangents there.
void EProcess::approach_projection() noexcept {
  int steps = later_steps;
  if (stake_ == 0.0) {
    worst_ = masses_;
    tangents_.touch(worst_, r_);
    stake_ = 1.0;
    steps = first_steps;
  }
  choose_stake();
  const std::span<const double> v = tangents_.values();
  for (int step = 0; step < steps && stake_ > 0.0; ++step) {
    const double before = 1.0 + stake_ * null_mean_;
    for (std::size_t k = 0; k < worst_.size(); ++k) {
      const double next = masses_[k] * before / (1.0 + stake_ * v[k]);
      worst_[k] = kept * worst_[k] + (1.0 - kept) * next;
    }
    tangents_.touch(worst_, r_);
    choose_stake();
  }
}

void EProcess::choose_stake() noexcept {
  null_mean_ = tangents_.null_mean(target_);
  stake_ = best_stake(masses_, tangents_.values(), null_mean_, stake_);
}

// One look's draws. A value known to 8 units of itself, the rounding of 1 + stake v, and 8 units of
// the logarithm move the gain of a draw by no more than (20 + 16 log(1 + stake)) units, and the
// same holds for the null mean, which is rounded up. The sum over the knots errs in proportion.
void EProcess::take(std::span<const DrawRecord::Entry> block, std::uint64_t n_draws) noexcept {
  const auto n = static_cast<double>(n_draws);
  double gain = 0.0;
  for (const auto& [knot, mass] : block) {
    gain += mass * mass_of_one * logs_[knot];
    counts_[knot] += mass;
  }
  seen_ += n_draws;
  if (look_ < first_ || stake_ == 0.0) return;
  const double errors = n * (20.0 + 32.0 * logs_.back()) * unit;
  const double relative = static_cast<double>(DrawRecord::n_knots + 4) * unit;
  const double least = gain * (1.0 - relative) - n * log_null_ * (1.0 + 4 * unit) - errors;
  log_wealth_ = below(log_wealth_ + below(least));
  highest_ = std::max(highest_, log_wealth_);
}

FunctionalEstimate estimate_functional(const DrawRecord& record, double r) {
  const auto total = static_cast<double>(record.n_guess() + record.draws_at(record.n_looks() - 1));
  if (total == 0.0) return {std::nan(""), std::nan("")};
  std::vector<double> masses(DrawRecord::n_knots);
  for (std::size_t k = 0; k < masses.size(); ++k) {
    const std::uint64_t mass = record.guessed()[k] + record.until_last_look()[k];
    masses[k] = static_cast<double>(mass) * mass_of_one / total;
  }
  detail::Tangents tangents;
  tangents.reset(DrawRecord::knots());
  tangents.touch(masses, r);
  const std::span<const double> v = tangents.values();
  const double mean = sum_over_knots([&](std::size_t k) { return masses[k] * v[k]; });
  const double square = sum_over_knots([&](std::size_t k) { return masses[k] * v[k] * v[k]; });
  const double greatest = tangents.greatest();
  return {tangents.constant() - greatest * (1.0 - mean),
          greatest * std::sqrt(std::max(0.0, square - mean * mean))};
}

double threshold_share(double threshold, double a, double b, Side side) noexcept {
  const detail::Range range{a, b, side};
  return std::min(above(range.distance(threshold) / range.width() * (1.0 + 4 * unit)), 1.0);
}

}  // namespace smoothbound
