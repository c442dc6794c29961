/* The C interface from C: results, failures in words, structures of other versions. */
#include <math.h>
#include <smoothbound/smoothbound.h>
#include <stddef.h>
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
      SMOOTHBOUND_FLOAT64, 0,        0};
  return scores;
}

/* The tangent bound, the ways to bound a mean, and programs that do not know of them. */
static void check_means(void) {
  double bounds[inputs * 2], radius[inputs * 3], again[inputs * 2], again_radius[inputs * 3];
  const smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, inputs * 3};
  const smoothbound_certificates second = {sizeof second, again, inputs * 2, again_radius,
                                           inputs * 3};
  const smoothbound_scores scores = usual_scores();
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_options options = usual();
  int mean;

  CHECK(options.mean == SMOOTHBOUND_MEAN_DEFAULT && options.n_pilot == 0 && options.reserved == 0);
  options.bound = SMOOTHBOUND_BOUND_TANGENT;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  CHECK(bounds[0] > 0.6 && bounds[0] < 0.8 && bounds[1] < bounds[0] && radius[0] > radius[1]);
  options.mean = SMOOTHBOUND_MEAN_BETTING; /* what the defaults stand for */
  options.n_pilot = draws / 10;
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  CHECK(memcmp(radius, again_radius, sizeof radius) == 0);
  options.n_pilot = draws / 2;
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) != 0);
  options.n_pilot = draws;
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strcmp(failure.message, "n_pilot must be at least 1 and below n_draws, got 500") == 0);
  options.n_pilot = 0;
  CHECK(options.order == SMOOTHBOUND_ORDER_UNKNOWN && options.seed == 0); /* the safe one */
  options.seed = 5;
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) != 0);
  options.order = SMOOTHBOUND_ORDER_DRAWN;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  options.seed = 6; /* no key where the order is kept */
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  options.order = 2;
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_BAD_OPTION);
  options = usual();
  options.bound = SMOOTHBOUND_BOUND_TANGENT;
  options.mean = SMOOTHBOUND_MEAN_HOEFFDING;
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strstr(failure.message, "mean must be betting or bernstein") == failure.message);
  for (mean = SMOOTHBOUND_MEAN_HOEFFDING; mean <= SMOOTHBOUND_MEAN_BETTING; ++mean) {
    options = usual();
    options.bound = SMOOTHBOUND_BOUND_MEAN;
    options.mean = mean;
    CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
    CHECK(bounds[0] > 0.6 && bounds[0] < 0.8 && bounds[1] < bounds[0]);
  }
  options.mean = 4;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strstr(failure.message, "mean must be one of its codes") == failure.message);
  options = usual();
  options.reserved = 1;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);

  /* A program compiled against the header of version 0.1: its options end before `mean`. */
  options = usual();
  options.bound = SMOOTHBOUND_BOUND_MEAN;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  options.struct_size = offsetof(smoothbound_options, mean);
  memset(&options.mean, 0xff, sizeof options - options.struct_size); /* not the library's */
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  {
    unsigned char* end = (unsigned char*)&options.mean;
    smoothbound_options_init(&options, offsetof(smoothbound_options, mean));
    CHECK(options.struct_size == offsetof(smoothbound_options, mean) && *end == 0xff);
  }
}

/* Other noises than the Gaussian. */
static void check_curves(void) {
  static const double at[] = {0.1, 0.5}, p[] = {0.0, 0.5, 1.0};
  static const double values[] = {0.0, 0.4, 0.9, 0.0, 0.0, 0.5};
  double bounds[inputs * 2], radius[inputs * 3], gaussian[inputs * 2];
  const smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, inputs * 3};
  const smoothbound_scores scores = usual_scores();
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_options options = usual();
  int curve;

  CHECK(options.curve == SMOOTHBOUND_CURVE_GAUSSIAN && options.reserved_3 == 0);
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  memcpy(gaussian, bounds, sizeof bounds);
  for (curve = SMOOTHBOUND_CURVE_L1_UNIFORM; curve <= SMOOTHBOUND_CURVE_TABLE; ++curve) {
    options = usual();
    options.curve = curve;
    options.pixels = 784;
    options.kept = 45;
    if (curve == SMOOTHBOUND_CURVE_TABLE) {
      CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
      options.curve_radii = at;
      options.curve_p = p;
      options.curve_values = values;
      CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
      CHECK(strstr(failure.message, "curve.values must hold") == failure.message);
      options.n_curve_radii = 2;
      options.n_curve_p = 3;
    }
    if (curve >= SMOOTHBOUND_CURVE_ABLATION) {
      CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
      CHECK(strstr(failure.message, "sigma must be 1") == failure.message);
      options.sigma = 1.0;
    }
    CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
    CHECK(fabs(bounds[0] - gaussian[0]) < 1e-12); /* R = 0 */
    CHECK(bounds[1] <= bounds[0] && radius[0] >= radius[1]);
    options.bound = SMOOTHBOUND_BOUND_TANGENT;
    CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
    CHECK(strstr(failure.message, "curve must be gaussian") == failure.message);
  }
  options = usual();
  options.curve = 5;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  options.curve = 0;
  options.reserved_3 = 1;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
}

