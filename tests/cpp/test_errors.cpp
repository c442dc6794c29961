// Compares the errors that vector functions state with those that are found, a line for each.
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "kernels/kernels.hpp"
#include "smoothbound/gaussian.hpp"

using namespace smoothbound;
using namespace smoothbound::detail;

namespace {

constexpr std::size_t n_points = 100000;
constexpr double least_normal = std::numeric_limits<double>::min();

// Points from low to high, spaced evenly or evenly in their logarithm.
std::vector<double> points(double low, double high, bool logarithmic = false) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(logarithmic ? std::log(low) : low,
                                                 logarithmic ? std::log(high) : high);
  std::vector<double> x(n_points);
  for (double& one : x) one = logarithmic ? std::exp(uniform(random)) : uniform(random);
  return x;
}

// Prints the line and checks it. `found` is relative, where the result is not subnormal.
void compare(const char* function, const char* range, double stated, double found) {
  std::printf("%-14s %-22s stated %8.2g  found %8.2g\n", function, range, stated, found);
  CHECK(found <= stated);
  CHECK(found > stated / 1000);  // a far greater stated error would say too little
}

double greatest_error(const std::vector<double>& x, const std::vector<double>& found,
                      const std::function<long double(long double)>& exact) {
  long double greatest = 0.0L;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double truth = exact(x[i]);
    if (std::fabs(truth) < 2 * static_cast<long double>(least_normal)) continue;
    greatest = std::max(greatest, std::fabs((found[i] - truth) / truth));
  }
  return static_cast<double>(greatest);
}

long double normal_cdf(long double z) { return 0.5L * std::erfc(-z * std::sqrt(0.5L)); }

}  // namespace

CASE("cdf") {
  for (const double far : {1.0, 6.0, 37.0}) {
    const std::vector<double> z = points(-far, far);
    std::vector<double> p(z.size());
    kernels().cdf(z.data(), p.data(), z.size());
    compare("cdf",
            far == 1.0   ? "|z| < 1"
            : far == 6.0 ? "|z| < 6"
                         : "|z| < 37",
            gaussian::cdf_relative_error, greatest_error(z, p, normal_cdf));
  }
}

CASE("quantile") {
  const std::vector<double> p = points(1e-300, 1.0, true);
  std::vector<double> z(p.size());
  gaussian::quantile(p, z);
  // One step of Newton's method, from which the error follows.
  const long double root = std::sqrt(2 * std::acos(-1.0L));
  double greatest = 0.0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (std::fabs(p[i] - 0.5) < 1e-9) continue;
    const long double density = std::exp(-0.5L * z[i] * z[i]) / root;
    const long double error = (normal_cdf(z[i]) - p[i]) / density / z[i];
    greatest = std::max(greatest, std::fabs(static_cast<double>(error)));
  }
  compare("quantile", "1e-300 < p < 1", gaussian::quantile_relative_error, greatest);
}

CASE("log") {
  const auto exact = [](long double x) { return std::log(x); };
  for (const bool near : {true, false}) {
    const std::vector<double> x = near ? points(0.5, 2.0) : points(5e-324, 1e308, true);
    std::vector<double> found(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) found[i] = gaussian::log(x[i]);
    compare("log", near ? "1/2 < x < 2" : "every x > 0", gaussian::log_relative_error,
            greatest_error(x, found, exact));
  }
}

CASE("exp") {
  const auto exact = [](long double x) { return std::exp(x); };
  const std::vector<double> x = points(-700.0, 700.0);
  std::vector<double> found(x.size());
  kernels().exp(x.data(), found.data(), x.size());
  compare("exp", "|x| <= 700", gaussian::exp_relative_error, greatest_error(x, found, exact));
  const std::vector<double> far = points(700.0, 709.7);
  for (std::size_t i = 0; i < far.size(); ++i) found[i] = gaussian::exp(far[i]);
  compare("exp", "700 < x < 709.7", gaussian::far_exp_relative_error,
          greatest_error(far, found, exact));
}

CASE("sum_floats and sum_doubles") {
  double greatest[2] = {};
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::vector<float> floats(sum_block);
    std::vector<double> doubles(sum_block);
    long double sums[2] = {};
    for (std::size_t i = 0; i < sum_block; ++i) {
      doubles[i] = uniform(random);
      floats[i] = static_cast<float>(doubles[i]);
      sums[0] += static_cast<long double>(floats[i]);
      sums[1] += static_cast<long double>(doubles[i]);
    }
    const double found[2] = {kernels().sum_floats(floats.data(), sum_block, 0.0, 1.0, true),
                             kernels().sum_doubles(doubles.data(), sum_block, 0.0, 1.0, true)};
    for (int k = 0; k < 2; ++k) {
      greatest[k] = std::max(greatest[k], static_cast<double>(std::fabs(found[k] / sums[k] - 1)));
    }
  }
  CHECK(greatest[0] <= sum_error);  // floats as near to each other as these add up exactly
  compare("sum_doubles", "n <= sum_block", sum_error, greatest[1]);
}

CASE("moments") {
  double greatest = 0.0;
  for (const std::size_t n : {1u, 3u, 4u, 100u, 256u, 257u, 10000u}) {
    std::mt19937 random(static_cast<unsigned>(n));
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    std::vector<double> gap(n), h(n);
    long double sum = 0.0L;
    for (std::size_t i = 0; i < n; ++i) {
      gap[i] = uniform(random);
      h[i] = (uniform(random) - 0.5) / 8;
      sum += static_cast<long double>(gap[i]);
    }
    double found[curve_terms];
    kernels().moments(gap.data(), h.data(), n, found);
    greatest = std::max(greatest, static_cast<double>(std::fabs(found[0] / sum - 1)));
  }
  compare("moments", "|h| <= 1/16, out[0]", moment_error, greatest);
}

CASE("normals") {
  // Of the radius and of the angle, against double: the words are exact there.
  std::mt19937 random(1);
  std::vector<std::uint32_t> first(n_points), second(n_points);
  for (std::uint32_t& word : first) word = static_cast<std::uint32_t>(random());
  for (std::uint32_t& word : second) word = static_cast<std::uint32_t>(random());
  std::vector<float> x(n_points), y(n_points);
  kernels().normals(first.data(), second.data(), n_points, x.data(), y.data());
  double greatest = 0.0;
  for (std::size_t i = 0; i < n_points; ++i) {
    const double u =
        (static_cast<float>(static_cast<std::int32_t>(first[i] >> 1)) + 0.5f) * 0x1p-31f;
    const double radius = std::sqrt(-2.0 * std::log(u));
    const double angle = static_cast<double>(second[i]) * 0x1p-31 * std::acos(-1.0);
    if (radius < 1e-3) continue;
    greatest = std::max({greatest, std::fabs(x[i] - radius * std::cos(angle)) / radius,
                         std::fabs(y[i] - radius * std::sin(angle)) / radius});
  }
  compare("normals", "radius >= 1e-3", normals_error, greatest);
}

int main() { return run_cases(); }
