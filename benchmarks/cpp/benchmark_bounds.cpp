// Measures rows a second by bound, number of draws and number of threads, for programs that embed
// the core, and the time of an anytime test. The ratio is that to a plain loop over the same scores
// in the same run.
//
//   cmake --preset release -DSMOOTHBOUND_BENCHMARKS=ON && cmake --build --preset release
//   build/release/benchmarks/cpp/benchmark_bounds
//
// With --once every case runs once on few rows, and only its answers are checked.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "smoothbound/smoothbound.hpp"

using namespace smoothbound;

namespace {

constexpr double alpha = 1e-3;
const std::vector<double> radii = {0.0, 0.25, 0.5};

struct Rows {
  std::size_t n_inputs, n_draws;
  std::vector<float> data;

  Rows(std::size_t inputs, std::size_t draws)
      : n_inputs(inputs), n_draws(draws), data(inputs * draws) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(0.0f, 1.0f);
    for (float& x : data) x = 1.0f - uniform(random) * uniform(random);
  }
  Scores<float> scores() const {
    return {data.data(), n_inputs, n_draws, static_cast<std::ptrdiff_t>(n_draws * sizeof(float)),
            sizeof(float)};
  }
};

// The plain loop, with the functions of the math library: it adds up the scores (Theorem 1), or
// sorts them and adds up the gaps between them, each at the level of the band (Theorem 2).
double normal_cdf(double z) { return 0.5 * std::erfc(-z * std::sqrt(0.5)); }

void plain_mean(const float* row, std::size_t n, double* out) {
  const double mean = std::accumulate(row, row + n, 0.0) / static_cast<double>(n);
  const double z = gaussian::quantile(mean - deviation(n, alpha));
  for (std::size_t j = 0; j < radii.size(); ++j) out[j] = normal_cdf(z - radii[j]);
}

void plain_cdf(const float* row, const std::vector<double>& z, double* out) {
  std::vector<float> sorted(row, row + z.size());
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t j = 0; j < radii.size(); ++j) {
    double previous = 0.0;
    out[j] = 0.0;
    for (std::size_t i = 0; i < z.size(); ++i) {
      const auto score = static_cast<double>(sorted[i]);
      out[j] += (score - previous) * normal_cdf(z[i] - radii[j]);
      previous = score;
    }
  }
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The least time of several runs. The two programs take turns, so that both meet the same load.
struct Times {
  double ours = 1e300, plain = 1e300;
};

Times alternate(const std::function<void()>& ours, const std::function<void()>& plain, int rounds) {
  Times times;
  for (int i = 0; i < rounds; ++i) {
    times.ours = std::min(times.ours, seconds_of(ours));
    times.plain = std::min(times.plain, seconds_of(plain));
  }
  return times;
}

bool failed = false;

// The plain loop rounds to the nearest, the core to the safe side.
void check(const std::vector<double>& ours, const std::vector<double>& plain) {
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours[i] <= plain[i] + 1e-12 && ours[i] >= plain[i] - 1e-9) continue;
    std::fprintf(stderr, "bound %zu: %.17g, but %.17g by a plain loop\n", i, ours[i], plain[i]);
    failed = true;
    return;
  }
}

void run(Bound bound, std::size_t n_draws, int threads, std::size_t n_inputs, int rounds) {
  const Rows rows(n_inputs, n_draws);
  const ConfidenceBand band(BandKind::dkw, n_draws, alpha);
  Options options;
  options.sigma = 1.0;
  options.alpha = alpha;
  options.bound = bound;
  options.shared_band = &band;
  options.radii = radii;
  options.threads = threads;
  Plan plan;
  if (plan.create(options, n_draws)) std::abort();
  std::vector<double> z(n_draws);
  for (std::size_t i = 0; i < n_draws; ++i) z[i] = band.quantile(n_draws - i);

  std::vector<double> ours(n_inputs * radii.size());
  std::vector<double> plain(ours.size());
  const auto certify_all = [&] {
    if (plan.certify(rows.scores(), {ours, {}})) std::abort();
  };
  const auto loop = [&] {
    for (std::size_t i = 0; i < n_inputs; ++i) {
      const float* row = rows.data.data() + i * n_draws;
      double* out = plain.data() + i * radii.size();
      bound == Bound::cdf ? plain_cdf(row, z, out) : plain_mean(row, n_draws, out);
    }
  };
  const Times times = alternate(certify_all, loop, rounds);
  check(ours, plain);
  const auto count = static_cast<double>(n_inputs);
  std::printf("%-5s %8zu %8d %14.0f %14.0f %8.1f\n", bound == Bound::cdf ? "cdf" : "mean", n_draws,
              threads, count / times.ours, count / times.plain, times.plain / times.ours);
}

// Draws taken into a record, and bets chosen anew for a question about them.
void run_anytime(std::size_t n_draws, int rounds) {
  const Rows rows(1, n_draws);
  DrawRecord record(0.0, 1.0, Side::lower);
  EProcess process(0.5, 0.5);
  double taking = 1e300;
  double betting = 1e300;
  for (int i = 0; i < rounds; ++i) {
    record = DrawRecord(0.0, 1.0, Side::lower);
    process = EProcess(0.5, 0.5);
    taking = std::min(taking, seconds_of([&] {
                        if (record.add(rows.scores().row(0))) std::abort();
                      }));
    betting = std::min(betting, seconds_of([&] { process.advance(record, least_alpha); }));
  }
  failed |= !process.reached(alpha);
  std::size_t refreshes = 0;
  for (std::uint64_t look = 0, next = 0; look <= n_draws; look = look_after(look)) {
    if (look < next) continue;
    ++refreshes;
    next = look + 2 + look / 4;
  }
  std::printf("anytime %8zu draws: %.1f ns a draw, %.1f us a refresh and question\n", n_draws,
              1e9 * taking / static_cast<double>(n_draws),
              1e6 * betting / static_cast<double>(refreshes));
}

}  // namespace

int main(int argc, char** argv) {
  const bool once = argc > 1 && std::strcmp(argv[1], "--once") == 0;
  const int most_threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::printf("tier %s, three radii, float scores, every draw a knot\n", tier());
  std::printf("bound  n_draws  threads    rows/second   a plain loop    ratio\n");
  for (const Bound bound : {Bound::mean, Bound::cdf}) {
    for (const std::size_t n_draws : {100u, 1000u, 10000u, 100000u}) {
      const std::size_t n_inputs = once ? 3 : 4000000 / n_draws;
      for (int threads = 1; threads <= (once ? 1 : most_threads); threads *= 2) {
        run(bound, n_draws, threads, n_inputs, once ? 1 : 3);
      }
    }
  }
  run_anytime(once ? 1000 : 100000, once ? 1 : 20);
  return failed ? 1 : 0;
}