enum { bins = 64, cells = 2 * bins + 1 };
static double fine_edges[bins + 1];

static smoothbound_sketch* empty_sketch(size_t n_inputs) {
  smoothbound_sketch* sketch = NULL;
  CHECK(smoothbound_sketch_create(fine_edges, bins + 1, n_inputs, &sketch, NULL) == SMOOTHBOUND_OK);
  return sketch;
}

static smoothbound_sketch* full_sketch(void) {
  const smoothbound_scores scores = usual_scores();
  smoothbound_sketch* sketch = empty_sketch(inputs);
  CHECK(smoothbound_sketch_add(sketch, &scores, 2, NULL) == SMOOTHBOUND_OK);
  return sketch;
}

/* Counted at once, in halves that are merged, and from the counts of one half: the same. */
static void check_sketch_counts(void) {
  static uint32_t counts[inputs * cells], merged[inputs * cells];
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_scores scores = usual_scores(), half;
  smoothbound_sketch *sketch = empty_sketch(inputs), *first = empty_sketch(inputs);
  smoothbound_sketch* second = empty_sketch(inputs);

  CHECK(smoothbound_sketch_n_inputs(sketch) == inputs && smoothbound_sketch_n_draws(sketch) == 0);
  CHECK(smoothbound_sketch_n_cells(sketch) == cells && smoothbound_sketch_n_cells(NULL) == 0);
  CHECK(smoothbound_sketch_add(sketch, &scores, 2, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_sketch_n_draws(sketch) == draws);
  half = scores;
  half.n_draws = draws / 2;
  CHECK(smoothbound_sketch_add(first, &half, 1, &failure) == SMOOTHBOUND_OK);
  half.data = &scores64[0][draws / 2];
  CHECK(smoothbound_sketch_add(second, &half, 1, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_sketch_merge(first, second, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_sketch_counts(sketch, counts, inputs * cells, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_sketch_counts(first, merged, inputs * cells, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(counts, merged, sizeof counts) == 0);
  smoothbound_sketch_destroy(first);
  first = empty_sketch(inputs);
  CHECK(smoothbound_sketch_add_counts(first, counts, inputs * cells, draws, &failure) ==
        SMOOTHBOUND_OK);
  CHECK(smoothbound_sketch_counts(first, merged, inputs * cells, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(counts, merged, sizeof counts) == 0 && smoothbound_sketch_n_draws(first) == draws);
  smoothbound_sketch_destroy(sketch);
  smoothbound_sketch_destroy(first);
  smoothbound_sketch_destroy(second);
  smoothbound_sketch_destroy(NULL);
}

/* Certified, by itself and with a plan: within an interval of the exact bound. */
static void check_sketch_certificates(void) {
  double bounds[inputs * 2], radius[inputs * 3], again[inputs * 2];
  const smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, inputs * 3};
  const smoothbound_certificates exact = {sizeof exact, again, inputs * 2, radius, inputs * 3};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_options options = usual();
  const smoothbound_scores scores = usual_scores();
  smoothbound_sketch *sketch = full_sketch(), *second = empty_sketch(inputs);
  smoothbound_plan* plan = NULL;
  int i;

  CHECK(smoothbound_sketch_certify(second, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strstr(failure.message, "n_draws must be at least 1") == failure.message);
  CHECK(smoothbound_sketch_certify(sketch, &options, &out, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_certify(&scores, &options, &exact, &failure) == SMOOTHBOUND_OK);
  for (i = 0; i < inputs * 2; ++i) {
    CHECK(bounds[i] <= again[i] && bounds[i] >= again[i] - 1.0 / bins);
  }
  CHECK(smoothbound_plan_create(&options, draws, &plan, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_plan_certify_sketch(plan, sketch, &exact, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  CHECK(smoothbound_plan_certify_sketch(plan, second, &exact, &failure) == SMOOTHBOUND_BAD_OPTION);
  smoothbound_plan_destroy(plan);
  CHECK(failure.status == SMOOTHBOUND_BAD_OPTION);
  options.n_bins = 10; /* without effect */
  CHECK(smoothbound_sketch_certify(sketch, &options, &exact, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  options.bound = SMOOTHBOUND_BOUND_MEAN;
  CHECK(smoothbound_sketch_certify(sketch, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strstr(failure.message, "bound must be cdf") == failure.message);
  smoothbound_sketch_destroy(sketch);
  smoothbound_sketch_destroy(second);
}

/* Probabilities and quantiles, from scores and from counts. */
static void check_levels(void) {
  const double at[] = {0.25, 0.5}, level_radii[] = {0.0, 0.125}, cut[] = {0.25};
  double bounds[inputs * 4], radius[inputs * 2], counted[inputs * 4];
  const smoothbound_certificates out = {sizeof out, bounds, inputs * 4, radius, inputs * 2};
  const smoothbound_certificates of_counts = {sizeof out, counted, inputs * 4, radius, inputs * 2};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  const smoothbound_scores scores = usual_scores();
  smoothbound_sketch* sketch = full_sketch();
  smoothbound_level_options options;
  int i;

  smoothbound_level_options_init(&options, sizeof options);
  CHECK(options.alpha == 0.001 && options.threads == 1 && options.a < -1e308 && options.b > 1e308);
  CHECK(smoothbound_certify_levels(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strstr(failure.message, "sigma must be positive") == failure.message);
  options.sigma = 0.25;
  options.levels = at;
  options.n_levels = 2;
  options.radii = level_radii;
  options.n_radii = 2;
  options.thresholds = cut;
  options.n_thresholds = 1;
  CHECK(smoothbound_certify_levels(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  for (i = 0; i < inputs * 2; ++i) CHECK(bounds[2 * i] >= bounds[2 * i + 1]);
  CHECK(smoothbound_sketch_certify_levels(sketch, &options, &of_counts, &failure) ==
        SMOOTHBOUND_BAD_OPTION);
  CHECK(strstr(failure.message, "a must be an edge") == failure.message);
  options.a = fine_edges[0];
  options.b = fine_edges[bins];
  CHECK(smoothbound_sketch_certify_levels(sketch, &options, &of_counts, &failure) ==
        SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, counted, sizeof bounds) == 0); /* the levels are edges */
  options.statistic = SMOOTHBOUND_STATISTIC_QUANTILE;
  CHECK(smoothbound_certify_levels(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_sketch_certify_levels(sketch, &options, &of_counts, &failure) ==
        SMOOTHBOUND_OK);
  for (i = 0; i < inputs * 4; ++i) {
    CHECK(counted[i] <= bounds[i] && counted[i] >= bounds[i] - 1.0 / bins);
  }
  options.statistic = 7;
  CHECK(smoothbound_certify_levels(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strstr(failure.message, "statistic must be one of its codes") == failure.message);
  options.statistic = SMOOTHBOUND_STATISTIC_PROBABILITY;
  options.levels = NULL;
  CHECK(smoothbound_certify_levels(&scores, &options, &out, NULL) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_certify_levels(&scores, NULL, &out, NULL) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_sketch_certify_levels(NULL, &options, &out, NULL) == SMOOTHBOUND_BAD_ARGUMENT);
  smoothbound_sketch_destroy(sketch);
}

/* Probabilities under other noises than the Gaussian. */
static void check_levels_of_curves(void) {
  static const double at[] = {0.1, 0.5}, p[] = {0.0, 0.5, 1.0};
  static const double values[] = {0.0, 0.4, 0.9, 0.0, 0.0, 0.5};
  const double level[] = {0.5}, level_radii[] = {0.0, 0.5}, cut[] = {0.25};
  double bounds[inputs * 2], radius[inputs], gaussian[inputs * 2];
  const smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, inputs};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  const smoothbound_scores scores = usual_scores();
  smoothbound_level_options options;
  int curve;

  for (curve = SMOOTHBOUND_CURVE_GAUSSIAN; curve <= SMOOTHBOUND_CURVE_TABLE; ++curve) {
    smoothbound_level_options_init(&options, sizeof options);
    CHECK(options.curve == SMOOTHBOUND_CURVE_GAUSSIAN && options.reserved_2 == 0);
    options.sigma = 1.0;
    options.levels = level;
    options.n_levels = 1;
    options.radii = level_radii;
    options.n_radii = 2;
    options.thresholds = cut;
    options.n_thresholds = 1;
    options.curve = curve;
    options.pixels = 784;
    options.kept = 45;
    if (curve == SMOOTHBOUND_CURVE_TABLE) {
      CHECK(smoothbound_certify_levels(&scores, &options, &out, &failure) ==
            SMOOTHBOUND_BAD_ARGUMENT);
      options.curve_radii = at;
      options.n_curve_radii = 2;
      options.curve_p = p;
      options.n_curve_p = 3;
      options.curve_values = values;
    }
    CHECK(smoothbound_certify_levels(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
    if (curve == SMOOTHBOUND_CURVE_GAUSSIAN) memcpy(gaussian, bounds, sizeof bounds);
    CHECK(fabs(bounds[0] - gaussian[0]) < 1e-10); /* R = 0 */
    CHECK(bounds[1] <= bounds[0]);
  }
  options.struct_size = offsetof(smoothbound_level_options, curve); /* that of version 0.1 */
  CHECK(smoothbound_certify_levels(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, gaussian, sizeof bounds) == 0);
  options.struct_size = sizeof options;
  options.curve = 5;
  CHECK(smoothbound_certify_levels(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strstr(failure.message, "curve must be one of its codes") == failure.message);
  options.curve = 0;
  options.reserved_2 = 1;
  CHECK(smoothbound_certify_levels(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_OPTION);
}

/* Sketches of others are not merged, nor scores of others added. */
static void check_sketch_partners(void) {
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  const smoothbound_scores scores = usual_scores();
  smoothbound_sketch *sketch = full_sketch(), *second = NULL;
  const double edge = fine_edges[3];

  CHECK(smoothbound_sketch_merge(sketch, sketch, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(strcmp(failure.message, "other must be another sketch: no draw counts twice") == 0);
  fine_edges[3] += 1e-9;
  second = empty_sketch(inputs);
  fine_edges[3] = edge;
  CHECK(smoothbound_sketch_merge(sketch, second, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(strstr(failure.message, "the same edges, got others from the edge 3 on") != NULL);
  smoothbound_sketch_destroy(second);
  second = empty_sketch(1);
  CHECK(smoothbound_sketch_merge(sketch, second, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_sketch_add(second, &scores, 1, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strcmp(failure.message, "n_inputs must be that of the sketch, got 3") == 0);
  CHECK(smoothbound_sketch_add(sketch, &scores, 0, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(smoothbound_sketch_add(NULL, &scores, 1, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  smoothbound_sketch_destroy(sketch);
  smoothbound_sketch_destroy(second);
}

/* What is refused leaves the sketch as it was. */
static void check_sketch_refusals(void) {
  static uint32_t counts[inputs * cells], merged[inputs * cells];
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_scores scores = usual_scores(), half;
  smoothbound_sketch* sketch = full_sketch();
  const double score = scores64[2][7];

  CHECK(smoothbound_sketch_counts(sketch, counts, inputs * cells, &failure) == SMOOTHBOUND_OK);
  scores64[2][7] = 1.5;
  CHECK(smoothbound_sketch_add(sketch, &scores, 1, &failure) == SMOOTHBOUND_BAD_SCORE);
  CHECK(failure.input == 2 && failure.draw == 7);
  scores64[2][7] = score;
  counts[cells] += 1;
  CHECK(smoothbound_sketch_add_counts(sketch, counts, inputs * cells, draws, &failure) ==
        SMOOTHBOUND_BAD_OPTION);
  CHECK(failure.input == 1);
  CHECK(strstr(failure.message, "must add up to n_draws, got 501") != NULL);
  counts[cells] -= 1;
  CHECK(smoothbound_sketch_add_counts(sketch, counts, cells, draws, &failure) ==
        SMOOTHBOUND_BAD_OPTION);
  CHECK(smoothbound_sketch_counts(sketch, merged, 1, &failure) == SMOOTHBOUND_BAD_OUTPUT);
  CHECK(smoothbound_sketch_counts(sketch, merged, inputs * cells, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(counts, merged, sizeof counts) == 0 && smoothbound_sketch_n_draws(sketch) == draws);
  half = scores;
  half.n_draws = 0xffffffffu - draws + 1;
  half.input_stride = half.draw_stride = 0;
  CHECK(smoothbound_sketch_add(sketch, &half, 1, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strstr(failure.message, "below 2^32 with those in the sketch") != NULL);
  smoothbound_sketch_destroy(sketch);
}

static void check_edges(void) {
  static double few[] = {0.0, 0.0, 0.5};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_sketch* sketch = NULL;

  CHECK(smoothbound_sketch_create(few, 3, 1, &sketch, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(sketch == NULL && strstr(failure.message, "edges must be 2 to 2^20 + 1") != NULL);
  CHECK(smoothbound_sketch_create(few, 0, 1, &sketch, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(smoothbound_sketch_create(NULL, 2, 1, &sketch, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_sketch_create(few + 1, 2, (size_t)-1 / 2, &sketch, &failure) ==
        SMOOTHBOUND_OUT_OF_MEMORY);
}

/* Says stop when it has been asked so many times; -1: never. */
struct stop {
  long after, asked;
};

static int32_t wanted(void* context) {
  struct stop* stop = context;
  return stop->asked++ == stop->after;
}

/* Every call that takes options or a plan asks, ends when it is told to, and works again later. */
static void check_cancel(void) {
  static const double edges[] = {0.0, 0.5, 0.75, 1.0};
  double bounds[inputs * 2], radius[inputs * 3], again[inputs * 2], again_radius[inputs * 3];
  const smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, inputs * 3};
  const smoothbound_certificates second = {sizeof second, again, inputs * 2, again_radius,
                                           inputs * 3};
  const smoothbound_scores scores = usual_scores();
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_options options = usual();
  smoothbound_plan* plan = NULL;
  smoothbound_sketch* sketch = NULL;
  struct stop stop = {-1, 0};
  long last;

  CHECK(options.cancel == NULL && options.cancel_context == NULL);
  CHECK(smoothbound_sketch_create(edges, 4, inputs, &sketch, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_sketch_add(sketch, &scores, 1, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_OK);
  options.cancel = wanted;
  options.cancel_context = &stop;

  /* During the calibration, at its first question and at the last of the whole call. */
  stop.after = -1;
  stop.asked = 0;
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  CHECK(memcmp(radius, again_radius, sizeof radius) == 0);
  CHECK(stop.asked > 1000); /* the questions of a calibration, and at least one more */
  stop.after = stop.asked = 0;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_CANCELLED);
  CHECK(failure.status == SMOOTHBOUND_CANCELLED && strcmp(failure.message, "cancelled") == 0);
  CHECK(stop.asked == 1);
  stop.asked = 0;
  CHECK(smoothbound_sketch_certify(sketch, &options, &out, &failure) == SMOOTHBOUND_CANCELLED);
  CHECK(stop.asked == 1);
  stop.asked = 0;
  CHECK(smoothbound_plan_create(&options, draws, &plan, &failure) == SMOOTHBOUND_CANCELLED);
  CHECK(plan == NULL && stop.asked == 1);

  /* Between the inputs, by a plan, which is as good as before. */
  stop.after = -1;
  stop.asked = 0;
  CHECK(smoothbound_plan_create(&options, draws, &plan, &failure) == SMOOTHBOUND_OK);
  last = stop.asked;
  stop.after = stop.asked = 0;
  CHECK(smoothbound_plan_certify(plan, &scores, &out, &failure) == SMOOTHBOUND_CANCELLED);
  stop.asked = 0;
  CHECK(smoothbound_plan_certify_sketch(plan, sketch, &out, &failure) == SMOOTHBOUND_CANCELLED);
  stop.after = last; /* one call with the same options gets just past the calibration */
  stop.asked = 0;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_CANCELLED);
  stop.after = -1;
  CHECK(smoothbound_plan_certify(plan, &scores, &out, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  CHECK(memcmp(radius, again_radius, sizeof radius) == 0);
  smoothbound_plan_destroy(plan);

  /* Options that end before `cancel` have none; those that end within it are refused. */
  options = usual();
  memset(&options.cancel, 0xff, sizeof options - offsetof(smoothbound_options, cancel));
  options.struct_size = offsetof(smoothbound_options, cancel);
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_OK);
  CHECK(memcmp(bounds, again, sizeof bounds) == 0);
  options.struct_size += 4;
  CHECK(smoothbound_certify(&scores, &options, &second, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(strstr(failure.message, "options->struct_size") == failure.message);
  smoothbound_sketch_destroy(sketch);
}

static smoothbound_record* empty_record(void) {
  smoothbound_record* record = NULL;
  CHECK(smoothbound_record_create(0.0, 1.0, SMOOTHBOUND_SIDE_LOWER, &record, NULL) ==
        SMOOTHBOUND_OK);
  return record;
}

static smoothbound_scores one_input(size_t first, size_t n) {
  smoothbound_scores scores = usual_scores();
  scores.data = &scores64[0][first];
  scores.n_inputs = 1;
  scores.n_draws = n;
  return scores;
}

/* A question is shown at the same draw however the draws come, also after the record was saved. */
static void check_anytime(void) {
  static unsigned char state[100000];
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  const smoothbound_scores guess = one_input(0, 10), all = one_input(10, draws - 10);
  smoothbound_record *record = empty_record(), *parts = empty_record(), *loaded = NULL;
  smoothbound_question *question = NULL, *later = NULL, *false_one = NULL;
  size_t size = 0, at;
  uint64_t n = 0, again = 0;

  CHECK(smoothbound_record_guess(record, &guess, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_record_add(record, &all, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_record_n_draws(record) == draws - 10 && smoothbound_record_n_draws(NULL) == 0);
  CHECK(smoothbound_question_create(record, 0.4, 0.25, 0.5, 0, &question, NULL) == SMOOTHBOUND_OK);
  CHECK(smoothbound_question_log_wealth(question) == 0.0);
  CHECK(smoothbound_question_advance(question, record, 1e-3, &n, &failure) == SMOOTHBOUND_OK);
  CHECK(n > 10 && n < draws - 10);
  CHECK(smoothbound_question_log_wealth(question) > 6.9);
  CHECK(smoothbound_question_create(record, 0.8, 0.25, 0.5, 0, &false_one, NULL) == SMOOTHBOUND_OK);
  CHECK(smoothbound_question_advance(false_one, record, 1e-3, &again, NULL) == SMOOTHBOUND_OK);
  CHECK(again == 0 && smoothbound_question_log_wealth(false_one) < 6.9);
  CHECK(smoothbound_question_create(record, 0.4, 0.25, 0.5, 100, &later, NULL) == SMOOTHBOUND_OK);
  CHECK(smoothbound_question_advance(later, record, 1e-3, &again, NULL) == SMOOTHBOUND_OK);
  CHECK(again > 100);
  smoothbound_question_destroy(question);

  CHECK(smoothbound_record_guess(parts, &guess, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_question_create(parts, 0.4, 0.25, 0.5, 0, &question, NULL) == SMOOTHBOUND_OK);
  for (at = 10, again = 0; at < draws && again == 0; at += 7) {
    const smoothbound_scores part = one_input(at, at + 7 < draws ? 7 : draws - at);
    CHECK(smoothbound_record_add(parts, &part, NULL) == SMOOTHBOUND_OK);
    CHECK(smoothbound_question_advance(question, parts, 1e-3, &again, NULL) == SMOOTHBOUND_OK);
  }
  CHECK(again == n);
  smoothbound_question_destroy(question);

  CHECK(smoothbound_record_save(record, NULL, 0, &size, NULL) == SMOOTHBOUND_OK);
  CHECK(size > 100 && size < sizeof state);
  CHECK(smoothbound_record_save(record, state, size - 1, &size, &failure) ==
        SMOOTHBOUND_BAD_OUTPUT);
  CHECK(smoothbound_record_save(record, state, size, &size, NULL) == SMOOTHBOUND_OK);
  CHECK(smoothbound_record_load(state, size, &loaded, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_question_create(loaded, 0.4, 0.25, 0.5, 0, &question, NULL) == SMOOTHBOUND_OK);
  CHECK(smoothbound_question_advance(question, loaded, 1e-3, &again, NULL) == SMOOTHBOUND_OK);
  CHECK(again == n && smoothbound_record_n_draws(loaded) == draws - 10);
  smoothbound_record_destroy(loaded);
  state[40] ^= 4;
  CHECK(smoothbound_record_load(state, size, &loaded, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(loaded == NULL && strstr(failure.message, "state must be whole") == failure.message);
  smoothbound_question_destroy(question);
  smoothbound_question_destroy(later);
  smoothbound_question_destroy(false_one);
  smoothbound_record_destroy(record);
  smoothbound_record_destroy(parts);
}

static void check_anytime_refusals(void) {
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_record *record = empty_record(), *other = NULL;
  smoothbound_question* question = NULL;
  smoothbound_scores scores = usual_scores();
  const double score = scores64[0][5];
  uint64_t n = 0;
  size_t size = 0;

  CHECK(smoothbound_record_add(record, &scores, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(strcmp(failure.message, "n_inputs must be 1, got 3") == 0);
  scores = one_input(0, 20);
  scores64[0][5] = 1.5;
  CHECK(smoothbound_record_guess(record, &scores, &failure) == SMOOTHBOUND_BAD_SCORE);
  CHECK(smoothbound_record_add(record, &scores, &failure) == SMOOTHBOUND_BAD_SCORE);
  CHECK(failure.draw == 5 && smoothbound_record_n_draws(record) == 0);
  scores64[0][5] = score;
  CHECK(smoothbound_record_add(record, &scores, &failure) == SMOOTHBOUND_OK);
  CHECK(smoothbound_record_guess(record, &scores, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(smoothbound_record_create(0.0, 0.0, 0, &other, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(smoothbound_record_create(0.0, 1.0, 2, &other, &failure) == SMOOTHBOUND_BAD_OPTION);
  CHECK(other == NULL && strstr(failure.message, "side must be one of its codes") != NULL);
  CHECK(smoothbound_question_create(record, 1.0, 0.0, 1.0, 0, &question, &failure) ==
        SMOOTHBOUND_BAD_OPTION);
  CHECK(strcmp(failure.message, "threshold must lie strictly between a and b, got 1") == 0);
  CHECK(smoothbound_question_create(record, 0.5, -1.0, 1.0, 0, &question, &failure) ==
        SMOOTHBOUND_BAD_OPTION);
  CHECK(smoothbound_question_create(record, 0.5, 1e300, 1e-300, 0, &question, &failure) ==
        SMOOTHBOUND_BAD_OPTION);
  CHECK(smoothbound_question_create(record, 0.5, 1.0, 0.0, 0, &question, &failure) ==
        SMOOTHBOUND_BAD_OPTION);
  CHECK(smoothbound_question_create(record, 0.5, 1.0, 1.0, (uint64_t)-1, &question, &failure) ==
        SMOOTHBOUND_BAD_OPTION);
  CHECK(question == NULL);
  CHECK(smoothbound_question_create(record, 0.5, 1.0, 1.0, 0, &question, NULL) == SMOOTHBOUND_OK);
  CHECK(smoothbound_question_advance(question, record, 0.0, &n, &failure) ==
        SMOOTHBOUND_BAD_OPTION);
  CHECK(smoothbound_record_create(0.0, 1.0, SMOOTHBOUND_SIDE_UPPER, &other, NULL) ==
        SMOOTHBOUND_OK);
  CHECK(smoothbound_question_advance(question, other, 1e-3, &n, &failure) ==
        SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(strstr(failure.message, "record must have the range and side") == failure.message);
  CHECK(smoothbound_record_add(NULL, &scores, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_record_add(record, NULL, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_record_create(0.0, 1.0, 0, NULL, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_record_save(record, NULL, 5, &size, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_record_save(record, NULL, 0, NULL, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(smoothbound_record_load(&size, 8, NULL, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  smoothbound_question_destroy(question);
  CHECK(smoothbound_question_create(NULL, 0.5, 1.0, 1.0, 0, &question, &failure) ==
        SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(question == NULL);
  CHECK(smoothbound_question_advance(NULL, record, 1e-3, &n, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  smoothbound_record_destroy(record);
  smoothbound_record_destroy(other);
  smoothbound_record_destroy(NULL);
  smoothbound_question_destroy(NULL);
}

static void fill_scores(void) {
  int i, j;
  for (i = 0; i <= bins; ++i) fine_edges[i] = (double)i / bins;
  srand(1);
  for (i = 0; i < inputs; ++i) {
    for (j = 0; j < draws; ++j) {
      scores32[i][j] = 0.5f + 0.5f * ((float)rand() / (float)RAND_MAX);
      scores64[i][j] = scores32[i][j];
      memcpy(records[j][i].score, &scores32[i][j], sizeof(float));
    }
  }
}

static void check_defaults(void) {
  double bounds[inputs * 2], radius[inputs * 3];
  const smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, inputs * 3};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_options options = usual();
  const smoothbound_scores scores = usual_scores();

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
}

/* A plan, other layouts and types: the same bits. */
static void check_layouts(void) {
  double bounds[inputs * 2], radius[inputs * 3], again[inputs * 2], again_radius[inputs * 3];
  const smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, inputs * 3};
  const smoothbound_certificates second = {sizeof second, again, inputs * 2, again_radius,
                                           inputs * 3};
  const smoothbound_options options = usual();
  smoothbound_scores scores = usual_scores();
  smoothbound_plan* plan = NULL;
  int i;

  CHECK(smoothbound_certify(&scores, &options, &out, NULL) == SMOOTHBOUND_OK);
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
  smoothbound_plan_destroy(plan);
  smoothbound_plan_destroy(NULL);
}

static void check_failures(void) {
  double bounds[inputs * 2], radius[inputs * 3];
  smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, inputs * 3};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_options options = usual();
  smoothbound_scores scores = usual_scores();
  smoothbound_plan* plan = NULL;
  const double score = scores64[2][7];

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
  scores64[2][7] = score;
}

/* Structures of another version: smaller than ever, larger and known not to matter, larger. */
static void check_versions(void) {
  double bounds[inputs * 2], radius[inputs * 3];
  smoothbound_certificates out = {sizeof out, bounds, inputs * 2, radius, 0};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_options options = usual();
  const smoothbound_scores scores = usual_scores();
  struct {
    smoothbound_options known;
    double later;
  } newer;

  options.n_thresholds = 0;
  options.struct_size = offsetof(smoothbound_options, mean) - 8;
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(strstr(failure.message, "options->struct_size") == failure.message);
  memset(&newer, 0xff, sizeof newer);
  smoothbound_options_init(&newer.known, sizeof newer);
  CHECK(newer.known.struct_size == sizeof newer && newer.later == 0.0);
  newer.known.sigma = 0.25;
  newer.known.radii = radii;
  newer.known.n_radii = 2;
  CHECK(smoothbound_certify(&scores, &newer.known, &out, &failure) == SMOOTHBOUND_OK);
  newer.later = 1.0;
  CHECK(smoothbound_certify(&scores, &newer.known, &out, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
  CHECK(strstr(failure.message, "does not know") != NULL);
  failure.struct_size = 8;
  options = usual();
  CHECK(smoothbound_certify(&scores, &options, &out, &failure) == SMOOTHBOUND_BAD_ARGUMENT);
}

int main(void) {
  fill_scores();
  RUN(check_defaults);
  RUN(check_means);
  RUN(check_curves);
  RUN(check_sketch_counts);
  RUN(check_sketch_certificates);
  RUN(check_levels);
  RUN(check_levels_of_curves);
  RUN(check_sketch_partners);
  RUN(check_sketch_refusals);
  RUN(check_edges);
  RUN(check_anytime);
  RUN(check_anytime_refusals);
  RUN(check_cancel);
  RUN(check_layouts);
  RUN(check_failures);
  RUN(check_versions);
  CHECK(strcmp(smoothbound_version(), VERSION) == 0);
  CHECK(strlen(smoothbound_tier()) > 0);
  return report();
}
