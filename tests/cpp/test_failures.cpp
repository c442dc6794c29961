// Nothing throws, and failures name the error, also when there is no memory.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "smoothbound/smoothbound.hpp"

using namespace smoothbound;

namespace {

// The number of allocations before new fails; negative: it never fails.
std::atomic<long> allocations{-1};

void* allocate(std::size_t size) noexcept {
  long left = allocations.load();
  while (left > 0 && !allocations.compare_exchange_weak(left, left - 1)) {
  }
  return left == 0 ? nullptr : std::malloc(size);
}

}  // namespace

// Where gcc inlines only some of these, it takes the others for mismatched ones and warns.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* memory = allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace {

std::string words_of(const Failure& failure) {
  char words[200];
  describe(failure, words);
  return words;
}

bool tells(const Failure& failure, Error error, const std::string& words) {
  if (failure.error == error && words_of(failure) == words) return true;
  std::fprintf(stderr, "got: %s\n", words_of(failure).c_str());
  return false;
}

template <class T>
constexpr bool never_throws = noexcept(certify(Scores<T>{}, Options{}, Certificates{})) &&
                              noexcept(Plan{}.certify(Scores<T>{}, Certificates{}));
static_assert(never_throws<half> && never_throws<float> && never_throws<double>);
static_assert(noexcept(Plan{}.create(Options{}, 1)));
static_assert(noexcept(describe(Failure{}, {})));
static_assert(noexcept(gaussian::cdf(0.0)) && noexcept(gaussian::quantile(0.5)));
static_assert(noexcept(tier()));
template <class T>
constexpr bool record_never_throws = noexcept(std::declval<DrawRecord&>().add(Row<T>{})) &&
                                     noexcept(std::declval<DrawRecord&>().guess(Row<T>{})) &&
                                     noexcept(test_rows(Scores<T>{}, AnytimeOptions{}, {}));
static_assert(record_never_throws<half> && record_never_throws<float> &&
              record_never_throws<double>);
static_assert(noexcept(std::declval<DrawRecord&>().load({})));

// Calls act() with ever more allocations until it does not fail. After each failure, unchanged()
// tells whether all is as it was.
template <class Act, class Unchanged>
void check_without_memory(const Act& act, const Unchanged& unchanged) {
  int refused = 0;
  for (long left = 0;; ++left) {
    allocations = left;
    const Failure failure = act();
    allocations = -1;
    if (!failure) break;
    CHECK(tells(failure, Error::out_of_memory, "out of memory"));
    CHECK(unchanged());
    ++refused;
  }
  CHECK(refused > 3);
}

bool anything() { return true; }

// Two rows, and options for them.
struct Setting {
  std::vector<double> data = std::vector<double>(2 * 40, 0.75);
  std::vector<double> radii = {0.0, 0.5}, thresholds = {0.5};
  Scores<double> scores{data.data(), 2, 40, 40 * sizeof(double), sizeof(double)};
  std::vector<double> bounds = std::vector<double>(4), radius = std::vector<double>(2);
  Certificates out{bounds, radius};
  Options options;

  Setting() {
    options.sigma = 1.0;
    options.radii = radii;
    options.thresholds = thresholds;
  }
};

}  // namespace

