#include "smoothbound/gaussian.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/kernels.hpp"

namespace smoothbound::gaussian {
namespace {

// Ratio of two polynomials of degree 7, coefficients from the constant upwards.
double rational(const double (&p)[8], const double (&q)[8], double x) noexcept {
  double above = p[7];
  double below = q[7];
  for (int i = 6; i >= 0; --i) {
    above = above * x + p[i];
    below = below * x + q[i];
  }
  return above / below;
}

// Coefficients of PPND16, Wichura 1988: the centre |p - 1/2| <= 0.425, and two pieces of the tail
// in sqrt(-log p), below and above 5.
constexpr double centre_p[] = {3.3871328727963666080e0, 1.3314166789178437745e2,
                               1.9715909503065514427e3, 1.3731693765509461125e4,
                               4.5921953931549871457e4, 6.7265770927008700853e4,
                               3.3430575583588128105e4, 2.5090809287301226727e3};
constexpr double centre_q[] = {1.0,
                               4.2313330701600911252e1,
                               6.8718700749205790830e2,
                               5.3941960214247511077e3,
                               2.1213794301586595867e4,
                               3.9307895800092710610e4,
                               2.8729085735721942674e4,
                               5.2264952788528545610e3};
constexpr double near_p[] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                             5.76949722146069140550e0,  3.64784832476320460504e0,
                             1.27045825245236838258e0,  2.41780725177450611770e-1,
                             2.27238449892691845833e-2, 7.74545014278341407640e-4};
constexpr double near_q[] = {1.0,
                             2.05319162663775882187e0,
                             1.67638483018380384940e0,
                             6.89767334985100004550e-1,
                             1.48103976427480074590e-1,
                             1.51986665636164571966e-2,
                             5.47593808499534494600e-4,
                             1.05075007164441684324e-9};
constexpr double far_p[] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                            1.78482653991729133580e0,  2.96560571828504891230e-1,
                            2.65321895265761230930e-2, 1.24266094738807843860e-3,
                            2.71155556874348757815e-5, 2.01033439929228813265e-7};
constexpr double far_q[] = {1.0,
                            5.99832206555887937690e-1,
                            1.36929880922735805310e-1,
                            1.48753612908506148525e-2,
                            7.86869131145613259100e-4,
                            1.84631831751005468180e-5,
                            1.42151175831644588870e-7,
                            2.04426310338993978564e-15};

}  // namespace

double log(double x) noexcept {
  // x = 2^k m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m - 1) / (m + 1).
  int k = 0;
  double m = 2.0 * std::frexp(x, &k);
  --k;
  if (m > 0x1.6a09e667f3bcdp0) {
    m *= 0.5;
    ++k;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double t = s * s;
  double series = 0.0;
  for (int i = 23; i >= 3; i -= 2) series = series * t + 1.0 / i;
  const double log_m = 2.0 * (s + s * (t * series));
  constexpr double ln2_high = 0x1.62e42fef00000p-1;
  constexpr double ln2_low = 0x1.473de6af278edp-34;
  return k * ln2_high + (log_m + k * ln2_low);
}

double exp(double x) noexcept {
  constexpr double reach = 700.0;  // of the kernel
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
  if (!(p >= 0.0 && p <= 1.0)) return std::numeric_limits<double>::quiet_NaN();
  if (p == 0.0) return -std::numeric_limits<double>::infinity();
  if (p == 1.0) return std::numeric_limits<double>::infinity();
  const double q = p - 0.5;
  if (std::fabs(q) <= 0.425) return q * rational(centre_p, centre_q, 0.180625 - q * q);
  const double r = std::sqrt(-log(q < 0.0 ? p : 1.0 - p));
  const double z = r <= 5.0 ? rational(near_p, near_q, r - 1.6) : rational(far_p, far_q, r - 5.0);
  return q < 0.0 ? -z : z;
}

void quantile(std::span<const double> p, std::span<double> out) noexcept {
  for (std::size_t i = 0; i < p.size(); ++i) out[i] = quantile(p[i]);
}

}  // namespace smoothbound::gaussian
