#include "binomial.hpp"

#include <algorithm>
#include <cmath>

#include "smoothbound/gaussian.hpp"

namespace smoothbound::detail {
namespace {

constexpr double half_log_two_pi = 0.91893853320467274178;

// log(1 - q) for 0 <= q <= 1/2, by the series of atanh.
double log_one_minus(double q) noexcept {
  const double s = q / (2.0 - q);
  const double t = s * s;
  double series = 0.0;
  for (int i = 39; i >= 3; i -= 2) series = series * t + 1.0 / i;
  return -2.0 * (s + s * (t * series));
}

// Stirling's error, log(n!) - log(sqrt(2 pi n) (n / e)^n), by its series. A small n is first
// raised to 16 by log n! = log (n + 1)! - log(n + 1).
double stirling_error(double n) noexcept {
  double correction = 0.0;
  while (n < 16.0) {
    const double leading = n == 0.0 ? 0.0 : (n + 0.5) * gaussian::log(n) - n + half_log_two_pi;
    const double next = (n + 1.5) * gaussian::log(n + 1.0) - (n + 1.0) + half_log_two_pi;
    correction += next - leading - gaussian::log(n + 1.0);
    n += 1.0;
  }
  const double s = 1.0 / (n * n);
  const double series =
      (1.0 / 12 - s * (1.0 / 360 - s * (1.0 / 1260 - s * (1.0 / 1680 - s / 1188)))) / n;
  return series + correction;
}

// x log(x / y) - d, d = x - y, without cancellation near x = y (Loader 2000).
double deviance(double x, double y, double d) noexcept {
  if (std::fabs(d) >= 0.1 * (x + y)) return x * gaussian::log(x / y) - d;
  // With v = d / (x + y): x log((1 + v) / (1 - v)) - d = d v + 2 x v (v^2 / 3 + v^4 / 5 + ...).
  const double v = d / (x + y);
  const double w = v * v;
  double term = 2.0 * x * v;
  double sum = d * v;
  for (int i = 3; i < 60; i += 2) {
    term *= w;
    const double next = sum + term / i;
    if (next == sum) break;
    sum = next;
  }
  return sum;
}

// log of C(n, k) p^k q^(n - k), k >= 1.
double log_binomial_pmf(double k, double n, Proportion x) noexcept {
  if (k == n) return x.p < 0.5 ? n * gaussian::log(x.p) : n * log_one_minus(x.q);
  const double rest = n - k;
  const double d = x.p < 0.5 ? k - n * x.p : n * x.q - rest;  // k - n p, from the smaller
  return stirling_error(n) - stirling_error(k) - stirling_error(rest) - deviance(k, n * x.p, d) -
         deviance(rest, n * x.q, -d) - half_log_two_pi + 0.5 * gaussian::log(n / (k * rest));
}

// The continued fraction of the incomplete beta function I_x(a, b), DLMF 8.17.22, by the modified
// Lentz algorithm: I = x^a (1 - x)^b / (a B(a, b)) * fraction. It converges fast for x below the
// mean. The slowest case, the median of 2^32 draws, takes 6300 terms.
double beta_fraction(double a, double b, double x) noexcept {
  constexpr int most_terms = 20000;
  constexpr double tiny = 1e-300;
  double c = 1.0;
  double d = 1.0 - (a + b) * x / (a + 1.0);
  d = 1.0 / (std::fabs(d) < tiny ? tiny : d);
  double f = d;
  for (int i = 1; i < most_terms; ++i) {
    const double n = i;
    const auto step = [&](double numerator) {
      d = 1.0 + numerator * d;
      d = 1.0 / (std::fabs(d) < tiny ? tiny : d);
      c = 1.0 + numerator / c;
      c = std::fabs(c) < tiny ? tiny : c;
      f *= c * d;
    };
    step(n * (b - n) * x / ((a + 2.0 * n - 1.0) * (a + 2.0 * n)));
    step(-(a + n) * (a + b + n) * x / ((a + 2.0 * n) * (a + 2.0 * n + 1.0)));
    if (std::fabs(c * d - 1.0) < 1e-14) break;
  }
  return f;
}

// P(Binomial(n, p) >= k) / P(Binomial(n, p) = k), by the sum over the counts from k on. All terms
// are positive, so no digit is lost; below the mean they fall.
double sum_of_ratios(double k, double n, Proportion x) noexcept {
  const double odds = x.p / x.q;
  double sum = 1.0;
  double term = 1.0;
  for (double j = k; j < n && term > 1e-17 * sum; j += 1.0) {
    term *= (n - j) / (j + 1.0) * odds;
    sum += term;
  }
  return sum;
}

// F(p) = P(Binomial(n, p) >= k) as a function of p below its mean, in logarithms.
class Tail {
 public:
  Tail(double k, double n) noexcept : k_(k), n_(n) {}