CASE("what is wrong with options and outputs is said in words") {
  Setting s;
  const auto with = [&](auto change) {
    Options wrong = s.options;
    change(wrong);
    return certify(s.scores, wrong, s.out);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(tells(with([&](Options& o) { o.sigma = -0.25; }), Error::bad_option,
              "sigma must be positive and finite, got -0.25"));
  CHECK(tells(with([&](Options& o) { o.alpha = 1.0; }), Error::bad_option,
              "alpha must lie strictly between 0 and 1, got 1"));
  CHECK(tells(with([&](Options& o) { o.b = o.a; }), Error::bad_option,
              "b must be finite and above a, got 0"));
  CHECK(tells(with([&](Options& o) { o.threads = 0; }), Error::bad_option,
              "threads must be at least 1, got 0"));
  const std::vector<double> odd = {0.25, nan};
  CHECK(with([&](Options& o) { o.radii = odd; }).error == Error::bad_option);
  CHECK(with([&](Options& o) { o.thresholds = odd; }).error == Error::bad_option);
  CHECK(tells(with([&](Options& o) { o.side = Side::upper; }), Error::bad_option,
              "thresholds need the lower side: their number must be 0 for the upper, got 1"));
  CHECK(tells(certify(s.scores, s.options, {s.bounds, {}}), Error::bad_output,
              "radius must hold n_inputs * n_thresholds numbers, got 0"));
  Scores<double> absurd = s.scores;
  absurd.n_inputs = std::numeric_limits<std::size_t>::max() / 2 + 1;  // times 2 radii: 0
  CHECK(certify(absurd, s.options, {{}, {}}).error == Error::bad_output);
  Scores<double> empty = s.scores;
  empty.n_draws = 0;
  CHECK(tells(certify(empty, s.options, s.out), Error::bad_option,
              "n_draws must be at least 1 and below 2^32, got 0"));
  CHECK(Plan{}.certify(s.scores, s.out).error == Error::bad_option);
}

CASE("the first bad score is named, in as many words as there is room for") {
  const Setting s;
  std::vector<double> spoiled = s.data;
  spoiled[40 + 3] = 1.5;
  Scores<double> view = s.scores;
  view.data = spoiled.data();
  const Failure bad = certify(view, s.options, s.out);
  CHECK(tells(bad, Error::bad_score, "scores[1, 3] must be a number in the range [a, b], got 1.5"));
  char few[8];
  describe(bad, few);
  CHECK(std::string(few) == "scores[");
  describe(bad, {});
}

CASE("a plan serves any number of calls, copies of it too, and takes its own number of draws") {
  const Setting s;
  Plan plan;
  {
    const std::vector<double> gone_radii = s.radii, gone_thresholds = s.thresholds;
    Options gone = s.options;
    gone.radii = gone_radii;
    gone.thresholds = gone_thresholds;
    CHECK(!plan.create(gone, 40));
  }
  CHECK(!certify(s.scores, s.options, s.out));
  const std::vector<double> expected = s.bounds, expected_radius = s.radius;
  const Plan copy = plan;
  for (int repeat = 0; repeat < 3; ++repeat) {
    CHECK(!copy.certify(s.scores, s.out) && s.bounds == expected && s.radius == expected_radius);
  }
  Scores<double> shorter = s.scores;
  shorter.n_draws = 39;
  CHECK(plan.certify(shorter, s.out).error == Error::bad_option);
}

CASE("every allocation in turn fails: reported, and the next call is right again") {
  Setting s;
  CHECK(!certify(s.scores, s.options, s.out));
  const std::vector<double> expected = s.bounds, expected_radius = s.radius;
  for (const int count : {1, 3}) {
    s.options.threads = count;
    check_without_memory([&] { return certify(s.scores, s.options, s.out); }, anything);
    CHECK(s.bounds == expected && s.radius == expected_radius);
  }
}

CASE("levels without memory are reported, and the next call is right again") {
  const std::vector<double> rows{0.1, 0.9, 0.4, 0.4}, levels{0.5}, radii{0.0}, thresholds{0.3};
  const Scores<double> scores{rows.data(), 1, rows.size(), 32, 8};
  for (const Statistic statistic : {Statistic::probability, Statistic::quantile}) {
    LevelOptions options;
    options.sigma = 1.0;
    options.alpha = 0.1;
    options.statistic = statistic;
    options.levels = levels;
    options.radii = radii;
    options.thresholds = thresholds;
    std::vector<double> bounds(1), radius(1), again(1);
    CHECK(!certify_levels(scores, options, {bounds, radius}));
    check_without_memory([&] { return certify_levels(scores, options, {again, radius}); },
                         anything);
    CHECK(again == bounds);
  }
}

CASE("a record without memory for more stays as it was, and takes the draws later") {
  std::vector<double> draws(3000);
  for (std::size_t i = 0; i < draws.size(); ++i) draws[i] = static_cast<double>(i % 97) / 96.0;
  const Row<double> all{draws.data(), draws.size(), sizeof(double)};
  DrawRecord whole(0.0, 1.0, Side::lower);
  CHECK(!whole.add(all));
  const std::vector<std::uint8_t> expected = whole.save();

  DrawRecord record(0.0, 1.0, Side::lower);
  CHECK(!record.add(Row<double>{draws.data(), 100, sizeof(double)}));
  const std::vector<std::uint8_t> before = record.save();
  check_without_memory([&] { return record.add(all.after(100)); },
                       [&] { return record.save() == before; });
  CHECK(record.save() == expected);

  DrawRecord loaded(0.0, 1.0, Side::lower);
  const std::vector<std::uint8_t> empty = loaded.save();
  check_without_memory([&] { return loaded.load(expected); },
                       [&] { return loaded.save() == empty; });
  CHECK(loaded.save() == expected);
}

CASE("tests of many inputs without memory are reported, and the next call is right again") {
  const Setting s;
  const std::vector<Question> questions = {{0.5, 0.0}, {0.5, 0.2, true}};
  AnytimeOptions options;
  options.questions = questions;
  for (const int count : {1, 3}) {
    options.threads = count;
    std::vector<std::uint64_t> shown(4);
    check_without_memory([&] { return test_rows(s.scores, options, shown); }, anything);
    CHECK(shown[0] > 0 && shown[1] > 0 && shown[2] == shown[0] && shown[3] == shown[1]);
  }
}

int main() { return run_cases(); }
