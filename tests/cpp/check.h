/* For C and C++: CHECK(condition) counts and reports failures; main returns report(). */
#ifndef SMOOTHBOUND_TESTS_CHECK_H
#define SMOOTHBOUND_TESTS_CHECK_H

#include <stdio.h>

static int failed_checks = 0;

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      ++failed_checks;                                                        \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                         \
  } while (0)

static inline int report(void) {
  if (failed_checks == 0) puts("all checks passed");
  return failed_checks;
}

#endif
