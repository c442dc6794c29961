// A program that knows nothing of Python: certifies three saturated draws' worth of scores.
#include <cstdio>
#include <smoothbound/smoothbound.hpp>
#include <vector>

int main() {
  const std::vector<double> scores(1000, 0.9);
  const std::vector<double> radii = {0.0, 0.25};
  const std::vector<double> thresholds = {0.5};
  smoothbound::Options options;
  options.sigma = 0.25;
  options.radii = radii;
  options.thresholds = thresholds;
  std::vector<double> bounds(2), radius(1);
  if (smoothbound::certify(smoothbound::Scores<double>{scores.data(), 1, 1000, 8000, 8}, options,
                           {bounds, radius})) {
    return 1;
  }
  std::printf("%.6f %.6f %.6f\n", bounds[0], bounds[1], radius[0]);
  return 0;
}
