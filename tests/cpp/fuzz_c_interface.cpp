// Turns any bytes into calls of the C interface, which must not crash and must give consistent
// results. The entry point is libFuzzer's; fuzz_driver.cpp calls it where there is no libFuzzer.
#include <smoothbound/smoothbound.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

namespace {

#define REQUIRE(condition)                                                           \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%s:%d: violated: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                  \
    }                                                                                \
  } while (false)

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double least = std::numeric_limits<double>::denorm_min();
constexpr double most = std::numeric_limits<double>::max();

// Reads the bytes one after the other, and zeros after the last.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  unsigned byte() { return at_ < size_ ? data_[at_++] : 0; }
  unsigned below(unsigned n) { return byte() % n; }
  bool rarely() { return byte() >= 0xf8; }

  void raw(void* to, std::size_t n) {
    auto* out = static_cast<unsigned char*>(to);
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<unsigned char>(byte());
  }

  // A number that is usual mostly, a limit of doubles sometimes, and any bits sometimes.
  double number(double low, double high) {
    static constexpr double odd[] = {0.0,   -0.0, least, -least,       1.0, -1.0,   most,
                                     -most, inf,  -inf,  not_a_number, 0.5, 1e-300, 1e300};
    if (!rarely()) return low + (high - low) * (byte() + 0.5) / 256.0;
    if (below(2) == 0) return odd[below(std::size(odd))];
    double any = 0.0;
    raw(&any, sizeof any);
    return any;
  }

  std::vector<double> numbers(double low, double high) {
    std::vector<double> x(below(5));
    for (double& value : x) value = number(low, high);
    return x;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_, at_ = 0;
};

bool same_bits(const std::vector<double>& x, const std::vector<double>& y) {
  return x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(double)) == 0;
}

// n_inputs x n_draws scores in a block of exactly the size that their layout needs.
struct Block {
  std::vector<unsigned char> memory;
  smoothbound_scores view{};

  explicit Block(Bytes& in, double a, double b) {
    static constexpr std::int32_t types[] = {SMOOTHBOUND_FLOAT32, SMOOTHBOUND_FLOAT64,
                                             SMOOTHBOUND_FLOAT16, 0};
    view.struct_size = sizeof view;
    view.type = types[in.rarely() ? 3 : in.below(3)];
    view.n_inputs = in.below(4);
    view.n_draws = in.below(2) == 0 ? in.byte() : in.below(8);
    const std::size_t item = view.type > 0 ? static_cast<std::size_t>(view.type) : 1;
    const std::size_t gap = in.below(3) == 0 ? item + in.below(4) : item;  // misaligned at times
    const auto step = static_cast<std::ptrdiff_t>(gap);
    const auto rows = static_cast<std::ptrdiff_t>(view.n_inputs);
    const auto columns = static_cast<std::ptrdiff_t>(view.n_draws);
    memory.resize(view.n_inputs * view.n_draws * gap);
    fill(in, a, b, gap);
    view.data = memory.data();
    switch (in.below(4)) {
      case 0:  // rows
        view.input_stride = columns * step;
        view.draw_stride = step;
        break;
      case 1:  // columns
        view.input_stride = step;
        view.draw_stride = rows * step;
        break;
      case 2:  // backwards
        view.data = memory.data() + (memory.empty() ? 0 : memory.size() - gap);
        view.input_stride = -columns * step;
        view.draw_stride = -step;
        break;
      default:  // one score for all
        break;
    }
    if (in.rarely()) view.data = nullptr;
    view.first_input = in.byte();
    if (in.rarely()) in.raw(&view.first_input, sizeof view.first_input);
    if (in.rarely()) view.struct_size = offsetof(smoothbound_scores, first_input);  // version 0.1
  }

