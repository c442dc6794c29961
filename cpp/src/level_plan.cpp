#include "level_plan.hpp"

#include <algorithm>
#include <cmath>

#include "binomial.hpp"
#include "rounding.hpp"
#include "smoothbound/detail/range.hpp"
#include "smoothbound/ell.hpp"

namespace smoothbound {

using namespace detail;

double binomial_quantile(std::size_t k, std::size_t n_draws, double alpha) noexcept {
  if (k == 0) return -std::numeric_limits<double>::infinity();
  const auto n = static_cast<double>(n_draws);
  const double mean = static_cast<double>(k) / (n + 1.0);
  const double guess = std::max(0.5 * mean, mean - 3.0 * std::sqrt(mean * (1.0 - mean) / n));
  const Proportion p = order_quantile(k, n_draws, std::min(alpha, most_level), guess);
  constexpr double error = 1e-12;  // of order_quantile
  return lower_quantile(p.p * (1.0 - error), p.q * (1.0 + error));
}

namespace detail {
namespace {

// Phi(z) from z, whose own error is accounted for: a lower bound, and an upper bound. The margin
// covers the error of cdf() and the product.
constexpr double cdf_margin = gaussian::cdf_relative_error + 2 * unit;

double cdf_below(double z) noexcept {
  const double p = gaussian::cdf(z);
  return std::max(0.0, p - p * cdf_margin - gaussian::cdf_absolute_error);
}

double cdf_above(double z) noexcept {
  const double p = gaussian::cdf(z);
  return std::min(1.0, p + p * cdf_margin + gaussian::cdf_absolute_error);
}

// An upper bound on Phi^-1(p) and one on -Phi^-1(p), for a p that is exact.
double quantile_above(double p) noexcept {
  const double z = gaussian::quantile(p);
  return above(z + std::fabs(z) * (gaussian::quantile_relative_error + 2 * unit));
}

double negative_quantile_above(double p) noexcept {
  const double z = -gaussian::quantile(p);
  return above(z + std::fabs(z) * (gaussian::quantile_relative_error + 2 * unit));
}

}  // namespace

LevelPlan::LevelPlan(const LevelOptions& options, std::size_t n_draws)
    : options_(options), n_draws_(n_draws) {
  for (const double radius : options.radii) r_.push_back(scaled_radius(radius, options.sigma));
  if (options.statistic == Statistic::probability) {
    for (const double c : options.thresholds) goals_.push_back(quantile_above(c));
    return;
  }
  // A lower bound needs a probability above 1 - q, an upper bound one above q.
  const bool lower = options.side == Side::lower;
  for (const double q : options.levels) {
    goals_.push_back(lower ? negative_quantile_above(q) : quantile_above(q));
    for (const double r : r_) ranks_.push_back(rank_of(above(goals_.back() + r)));
  }
}

// The least count whose level is above the goal, 0 if there is none. It is correct for any level
// that the search compares, even where rounding makes two levels change places.
std::size_t LevelPlan::rank_of(double goal) const noexcept {
  const auto passes = [&](std::size_t k) {
    return binomial_quantile(k, n_draws_, options_.alpha) > goal;
  };
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

void LevelPlan::quantiles(std::span<const std::size_t> counts, std::span<double> z) const noexcept {
  for (std::size_t j = 0; j < counts.size(); ++j) {
    z[j] = binomial_quantile(counts[j], n_draws_, options_.alpha);
  }
}

void LevelPlan::bound(std::span<const double> z, std::span<double> bounds) const noexcept {
  for (std::size_t j = 0; j < z.size(); ++j) {
    for (std::size_t m = 0; m < r_.size(); ++m) {
      // 1 - psi_r(p) = Phi(r - Phi^-1(p)) keeps the digits of a small upper bound.
      bounds[j * r_.size() + m] = options_.side == Side::lower ? cdf_below(below(z[j] - r_[m]))
                                                               : cdf_above(above(r_[m] - z[j]));
    }
  }
}

void LevelPlan::find_radii(std::span<const double> z, std::span<double> radius) const noexcept {
  const bool probability = options_.statistic == Statistic::probability;
  const std::size_t n_thresholds = options_.thresholds.size();
  if (n_thresholds == 0) return;
  for (std::size_t k = 0; k < z.size(); ++k) {
    for (std::size_t g = 0; g < goals_.size(); ++g) {
      const double r = below(z[k] - goals_[g]);
      const std::size_t place = probability ? k * n_thresholds + g : g * n_thresholds + k;
      radius[place] =
          r >= 0.0 ? input_radius(r, options_.sigma) : std::numeric_limits<double>::quiet_NaN();
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
