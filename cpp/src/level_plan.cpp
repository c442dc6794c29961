#include "level_plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "batch.hpp"
#include "binomial.hpp"
#include "rounding.hpp"
#include "smoothbound/ell.hpp"

namespace smoothbound {

using namespace detail;

namespace {

// The bound of Clopper and Pearson from k of n_draws draws, rounded to the safe side.
Proportion proportion(std::size_t k, std::size_t n_draws, double alpha) noexcept {
  if (k == 0) return {0.0, 1.0};
  const auto n = static_cast<double>(n_draws);
  const double mean = static_cast<double>(k) / (n + 1.0);
  const double guess = std::max(0.5 * mean, mean - 3.0 * std::sqrt(mean * (1.0 - mean) / n));
  const Proportion p = order_quantile(k, n_draws, std::min(alpha, most_level), guess);
  constexpr double error = 1e-12;  // of order_quantile
  const Proportion safe{p.p * (1.0 - error), p.q * (1.0 + error)};
  // A subnormal p has too few digits.
  return safe.p >= std::numeric_limits<double>::min() ? safe : Proportion{0.0, 1.0};
}

}  // namespace

double binomial_quantile(std::size_t k, std::size_t n_draws, double alpha) noexcept {
  const Proportion least = proportion(k, n_draws, alpha);
  return lower_quantile(least.p, least.q);
}

namespace detail {

LevelPlan::LevelPlan(const LevelOptions& options, std::size_t n_draws)
    : options_(options), n_draws_(n_draws), curve_(options) {
  if (options.statistic == Statistic::probability) return;
  for (std::size_t goal = 0; goal < curve_.n_goals(); ++goal) {
    for (std::size_t j = 0; j < curve_.n_radii(); ++j) ranks_.push_back(rank_of(goal, j));
  }
}

LevelOfCount LevelPlan::level_of(std::size_t count) const noexcept {
  const Proportion least = proportion(count, n_draws_, options_.alpha);
  return {least.p, least.q, lower_quantile(least.p, least.q)};
}

// The least count with psi of its level above the goal, 0 if there is none. It is correct for any
// level that the search compares, even where rounding makes two levels change places.
std::size_t LevelPlan::rank_of(std::size_t goal, std::size_t radius) const noexcept {
  const auto passes = [&](std::size_t k) { return curve_.passes(level_of(k), goal, radius); };
  if (!passes(n_draws_)) return 0;
  std::size_t low = 0;
  std::size_t high = n_draws_;
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (passes(middle) ? high : low) = middle;
  }
  return high;
}

std::span<const double> LevelPlan::counted() const noexcept {
  return options_.statistic == Statistic::probability ? options_.levels : options_.thresholds;
}

void LevelPlan::levels(std::span<const std::size_t> counts,
                       std::span<LevelOfCount> out) const noexcept {
  for (std::size_t j = 0; j < counts.size(); ++j) out[j] = level_of(counts[j]);
}

void LevelPlan::bound(std::span<const LevelOfCount> levels,
                      std::span<double> bounds) const noexcept {
  const std::size_t n_radii = curve_.n_radii();
  const bool lower = options_.side == Side::lower;
  for (std::size_t j = 0; j < levels.size(); ++j) {
    for (std::size_t m = 0; m < n_radii; ++m) {
      bounds[j * n_radii + m] = lower ? curve_.lower(levels[j], m) : curve_.lost(levels[j], m);
    }
  }
}

void LevelPlan::find_radii(std::span<const LevelOfCount> levels,
                           std::span<double> radius) const noexcept {
  const bool probability = options_.statistic == Statistic::probability;
  const std::size_t n_thresholds = options_.thresholds.size();
  if (n_thresholds == 0) return;
  for (std::size_t k = 0; k < levels.size(); ++k) {
    for (std::size_t g = 0; g < curve_.n_goals(); ++g) {
      const std::size_t place = probability ? k * n_thresholds + g : g * n_thresholds + k;
      radius[place] = curve_.radius(levels[k], g);
    }
  }
}

Failure check(const LevelOptions& o, std::size_t n_draws) noexcept {
  const auto finite = [](double x) { return std::isfinite(x); };
  const auto bad = [](const char* need, double got) {
    return Failure{Error::bad_option, 0, 0, need, got};
  };
  if (!(o.sigma > 0.0 && finite(o.sigma))) return bad("sigma must be positive and finite", o.sigma);
  if (!(o.alpha >= least_alpha && o.alpha < 1.0)) {
    return bad("alpha must be at least 1e-302 and below 1", o.alpha);
  }
  if (!(o.a < o.b)) return bad("a must be below b", o.a);
  if (o.threads < 1) return bad("threads must be at least 1", o.threads);
  for (const double radius : o.radii) {
    if (!(finite(radius) && radius >= 0.0)) {
      return bad("radii must be finite and not negative", radius);
    }
  }
  if (const char* fault = fault_of(o.curve, o.radii, o.sigma)) return bad(fault, o.sigma);
  if (o.side != Side::lower && !o.thresholds.empty()) {
    return bad("thresholds need the lower side: their number must be 0 for the upper",
               static_cast<double>(o.thresholds.size()));
  }
  const bool probability = o.statistic == Statistic::probability;
  for (const double share : probability ? o.thresholds : o.levels) {
    if (share > 0.0 && share < 1.0) continue;
    return bad(probability ? "thresholds of a probability must lie strictly between 0 and 1"
                           : "levels of quantiles must lie strictly between 0 and 1",
               share);
  }
  for (const double score : probability ? o.levels : o.thresholds) {
    if (std::isnan(score)) {
      return bad(probability ? "levels must be numbers" : "thresholds must be numbers", score);
    }
  }
  if (n_draws == 0 || n_draws > std::numeric_limits<std::uint32_t>::max()) {
    return bad("n_draws must be at least 1 and below 2^32", static_cast<double>(n_draws));
  }
  return {};
}

}  // namespace detail
}  // namespace smoothbound
