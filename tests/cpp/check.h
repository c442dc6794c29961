/* For C and C++: CHECK(condition) counts failures and reports them with the name of the case.
 * In C++, CASE("name") { ... } is a case, and main returns run_cases(). In C, RUN(function) runs
 * one, and main returns report(). */
#ifndef SMOOTHBOUND_TESTS_CHECK_H
#define SMOOTHBOUND_TESTS_CHECK_H

#include <stdio.h>

static int failed_checks = 0;
static const char* case_name = "";

#define CHECK(condition)                                                                     \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      ++failed_checks;                                                                       \
      fprintf(stderr, "%s:%d: %s: failed: %s\n", __FILE__, __LINE__, case_name, #condition); \
    }                                                                                        \
  } while (0)

#define RUN(function) (case_name = #function, function())

static inline int report(void) {
  if (failed_checks == 0) puts("all checks passed");
  return failed_checks;
}

#ifdef __cplusplus
#include <vector>

struct TestCase {
  const char* name;
  void (*run)();

  static std::vector<TestCase>& all() {
    static std::vector<TestCase> cases;
    return cases;
  }
  TestCase(const char* its_name, void (*its_run)()) : name(its_name), run(its_run) {
    all().push_back(*this);
  }
};

#define CASE_JOIN(a, b) a##b
#define CASE_AT(name, line)                                                         \
  static void CASE_JOIN(case_, line)();                                             \
  static const TestCase CASE_JOIN(registered_, line)(name, CASE_JOIN(case_, line)); \
  static void CASE_JOIN(case_, line)()
#define CASE(name) CASE_AT(name, __LINE__)

static inline int run_cases() {
  for (const TestCase& one : TestCase::all()) {
    case_name = one.name;
    one.run();
  }
  return report();
}
#endif

#endif
