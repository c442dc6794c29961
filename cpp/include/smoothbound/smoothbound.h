/** \file smoothbound.h
 * The C interface of smoothbound: certified confidence for smoothed classifiers.
 *
 * \code
 *   const double radii[] = {0.0, 0.25};
 *   double bounds[N_INPUTS * 2];
 *   smoothbound_failure failure = {sizeof failure};
 *   smoothbound_options options;
 *   smoothbound_options_init(&options, sizeof options);
 *   options.sigma = 0.25;
 *   options.radii = radii;
 *   options.n_radii = 2;
 *   smoothbound_scores scores = {
 *       sizeof scores,       data, N_INPUTS, N_DRAWS, N_DRAWS * sizeof(float), sizeof(float),
 *       SMOOTHBOUND_FLOAT32, 0, 0};
 *   smoothbound_certificates out = {sizeof out, bounds, N_INPUTS * 2, NULL, 0};
 *   if (smoothbound_certify(&scores, &options, &out, &failure) != SMOOTHBOUND_OK) {
 *     fprintf(stderr, "%s\n", failure.message);
 *   }
 * \endcode
 *
 * No function throws, prints, exits or keeps global state. Any number of threads may call functions
 * at the same time, even with the same plan, as long as they write to different structures. The
 * caller's floating-point environment must be the default one (round to nearest, subnormal numbers
 * kept).
 *
 * Every structure starts with its size, which the caller sets to sizeof. Later versions append
 * fields, so programs that were compiled against this header work with later libraries. A program
 * that was compiled against a later header works with this library as long as the fields that the
 * library does not know are zero. Otherwise calls return SMOOTHBOUND_BAD_ARGUMENT.
 */
#ifndef SMOOTHBOUND_SMOOTHBOUND_H
#define SMOOTHBOUND_SMOOTHBOUND_H

#include <stddef.h>
#include <stdint.h>

#include "smoothbound/version.h"

#if defined(__GNUC__)
#define SMOOTHBOUND_API __attribute__((visibility("default")))
#else
#define SMOOTHBOUND_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** The status that a call returns. */
enum {
  SMOOTHBOUND_OK = 0,
  SMOOTHBOUND_BAD_ARGUMENT = 1, /**< a null pointer, a structure of an unknown version, or sketches
                                     that cannot be merged */
  SMOOTHBOUND_BAD_OPTION = 2,   /**< an option is out of its range */
  SMOOTHBOUND_BAD_OUTPUT = 3,   /**< an output has the wrong size */
  SMOOTHBOUND_BAD_SCORE = 4,    /**< a score is NaN or outside [a, b] */
  SMOOTHBOUND_OUT_OF_MEMORY = 5,
  SMOOTHBOUND_CANCELLED = 6 /**< smoothbound_options.cancel ended the call */
};

/** Which side to bound. */
enum {
  SMOOTHBOUND_SIDE_LOWER = 0, /**< lower bounds on the confidence */
  SMOOTHBOUND_SIDE_UPPER = 1  /**< upper bounds on the confidence */
};

/** Which theorem to use. */
enum {
  SMOOTHBOUND_BOUND_MEAN = 0, /**< Theorem 1, from the mean of the scores */
  SMOOTHBOUND_BOUND_CDF = 1,  /**< Theorem 2, from a confidence band of their survival function */
  SMOOTHBOUND_BOUND_TANGENT = 2, /**< a tangent to Theorem 2 from the first draws, and a bound on
                                      one mean; the tightest at one radius at a time */
  SMOOTHBOUND_BOUND_JOINT = 3    /**< tangents at fixed radii from the first draws, whose means
                                      together bound all radii, and the band of equal local levels;
                                      the tightest at all radii at once */
};

/** How to bound a mean, for SMOOTHBOUND_BOUND_MEAN, SMOOTHBOUND_BOUND_TANGENT and
 * SMOOTHBOUND_BOUND_JOINT. */
enum {
  SMOOTHBOUND_MEAN_DEFAULT =
      0, /**< Hoeffding's inequality for MEAN, betting for TANGENT and JOINT */
  SMOOTHBOUND_MEAN_HOEFFDING = 1, /**< Hoeffding's inequality; for MEAN only */
  SMOOTHBOUND_MEAN_BERNSTEIN = 2, /**< empirical Bernstein; not for JOINT */
  SMOOTHBOUND_MEAN_BETTING =
      3 /**< betting; the bound of Clopper and Pearson if all scores are a or b */
};