 private:
  void fill(Bytes& in, double a, double b, std::size_t gap) {
    const bool constant = in.below(4) == 0;
    const double once = in.number(a, b);
    for (std::size_t i = 0; i + gap <= memory.size(); i += gap) {
      const double score = constant ? once : in.number(a, b);
      const auto narrow = static_cast<float>(score);
      if (view.type == SMOOTHBOUND_FLOAT64) {
        std::memcpy(&memory[i], &score, sizeof score);
      } else if (view.type == SMOOTHBOUND_FLOAT32) {
        std::memcpy(&memory[i], &narrow, sizeof narrow);
      } else if (view.type == SMOOTHBOUND_FLOAT16) {  // 1/1024 ... 1, at times any bits
        const auto bits = static_cast<std::uint16_t>(0x3c00 - in.byte() * 8);
        std::memcpy(&memory[i], &bits, sizeof bits);
        if (in.rarely()) in.raw(&memory[i], sizeof bits);
      }
    }
  }
};

void check_results(const smoothbound_options& o, const std::vector<double>& bounds,
                   const std::vector<double>& radius) {
  const double slack = 1e-12 * (o.b - o.a);
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    REQUIRE(bounds[i] >= o.a && bounds[i] <= o.b);
    const std::size_t row = i / o.n_radii * o.n_radii;
    // Other tangents, or another mixture of them, at every radius.
    if (o.bound == SMOOTHBOUND_BOUND_TANGENT || o.bound == SMOOTHBOUND_BOUND_JOINT) continue;
    for (std::size_t j = row; j < i; ++j) {  // further away is weaker
      const bool further = o.radii[i - row] >= o.radii[j - row];
      const double weaker = further ? bounds[i] : bounds[j];
      const double stronger = further ? bounds[j] : bounds[i];
      if (o.side == SMOOTHBOUND_SIDE_LOWER) REQUIRE(weaker <= stronger + slack);
      if (o.side == SMOOTHBOUND_SIDE_UPPER) REQUIRE(weaker >= stronger - slack);
    }
  }
  for (const double r : radius) REQUIRE(std::isnan(r) || r >= 0.0);
}

// Cancels a call at one of the times that the call asks.
struct Stop {
  unsigned left;  // number of questions that are still answered by no
  bool said = false;

  static std::int32_t asked(void* context) {
    auto* stop = static_cast<Stop*>(context);
    if (stop == nullptr) return 0;  // the options end before the context
    stop->said = stop->left == 0;
    if (!stop->said) --stop->left;
    return stop->said ? 1 : 0;
  }
};

// The last input by itself has the same certificates as among others.
void check_last_input(const smoothbound_options& o, smoothbound_scores scores,
                      const std::vector<double>& bounds, const std::vector<double>& radius) {
  if (scores.n_inputs == 0 || scores.struct_size != sizeof scores) return;
  const std::size_t before = scores.n_inputs - 1;
  scores.data = static_cast<const char*>(scores.data) +
                scores.input_stride * static_cast<std::ptrdiff_t>(before);
  scores.n_inputs = 1;
  scores.first_input += before;
  std::vector<double> alone(o.n_radii, not_a_number), radius_alone(o.n_thresholds, not_a_number);
  const smoothbound_certificates out = {sizeof out, alone.data(), alone.size(), radius_alone.data(),
                                        radius_alone.size()};
  REQUIRE(smoothbound_certify(&scores, &o, &out, nullptr) == SMOOTHBOUND_OK);
  const auto last = [](const std::vector<double>& all, std::size_t n) {
    return std::vector<double>(all.end() - static_cast<std::ptrdiff_t>(n), all.end());
  };
  REQUIRE(same_bits(alone, last(bounds, o.n_radii)));
  REQUIRE(same_bits(radius_alone, last(radius, o.n_thresholds)));
}

void check_failure(std::int32_t status, const smoothbound_failure& failure) {
  REQUIRE(status >= SMOOTHBOUND_OK && status <= SMOOTHBOUND_CANCELLED);
  if (failure.struct_size != sizeof failure) return;
  REQUIRE(failure.status == status);
  const auto* end = std::find(std::begin(failure.message), std::end(failure.message), '\0');
  REQUIRE(end != std::end(failure.message));
  REQUIRE((status == SMOOTHBOUND_OK) == (end == failure.message));
}

