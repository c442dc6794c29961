#include "smoothbound/detail/crossing.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "binomial.hpp"
#include "kernels/kernels.hpp"
#include "rounding.hpp"

namespace smoothbound::detail {
namespace {

// Probabilities below this share of the largest are dropped: a loss of less than 1e-12 in 10^6
// steps, to the safe side.
constexpr double negligible = 1e-18;

// How Passage groups checks. These constants decide only how long it takes. The probability that
// the counts between the bounds could lose on the way is computed and subtracted.
constexpr std::size_t checks_together = 64;
constexpr std::size_t least_checks = 8;   // fewer are not worth two convolutions
constexpr std::size_t least_between = 2;  // in multiples of the counts near a bound
constexpr double safe_deviations = 10.0;  // standard deviations: a chance of 1e-23
constexpr double safe_counts = 20.0;      // added where the mean is too small for a normal law

// A bound on the order statistics as a bound on the count at a time.
struct Check {
  double time;
  std::size_t rank;
  bool lower;  // V_rank >= time: N(time) < rank; otherwise V_rank <= time: N(time) >= rank
};

// Poisson probabilities from 0 on, until they are negligible.
void poisson_pmfs(double mean, std::vector<double>& pmf) {
  const auto mode = static_cast<std::size_t>(mean);
  pmf.assign(mode + 1, 0.0);
  pmf[mode] = poisson_pmf(mode, mean);
  const double floor = negligible * pmf[mode];
  for (std::size_t i = mode; i > 0 && pmf[i] > floor; --i) {
    pmf[i - 1] = pmf[i] * static_cast<double>(i) / mean;
  }
  while (pmf.back() > floor) pmf.push_back(pmf.back() * mean / static_cast<double>(pmf.size()));
}

// P(N(t) = j and no bound was violated before t), for a range of j.
class Counts {
 public:
  Counts(std::size_t first, std::vector<double> p) : first_(first), p_(std::move(p)) {}

  std::size_t size() const { return p_.size(); }
  std::size_t first() const { return first_; }
  std::size_t last() const { return first_ + p_.size() - 1; }

  // Bound on the relative error of every probability.
  double error() const { return error_ + static_cast<double>(p_.size()) * unit; }

  // Moves to a later time: adds a Poisson variable with the given mean.
  void advance(double mean) {
    if (mean <= 0.0 || p_.empty()) return;
    poisson_pmfs(mean, increments_);
    const std::size_t pad = increments_.size() - 1;
    padded_.assign(p_.size() + 2 * pad, 0.0);
    std::copy(p_.begin(), p_.end(), padded_.begin() + static_cast<std::ptrdiff_t>(pad));
    p_.resize(p_.size() + pad);
    kernels().convolve(padded_.data() + pad, increments_.data(), increments_.size(), p_.data(),
                       p_.size());
    // This counts products, additions, and the recursion of the increments from their mode.
    error_ += static_cast<double>(5 * increments_.size() + 100) * unit;
    drop_negligible();
  }

  void apply(const Check& check) {
    if (check.lower) {
      if (!p_.empty() && last() >= check.rank) {
        p_.resize(check.rank > first_ ? check.rank - first_ : 0);
      }
    } else if (check.rank > first_) {
      drop_first(std::min(check.rank - first_, p_.size()));
    }
  }

  // Splits off the `n` highest or lowest counts.
  Counts take_highest(std::size_t n) {
    Counts part(last() + 1 - n, {p_.end() - static_cast<std::ptrdiff_t>(n), p_.end()});
    part.error_ = error_;
    p_.resize(p_.size() - n);
    return part;
  }
  Counts take_lowest(std::size_t n) {
    Counts part(first_, {p_.begin(), p_.begin() + static_cast<std::ptrdiff_t>(n)});
    part.error_ = error_;
    drop_first(n);
    return part;
  }

  void add(const Counts& part) {
    if (part.p_.empty()) return;
    const std::size_t first = std::min(first_, part.first_);
    const std::size_t end = std::max(last(), part.last()) + 1;
    p_.insert(p_.begin(), first_ - first, 0.0);
    p_.resize(end - first, 0.0);
    first_ = first;
    for (std::size_t i = 0; i < part.p_.size(); ++i) p_[part.first_ - first_ + i] += part.p_[i];
    error_ = std::max(error_, part.error_) + unit;
  }

  // Sum over j of p(j) P(Poisson(mean) = n_draws - j).
  double finish(std::size_t n_draws, double mean) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < p_.size() && first_ + i <= n_draws; ++i) {
      sum += p_[i] * poisson_pmf(n_draws - first_ - i, mean);
    }
    return sum;
  }

 private:
  void drop_negligible() {
    const double floor = negligible * *std::max_element(p_.begin(), p_.end());
    while (p_.size() > 1 && p_.back() <= floor) p_.pop_back();
    std::size_t low = 0;
    while (low + 1 < p_.size() && p_[low] <= floor) ++low;
    drop_first(low);
  }

