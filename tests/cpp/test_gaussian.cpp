#include <cmath>
#include <limits>
#include <vector>

#include "check.h"
#include "smoothbound/gaussian.hpp"

namespace g = smoothbound::gaussian;

CASE("known values, to 17 digits") {
  // Mathematica's N[CDF[NormalDistribution[], z], 20] and the like, to 17 digits.
  CHECK(std::fabs(g::cdf(-1.0) / 0.15865525393145705 - 1) < 2e-15);
  CHECK(std::fabs(g::cdf(-10.0) / 7.6198530241605261e-24 - 1) < 2e-15);
  CHECK(std::fabs(g::cdf(1.0) / 0.84134474606854295 - 1) < 2e-15);
  CHECK(std::fabs(g::quantile(0.975) / 1.9599639845400542 - 1) < 2e-15);
  CHECK(std::fabs(g::quantile(1e-10) / -6.3613409024040564 - 1) < 2e-15);
}

CASE("the ends of the line, and NaN") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(g::cdf(0.0) == 0.5);
  CHECK(g::cdf(-infinity) == 0.0 && g::cdf(infinity) == 1.0);
  CHECK(std::isnan(g::cdf(std::nan(""))));
  CHECK(g::quantile(0.0) == -infinity && g::quantile(1.0) == infinity);
  CHECK(std::isnan(g::quantile(-0.1)) && std::isnan(g::quantile(1.1)));
}

CASE("a round trip in place, at every length near the vector widths") {
  for (std::size_t n = 1; n < 40; ++n) {
    std::vector<double> p(n);
    for (std::size_t i = 0; i < n; ++i) p[i] = std::ldexp(1.0, -1 - static_cast<int>(i * 20));
    std::vector<double> z(n);
    g::quantile(p, z);
    g::cdf(z, z);
    for (std::size_t i = 0; i < n; ++i) CHECK(std::fabs(z[i] / p[i] - 1) < 1e-11);
  }
}

CASE("the exponential of every double") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(g::exp(0.0) == 1.0 && g::exp(-infinity) == 0.0 && g::exp(infinity) == infinity);
  CHECK(g::exp(-1e6) == 0.0 && g::exp(-746.1) == 0.0 && g::exp(710.1) == infinity);
  CHECK(g::exp(-745.0) == 5e-324 && g::exp(-745.2) == 0.0);
  double before = 0.0;
  for (double x = -746.0; x <= 709.7; x += 0.1) {
    CHECK(g::exp(x) >= before);
    before = g::exp(x);
  }
}

int main() { return run_cases(); }