class Sketch {
 public:
  Sketch(const std::vector<double>& edges, std::size_t n_inputs) {
    smoothbound_failure failure{};
    failure.struct_size = sizeof failure;
    const std::int32_t status =
        smoothbound_sketch_create(edges.data(), edges.size(), n_inputs, &sketch_, &failure);
    check_failure(status, failure);
    REQUIRE((sketch_ != nullptr) == (status == SMOOTHBOUND_OK));
  }
  Sketch(const Sketch&) = delete;
  Sketch& operator=(const Sketch&) = delete;
  ~Sketch() { smoothbound_sketch_destroy(sketch_); }

  // NOLINTNEXTLINE(google-explicit-constructor)
  operator smoothbound_sketch*() const { return sketch_; }

  std::vector<std::uint32_t> counts() const {
    std::vector<std::uint32_t> counts(smoothbound_sketch_n_inputs(sketch_) *
                                      smoothbound_sketch_n_cells(sketch_));
    REQUIRE(smoothbound_sketch_counts(sketch_, counts.data(), counts.size(), nullptr) ==
            SMOOTHBOUND_OK);
    return counts;
  }

 private:
  smoothbound_sketch* sketch_ = nullptr;
};

// Levels of scores and of their counts: the counts never give more.
void check_levels(Bytes& in, const smoothbound_options& o, const Block& block,
                  const smoothbound_sketch* sketch) {
  smoothbound_level_options l;
  smoothbound_level_options_init(&l, sizeof l);
  const bool quantile = in.below(2) == 0;
  const std::vector<double> levels = quantile ? in.numbers(0.0, 1.0) : in.numbers(o.a, o.b);
  const std::vector<double> cuts = quantile ? in.numbers(o.a, o.b) : in.numbers(0.0, 1.0);
  l.statistic = quantile ? SMOOTHBOUND_STATISTIC_QUANTILE : SMOOTHBOUND_STATISTIC_PROBABILITY;
  l.sigma = o.sigma;
  l.alpha = o.alpha;
  l.a = o.a;
  l.b = o.b;
  l.side = o.side;
  l.threads = o.threads;
  l.levels = levels.data();
  l.n_levels = levels.size();
  l.radii = o.radii;
  l.n_radii = o.n_radii;
  l.thresholds = cuts.data();
  l.n_thresholds = o.side == SMOOTHBOUND_SIDE_LOWER ? cuts.size() : 0;
  l.curve = o.curve;
  l.pixels = o.pixels;
  l.kept = o.kept;
  l.curve_radii = o.curve_radii;
  l.n_curve_radii = o.n_curve_radii;
  l.curve_p = o.curve_p;
  l.n_curve_p = o.n_curve_p;
  l.curve_values = o.curve_values;
  const std::size_t rows = block.view.n_inputs * levels.size();
  std::vector<double> exact(rows * l.n_radii), counted(exact), radius(rows * l.n_thresholds);
  smoothbound_failure failure{};
  failure.struct_size = sizeof failure;
  const auto certify = [&](std::vector<double>& bounds, const auto& call) {
    const smoothbound_certificates out = {sizeof out, bounds.data(), bounds.size(), radius.data(),
                                          radius.size()};
    const std::int32_t status = call(out);
    if (status != SMOOTHBOUND_OK) REQUIRE(failure.status == status);
    for (const double r : radius) REQUIRE(status != SMOOTHBOUND_OK || !(r < 0.0));
    return status == SMOOTHBOUND_OK;
  };
  const bool both = certify(exact,
                            [&](const auto& out) {
                              return smoothbound_certify_levels(&block.view, &l, &out, &failure);
                            }) &&
                    certify(counted, [&](const auto& out) {
                      return smoothbound_sketch_certify_levels(sketch, &l, &out, &failure);
                    });
  if (!both) return;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    REQUIRE(exact[i] >= (quantile ? o.a : 0.0) && exact[i] <= (quantile ? o.b : 1.0));
    const double tighter = counted[i] - exact[i];
    REQUIRE((o.side == SMOOTHBOUND_SIDE_LOWER ? tighter : -tighter) <= 0.0);
  }
}

