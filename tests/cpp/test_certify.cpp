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

// The class still works under its former name.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
bool certifier_serves(const Scores<float>& scores, const Options& options, Certificates out) {
  Certifier certifier;
  return !certifier.prepare(options, scores.n_draws) && !certifier(scores, out);
}
#pragma GCC diagnostic pop

// Six rows, and options for them.
struct Setting {
  std::vector<float> scores = draw(6 * 5000);
  std::vector<double> radii = {0.0, 0.25, 0.5}, thresholds = {0.5, 0.6};
  std::vector<double> bounds = std::vector<double>(6 * 3), radius = std::vector<double>(6 * 2);
  Certificates out{bounds, radius};
  Options options;

  Setting() {
    options.sigma = 0.25;
    options.radii = radii;
    options.thresholds = thresholds;
  }
};

}  // namespace

CASE("bounds fall with the radius, radii with the threshold, and threads change nothing") {
  std::printf("tier %s\n", tier());
  Setting s;
  Options& options = s.options;
  for (const Bound bound : {Bound::mean, Bound::cdf}) {
    options.bound = bound;
    CHECK(!certify(view(s.scores, 6), options, s.out));
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(s.bounds[3 * i] > 0.7 && s.bounds[3 * i] < 0.75);
      CHECK(s.bounds[3 * i] > s.bounds[3 * i + 1] && s.bounds[3 * i + 1] > s.bounds[3 * i + 2]);
      CHECK(s.radius[2 * i] > s.radius[2 * i + 1] && s.radius[2 * i + 1] > 0.0);
    }
    const std::vector<double> one = s.bounds;
    CHECK(certifier_serves(view(s.scores, 6), options, s.out));
    CHECK(one == s.bounds);
    options.threads = 4;
    CHECK(!certify(view(s.scores, 6), options, s.out));
    CHECK(one == s.bounds);
    options.threads = 1;
  }
}

CASE("the first bad score is named") {
  Setting s;
  std::vector<float> spoiled = s.scores;
  spoiled[2 * 5000 + 7] = std::numeric_limits<float>::quiet_NaN();
  spoiled[4 * 5000] = 1.5f;
  const Failure failure = certify(view(spoiled, 6), s.options, s.out);
  CHECK(failure.error == Error::bad_score && failure.input == 2);
}

CASE("options out of their range are refused") {
  Setting s;
  const auto refused = [&](auto change) {
    Options wrong = s.options;
    change(wrong);
    return certify(view(s.scores, 6), wrong, s.out).error == Error::bad_option;
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
  CHECK(certify(view(s.scores, 6), s.options, {s.bounds, std::span<double>()}).error ==
        Error::bad_output);
}

int main() { return run_cases(); }
