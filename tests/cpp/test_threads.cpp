// Many threads at once: one plan, the first use of the tier, the Gaussian functions.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "smoothbound/smoothbound.hpp"

using namespace smoothbound;

namespace {

constexpr std::size_t n_inputs = 5;
constexpr std::size_t n_draws = 200;

bool same_bits(const std::vector<double>& x, const std::vector<double>& y) {
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) == 0;
}

// Rows of scores, and options for them.
struct Setting {
  std::vector<float> data = std::vector<float>(n_inputs * n_draws);
  std::vector<double> radii = {0.0, 0.1}, thresholds = {0.5};
  Scores<float> scores{data.data(), n_inputs, n_draws,
                       static_cast<std::ptrdiff_t>(n_draws * sizeof(float)), sizeof(float)};
  Options options;

  Setting() {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(0.4f, 1.0f);
    for (float& x : data) x = uniform(random);
    options.sigma = 0.25;
    options.radii = radii;
    options.thresholds = thresholds;
  }

  Failure certify_all(const Plan& plan, std::vector<double>& bounds,
                      std::vector<double>& radius) const {
    bounds.assign(n_inputs * radii.size(), 0.0);
    radius.assign(n_inputs, 0.0);
    return plan.certify(scores, {bounds, radius});
  }
};

}  // namespace

CASE("the first calls of the process, at the same time") {
  Setting s;
  s.options.threads = 3;
  std::vector<std::vector<double>> bounds(6), radius(6);
  std::atomic<int> failed{0};
  Plan shared;
  CHECK(!shared.create(s.options, n_draws));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < bounds.size(); ++t) {
    threads.emplace_back([&, t] {
      Plan own;
      for (int repeat = 0; repeat < 10; ++repeat) {
        if (own.create(s.options, n_draws)) ++failed;
        if (s.certify_all(t % 2 == 0 ? shared : own, bounds[t], radius[t])) ++failed;
        if (!(gaussian::cdf(gaussian::quantile(0.25)) < 0.26)) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
  for (std::size_t t = 1; t < bounds.size(); ++t) {
    CHECK(same_bits(bounds[t], bounds[0]));
    CHECK(same_bits(radius[t], radius[0]));
  }
}

CASE("any number of threads: the same bits, and the same bad score is named") {
  Setting s;
  for (const Bound bound : {Bound::mean, Bound::cdf}) {
    s.options.bound = bound;
    std::vector<double> one, some, one_radius, some_radius;
    s.options.threads = 1;
    Plan plan;
    CHECK(!plan.create(s.options, n_draws) && !s.certify_all(plan, one, one_radius));
    for (const int count : {2, 4, 16}) {
      s.options.threads = count;
      CHECK(!plan.create(s.options, n_draws) && !s.certify_all(plan, some, some_radius));
      CHECK(same_bits(one, some) && same_bits(one_radius, some_radius));
    }
    std::vector<float> spoiled = s.data;
    spoiled[3 * n_draws + 7] = 2.0f;
    spoiled[4 * n_draws + 1] = -2.0f;
    Scores<float> view = s.scores;
    view.data = spoiled.data();
    const Failure failure = plan.certify(view, {some, some_radius});
    CHECK(failure.error == Error::bad_score && failure.input == 3 && failure.draw == 7 &&
          failure.got == 2.0);
  }
}

int main() { return run_cases(); }
