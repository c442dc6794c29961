#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "smoothbound/certify.hpp"
#include "smoothbound/tier.hpp"

using namespace smoothbound;

namespace {

std::vector<float> draw(std::size_t n) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(0.5f, 1.0f);
  std::vector<float> scores(n);
  for (float& x : scores) x = uniform(random);
  return scores;
}

Scores<float> view(const std::vector<float>& scores, std::size_t n_inputs) {
  const std::size_t n_draws = scores.size() / n_inputs;
  return {scores.data(), n_inputs, n_draws, static_cast<std::ptrdiff_t>(n_draws * sizeof(float)),
          sizeof(float)};
}

// The class by its name of before still serves.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
bool certifier_serves(const Scores<float>& scores, const Options& options, Certificates out) {
  Certifier certifier;
  return !certifier.prepare(options, scores.n_draws) && !certifier(scores, out);
}
#pragma GCC diagnostic pop

}  // namespace

int main() {
  std::printf("tier %s\n", tier());
  const std::vector<float> scores = draw(6 * 5000);
  const std::vector<double> radii = {0.0, 0.25, 0.5}, thresholds = {0.5, 0.6};
  Options options;
  options.sigma = 0.25;
  options.radii = radii;
  options.thresholds = thresholds;
  std::vector<double> bounds(6 * 3), radius(6 * 2);
  const Certificates out{bounds, radius};

  for (const Bound bound : {Bound::mean, Bound::cdf}) {
    options.bound = bound;
    CHECK(!certify(view(scores, 6), options, out));
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(bounds[3 * i] > 0.7 && bounds[3 * i] < 0.75);
      CHECK(bounds[3 * i] > bounds[3 * i + 1] && bounds[3 * i + 1] > bounds[3 * i + 2]);
      CHECK(radius[2 * i] > radius[2 * i + 1] && radius[2 * i + 1] > 0.0);
    }
    const std::vector<double> one = bounds;
    CHECK(certifier_serves(view(scores, 6), options, out));
    CHECK(one == bounds);
    options.threads = 4;
    CHECK(!certify(view(scores, 6), options, out));
    CHECK(one == bounds);
    options.threads = 1;
  }

  std::vector<float> spoiled = scores;
  spoiled[2 * 5000 + 7] = std::numeric_limits<float>::quiet_NaN();
  spoiled[4 * 5000] = 1.5f;
  const Failure failure = certify(view(spoiled, 6), options, out);
  CHECK(failure.error == Error::bad_score && failure.input == 2);

  const auto refused = [&](auto change) {
    Options wrong = options;
    change(wrong);
    return certify(view(scores, 6), wrong, out).error == Error::bad_option;
  };
  CHECK(refused([](Options& o) { o.sigma = 0.0; }));
  CHECK(refused([](Options& o) { o.sigma = std::nan(""); }));
  CHECK(refused([](Options& o) { o.alpha = 1.0; }));
  CHECK(refused([](Options& o) { o.b = o.a; }));
  CHECK(refused([](Options& o) { o.threads = 0; }));
  CHECK(refused([](Options& o) { o.side = Side::upper; }));
  const std::vector<double> negative = {0.0, -1.0, 0.0};
  CHECK(refused([&](Options& o) { o.radii = negative; }));
  const std::vector<double> outside = {0.5, 1.0};
  CHECK(refused([&](Options& o) { o.thresholds = outside; }));
  CHECK(certify(view(scores, 6), options, {bounds, std::span<double>()}).error ==
        Error::bad_output);
  return report();
}