/** Which band, for SMOOTHBOUND_BOUND_CDF. */
enum {
  SMOOTHBOUND_BAND_DKW = 0, /**< the paper's: Dvoretzky-Kiefer-Wolfowitz-Massart */
  SMOOTHBOUND_BAND_ELL = 1 /**< equal local levels; its calibration takes seconds for 100 000 draws,
                              so create one plan for many calls */
};

/** The order in which the draws of a row are used. Betting uses the draws in turn, and the bounds
 * TANGENT and JOINT use the first draws as a pilot, so the order must not depend on the values. */
enum {
  SMOOTHBOUND_ORDER_UNKNOWN = 0, /**< the positions are permuted first, with the key (seed, number
                                      of the input); alpha is over the draws and the key */
  SMOOTHBOUND_ORDER_DRAWN =
      1 /**< the order is kept; it must not depend on the values, like that of drawing */
};

/** What to certify about the distribution of the scores (smoothbound_certify_levels). */
enum {
  SMOOTHBOUND_STATISTIC_PROBABILITY = 1, /**< the probability that the score is at least a level */
  SMOOTHBOUND_STATISTIC_QUANTILE = 2     /**< quantiles of the scores, at levels in (0, 1) */
};

/** The noise and the measure of distance (noise_curve.hpp). All but the Gaussian need the bound
 * CDF, or MEAN if the curve is convex. */
enum {
  SMOOTHBOUND_CURVE_GAUSSIAN = 0,   /**< N(0, sigma^2 I) against l2 */
  SMOOTHBOUND_CURVE_L1_UNIFORM = 1, /**< uniform on [-sigma, sigma]^d against l1 */
  SMOOTHBOUND_CURVE_L1_LAPLACE = 2, /**< density exp(-|t| / sigma) / (2 sigma), against l1 */
  SMOOTHBOUND_CURVE_ABLATION = 3,   /**< all but `kept` of `pixels` pixels hidden; radii count
                                         changed pixels, and sigma must be 1 */
  SMOOTHBOUND_CURVE_TABLE = 4       /**< a table of values of psi; sigma must be 1 */
};

/** The type of the scores, IEEE 754. */
enum { SMOOTHBOUND_FLOAT16 = 2, SMOOTHBOUND_FLOAT32 = 4, SMOOTHBOUND_FLOAT64 = 8 };

/** What to certify, and by which method. Call smoothbound_options_init() first, then set the fields
 * that differ from the defaults. */
typedef struct smoothbound_options {
  size_t struct_size; /**< sizeof(smoothbound_options) */
  size_t n_bins;      /**< number of equal-count bins; default 0: every draw is a knot */
  double sigma;       /**< noise level, > 0, in the units of the model's input; no default */
  double alpha;       /**< failure probability of each certificate, in [1e-302, 1); default 0.001 */
  double a, b;        /**< range of the scores, a < b, both finite; default 0 and 1 */
  int32_t side;       /**< SMOOTHBOUND_SIDE_...; default LOWER */
  int32_t bound;      /**< SMOOTHBOUND_BOUND_...; default CDF */
  int32_t band;       /**< SMOOTHBOUND_BAND_...; default ELL */
  int32_t threads;    /**< at least 1; default 1. The result does not depend on it */
  const double* radii;      /**< n_radii numbers >= 0, in the units of sigma */
  size_t n_radii;           /**< default 0 */
  const double* thresholds; /**< n_thresholds numbers strictly between a and b; lower side only */
  size_t n_thresholds;      /**< default 0 */
  int32_t mean;             /**< SMOOTHBOUND_MEAN_...; by default that of the bound */
  int32_t reserved;         /**< 0 */
  uint64_t n_pilot; /**< for TANGENT and JOINT: number of pilot draws of each row, the first in its
                       order, which choose stakes and tangents; the other draws give the bound.
                       Below n_draws. Default 0: a tenth of the draws, at least one */
  int32_t order;    /**< SMOOTHBOUND_ORDER_...; default UNKNOWN */
  int32_t reserved_2; /**< 0 */
  uint64_t seed;      /**< key of the permutation; default 0. Fix it before you see the scores */
  int32_t (*cancel)(void* context); /**< the calling thread calls it from time to time during every
                                       call with these options or with a plan made from them; a
                                       result other than 0 ends the call. NULL: not called */
  void* cancel_context;             /**< the argument of cancel */
  int32_t curve;                    /**< SMOOTHBOUND_CURVE_...; default GAUSSIAN */
  int32_t reserved_3;               /**< 0 */
  size_t pixels, kept;              /**< for ABLATION: 1 <= kept <= pixels <= 2^24 */
  const double* curve_radii;        /**< for TABLE: n_curve_radii radii, ascending */
  size_t n_curve_radii;
  const double* curve_p; /**< n_curve_p points in [0, 1], ascending */
  size_t n_curve_p;
  const double* curve_values; /**< n_curve_radii rows of n_curve_p lower bounds on psi: in [0, p],
                                   not decreasing along p, not increasing with the radius */
} smoothbound_options;