// Puts the same scores in a sketch. Its counts must add up, merge and come back, and its bound must
// never be tighter than the exact one.
void check_sketch(Bytes& in, const smoothbound_options& o, const Block& block,
                  const std::vector<double>* exact) {
  const smoothbound_scores& scores = block.view;
  std::vector<double> edges = in.numbers(o.a, o.b);
  edges.push_back(o.a);
  edges.push_back(o.b);
  if (!in.rarely()) {
    std::sort(edges.begin(), edges.end());
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  }
  const Sketch sketch(edges, scores.n_inputs);
  const Sketch other(edges, scores.n_inputs);
  if (sketch == nullptr || other == nullptr) return;
  smoothbound_failure failure{};
  failure.struct_size = sizeof failure;
  const auto threads = static_cast<std::int32_t>(in.below(4));
  const std::int32_t added = smoothbound_sketch_add(sketch, &scores, threads, &failure);
  check_failure(added, failure);
  const std::vector<std::uint32_t> counts = sketch.counts();
  if (added != SMOOTHBOUND_OK) {
    REQUIRE(std::count(counts.begin(), counts.end(), 0U) ==
            static_cast<std::ptrdiff_t>(counts.size()));
    return;
  }
  REQUIRE(smoothbound_sketch_n_draws(sketch) == scores.n_draws);
  check_levels(in, o, block, sketch);
  REQUIRE(smoothbound_sketch_merge(other, sketch, nullptr) == SMOOTHBOUND_OK);
  REQUIRE(other.counts() == counts);
  const bool fits = smoothbound_sketch_add_counts(other, counts.data(), counts.size(),
                                                  scores.n_draws, nullptr) == SMOOTHBOUND_OK;
  REQUIRE(fits && smoothbound_sketch_n_draws(other) == 2 * scores.n_draws);

  std::vector<double> bounds(scores.n_inputs * o.n_radii, not_a_number);
  std::vector<double> radius(scores.n_inputs * o.n_thresholds, not_a_number);
  const smoothbound_certificates out = {sizeof out, bounds.data(), bounds.size(), radius.data(),
                                        radius.size()};
  failure.struct_size = sizeof failure;
  const std::int32_t status = smoothbound_sketch_certify(sketch, &o, &out, &failure);
  if (status != SMOOTHBOUND_OK) {
    REQUIRE(failure.status == status);
    return;
  }
  check_results(o, bounds, radius);
  if (exact == nullptr) return;
  const double slack = 1e-12 * (o.b - o.a);
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    const double tighter = bounds[i] - (*exact)[i];
    REQUIRE((o.side == SMOOTHBOUND_SIDE_LOWER ? tighter : -tighter) <= slack);
  }
}

// The number of draws at which a question was shown, and its wealth then.
struct Shown {
  std::uint64_t n_draws = 0;
  double log_wealth = 0.0;

  bool operator==(const Shown&) const = default;
};

Shown ask(const smoothbound_record* record, double threshold, double radius, std::uint64_t n_seen,
          double alpha) {
  Shown shown;
  smoothbound_question* question = nullptr;
  const std::int32_t status =
      smoothbound_question_create(record, threshold, radius, 0.5, n_seen, &question, nullptr);
  REQUIRE((question != nullptr) == (status == SMOOTHBOUND_OK));
  if (question == nullptr) return shown;
  if (smoothbound_question_advance(question, record, alpha, &shown.n_draws, nullptr) ==
      SMOOTHBOUND_OK) {
    shown.log_wealth = smoothbound_question_log_wealth(question);
    REQUIRE(std::isfinite(shown.log_wealth) && shown.n_draws <= smoothbound_record_n_draws(record));
    REQUIRE(shown.n_draws == 0 || shown.n_draws >= n_seen);
  }
  smoothbound_question_destroy(question);
  return shown;
}

