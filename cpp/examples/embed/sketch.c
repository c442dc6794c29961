/* Draws of one input that come in batches and are not kept: counted, merged, certified at the end.
 *   sketch_c < scores
 * prints what embed.cpp prints, from counts over 1024 intervals of [0, 1]. */
#include <smoothbound/smoothbound.h>
#include <stdio.h>

enum { bins = 1024, batch = 256 };

int main(void) {
  const double radii[] = {0.0, 0.25}, thresholds[] = {0.5};
  double edges[bins + 1], data[batch], bounds[2], radius[1];
  const smoothbound_certificates out = {sizeof out, bounds, 2, radius, 1};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_scores scores = {sizeof scores,       data, 1, 0, 0, sizeof(double),
                               SMOOTHBOUND_FLOAT64, 0,    0};
  smoothbound_options options;
  smoothbound_sketch *all = NULL, *part = NULL; /* of two machines, say */
  int i, turn = 0;

  for (i = 0; i <= bins; ++i) edges[i] = (double)i / bins;
  smoothbound_options_init(&options, sizeof options);
  options.sigma = 0.25;
  options.radii = radii;
  options.n_radii = 2;
  options.thresholds = thresholds;
  options.n_thresholds = 1;
  if (smoothbound_sketch_create(edges, bins + 1, 1, &all, &failure) == SMOOTHBOUND_OK) {
    smoothbound_sketch_create(edges, bins + 1, 1, &part, &failure);
  }
  while (failure.status == SMOOTHBOUND_OK) {
    for (scores.n_draws = 0; scores.n_draws < batch; ++scores.n_draws) {
      if (scanf("%lf", &data[scores.n_draws]) != 1) break;
    }
    if (scores.n_draws == 0) break;
    smoothbound_sketch_add(turn++ % 2 == 0 ? all : part, &scores, 1, &failure);
  }
  if (failure.status == SMOOTHBOUND_OK &&
      smoothbound_sketch_merge(all, part, &failure) == SMOOTHBOUND_OK &&
      smoothbound_sketch_certify(all, &options, &out, &failure) == SMOOTHBOUND_OK) {
    printf("%.17g %.17g %.17g\n", bounds[0], bounds[1], radius[0]);
  }
  smoothbound_sketch_destroy(all);
  smoothbound_sketch_destroy(part);
  if (failure.status != SMOOTHBOUND_OK) fprintf(stderr, "sketch_c: %s\n", failure.message);
  return failure.status;
}
