// Poisson probabilities without loss of digits, and quantiles of order statistics.
#pragma once

#include <cstddef>

namespace smoothbound::detail {

// P(Poisson(mean) = k), mean >= 0.
double poisson_pmf(std::size_t k, double mean) noexcept;

// A probability p and its complement q = 1 - p, each to nearly full relative precision.
struct Proportion {
  double p, q;
};

// The eta-quantile of Beta(k, n_draws + 1 - k), the k-th smallest of n_draws uniforms: the p at
// which P(Binomial(n_draws, p) >= k) = eta. Relative error of p and q below 1e-12, for eta <= 1/2.
//
// \param guess  where to start, 0 < guess < 1
Proportion order_quantile(std::size_t k, std::size_t n_draws, double eta, double guess) noexcept;

// P(Binomial(n, x.p) >= k) for 1 <= k <= n. Relative error below 1e-11.
double upper_tail(std::size_t k, std::size_t n, Proportion x) noexcept;

}  // namespace smoothbound::detail
