/// \file band.hpp
/// Confidence bands: simultaneous lower bounds on a survival function G(s) = P(Z >= s).
#pragma once

#include <cstddef>

namespace smoothbound {

enum class BandKind {
  dkw,  ///< Dvoretzky-Kiefer-Wolfowitz with Massart's constant (Massart 1990), the paper's
};

/// Half-width sqrt(ln(1/alpha) / 2m) of the one-sided DKW band and of Hoeffding's bound, rounded
/// up.
double deviation(std::size_t m, double alpha) noexcept;

/// A one-sided band at level alpha from m independent draws: with probability at least
/// 1 - alpha, G(s) >= Phi(quantile(k(s))) at every s at once, where k(s) is the number of draws
/// >= s.
class ConfidenceBand {
 public:
  /// \pre m >= 1 and 0 < alpha < 1
  ConfidenceBand(BandKind kind, std::size_t m, double alpha) noexcept;

  /// Phi^-1 of the lower bound on G at a point that `count` of the m draws reach, rounded down;
  /// -inf where nothing is known. The quantile is what the bounds need, and unlike the
  /// probability it keeps its digits near 1. \pre count <= m
  double quantile(std::size_t count) const noexcept;

 private:
  std::size_t m_;
  double deviation_;
};

}  // namespace smoothbound
