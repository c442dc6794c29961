/* The C interface from C: results, failures in words, structures of other versions. */
#include <math.h>
#include <smoothbound/smoothbound.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { inputs = 3, draws = 500 };

static double scores64[inputs][draws];
static float scores32[inputs][draws];
static struct record {
  char tag;
  unsigned char score[sizeof(float)]; /* not aligned */
} records[draws][inputs];             /* transposed */

static const double radii[] = {0.0, 0.25};
static const double thresholds[] = {0.5, 0.6, 0.99};

static smoothbound_options usual(void) {
  smoothbound_options options;
  smoothbound_options_init(&options, sizeof options);
  options.sigma = 0.25;
  options.radii = radii;
  options.n_radii = 2;
  options.thresholds = thresholds;
  options.n_thresholds = 3;
  return options;
}

static smoothbound_scores usual_scores(void) {
  const smoothbound_scores scores = {
      sizeof scores,       scores64, inputs, draws, sizeof scores64[0], sizeof(double),
      SMOOTHBOUND_FLOAT64, 0};
  return scores;
}

int main(void) {
  double bounds[inputs * 2], radius[inputs * 3], again[inputs * 2], again_radius[inputs * 3];
  smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, inputs * 3};
  smoothbound_certificates second = {sizeof second, again, inputs * 2, again_radius, inputs * 3};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_options options = usual();
  smoothbound_scores scores = usual_scores();
  smoothbound_plan* plan = NULL;
  int i, j;

  srand(1);
  for (i = 0; i < inputs; ++i) {
    for (j = 0; j < draws; ++j) {
      scores32[i][j] = 0.5f + 0.5f * ((float)rand() / (float)RAND_MAX);
      scores64[i][j] = scores32[i][j];
      memcpy(records[j][i].score, &scores32[i][j], sizeof(float));
    }
  }

  /* Defaults, and a certificate of each kind. */
  CHECK(options.struct_size == sizeof options && options.alpha == 1e-3 && options.threads == 1);
  CHECK(options.a == 0.0 && options.b == 1.0 && options.n_bins == 0);
  CHECK(options.side == SMOOTHBOUND_SIDE_LOWER && options.bound == SMOOTHBOUND_BOUND_CDF);
  options.bound = SMOOTHBOUND_BOUND_MEAN;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  CHECK(bounds[0] > 0.6 && bounds[0] < 0.8 && bounds[1] < bounds[0]);
  options = usual();
  options.threads = 2;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  CHECK(bounds[0] > 0.6 && bounds[0] < 0.8 && bounds[1] < bounds[0]);
  CHECK(radius[0] > radius[1] && radius[1] > 0.0 && isnan(radius[2]));
  CHECK(failure.status == SMOOTHBOUND_OK && failure.message[0] == '\0');

  /* A plan, other layouts and types: the same bits. */
  CHECK(smoothbound_plan_create(&options, draws, &plan, NULL) == SMOOTHBOUND_OK && plan != NULL);
  for (i = 0; i < 2; ++i) {
    CHECK(smoothbound_plan_certify(plan, &scores, &second, NULL) == SMOOTHBOUND_OK);
    CHECK(memcmp(bounds, again, sizeof bounds) == 0);
    CHECK(memcmp(radius, again_radius, sizeof radius) == 0);
  }
  scores.type = SMOOTHBOUND_FLOAT32;
  scores.data = &records[0][0].score;
  scores.input_stride = sizeof(struct record);
  scores.draw_stride = sizeof records[0];
  memset(again, 0, sizeof again);
  CHECK(smoothbound_plan_certify(plan, &scores, &second, NULL) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  scores = usual_scores(); /* from the last draw to the first */
  scores.data = &scores64[0][draws - 1];
  scores.draw_stride = -(ptrdiff_t)sizeof(double);
  CHECK(smoothbound_plan_certify(plan, &scores, &second, NULL) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  scores = usual_scores();
  smoothbound_plan_destroy(plan);
  smoothbound_plan_destroy(NULL);

  /* Failures. */
  CHECK(smoothbound_plan_create(NULL, draws, &plan, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(plan == NULL && strcmp(failure.message, "options must not be NULL") == 0);
  CHECK(failure.status == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_plan_certify(NULL, &scores, &out, NULL) == SMOOTHBOUND_BAD_ARGUMENT);
  options = usual();
  options.sigma = 0.0;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strcmp(failure.message, "sigma must be positive and finite, got 0") == 0);
  options = usual();
  options.bound = 99;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strncmp(failure.message, "bound must be one of", 20) == 0);
  options = usual();
  options.radii = NULL;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(strcmp(failure.message, "options->radii must not be NULL") == 0);
  options = usual();
  scores.type = 3;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  scores = usual_scores();
  out.n_radius = 1;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OUTPUT);
  CHECK(strcmp(failure.message, "radius must hold n_inputs * n_thresholds numbers, got 1") == 0);
  out.n_radius = inputs * 3;
  scores64[2][7] = 1.5;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_SCORE);
  CHECK(failure.input == 2 && failure.draw == 7);
  CHECK(strstr(failure.message, "scores[2, 7] ") == failure.message);
  CHECK(smoothbound_certify(&scores, &options, &out, NULL) == SMOOTHBOUND_BAD_SCORE);
  scores64[2][7] = 0.5;

  /* Structures of another version: smaller than ever, larger and known not to matter, larger. */
  {
    struct {
      smoothbound_options known;
      double later;
    } newer;
    options = usual();
    options.struct_size = sizeof options - 8;
    CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
    CHECK(strstr(failure.message, "options->struct_size") == failure.message);
    memset(&newer, 0xff, sizeof newer);
    smoothbound_options_init(&newer.known, sizeof newer);
    CHECK(newer.known.struct_size == sizeof newer && newer.later == 0.0);
    newer.known.sigma = 0.25;
    newer.known.radii = radii;
    newer.known.n_radii = 2;
    second.n_radius = 0;
    CHECK(smoothbound_certify(&scores, &newer.known, &second, &failure) == SMOOTHBOUND_OK);
    newer.later = 1.0;
    CHECK(smoothbound_certify(&scores, &newer.known, &second, &failure) ==
          SMOOTHBOUND_BAD_ARGUMENT);
    CHECK(strstr(failure.message, "does not know") != NULL);
    failure.struct_size = 8;
    options = usual();
    CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  }

  CHECK(strcmp(smoothbound_version(), VERSION) == 0);
  CHECK(strlen(smoothbound_tier()) > 0);
  return report();
}