/** Scores in memory of any layout: draw j of input i is at
 * (const char*)data + i * input_stride + j * draw_stride. Strides may be negative or zero, and the
 * scores need not be aligned. They are only read. */
typedef struct smoothbound_scores {
  size_t struct_size; /**< sizeof(smoothbound_scores) */
  const void* data;   /**< may be NULL if n_inputs is 0 */
  size_t n_inputs;    /**< number of rows */
  size_t n_draws;     /**< number of independent draws of each input, at least 1 and below 2^32 */
  ptrdiff_t input_stride; /**< bytes from one input to the next */
  ptrdiff_t draw_stride;  /**< bytes from one draw to the next */
  int32_t type;           /**< SMOOTHBOUND_FLOAT... */
  int32_t reserved;       /**< 0 */
  uint64_t first_input;   /**< number of the first input; default 0. Set it if the inputs come in
                             parts, so that each input has its own permutation */
} smoothbound_scores;

/** The outputs for the certificates. Their content is unspecified after a failure. */
typedef struct smoothbound_certificates {
  size_t struct_size; /**< sizeof(smoothbound_certificates) */
  double* bounds;     /**< (n_inputs, n_radii), row-major: certified confidence at each radius */
  size_t n_bounds;    /**< n_inputs * n_radii */
  double* radius;     /**< (n_inputs, n_thresholds), row-major: certified radius for each threshold;
                           NaN if it is not certified at radius 0 */
  size_t n_radius;    /**< n_inputs * n_thresholds */
} smoothbound_certificates;

/** Which probabilities or quantiles of the scores to certify. Call
 * smoothbound_level_options_init() first, then set the fields that differ from the defaults. */
typedef struct smoothbound_level_options {
  size_t struct_size; /**< sizeof(smoothbound_level_options) */
  double sigma;       /**< noise level, > 0, in the units of the model's input; no default.
                           1 for a curve without a scale */
  double alpha;       /**< failure probability of each level, in [1e-302, 1); default 0.001 */
  double a, b; /**< range of the scores, a < b; default -INFINITY and INFINITY. If the draws do not
                  bound a quantile, its lower bound is a and its upper bound is b */
  const double* levels; /**< n_levels numbers: for a probability the scores to reach, not NaN; for a
                           quantile its level, in (0, 1) */
  size_t n_levels;      /**< default 0 */
  const double* radii;  /**< n_radii numbers >= 0, in the units of sigma */
  size_t n_radii;       /**< default 0 */
  const double* thresholds; /**< n_thresholds numbers: for a probability in (0, 1), for a quantile
                               scores; lower side only */
  size_t n_thresholds;      /**< default 0 */
  int32_t side;             /**< SMOOTHBOUND_SIDE_...; default LOWER */
  int32_t statistic;        /**< SMOOTHBOUND_STATISTIC_...; default PROBABILITY */
  int32_t threads;          /**< at least 1; default 1. The result does not depend on it */
  int32_t reserved;         /**< 0 */
  int32_t (*cancel)(void* context); /**< the calling thread calls it from time to time; a result
                                       other than 0 ends the call. NULL: not called */
  void* cancel_context;             /**< the argument of cancel */
  int32_t curve;                    /**< SMOOTHBOUND_CURVE_...; default GAUSSIAN */
  int32_t reserved_2;               /**< 0 */
  size_t pixels, kept;              /**< the numbers of the curve, as in smoothbound_options */
  const double* curve_radii;
  size_t n_curve_radii;
  const double* curve_p;
  size_t n_curve_p;
  const double* curve_values;
} smoothbound_level_options;

/** The reason why a call failed. Functions take a pointer to one, which may be NULL, and write to
 * it if they fail. */
