#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "check.h"
#include "smoothbound/detail/joint.hpp"
#include "smoothbound/detail/tangent.hpp"
#include "smoothbound/gaussian.hpp"

using namespace smoothbound;
using namespace smoothbound::detail;

namespace {

// Draws from Beta(20, 1), in ascending order.
std::vector<double> draws_of(std::size_t n, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  std::vector<double> draws(n);
  for (double& x : draws) x = std::pow(uniform(random), 1.0 / 20);
  std::sort(draws.begin(), draws.end());
  return draws;
}

// The integral of psi_r(1 - s^20).
double population(double r) {
  double sum = 0.0;
  constexpr int n = 20000;
  for (int i = 0; i < n; ++i) {
    sum += gaussian::cdf(-gaussian::quantile(std::pow((i + 0.5) / n, 20.0)) - r);
  }
  return sum / n;
}

}  // namespace

CASE("bounds and radii of a known population, between the radii of the tangents and beyond") {
  JointBound joint(1e-3);
  const std::vector<double> pilot = draws_of(5000, 1), draws = draws_of(50000, 2);
  joint.fit(pilot, draws);
  double before = 1.0;
  for (const double r : {0.0, 0.2, 0.4, 0.6, 0.9, 1.3, 1.8, 2.5, 3.3, 4.0}) {
    const double found = joint(r);
    CHECK(found < population(r) && found > 0.3 * population(r));
    CHECK(found < before && found == joint(r));
    before = found;
  }
  for (const double target : {0.9, 0.8, 0.5, 0.2, 1e-6}) {
    const double r = joint.certified_radius(target);
    CHECK(joint(r) > target && population(r) > target && joint(r + 1e-3) < target);
  }
  CHECK(std::isnan(joint.certified_radius(0.97)));
  CHECK(joint(60.0) >= 0.0 && joint(60.0) < 1e-100);
}

CASE("at the radius of a tangent it is the tangent bound at a share of alpha, or tighter") {
  const std::vector<double> pilot = draws_of(500, 3), draws = draws_of(5000, 4);
  JointBound joint(1e-2);
  joint.fit(pilot, draws);
  for (const double r : joint_radii) {
    TangentBound tangent(MeanKind::betting, 1e-2 / JointBound::n_tangents);
    tangent.fit(pilot, draws);
    CHECK(joint(r) > tangent(r) - 1e-4);
  }
}

CASE("one pilot draw and one other, at an end") {
  for (const double x : {0.0, 1.0 - 0x1p-51}) {
    const std::vector<double> one = {x};
    JointBound joint(0.5);
    joint.fit(one, one);
    for (const double r : {0.0, 1e-300, 1e-9, 0.1, 3.0, 60.0}) {
      const double found = joint(r);
      CHECK(found >= 0.0 && found <= 0.1 + 1e-9);  // alpha / 5 is a probability of 1
    }
    CHECK(joint(0.0) > 0.05 || x == 0.0);
  }
}

int main() { return run_cases(); }
