#include "smoothbound/ell.hpp"

#include <algorithm>
#include <cmath>

#include "binomial.hpp"
#include "smoothbound/detail/crossing.hpp"

namespace smoothbound {

using namespace detail;

namespace {

double round_down(double x, int digits) {
  const double scale = std::pow(10.0, digits - 1 - std::floor(std::log10(x)));
  if (std::isinf(scale)) return x * (1.0 - 1e-9);  // x is too small for its digits to be moved
  return std::floor(x * scale) / scale;
}

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
  // log(failure) is nearly straight in log(eta): secant, kept within the certain bracket
  // alpha / (number of bounds) <= eta <= alpha.
  const double goal = std::log(alpha);
  const auto bounds = static_cast<double>(ranks.size() * (two_sided ? 2 : 1));
  double high = std::min(goal, std::log(most_level));
  double low = std::min(std::log(alpha / bounds), high);
  double x = std::clamp(goal - std::log(two_sided ? 150.0 : 75.0), low, high);
  double previous_x = low, previous_y = 0.0;
  bool have_previous = false;
  for (int i = 0; i < 40; ++i) {
    const double y = std::log(ell_failure(n_draws, std::exp(x), ranks, two_sided, cancel)) - goal;
    (y <= 0.0 ? low : high) = x;
    if (y <= 0.0 && y > -2e-9) break;
    if (high - low < 1e-10) break;
    const double slope = have_previous ? (y - previous_y) / (x - previous_x) : 0.95;
    previous_x = x;
    previous_y = y;
    have_previous = true;
    const double aim = y + 1e-9;  // just inside
    x -= aim / (slope > 0.1 && slope < 3.0 ? slope : 0.95);
    if (!(x > low && x < high)) x = 0.5 * (low + high);
  }
  return round_down(std::exp(low), 9);
}

}  // namespace smoothbound
