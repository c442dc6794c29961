#include "smoothbound/band.hpp"

#include <cmath>
#include <limits>

#include "rounding.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound {

double deviation(std::size_t m, double alpha) noexcept {
  // log, division and square root: their relative errors add up to less than 8 units.
  const double x = std::sqrt(-gaussian::log(alpha) / (2.0 * static_cast<double>(m)));
  return x * (1.0 + 8 * unit);
}

ConfidenceBand::ConfidenceBand(BandKind /*kind*/, std::size_t m, double alpha) noexcept
    : m_(m), deviation_(deviation(m, alpha)) {}

double ConfidenceBand::quantile(std::size_t count) const noexcept {
  const auto m = static_cast<double>(m_);
  // p = count / m - deviation; near 1 its complement keeps the digits.
  const double miss = static_cast<double>(m_ - count) / m + deviation_;
  return lower_quantile(1.0 - miss, miss);
}

}  // namespace smoothbound
