#include <cmath>
#include <vector>

#include "check.h"
#include "smoothbound/certify.hpp"
#include "smoothbound/gaussian.hpp"
#include "smoothbound/noise_curve.hpp"
#include "smoothbound/sketch.hpp"

using namespace smoothbound;

namespace {

const std::vector<double> radii = {0.5, 1.0}, grid = {0.0, 0.5, 0.9, 1.0};
const std::vector<double> values = {0.0, 0.3, 0.7, 0.9, 0.0, 0.1, 0.5, 0.7};

NoiseCurve table() { return {CurveKind::table, 0, 0, radii, grid, values}; }

double psi(const NoiseCurve& curve, double p, double r) { return curve(p, 1.0 - p, r); }

bool near(double x, double y) { return std::fabs(x - y) < 1e-12; }

Failure create(const NoiseCurve& curve, Bound bound = Bound::cdf, double sigma = 1.0,
               double radius = 0.5) {
  Options options;
  options.sigma = sigma;
  options.curve = curve;
  options.bound = bound;
  options.mean = bound == Bound::tangent ? MeanKind::betting : MeanKind::hoeffding;
  options.n_pilot = 1;
  const double at[] = {radius};
  options.radii = at;
  return Plan().create(options, 100);
}

}  // namespace

CASE("the curves are those of their theorems") {
  const NoiseCurve gaussian{CurveKind::gaussian}, uniform{CurveKind::l1_uniform};
  const NoiseCurve laplace{CurveKind::l1_laplace}, ablation{CurveKind::ablation, 5, 2};
  CHECK(near(psi(gaussian, 0.9, 0.7), gaussian::cdf(gaussian::quantile(0.9) - 0.7)));
  CHECK(near(psi(uniform, 0.9, 0.7), 0.9 - 0.35) && psi(uniform, 0.3, 0.7) == 0.0);
  const double e = std::exp(-0.7);
  CHECK(near(psi(laplace, 0.3, 0.7), 0.3 * e));
  CHECK(near(psi(laplace, 0.6, 0.7), e / 1.6));
  CHECK(near(psi(laplace, 0.9, 0.7), 1.0 - 0.1 / e));
  CHECK(near(psi(ablation, 0.9, 1.0), 0.9 - 0.4));  // one pixel of five stays with 2 / 5
  CHECK(psi(ablation, 0.9, 1.9) == psi(ablation, 0.9, 1.0) && psi(ablation, 1.0, 4.0) == 0.0);
  CHECK(psi(table(), 0.89, 0.5) == 0.3 && psi(table(), 0.9, 0.7) == 0.5);
  for (const NoiseCurve& curve : {gaussian, uniform, laplace, ablation, table()}) {
    CHECK(psi(curve, 0.3, 0.0) == 0.3);
  }
}

CASE("bounds fall with the radius, and a radius is one that passes") {
  std::vector<float> scores;
  for (int i = 0; i < 1000; ++i) scores.push_back(0.5f + static_cast<float>(i % 37) / 74.0f);
  const Scores<float> rows{scores.data(), 1, 1000, 4000, 4};
  const double at[] = {0.0, 0.5, 1.0}, thresholds[] = {0.3};
  for (const NoiseCurve& curve :
       {NoiseCurve{CurveKind::l1_uniform}, NoiseCurve{CurveKind::l1_laplace},
        NoiseCurve{CurveKind::ablation, 50, 3}, table()}) {
    Options options;
    options.sigma = 1.0;
    options.curve = curve;
    options.radii = at;
    options.thresholds = thresholds;
    double bounds[3], radius[1];
    CHECK(!certify(rows, options, {bounds, radius}));
    CHECK(bounds[0] > 0.6 && bounds[0] >= bounds[1] && bounds[1] >= bounds[2]);
    const double again[] = {radius[0]};
    options.radii = again;
    options.thresholds = {};
    CHECK(!certify(rows, options, {std::span(bounds).first(1), {}}));
    CHECK(bounds[0] > 0.3 - 1e-12);
  }
}

CASE("curves that are none are refused") {
  CHECK(!create(table()) && !create({CurveKind::ablation, 5, 2}));
  CHECK(create({CurveKind::l1_laplace}, Bound::tangent));
  CHECK(!create({CurveKind::l1_laplace}, Bound::mean));
  CHECK(create(table(), Bound::cdf, 0.5) && create(table(), Bound::cdf, 1.0, 1.5));
  CHECK(create({CurveKind::ablation, 5, 6}) && create({CurveKind::ablation, 5, 0}));
  CHECK(create({CurveKind::table}));
  const auto refused = [](std::vector<double> changed) {
    NoiseCurve curve = table();
    curve.values = changed;
    return static_cast<bool>(create(curve));
  };
  CHECK(refused({0.0, 0.3, 0.7, 0.9, 0.0, 0.1, 0.5, 0.95}));  // more at a larger radius
  CHECK(refused({0.0, 0.3, 0.2, 0.9, 0.0, 0.1, 0.1, 0.7}));   // less at a larger p
  CHECK(refused({0.0, 0.6, 0.7, 0.9, 0.0, 0.1, 0.5, 0.7}));   // more than p
  CHECK(refused({0.0, 0.3, 0.7, std::nan(""), 0.0, 0.1, 0.5, 0.7}));
  CHECK(refused({0.0, 0.3, 0.7}));
  NoiseCurve bent = table();
  const std::vector<double> concave = {0.0, 0.4, 0.5, 0.51, 0.0, 0.1, 0.5, 0.51};
  bent.values = concave;
  CHECK(!create(bent) && create(bent, Bound::mean));
}

int main() { return run_cases(); }
