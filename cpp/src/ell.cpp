#include "smoothbound/ell.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "binomial.hpp"
#include "smoothbound/detail/crossing.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound {

using namespace detail;

namespace {

// x > 0, rounded down to nine decimal digits. Every machine rounds these operations alike.
double round_down(double x) noexcept {
  constexpr double least_digits = 1e8;
  double scale = 1.0;
  while (x * scale < least_digits && scale < 1e307) scale *= 10.0;
  if (x * scale < least_digits) return x * (1.0 - 1e-9);  // too small for its digits to be moved
  const double digits = std::floor(x * scale);
  return digits / scale <= x ? digits / scale : (digits - 1.0) / scale;
}

double log_of(double failure) noexcept {
  return failure > 0.0 ? gaussian::log(failure) : -std::numeric_limits<double>::infinity();
}

// The failure probability of all bounds is nearly a power of the level. These constants guide the
// search for the level. They cannot make it wrong: a level is taken only if its failure probability
// was computed and is at most alpha.
constexpr double usual_bounds = 75.0;  // number of independent bounds that would fail as often
constexpr double usual_slope = 0.95;   // slope of log failure over log level
constexpr double least_slope = 0.1, greatest_slope = 3.0;  // other slopes come from rounding
constexpr double enough = 2e-9;  // relative distance below alpha, less than the digits dropped
constexpr double aim = 1e-9;     // half of `enough`
constexpr double shortest_bracket = 1e-10;  // of log level
constexpr int most_steps = 40;  // halvings from the widest bracket, log(2^33), to the shortest

}  // namespace

EllBounds ell_bounds(std::size_t n_draws, double eta, std::span<const std::size_t> ranks,
                     Cancel cancel) {
  EllBounds bounds;
  bounds.p.reserve(ranks.size());
  bounds.q.reserve(ranks.size());
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (cancel()) throw Cancelled{};
    const double mean = static_cast<double>(ranks[i]) / (static_cast<double>(n_draws) + 1.0);
    double guess = 0.5 * mean;
    if (i >= 2) {  // a straight line through the last two
      const double slope =
          (bounds.p[i - 1] - bounds.p[i - 2]) / static_cast<double>(ranks[i - 1] - ranks[i - 2]);
      guess = bounds.p[i - 1] + slope * static_cast<double>(ranks[i] - ranks[i - 1]);
    }
    const Proportion bound = order_quantile(ranks[i], n_draws, eta, std::min(guess, mean));
    bounds.p.push_back(bound.p);
    bounds.q.push_back(bound.q);
  }
  return bounds;
}

double ell_failure(std::size_t n_draws, double eta, std::span<const std::size_t> ranks,
                   bool two_sided, Cancel cancel) {
  const EllBounds bounds = ell_bounds(n_draws, eta, ranks, cancel);
  std::vector<OrderBound> lower, upper;
  for (std::size_t i = 0; i < ranks.size(); ++i) lower.push_back({ranks[i], bounds.p[i]});
  if (two_sided) {
    for (std::size_t i = ranks.size(); i-- > 0;) {
      upper.push_back({n_draws + 1 - ranks[i], bounds.q[i]});
    }
  }
  return 1.0 - stay_probability(n_draws, lower, upper, cancel);
}

double ell_level(std::size_t n_draws, double alpha, std::span<const std::size_t> ranks,
                 bool two_sided, Cancel cancel) {
  // By the union bound, alpha / (number of bounds) is low enough. A level above alpha is too high.
  const auto n_bounds = static_cast<double>(ranks.size() * (two_sided ? 2 : 1));
  const double most = std::min(alpha, most_level);
  double level = std::min(alpha / n_bounds, most);  // the highest level known to be low enough
  double low = gaussian::log(level);
  double high = gaussian::log(most);
  const double goal = gaussian::log(alpha);
  double x = std::clamp(goal - gaussian::log(usual_bounds * (two_sided ? 2 : 1)), low, high);
  double previous_x = low;
  double previous_y = 0.0;
  bool have_previous = false;
  for (int i = 0; i < most_steps; ++i) {
    const double tried = std::clamp(gaussian::exp(x), level, most);
    const double failure = ell_failure(n_draws, tried, ranks, two_sided, cancel);
    const double y = log_of(failure) - goal;
    const bool passes = failure <= alpha;
    (passes ? low : high) = x;
    if (passes) level = tried;
    if (passes && y > -enough) break;
    if (high - low < shortest_bracket) break;
    const double slope = have_previous ? (y - previous_y) / (x - previous_x) : usual_slope;
    previous_x = x;
    previous_y = y;
    have_previous = true;
    x -= (y + aim) / (slope > least_slope && slope < greatest_slope ? slope : usual_slope);
    if (!(x > low && x < high)) x = 0.5 * (low + high);
  }
  return round_down(level);
}

}  // namespace smoothbound
