#include "smoothbound/gaussian.hpp"

#include <cmath>
#include <limits>

#include "kernels/kernels.hpp"

namespace smoothbound::gaussian {

double log(double x) noexcept {
  detail::kernels().log(&x, &x, 1);
  return x;
}

void log(std::span<const double> x, std::span<double> out) noexcept {
  detail::kernels().log(x.data(), out.data(), x.size());
}

double exp(double x) noexcept {
  constexpr double reach = 700.0;  // the range of the kernel
  if (x < -746.0) return 0.0;      // less than half of the least double
  if (x > 710.0) return std::numeric_limits<double>::infinity();
  const bool far = std::fabs(x) > reach;
  double result = far ? 0.5 * x : x;
  detail::kernels().exp(&result, &result, 1);
  return far ? result * result : result;
}

double cdf(double z) noexcept {
  detail::kernels().cdf(&z, &z, 1);
  return z;
}

void cdf(std::span<const double> z, std::span<double> out) noexcept {
  detail::kernels().cdf(z.data(), out.data(), z.size());
}

double quantile(double p) noexcept {
  detail::kernels().quantile(&p, &p, 1);
  return p;
}

void quantile(std::span<const double> p, std::span<double> out) noexcept {
  detail::kernels().quantile(p.data(), out.data(), p.size());
}

}  // namespace smoothbound::gaussian
