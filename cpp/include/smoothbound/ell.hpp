/// \file ell.hpp
/// Equal local levels: a confidence band in which every point fails with the same probability.
///
/// The lower bound on G at the k-th largest of the draws is l_k, the eta-quantile of Beta(k,
/// n_draws + 1 - k), which fails with probability eta. The local level eta is calibrated so that
/// all bounds hold at once with probability 1 - alpha (Aldor-Noiman et al. 2013; Weine, McPeek &
/// Abney 2023). detail/crossing.hpp computes this probability.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "smoothbound/cancel.hpp"

namespace smoothbound {

/// The largest local level in use. Above it the quantiles of order statistics lose digits that a
/// proof needs. A smaller level is always valid, and this limit matters only for alpha > 1/2.
inline constexpr double most_level = 0.5;

/// The bounds p = l_k at the given ranks, and q = 1 - l_k, each with a relative error of 1e-12.
struct EllBounds {
  std::vector<double> p, q;
};

/// \param ranks ascending, within 1 ... n_draws \param eta in (0, most_level]
EllBounds ell_bounds(std::size_t n_draws, double eta, std::span<const std::size_t> ranks,
                     Cancel cancel = {});

/// The probability that some bound at the given ranks fails at a local level, plus the numerical
/// error of the recursion. It takes a sixth of the time of ell_level().
double ell_failure(std::size_t n_draws, double eta, std::span<const std::size_t> ranks,
                   bool two_sided, Cancel cancel = {});

/// The largest local level, at most most_level and rounded down to nine digits, at which the
/// coverage at the given ranks is at least 1 - alpha. The level allows for the numerical error of
/// the recursion. A call takes seconds for 100 000 draws and all ranks, so keep the result.
///
/// \param ranks      ascending, within 1 ... n_draws; the coverage does not include other ranks
/// \param two_sided  whether the coverage includes the upper bounds 1 - l_{n_draws+1-k}
double ell_level(std::size_t n_draws, double alpha, std::span<const std::size_t> ranks,
                 bool two_sided, Cancel cancel = {});

}  // namespace smoothbound
