/* Draws of one input until its confidence is certified to be above 0.5 within the radius 0.25.
 *   anytime_c < scores
 * prints the number of draws that it took; 0 if there were too few. */
#include <smoothbound/smoothbound.h>
#include <stdio.h>

int main(void) {
  double score;
  const smoothbound_scores one = {sizeof one,          &score, 1, 1, sizeof score, sizeof score,
                                  SMOOTHBOUND_FLOAT64, 0,      0};
  smoothbound_failure failure = {sizeof failure, 0, 0, 0, ""};
  smoothbound_record* record = NULL;
  smoothbound_question* question = NULL;
  uint64_t n_draws = 0;

  smoothbound_record_create(0.0, 1.0, SMOOTHBOUND_SIDE_LOWER, &record, &failure);
  smoothbound_question_create(record, 0.5, 0.25, 0.25, 0, &question, &failure);
  while (failure.status == SMOOTHBOUND_OK && n_draws == 0 && scanf("%lf", &score) == 1) {
    smoothbound_record_add(record, &one, &failure);
    smoothbound_question_advance(question, record, 1e-3, &n_draws, &failure);
  }
  if (failure.status == SMOOTHBOUND_OK) printf("%llu\n", (unsigned long long)n_draws);
  smoothbound_question_destroy(question);
  smoothbound_record_destroy(record);
  if (failure.status != SMOOTHBOUND_OK) fprintf(stderr, "anytime_c: %s\n", failure.message);
  return failure.status;
}