  void drop_first(std::size_t n) {
    p_.erase(p_.begin(), p_.begin() + static_cast<std::ptrdiff_t>(n));
    first_ += n;
  }

  std::size_t first_;
  std::vector<double> p_, padded_, increments_;
  double error_ = 0.0;
};

// Upper bounds on P(Poisson(mean) >= k) and P(Poisson(mean) <= k), by geometric series.
double upper_tail(std::size_t k, double mean) {
  const auto x = static_cast<double>(k);
  return x <= mean ? 1.0 : poisson_pmf(k, mean) / (1.0 - mean / (x + 1.0));
}
double lower_tail(std::size_t k, double mean) {
  const auto x = static_cast<double>(k);
  return x >= mean ? 1.0 : poisson_pmf(k, mean) / (1.0 - x / mean);
}

// Carries the counts through the checks. Counts far from the bounds pass a whole block of checks in
// one step. Only counts near a bound go from check to check.
class Passage {
 public:
  Passage(std::size_t n_draws, Cancel cancel)
      : rate_(static_cast<double>(n_draws)), cancel_(cancel), counts_(0, {1.0}) {}

  void run(std::span<const Check> checks) {
    for (std::size_t i = 0; i < checks.size(); i += checks_together) {
      pass(checks.subspan(i, std::min(checks_together, checks.size() - i)));
    }
  }

  // A lower bound on P(no violation | N(1) = n_draws).
  double probability(std::size_t n_draws) const {
    const double joint = counts_.finish(n_draws, (1.0 - time_) * rate_);
    const double all = poisson_pmf(n_draws, rate_);
    // Each mean is rounded, which moves the probability of n_draws events by at most n_draws units;
    // the Poisson probabilities at both ends are good to some hundred units.
    const double error = counts_.error() + (4.0 * rate_ + 1000.0) * unit;
    return std::clamp((joint / all) * (1.0 - error) - missed_ / all, 0.0, 1.0);
  }

 private:
  void pass(std::span<const Check> checks) {
    const double mean = (checks.back().time - time_) * rate_;
    const std::size_t near = reach(checks);
    if (checks.size() < least_checks || counts_.size() < (2 + least_between) * near) {
      step_through(counts_, checks);
    } else {
      const std::size_t lowest = counts_.first() + near;
      Counts high = counts_.take_highest(near);
      Counts low = counts_.take_lowest(near);
      miss(checks, lowest, counts_.last());
      step_through(high, checks);
      step_through(low, checks);
      counts_.advance(mean);
      counts_.add(high);
      counts_.add(low);
    }
    time_ = checks.back().time;
  }

  // A distance from the bounds at which a count hardly ever meets one within this block. It is the
  // sum of safe_deviations and of the distance that a bound moves towards the counts.
  std::size_t reach(std::span<const Check> checks) const {
    double farthest = 0.0;
    for (const Check& check : checks) {
      const double mean = (check.time - time_) * rate_;
      const auto rank = static_cast<double>(check.rank);
      const double approach = check.lower ? mean - (rank - static_cast<double>(counts_.last()))
                                          : (rank - static_cast<double>(counts_.first())) - mean;
      farthest = std::max(farthest, safe_deviations * std::sqrt(std::max(mean, 0.0)) + approach);
    }
    return static_cast<std::size_t>(farthest + safe_counts);
  }

  void step_through(Counts& counts, std::span<const Check> checks) const {
    double time = time_;
    for (const Check& check : checks) {
      if (cancel_()) throw Cancelled{};
      counts.advance((check.time - time) * rate_);
      counts.apply(check);
      time = check.time;
    }
  }

  // Adds an upper bound on the probability that counts from `lowest` to `highest` violate a check.
  void miss(std::span<const Check> checks, std::size_t lowest, std::size_t highest) {
    for (const Check& check : checks) {
      const double mean = (check.time - time_) * rate_;
      if (check.lower) {
        missed_ += check.rank > highest ? upper_tail(check.rank - highest, mean) : 1.0;
      } else if (check.rank > lowest) {
        missed_ += lower_tail(check.rank - 1 - lowest, mean);
      }
    }
  }

  double rate_, time_ = 0.0;
  Cancel cancel_;
  Counts counts_;
  double missed_ = 0.0;
};

}  // namespace

double stay_probability(std::size_t n_draws, std::span<const OrderBound> lower,
                        std::span<const OrderBound> upper, Cancel cancel) {
  std::vector<Check> below;
  std::vector<Check> above;
  for (const OrderBound& bound : lower) below.push_back({bound.value, bound.rank, true});
  for (const OrderBound& bound : upper) above.push_back({bound.value, bound.rank, false});
  std::vector<Check> checks(below.size() + above.size());
  std::merge(below.begin(), below.end(), above.begin(), above.end(), checks.begin(),
             [](const Check& x, const Check& y) { return x.time < y.time; });
  Passage passage(n_draws, cancel);
  passage.run(checks);
  return passage.probability(n_draws);
}

}  // namespace smoothbound::detail