typedef struct smoothbound_failure {
  size_t struct_size; /**< sizeof(smoothbound_failure) */
  size_t input, draw; /**< the first bad score (SMOOTHBOUND_BAD_SCORE), or the input whose counts do
                           not add up; else 0 */
  int32_t status;     /**< the status that the function returned */
  char message[252]; /**< names the argument, the allowed values and the value received; ends with a
                        null character */
} smoothbound_failure;

/** Options and a number of draws, with everything that can be computed from them without the
 * scores. One plan serves any number of calls. It never changes. */
typedef struct smoothbound_plan smoothbound_plan;

/** Fills `options` with the defaults. \param struct_size sizeof(smoothbound_options) */
SMOOTHBOUND_API void smoothbound_options_init(smoothbound_options* options, size_t struct_size);

/** Creates a plan. `options` and the arrays in it are copied.
 * \param plan  receives the plan, which smoothbound_plan_destroy() frees; NULL after a failure
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_plan_create(const smoothbound_options* options, size_t n_draws,
                                                smoothbound_plan** plan,
                                                smoothbound_failure* failure);

/** Certifies every row of the scores, which must have the plan's number of draws.
 * \return SMOOTHBOUND_OK, or any of the errors */
SMOOTHBOUND_API int32_t smoothbound_plan_certify(const smoothbound_plan* plan,
                                                 const smoothbound_scores* scores,
                                                 const smoothbound_certificates* out,
                                                 smoothbound_failure* failure);

/** Frees a plan; NULL is allowed. No call may be using it. */
SMOOTHBOUND_API void smoothbound_plan_destroy(smoothbound_plan* plan);

/** Certifies every row of the scores with options for this call only. */
SMOOTHBOUND_API int32_t smoothbound_certify(const smoothbound_scores* scores,
                                            const smoothbound_options* options,
                                            const smoothbound_certificates* out,
                                            smoothbound_failure* failure);

/** Fills `options` with the defaults. \param struct_size sizeof(smoothbound_level_options) */
SMOOTHBOUND_API void smoothbound_level_options_init(smoothbound_level_options* options,
                                                    size_t struct_size);

/** Certifies probabilities or quantiles of the scores at all points within each radius. The scores
 * may be infinite. All radii and thresholds of one level of a probability hold at once, with
 * probability at least 1 - alpha. Each bound on a quantile holds by itself.
 * \param out  bounds is (n_inputs, n_levels, n_radii), row-major; radius is (n_inputs, n_levels,
 *             n_thresholds), the radius within which the probability is above the threshold, or
 *             every quantile is at or above it; NaN if that is not certified at radius 0
 * \return SMOOTHBOUND_OK, or any of the errors */
SMOOTHBOUND_API int32_t smoothbound_certify_levels(const smoothbound_scores* scores,
                                                   const smoothbound_level_options* options,
                                                   const smoothbound_certificates* out,
                                                   smoothbound_failure* failure);

/** The scores of some inputs reduced to counts over fixed edges a = e_0 < e_1 < ... < e_K = b.
 * These counts are all that Theorem 2 with the edges as knots needs, for any radius, threshold and
 * alpha. The bound loses at most the width of the widest interval that holds a draw. Every input
 * has the same number of draws.
 *
 * The counts of an input are those of 2K + 1 cells in ascending order: cell 2j is the edge e_j
 * itself, and cell 2j + 1 is the open interval between e_j and e_{j+1}. They are exact.
 *
 * A function that fails does not change its sketches. The exception is SMOOTHBOUND_OUT_OF_MEMORY,
 * after which the sketch that the function modified cannot be used any more. Calls that only read a
 * sketch may run at the same time. */
typedef struct smoothbound_sketch smoothbound_sketch;

/** Makes a sketch with no draws.
 * \param edges   n_edges numbers, 2 to 2^20 + 1, strictly ascending, finite; they are copied
 * \param sketch  receives the sketch, which smoothbound_sketch_destroy() frees; NULL after a
 *                failure
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_sketch_create(const double* edges, size_t n_edges,
                                                  size_t n_inputs, smoothbound_sketch** sketch,
                                                  smoothbound_failure* failure);

/** Adds draws of every input. The scores must have the sketch's n_inputs rows, and none of their
 * draws may be in the sketch already. All draws together must stay below 2^32 per input.
 * \param threads  at least 1; the counts do not depend on it
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION, BAD_SCORE or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_sketch_add(smoothbound_sketch* sketch,
                                               const smoothbound_scores* scores, int32_t threads,
                                               smoothbound_failure* failure);

/** Adds the counts of n_draws further draws of every input, such as the counts of a sketch on
 * another machine.
 * \param counts  row-major (n_inputs, n_cells); each row must add up to n_draws
 * \param n_counts  n_inputs * n_cells
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT or BAD_OPTION */
SMOOTHBOUND_API int32_t smoothbound_sketch_add_counts(smoothbound_sketch* sketch,
                                                      const uint32_t* counts, size_t n_counts,
                                                      size_t n_draws, smoothbound_failure* failure);

