/* What embed.cpp does, by the C interface: one input at a time, with a plan kept for all.
 *   embed_c N_DRAWS [tangent] < scores
 * "tangent" bounds by tangents from the first tenth of the draws, in place of the band. */
#include <smoothbound/smoothbound.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  const size_t n_draws = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
  const double radii[] = {0.0, 0.25}, thresholds[] = {0.5};
  double bounds[2], radius[1], *data = malloc((n_draws + 1) * sizeof(double));
  const smoothbound_scores scores = {sizeof scores,       data, 1, n_draws, 0, sizeof(double),
                                     SMOOTHBOUND_FLOAT64, 0,    0};
  const smoothbound_certificates out = {sizeof out, bounds, 2, radius, 1};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_options options;
  smoothbound_plan* plan = NULL;
  size_t n = 0;

  smoothbound_options_init(&options, sizeof options);
  options.sigma = 0.25;
  options.radii = radii;
  options.n_radii = 2;
  options.thresholds = thresholds;
  options.n_thresholds = 1;
  if (argc > 2 && strcmp(argv[2], "tangent") == 0) options.bound = SMOOTHBOUND_BOUND_TANGENT;
  if (data == NULL) return SMOOTHBOUND_OUT_OF_MEMORY;
  smoothbound_plan_create(&options, n_draws, &plan, &failure);
  while (plan != NULL && failure.status == SMOOTHBOUND_OK && scanf("%lf", &data[n]) == 1) {
    if (++n < n_draws) continue;
    n = 0;
    if (smoothbound_plan_certify(plan, &scores, &out, &failure) != SMOOTHBOUND_OK) break;
    printf("%.17g %.17g %.17g\n", bounds[0], bounds[1], radius[0]);
  }
  smoothbound_plan_destroy(plan);
  free(data);
  if (failure.status != SMOOTHBOUND_OK) fprintf(stderr, "embed_c: %s\n", failure.message);
  return failure.status;
}
