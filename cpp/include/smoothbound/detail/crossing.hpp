/// \file detail/crossing.hpp
/// The probability that a uniform empirical process stays within bounds.
#pragma once

#include <cstddef>
#include <span>

#include "smoothbound/cancel.hpp"

namespace smoothbound::detail {

/// One bound on the order statistics V_(1) <= ... <= V_(n) of n = n_draws uniforms.
struct OrderBound {
  std::size_t rank;  ///< k in 1 ... n_draws
  double value;      ///< in [0, 1]
};

/// A lower bound on P(V_(k) >= lower_k and V_(k) <= upper_k for all given k). It is below this
/// probability by at most 1e-9 for 100 000 draws, and by at most 1e-8 for 1 000 000.
///
/// The count N(t) of uniforms below t is a Poisson process of rate n, conditioned on N(1) = n. Its
/// distribution is propagated from one bound to the next by convolution with Poisson increments,
/// and counts that violate a bound are dropped (Khmaladze & Shinjikashvili 2001; Moscovich & Nadler
/// 2017). All terms are positive, so truncation only loses probability. The sum of the rounding
/// errors is subtracted.
///
/// \param n_draws number of uniforms, >= 1
/// \param lower  ranks and values both ascending
/// \param upper  ranks and values both ascending; may be empty
double stay_probability(std::size_t n_draws, std::span<const OrderBound> lower,
                        std::span<const OrderBound> upper, Cancel cancel = {});

}  // namespace smoothbound::detail