/** Adds the draws of `other`, which must have the same edges and inputs, and other draws. The order
 * of merging does not matter.
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT or BAD_OPTION */
SMOOTHBOUND_API int32_t smoothbound_sketch_merge(smoothbound_sketch* sketch,
                                                 const smoothbound_sketch* other,
                                                 smoothbound_failure* failure);

/** The numbers of inputs, of draws per input and of cells per input. 0 for NULL. */
SMOOTHBOUND_API size_t smoothbound_sketch_n_inputs(const smoothbound_sketch* sketch);
SMOOTHBOUND_API size_t smoothbound_sketch_n_draws(const smoothbound_sketch* sketch);
SMOOTHBOUND_API size_t smoothbound_sketch_n_cells(const smoothbound_sketch* sketch);

/** Copies the counts to row-major (n_inputs, n_cells). \param n_counts  n_inputs * n_cells
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT or BAD_OUTPUT */
SMOOTHBOUND_API int32_t smoothbound_sketch_counts(const smoothbound_sketch* sketch,
                                                  uint32_t* counts, size_t n_counts,
                                                  smoothbound_failure* failure);

/** Certifies every input by the bound SMOOTHBOUND_BOUND_CDF with the edges as knots. The options a
 * and b must be the first and the last edge. n_bins has no effect.
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION, BAD_OUTPUT or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_sketch_certify(const smoothbound_sketch* sketch,
                                                   const smoothbound_options* options,
                                                   const smoothbound_certificates* out,
                                                   smoothbound_failure* failure);

/** Certifies every input with a plan for the sketch's number of draws. It uses the band of this
 * plan, which is that of n_bins equal-count bins. */
SMOOTHBOUND_API int32_t smoothbound_plan_certify_sketch(const smoothbound_plan* plan,
                                                        const smoothbound_sketch* sketch,
                                                        const smoothbound_certificates* out,
                                                        smoothbound_failure* failure);

/** Certifies probabilities or quantiles from counts; see smoothbound_certify_levels(). The options
 * a and b must be the first and the last edge. Levels between edges and quantiles are moved to an
 * edge on the safe side.
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION, BAD_OUTPUT or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_sketch_certify_levels(const smoothbound_sketch* sketch,
                                                          const smoothbound_level_options* options,
                                                          const smoothbound_certificates* out,
                                                          smoothbound_failure* failure);

/** Frees a sketch; NULL is allowed. No call may be using it. */
SMOOTHBOUND_API void smoothbound_sketch_destroy(smoothbound_sketch* sketch);

/** The draws of one input, for tests that may be stopped at any time (smoothbound_question). It
 * takes about 4 bytes for each of the first draws, and less for later ones.
 *
 * \code
 *   smoothbound_record_create(0.0, 1.0, SMOOTHBOUND_SIDE_LOWER, &record, NULL);
 *   smoothbound_question_create(record, 0.5, 0.25, 0.25, 0, &question, NULL);
 *   while (n_draws == 0 && draw_some(&scores)) {
 *     smoothbound_record_add(record, &scores, NULL);
 *     smoothbound_question_advance(question, record, 1e-3, &n_draws, NULL);
 *   }
 * \endcode
 *
 * A function that fails does not change its record and its question. Calls that only read a record
 * may run at the same time. No other call may use a record during a call that writes to it. */
typedef struct smoothbound_record smoothbound_record;

/** Makes a record with no draws.
 * \param a       lower end of the range of the scores
 * \param b       upper end; b - a is finite and at least 1e-300
 * \param side    SMOOTHBOUND_SIDE_LOWER to show that the confidence is above thresholds, UPPER to
 *                show that it is below them
 * \param record  receives the record, which smoothbound_record_destroy() frees; NULL after a
 *                failure
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_record_create(double a, double b, int32_t side,
                                                  smoothbound_record** record,
                                                  smoothbound_failure* failure);

/** Adds scores that serve only as the first guess of the distribution, such as those of the draws
 * that selected the class. They must come before the first draw.
 * \param scores  of one input
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION or BAD_SCORE */
SMOOTHBOUND_API int32_t smoothbound_record_guess(smoothbound_record* record,
                                                 const smoothbound_scores* scores,
                                                 smoothbound_failure* failure);