// The record that is loaded gives the same answer, and any bytes are a record or refused.
void check_saved(Bytes& in, const smoothbound_options& o, const smoothbound_record* record) {
  std::size_t size = 0;
  REQUIRE(smoothbound_record_save(record, nullptr, 0, &size, nullptr) == SMOOTHBOUND_OK);
  std::vector<unsigned char> state(size);
  REQUIRE(smoothbound_record_save(record, state.data(), size, &size, nullptr) == SMOOTHBOUND_OK);
  smoothbound_record* loaded = nullptr;
  REQUIRE(smoothbound_record_load(state.data(), size, &loaded, nullptr) == SMOOTHBOUND_OK);
  const double threshold = in.number(o.a, o.b);
  const double radius = in.number(0.0, 2.0);
  const std::uint64_t n_seen = in.rarely() ? in.byte() : 0;
  const double alpha = in.number(0.0, 1.0);
  REQUIRE(ask(record, threshold, radius, n_seen, alpha) ==
          ask(loaded, threshold, radius, n_seen, alpha));
  smoothbound_record_destroy(loaded);
  state[(in.byte() << 8 | in.byte()) % size] ^= static_cast<unsigned char>(1 + in.below(255));
  REQUIRE(smoothbound_record_load(state.data(), size, &loaded, nullptr) == SMOOTHBOUND_BAD_OPTION);
  REQUIRE(loaded == nullptr);
}

// A record takes every row by itself, or refuses it and stays as it was.
void check_record(Bytes& in, const smoothbound_options& o, const Block& block) {
  smoothbound_record* record = nullptr;
  const std::int32_t made = smoothbound_record_create(o.a, o.b, o.side, &record, nullptr);
  REQUIRE((record != nullptr) == (made == SMOOTHBOUND_OK));
  if (record == nullptr) return;
  smoothbound_scores row = block.view;
  row.n_inputs = 1;
  std::uint64_t draws = 0;
  if (block.view.n_inputs > 0 && row.struct_size == sizeof row) {
    for (std::size_t i = in.below(2); i < block.view.n_inputs; ++i) {
      if (block.view.data != nullptr) {
        row.data = static_cast<const char*>(block.view.data) +
                   block.view.input_stride * static_cast<std::ptrdiff_t>(i);
      }
      if (in.rarely()) smoothbound_record_guess(record, &row, nullptr);
      const bool taken = smoothbound_record_add(record, &row, nullptr) == SMOOTHBOUND_OK;
      draws += taken ? row.n_draws : 0;
      REQUIRE(smoothbound_record_n_draws(record) == draws);
    }
  }
  check_saved(in, o, record);
  smoothbound_record_destroy(record);
}

// Options with any values; their arrays are here too.
struct Options {
  union {  // room for the structures of later versions, whose sizes are tried below
    smoothbound_options options;
    unsigned char room[256];
  };
  std::vector<double> radii, thresholds, grid, values;

  explicit Options(Bytes& in) {
    std::memset(room, 0, sizeof room);
    smoothbound_options& o = options;
    smoothbound_options_init(&o, sizeof o);
    o.sigma = in.number(0.0, 2.0);
    if (in.rarely()) o.alpha = in.number(0.0, 1.0);
    if (in.below(2) == 0) {
      o.a = in.number(-2.0, 0.0);
      o.b = in.number(0.0, 2.0);
    }
    o.side = static_cast<std::int32_t>(in.rarely() ? in.byte() : in.below(2));
    o.bound = static_cast<std::int32_t>(in.rarely() ? in.byte() : in.below(4));
    o.mean = static_cast<std::int32_t>(in.rarely() ? in.byte() : in.below(4));
    o.n_pilot = in.below(2) == 0 ? 0 : in.byte();
    o.order = static_cast<std::int32_t>(in.rarely() ? in.byte() : in.below(2));
    o.seed = in.byte();
    o.band = static_cast<std::int32_t>(in.rarely() ? in.byte() : in.below(2));
    o.threads = in.rarely() ? static_cast<std::int32_t>(in.below(4)) : 1;
    o.n_bins = in.below(2) == 0 ? 0 : in.byte();
    radii = in.numbers(0.0, 4.0);
    thresholds = in.numbers(o.a, o.b);
    if (o.side == SMOOTHBOUND_SIDE_UPPER && !in.rarely()) thresholds.clear();
    o.radii = radii.data();
    o.n_radii = radii.size();
    o.thresholds = thresholds.data();
    o.n_thresholds = thresholds.size();
    if (in.rarely()) take_curve(in);
    if (in.rarely()) {
      o.struct_size = in.byte();
      if (in.below(2) == 0) room[sizeof o + in.below(sizeof room - sizeof o)] = 1;
    }
  }
  // Another curve, with numbers that it may not have.
  void take_curve(Bytes& in) {
    smoothbound_options& o = options;
    o.curve = static_cast<std::int32_t>(in.below(6));
    if (in.below(4) > 0) o.bound = SMOOTHBOUND_BOUND_CDF;
    if (o.curve >= SMOOTHBOUND_CURVE_ABLATION && in.below(4) > 0) o.sigma = 1.0;
    o.pixels = in.byte();
    o.kept = in.byte();
    grid = in.numbers(0.0, 1.0);
    if (in.below(4) > 0) std::sort(grid.begin(), grid.end());
    values = grid;
    for (const double p : grid) values.push_back(0.5 * p);
    o.curve_radii = radii_of_table;
    o.n_curve_radii = 2;
    o.curve_p = grid.data();
    o.n_curve_p = grid.size();
    o.curve_values = in.rarely() ? nullptr : values.data();
  }
  static constexpr double radii_of_table[] = {0.5, 4.0};

  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;
  ~Options() = default;
};

