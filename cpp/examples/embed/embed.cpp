// Scores in, certificates out.
//   embed N_DRAWS < scores
// reads the scores of one input after the other, N_DRAWS each, and prints a line for each input:
// its certified confidence at the radii 0 and 0.25, and its certified radius for the threshold 0.5.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <smoothbound/smoothbound.hpp>
#include <vector>

int main(int argc, char** argv) {
  const std::size_t n_draws = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  const std::vector<double> data{std::istream_iterator<double>(std::cin), {}};
  const std::size_t n_inputs = n_draws > 0 ? data.size() / n_draws : 0;
  const auto row = static_cast<std::ptrdiff_t>(n_draws * sizeof(double));
  const smoothbound::Scores<double> scores{data.data(), n_inputs, n_draws, row, sizeof(double)};

  const std::vector<double> radii = {0.0, 0.25}, thresholds = {0.5};
  smoothbound::Options options;
  options.sigma = 0.25;
  options.radii = radii;
  options.thresholds = thresholds;

  std::vector<double> bounds(n_inputs * radii.size()), radius(n_inputs * thresholds.size());
  if (const auto failure = smoothbound::certify(scores, options, {bounds, radius})) {
    char words[200];
    smoothbound::describe(failure, words);
    std::fprintf(stderr, "embed: %s\n", words);
    return 1;
  }
  for (std::size_t i = 0; i < n_inputs; ++i) {
    std::printf("%.17g %.17g %.17g\n", bounds[2 * i], bounds[2 * i + 1], radius[i]);
  }
  return 0;
}