  struct Point {
    double log_value, slope;  // log F and d log F / dp
  };

  // F(p) = pmf(k; n, p) q fraction, and F'(p) / F(p) = k / (p q fraction). The fraction takes q to
  // be 1 - p, of which a p near 1 has too few digits.
  Point at(Proportion x) const noexcept {
    const double ratio =
        x.q < small ? sum_of_ratios(k_, n_, x) : x.q * beta_fraction(k_, n_ + 1.0 - k_, x.p);
    return {log_binomial_pmf(k_, n_, x) + gaussian::log(ratio), k_ / (x.p * ratio)};
  }

 private:
  static constexpr double small = 0x1p-10;
  double k_, n_;
};

// Enough for order_quantile: a step can change y by a factor of e, and y lies between 1/2 and
// e^-745, the least double.
constexpr int most_steps = 1000;

// exp(x) for |x| <= 1 by its series, the same bits on every machine.
double exp_of(double x) noexcept {
  double sum = 1.0;
  for (int i = 18; i > 0; --i) sum = 1.0 + sum * x / i;
  return sum;
}

}  // namespace

double poisson_pmf(std::size_t k, double mean) noexcept {
  const auto n = static_cast<double>(k);
  if (mean == 0.0) return k == 0 ? 1.0 : 0.0;
  if (k == 0) return gaussian::exp(-mean);
  return gaussian::exp(-stirling_error(n) - deviance(n, mean, n - mean) - half_log_two_pi -
                       0.5 * gaussian::log(n));
}

double upper_tail(std::size_t k, std::size_t n, Proportion x) noexcept {
  const auto count = static_cast<double>(k);
  const auto draws = static_cast<double>(n);
  if ((draws + 1.0) * x.p < count) return gaussian::exp(Tail(count, draws).at(x).log_value);
  // Tail converges fast below the mean, and this is the other one.
  const Tail opposite(draws - count + 1.0, draws);
  return 1.0 - gaussian::exp(opposite.at({x.q, x.p}).log_value);
}

Proportion order_quantile(std::size_t k, std::size_t n_draws, double eta, double guess) noexcept {
  const Tail tail(static_cast<double>(k), static_cast<double>(n_draws));
  const double goal = gaussian::log(eta);
  // Solve for p or q, whichever is at most 1/2, because that one keeps its digits. The median of
  // the k-th smallest is below 1/2 where 2 k < n_draws, and so is every lower quantile.
  const bool solve_p = 2 * k < n_draws || tail.at({0.5, 0.5}).log_value > goal;
  double y = solve_p ? std::min(guess, 0.5) : std::min(1.0 - guess, 0.5);
  Proportion x{};
  for (int i = 0; i < most_steps; ++i) {
    x = solve_p ? Proportion{y, 1.0 - y} : Proportion{1.0 - y, y};
    // Newton for log F as a function of log y; the answer lies in (0, 1/2].
    const Tail::Point point = tail.at(x);
    const double slope = solve_p ? point.slope * y : -point.slope * y;
    const double step = std::clamp((point.log_value - goal) / slope, -1.0, 1.0);
    y = std::min(y * exp_of(-step), 0.5);
    if (std::fabs(step) < 1e-13) break;
  }
  return solve_p ? Proportion{y, 1.0 - y} : Proportion{1.0 - y, y};
}

}  // namespace smoothbound::detail
