#include <algorithm>
#include <cmath>
#include <random>

#include "check.h"
#include "kernels/kernels.hpp"
#include "smoothbound/detail/tangent.hpp"
#include "smoothbound/gaussian.hpp"

using namespace smoothbound;
using namespace smoothbound::detail;

namespace {

long double normal(long double z) { return 0.5L * std::erfc(-z / std::sqrt(2.0L)); }

// Each tangent lies below psi_r, and only a little: seen from p = 1, its weight is at least
// w = exp(rz - r^2/2), and its height at most Phi(z - r) + w Phi(-z).
void check_tangents(double r) {
  std::vector<double> z;
  for (double x = -9.0; x <= 9.0; x += 0.0625 + 1e-9) z.push_back(x);
  z.insert(z.end(), {0.0, 9.0, 1e-300, -1e-17});
  std::vector<double> weight(z.size()), height(z.size());
  kernels().tangents(z.data(), z.size(), r, weight.data(), height.data());
  for (std::size_t i = 0; i < z.size(); ++i) {
    const long double exponent = static_cast<long double>(r) * z[i] - 0.5L * r * r;
    const long double w = std::exp(exponent);
    const long double h = normal(static_cast<long double>(z[i]) - r) + w * normal(-z[i]);
    CHECK(weight[i] >= w && weight[i] <= w * (1.0L + 3e-12L) + 1e-300L);
    CHECK(height[i] <= h && height[i] >= h * (1.0L - 3e-12L) - 1e-300L);
  }
}

std::vector<double> uniform_draws(std::size_t n, double power, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  std::vector<double> draws(n);
  for (double& x : draws) x = std::pow(uniform(random), power);
  std::sort(draws.begin(), draws.end());
  return draws;
}

}  // namespace

CASE("tangents lie below, everywhere") {
  for (const double r : {0.0, 1e-9, 0.5, 1.0, 2.7, 6.0, 9.0, 20.0, 38.0, 60.0}) check_tangents(r);
}

// Beta(20, 1): P(X >= s) = 1 - s^20, so that distance(r) = integral of psi_r(1 - s^20).
static double population(double r) {
  long double sum = 0.0L;
  constexpr int n = 20000;
  for (int i = 0; i < n; ++i) {
    const double s = (i + 0.5) / n;
    sum += normal(-gaussian::quantile(std::pow(s, 20.0)) - r);
  }
  return static_cast<double>(sum / n);
}

CASE("bound and radius of a known population") {
  for (const MeanKind mean : {MeanKind::betting, MeanKind::bernstein}) {
    TangentBound bound(mean, 1e-3);
    bound.fit(uniform_draws(5000, 1.0 / 20, 1), uniform_draws(50000, 1.0 / 20, 2));
    double before = 1.0;
    for (const double r : {0.0, 0.5, 1.0, 2.0}) {
      const double found = bound(r);
      CHECK(found < population(r) && found > population(r) - 0.12);
      CHECK(found < before && found == bound(r));
      before = found;
    }
    const double r = bound.certified_radius(0.8);
    CHECK(r > 1.7 && population(r) > 0.8 && bound(r - 0.01) > 0.8 && bound(r + 0.01) < 0.8);
    CHECK(std::isnan(bound.certified_radius(0.97)));
    CHECK(bound(60.0) >= 0.0 && bound(60.0) < 1e-100);
  }
}

CASE("one pilot draw and one other, at an end") {
  for (const double x : {0.0, 1.0 - 0x1p-51}) {
    const std::vector<double> one = {x};
    TangentBound bound(MeanKind::betting, 0.5);
    bound.fit(one, one);
    CHECK(bound(0.0) >= 0.0 && bound(0.0) <= 0.5);
    CHECK(bound(0.0) > 0.45 || x == 0.0);
  }
}

int main() { return run_cases(); }
