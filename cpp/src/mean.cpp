#include "smoothbound/detail/mean.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/kernels.hpp"
#include "rounding.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound::detail {
namespace {

// ln(1/alpha), rounded up: the logarithm is known to 8 units of itself.
double evidence(double alpha) noexcept { return -gaussian::log(alpha) * (1.0 + 10 * unit); }

}  // namespace

double hoeffding_quantile(double sum, std::size_t n_draws, double width,
                          double deviation) noexcept {
  // The distances, the blocks, the total and the division err by at most sum_error and a few units.
  const double mean = sum / (static_cast<double>(n_draws) * width) * (1.0 - sum_error - 8 * unit);
  return lower_quantile(mean - deviation, (1.0 - mean) + deviation);
}

void Tally::reset(std::span<const double> knots) {
  knots_.assign(knots.begin(), knots.end());
  intervals_.assign(knots.size() - 1, {0.0, 0.0, 0.0});
  n_draws_ = 0;
}

void Tally::count(std::span<const double> ascending) noexcept {
  std::size_t j = 0;
  for (std::size_t i = 0; i < intervals_.size() && j < ascending.size(); ++i) {
    const double low = knots_[i];
    const double high = knots_[i + 1];
    const bool last = i + 1 == intervals_.size();
    const std::size_t first = j;
    double part = 0.0;
    double part_lost = 0.0;
    double square = 0.0;
    double square_lost = 0.0;
    for (; j < ascending.size() && (last || ascending[j] < high); ++j) {
      const double f = (ascending[j] - low) / (high - low);
      add_to(part, part_lost, f);
      add_to(square, square_lost, f * f);
    }
    Interval& interval = intervals_[i];
    interval.count += static_cast<double>(j - first);
    interval.part += part + part_lost;
    interval.square += square + square_lost;
  }
  n_draws_ += ascending.size();
}

double Tally::sum(std::span<const double> values) const noexcept {
  double total = 0.0;
  double lost = 0.0;
  for (std::size_t i = 0; i < intervals_.size(); ++i) {
    const auto& [count, part, square] = intervals_[i];
    add_to(total, lost, count * values[i] + part * (values[i + 1] - values[i]));
  }
  return total + lost;
}

double Tally::sum_of_squares(std::span<const double> values) const noexcept {
  double total = 0.0;
  double lost = 0.0;
  for (std::size_t i = 0; i < intervals_.size(); ++i) {
    const auto& [count, part, square] = intervals_[i];
    const double step = values[i + 1] - values[i];
    add_to(total, lost, values[i] * (count * values[i] + 2.0 * part * step) + square * step * step);
  }
  return total + lost;
}

double bernstein_lower(const Tally& tally, std::span<const double> values, double alpha) noexcept {
  if (tally.n_draws() < 2) return 0.0;
  const auto n = static_cast<double>(tally.n_draws());
  // The errors are those of the values (8 units), of the sums (tally_error) and of a few
  // operations. So the mean and the mean square are known to 40 units, and their difference to 160
  // units of 1.
  const double mean = tally.sum(values) / n;
  const double spread = tally.sum_of_squares(values) / n - mean * mean;
  const double variance = (std::max(spread, 0.0) + 160 * unit) * (n / (n - 1.0));
  const double evidence_of_two = evidence(0.5 * alpha);
  const double slack =
      std::sqrt(2.0 * variance * evidence_of_two / n) + 7.0 * evidence_of_two / (3.0 * (n - 1.0));
  return std::max(0.0, mean * (1.0 - 40 * unit) - slack * (1.0 + 16 * unit));
}

double betting_lower(const Tally& tally, std::span<const double> logs, double stake,
                     double alpha) noexcept {
  const auto n = static_cast<double>(tally.n_draws());
  const double total = tally.sum(logs);
  // The error of a value, 8 units of itself, and the rounding of 1 + stake v move a logarithm by 10
  // units. gaussian::log errs by 8 units of its result, and a difference has two of them. Together
  // that is at most (10 + 16 log) units per draw. The sum and the quotient err in proportion.
  const double per_draw = (10.0 + 16.0 * logs.back()) * unit;
  const double level = (total * (1.0 - tally_error) - evidence(alpha)) / n;
  const double safe = level - per_draw - std::fabs(level) * (4 * unit);
  if (!(safe > 0.0)) return 0.0;
  const double mean = (gaussian::exp(safe) * (1.0 - 16 * unit) - 1.0) / stake;
  return std::clamp(mean * (1.0 - 4 * unit), 0.0, 1.0);
}

}  // namespace smoothbound::detail