/** Adds the scores of the next draws, in an order that does not depend on their values. The results
 * do not depend on how the draws are divided into calls.
 * \param scores  of one input; at most 2^28 draws in all
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION, BAD_SCORE or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_record_add(smoothbound_record* record,
                                               const smoothbound_scores* scores,
                                               smoothbound_failure* failure);

/** The number of draws without those of the guess; 0 for NULL. */
SMOOTHBOUND_API uint64_t smoothbound_record_n_draws(const smoothbound_record* record);

/** Writes a record as bytes with a checksum. The bytes are the same on every machine.
 * \param state    buffer of `size` bytes; NULL with size 0 to get only the number of bytes
 * \param n_bytes  set to the number of bytes
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OUTPUT (the buffer is too small) or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_record_save(const smoothbound_record* record, void* state,
                                                size_t size, size_t* n_bytes,
                                                smoothbound_failure* failure);

/** Restores a record that was written. Create its questions again; they get the same answers.
 * \param record  receives the record, which smoothbound_record_destroy() frees; NULL after a
 *                failure
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION (the bytes are not those of a complete and
 *         consistent record) or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_record_load(const void* state, size_t size,
                                                smoothbound_record** record,
                                                smoothbound_failure* failure);

/** Frees a record; NULL is allowed. No call may be using it. */
SMOOTHBOUND_API void smoothbound_record_destroy(smoothbound_record* record);

/** The question whether the confidence is above a threshold (on the upper side, below it) at all
 * points within a radius. Drawing may stop at any time and for any reason: a false claim is shown
 * with probability at most alpha, whenever it is looked at. Every question has an alpha of its own.
 * Questions about increasing radii that are tested in this order, up to the first one that is not
 * shown, hold together at alpha. */
typedef struct smoothbound_question smoothbound_question;

/** Creates a question about the draws of a record.
 * \param record     the record with the range and the side; it may be destroyed afterwards
 * \param threshold  strictly between a and b
 * \param radius     not negative, in the units of sigma
 * \param sigma      noise level, > 0
 * \param n_seen     number of draws that had been seen when the question was chosen; they do not
 *                   count for it. 0 for a question that was fixed before the first draw
 * \param question   receives the question, which smoothbound_question_destroy() frees; NULL after a
 *                   failure
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT, BAD_OPTION or OUT_OF_MEMORY */
SMOOTHBOUND_API int32_t smoothbound_question_create(const smoothbound_record* record,
                                                    double threshold, double radius, double sigma,
                                                    uint64_t n_seen,
                                                    smoothbound_question** question,
                                                    smoothbound_failure* failure);

/** Tests the draws of the record until the question is shown. The test looks at fixed numbers of
 * draws: 0, 1, 2, ..., 64, 66, 68, ..., which grow by 1/32 each.
 * \param record   the record of the earlier calls, with at least as many draws
 * \param alpha    failure probability, at least 1e-302 and below 1
 * \param n_draws  receives the number of draws at which the question was shown; 0 if it is not
 *                 shown yet
 * \return SMOOTHBOUND_OK, BAD_ARGUMENT or BAD_OPTION */
SMOOTHBOUND_API int32_t smoothbound_question_advance(smoothbound_question* question,
                                                     const smoothbound_record* record, double alpha,
                                                     uint64_t* n_draws,
                                                     smoothbound_failure* failure);

/** The logarithm of the wealth; the question is shown once it is at least ln(1/alpha). 0 for
 * NULL. */
SMOOTHBOUND_API double smoothbound_question_log_wealth(const smoothbound_question* question);

/** Frees a question; NULL is allowed. No call may be using it. */
SMOOTHBOUND_API void smoothbound_question_destroy(smoothbound_question* question);

/** Version of the library, "major.minor.patch". */
SMOOTHBOUND_API const char* smoothbound_version(void);

/** The vector instructions in use: "avx512", "avx2" or "baseline". The environment variable
 * SMOOTHBOUND_TIER caps them; it is read once, at first use. Every tier returns the same bits. */
SMOOTHBOUND_API const char* smoothbound_tier(void);

#ifdef __cplusplus
}
#endif

#endif