// A plan ends with the same status, unless it is null, and then finds the same bits.
void check_plan(const smoothbound_options& o, const smoothbound_scores& scores,
                const std::int32_t* status, const std::vector<double>& bounds,
                const std::vector<double>& radius) {
  std::vector<double> bounds_again(bounds.size(), not_a_number);
  std::vector<double> radius_again(radius.size(), not_a_number);
  const smoothbound_certificates again = {sizeof again, bounds_again.data(), bounds_again.size(),
                                          radius_again.data(), radius_again.size()};
  smoothbound_plan* plan = nullptr;
  std::int32_t by_plan = smoothbound_plan_create(&o, scores.n_draws, &plan, nullptr);
  REQUIRE((plan != nullptr) == (by_plan == SMOOTHBOUND_OK));
  if (plan != nullptr) by_plan = smoothbound_plan_certify(plan, &scores, &again, nullptr);
  smoothbound_plan_destroy(plan);
  if (status == nullptr) return;
  REQUIRE(by_plan == *status);
  if (*status == SMOOTHBOUND_OK) {
    REQUIRE(same_bits(bounds, bounds_again) && same_bits(radius, radius_again));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes in(data, size);
  Options made(in);
  smoothbound_options& o = made.options;
  const Block block(in, o.a, o.b);
  const smoothbound_scores& scores = block.view;
  std::vector<double> bounds(scores.n_inputs * o.n_radii + (in.rarely() ? 1 : 0), not_a_number);
  std::vector<double> radius(scores.n_inputs * o.n_thresholds, not_a_number);
  const smoothbound_certificates out = {sizeof out, bounds.data(), bounds.size(), radius.data(),
                                        radius.size()};
  smoothbound_failure failure{};
  failure.struct_size = in.rarely() ? in.byte() : sizeof failure;  // a byte is too small: refused

  Stop stop{in.below(2) == 0 ? in.below(4) : in.byte()};
  if (in.below(2) == 0) {
    o.cancel = Stop::asked;
    o.cancel_context = &stop;
  }
  std::int32_t status = smoothbound_certify(&scores, &o, &out, &failure);
  check_failure(status, failure);
  REQUIRE(stop.said == (status == SMOOTHBOUND_CANCELLED));
  o.cancel = nullptr;
  o.cancel_context = nullptr;
  if (stop.said) {  // call again without a cancel
    failure = {};
    failure.struct_size = sizeof failure;
    status = smoothbound_certify(&scores, &o, &out, &failure);
    check_failure(status, failure);
  }
  REQUIRE(status != SMOOTHBOUND_CANCELLED);
  if (status == SMOOTHBOUND_OK) {
    check_results(o, bounds, radius);
    check_last_input(o, scores, bounds, radius);
    o.threads = 3 - o.threads % 2;  // a plan finds the same in any number of threads
  }
  const bool comparable = failure.struct_size == sizeof failure;  // or it was refused for its size
  check_plan(o, scores, comparable ? &status : nullptr, bounds, radius);

  const bool every_draw = o.n_bins == 0 && o.bound == SMOOTHBOUND_BOUND_CDF;
  check_sketch(in, o, block, status == SMOOTHBOUND_OK && every_draw ? &bounds : nullptr);
  check_record(in, o, block);
  return 0;
}
