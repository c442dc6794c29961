// The C interface: converts structures and codes, calls certify.hpp, lets nothing throw.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "smoothbound/certify.hpp"
#include "smoothbound/sketch.hpp"
#include "smoothbound/smoothbound.h"
#include "smoothbound/tier.hpp"

struct smoothbound_plan {
  smoothbound::Plan plan;
};

struct smoothbound_sketch {
  std::vector<double> edges;
  smoothbound::ScoreCounter counter;
  std::size_t n_inputs;
  std::vector<std::uint32_t> counts;
  std::size_t n_draws = 0;

  smoothbound_sketch(std::span<const double> e, std::size_t n)
      : edges(e.begin(), e.end()), counter(e), n_inputs(n), counts(n * counter.n_cells()) {}
};

namespace smoothbound {
namespace {

// Codes of the interface and what they stand for; a new method is a new line here.
template <class Enum>
struct Coded {
  std::int32_t code;
  Enum value;
};
constexpr Coded<Side> sides[] = {{SMOOTHBOUND_SIDE_LOWER, Side::lower},
                                 {SMOOTHBOUND_SIDE_UPPER, Side::upper}};
constexpr Coded<Bound> bounds[] = {{SMOOTHBOUND_BOUND_MEAN, Bound::mean},
                                   {SMOOTHBOUND_BOUND_CDF, Bound::cdf},
                                   {SMOOTHBOUND_BOUND_TANGENT, Bound::tangent}};
constexpr Coded<MeanKind> means[] = {{SMOOTHBOUND_MEAN_HOEFFDING, MeanKind::hoeffding},
                                     {SMOOTHBOUND_MEAN_BERNSTEIN, MeanKind::bernstein},
                                     {SMOOTHBOUND_MEAN_BETTING, MeanKind::betting}};
constexpr Coded<BandKind> bands[] = {{SMOOTHBOUND_BAND_DKW, BandKind::dkw},
                                     {SMOOTHBOUND_BAND_ELL, BandKind::ell}};

constexpr Coded<Order> orders[] = {{SMOOTHBOUND_ORDER_UNKNOWN, Order::unknown},
                                   {SMOOTHBOUND_ORDER_DRAWN, Order::drawn}};

template <class Enum, std::size_t n>
bool decode(const Coded<Enum> (&codes)[n], std::int32_t code, Enum& value) noexcept {
  const auto* found = std::find_if(codes, codes + n, [&](auto c) { return c.code == code; });
  if (found == codes + n) return false;
  value = found->value;
  return true;
}

template <class Enum, std::size_t n>
std::int32_t encode(const Coded<Enum> (&codes)[n], Enum value) noexcept {
  return std::find_if(codes, codes + n, [&](auto c) { return c.value == value; })->code;
}

constexpr std::int32_t status_of(Error error) noexcept {
  switch (error) {
    case Error::none:
      return SMOOTHBOUND_OK;
    case Error::bad_option:
      return SMOOTHBOUND_BAD_OPTION;
    case Error::bad_output:
      return SMOOTHBOUND_BAD_OUTPUT;
    case Error::bad_score:
      return SMOOTHBOUND_BAD_SCORE;
    case Error::cancelled:
      return SMOOTHBOUND_CANCELLED;
    case Error::out_of_memory:
      break;
  }
  return SMOOTHBOUND_OUT_OF_MEMORY;
}

// Sizes of the structures in version 0.1, the first: up to their last field of that time.
template <class Struct>
constexpr std::size_t first_size = 0;
template <>
constexpr std::size_t first_size<smoothbound_options> =
    offsetof(smoothbound_options, n_thresholds) + sizeof(std::size_t);
template <>
constexpr std::size_t first_size<smoothbound_scores> =
    offsetof(smoothbound_scores, reserved) + sizeof(std::int32_t);
template <>
constexpr std::size_t first_size<smoothbound_certificates> =
    offsetof(smoothbound_certificates, n_radius) + sizeof(std::size_t);
template <>
constexpr std::size_t first_size<smoothbound_failure> =
    offsetof(smoothbound_failure, message) + 252;

// A field added later must not hide in the padding at the end of an earlier version.
template <class Struct>
constexpr bool ends_without_padding = first_size<Struct> % alignof(Struct) == 0;
static_assert(ends_without_padding<smoothbound_options>);
static_assert(offsetof(smoothbound_options, cancel_context) + sizeof(void*) ==
              sizeof(smoothbound_options));
static_assert(ends_without_padding<smoothbound_scores>);
static_assert(offsetof(smoothbound_scores, first_input) + sizeof(std::uint64_t) ==
              sizeof(smoothbound_scores));
static_assert(ends_without_padding<smoothbound_certificates>);
static_assert(ends_without_padding<smoothbound_failure>);

// Writes to the caller's failure, if there is one.
class Report {
 public:
  explicit Report(smoothbound_failure* to) noexcept : to_(to) {}

  // Whether the failure is one that can be written to.
  bool usable() const noexcept {
    return to_ == nullptr || to_->struct_size >= first_size<smoothbound_failure>;
  }

  std::int32_t operator()(const Failure& failure) const noexcept {
    if (to_ != nullptr && failure) {
      describe(failure, to_->message);
      to_->input = failure.input;
      to_->draw = failure.draw;
      to_->status = status_of(failure.error);
    }
    return status_of(failure.error);
  }

  std::int32_t operator()(std::int32_t status, const char* need, const char* name,
                          double got) const noexcept {
    if (to_ != nullptr) {
      std::snprintf(to_->message, sizeof to_->message, need, name, got);
      to_->input = to_->draw = 0;
      to_->status = status;
    }
    return status;
  }

  std::int32_t null(const char* name) const noexcept {
    return (*this)(SMOOTHBOUND_BAD_ARGUMENT, "%s must not be NULL", name, 0.0);
  }

  // Copies the caller's structure, of whatever version, over the defaults in `known`.
  template <class Struct>
  std::int32_t take(const Struct* given, const char* name, Struct& known) const noexcept {
    if (given == nullptr) return null(name);
    const std::size_t size = given->struct_size;
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    const auto version = "%s->struct_size must be its sizeof, got %.17g";
    if (size < first_size<Struct> || size > 4096 || size % alignof(Struct) != 0) {
      return (*this)(SMOOTHBOUND_BAD_ARGUMENT, version, name, static_cast<double>(size));
    }
    std::memcpy(&known, bytes, std::min(size, sizeof(Struct)));
    for (std::size_t i = sizeof(Struct); i < size; ++i) {
      if (bytes[i] == 0) continue;
      return (*this)(SMOOTHBOUND_BAD_ARGUMENT,
                     "%s has fields set that this version of the library does not know: its "
                     "struct_size is %.17g",
                     name, static_cast<double>(size));
    }
    return SMOOTHBOUND_OK;
  }

  std::int32_t code(const char* name, std::int32_t got) const noexcept {
    return (*this)(SMOOTHBOUND_BAD_OPTION,
                   "%s must be one of its codes in smoothbound.h, got %.17g", name,
                   static_cast<double>(got));
  }

 private:
  smoothbound_failure* to_;
};

Failure out_of_memory() noexcept { return {Error::out_of_memory, 0, 0, "out of memory", 0.0}; }

smoothbound_options defaults() noexcept {
  const Options o;
  smoothbound_options c{};
  c.n_bins = o.n_bins;
  c.sigma = o.sigma;
  c.alpha = o.alpha;
  c.a = o.a;
  c.b = o.b;
  c.side = encode(sides, o.side);
  c.bound = encode(bounds, o.bound);
  c.band = encode(bands, o.band);
  c.threads = o.threads;
  return c;
}

std::int32_t options_of(const smoothbound_options* given, std::size_t n_draws, const Report& report,
                        Options& o) noexcept {
  smoothbound_options c = defaults();
  if (const std::int32_t status = report.take(given, "options", c)) return status;
  if (c.radii == nullptr && c.n_radii > 0) return report.null("options->radii");
  if (c.thresholds == nullptr && c.n_thresholds > 0) return report.null("options->thresholds");
  if (!decode(sides, c.side, o.side)) return report.code("side", c.side);
  if (!decode(bounds, c.bound, o.bound)) return report.code("bound", c.bound);
  if (!decode(bands, c.band, o.band)) return report.code("band", c.band);
  if (c.mean == SMOOTHBOUND_MEAN_DEFAULT) {
    o.mean = o.bound == Bound::tangent ? MeanKind::betting : MeanKind::hoeffding;
  } else if (!decode(means, c.mean, o.mean)) {
    return report.code("mean", c.mean);
  }
  if (c.reserved != 0) return report.code("options->reserved", c.reserved);
  if (!decode(orders, c.order, o.order)) return report.code("order", c.order);
  if (c.reserved_2 != 0) return report.code("options->reserved_2", c.reserved_2);
  constexpr std::uint64_t most = std::numeric_limits<std::size_t>::max();
  const std::uint64_t pilot = c.n_pilot > 0 ? c.n_pilot : std::max<std::size_t>(n_draws / 10, 1);
  o.n_pilot = static_cast<std::size_t>(std::min(pilot, most));
  o.seed = c.seed;
  o.cancel = {c.cancel, c.cancel_context};
  o.n_bins = c.n_bins;
  o.sigma = c.sigma;
  o.alpha = c.alpha;
  o.a = c.a;
  o.b = c.b;
  o.threads = c.threads;
  o.radii = {c.radii, c.n_radii};
  o.thresholds = {c.thresholds, c.n_thresholds};
  return SMOOTHBOUND_OK;
}

// Calls work(Scores<T>) with the scores in their type.
template <class Work>
std::int32_t with_scores(const smoothbound_scores& s, const Report& report, const Work& work) {
  if (s.data == nullptr && s.n_inputs > 0) return report.null("scores->data");
  if (s.reserved != 0) return report.code("scores->reserved", s.reserved);
  const auto typed = [&]<class T>(const T* data) {
    return work(
        Scores<T>{data, s.n_inputs, s.n_draws, s.input_stride, s.draw_stride, s.first_input});
  };
  switch (s.type) {
    case SMOOTHBOUND_FLOAT16:
      return typed(static_cast<const half*>(s.data));
    case SMOOTHBOUND_FLOAT32:
      return typed(static_cast<const float*>(s.data));
    case SMOOTHBOUND_FLOAT64:
      return typed(static_cast<const double*>(s.data));
    default:
      return report.code("type", s.type);
  }
}

std::int32_t output_of(const smoothbound_certificates* given, const Report& report,
                       Certificates& out) noexcept {
  smoothbound_certificates c{};
  if (const std::int32_t status = report.take(given, "out", c)) return status;
  if (c.bounds == nullptr && c.n_bounds > 0) return report.null("out->bounds");
  if (c.radius == nullptr && c.n_radius > 0) return report.null("out->radius");
  out = {{c.bounds, c.n_bounds}, {c.radius, c.n_radius}};
  return SMOOTHBOUND_OK;
}

std::int32_t certify_scores(const smoothbound_plan& plan, const smoothbound_scores& scores,
                            const smoothbound_certificates* given, const Report& report) noexcept {
  Certificates out;
  if (const std::int32_t status = output_of(given, report, out)) return status;
  return with_scores(scores, report,
                     [&](const auto& typed) { return report(plan.plan.certify(typed, out)); });
}

std::int32_t prepare(smoothbound_plan& plan, const smoothbound_options* options,
                     std::size_t n_draws, const Report& report) noexcept {
  Options o;
  if (const std::int32_t status = options_of(options, n_draws, report, o)) return status;
  return report(plan.plan.create(o, n_draws));
}

std::int32_t refuse(const Report& report, Error error, const char* need, std::size_t got,
                    std::size_t input = 0) noexcept {
  return report(Failure{error, input, 0, need, static_cast<double>(got)});
}

// Whether n_draws more of each input can be counted.
std::int32_t check_room(const smoothbound_sketch& sketch, std::size_t n_draws,
                        const Report& report) noexcept {
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
  if (n_draws == 0 || n_draws > most || sketch.n_draws > most - n_draws) {
    return refuse(report, Error::bad_option,
                  "n_draws must be at least 1, and below 2^32 with those in the sketch", n_draws);
  }
  return SMOOTHBOUND_OK;
}

void add_counts(smoothbound_sketch& sketch, std::span<const std::uint32_t> counts,
                std::size_t n_draws) noexcept {
  for (std::size_t i = 0; i < counts.size(); ++i) sketch.counts[i] += counts[i];
  sketch.n_draws += n_draws;
}

std::int32_t certify_sketch(const smoothbound_plan& plan, const smoothbound_sketch& sketch,
                            const smoothbound_certificates* given, const Report& report) noexcept {
  Certificates out;
  if (const std::int32_t status = output_of(given, report, out)) return status;
  return report(certify({sketch.edges, sketch.counts, sketch.n_inputs, sketch.n_draws},
                        *plan.plan.options(), out));
}

}  // namespace
}  // namespace smoothbound

using smoothbound::Error;
using smoothbound::Report;

void smoothbound_options_init(smoothbound_options* options, std::size_t struct_size) {
  if (options == nullptr || struct_size < sizeof options->struct_size) return;
  const smoothbound_options known = smoothbound::defaults();
  std::memset(options, 0, struct_size);
  std::memcpy(options, &known, std::min(struct_size, sizeof known));
  options->struct_size = struct_size;
}

std::int32_t smoothbound_plan_create(const smoothbound_options* options, std::size_t n_draws,
                                     smoothbound_plan** plan, smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (plan == nullptr) return report.null("plan");
  *plan = nullptr;
  smoothbound_plan made;
  if (const std::int32_t status = smoothbound::prepare(made, options, n_draws, report)) {
    return status;
  }
  *plan = new (std::nothrow) smoothbound_plan{std::move(made)};
  return *plan != nullptr ? SMOOTHBOUND_OK : report(smoothbound::out_of_memory());
}

std::int32_t smoothbound_plan_certify(const smoothbound_plan* plan,
                                      const smoothbound_scores* scores,
                                      const smoothbound_certificates* out,
                                      smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (plan == nullptr) return report.null("plan");
  smoothbound_scores s{};
  if (const std::int32_t status = report.take(scores, "scores", s)) return status;
  return smoothbound::certify_scores(*plan, s, out, report);
}

// NOLINTNEXTLINE(misc-const-correctness): as free() takes it
void smoothbound_plan_destroy(smoothbound_plan* plan) { delete plan; }

std::int32_t smoothbound_certify(const smoothbound_scores* scores,
                                 const smoothbound_options* options,
                                 const smoothbound_certificates* out,
                                 smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  smoothbound_scores s{};
  if (const std::int32_t status = report.take(scores, "scores", s)) return status;
  smoothbound_plan plan;
  if (const std::int32_t status = smoothbound::prepare(plan, options, s.n_draws, report)) {
    return status;
  }
  return smoothbound::certify_scores(plan, s, out, report);
}

std::int32_t smoothbound_sketch_create(const double* edges, std::size_t n_edges,
                                       std::size_t n_inputs, smoothbound_sketch** sketch,
                                       smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (sketch == nullptr) return report.null("sketch");
  *sketch = nullptr;
  if (edges == nullptr) return report.null("edges");
  if (!smoothbound::valid_edges({edges, n_edges})) {
    return smoothbound::refuse(report, Error::bad_option,
                               "edges must be 2 to 2^20 + 1 finite numbers that ascend strictly, "
                               "with a finite distance from the first to the last",
                               n_edges);
  }
  if (n_inputs > std::numeric_limits<std::size_t>::max() / (8 * n_edges)) {
    return report(smoothbound::out_of_memory());
  }
  try {
    *sketch = new smoothbound_sketch({edges, n_edges}, n_inputs);
    return SMOOTHBOUND_OK;
  } catch (...) {  // std::bad_alloc, or std::length_error: more than there can be
    return report(smoothbound::out_of_memory());
  }
}

std::int32_t smoothbound_sketch_add(smoothbound_sketch* sketch, const smoothbound_scores* scores,
                                    std::int32_t threads, smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (sketch == nullptr) return report.null("sketch");
  smoothbound_scores s{};
  if (const std::int32_t status = report.take(scores, "scores", s)) return status;
  return smoothbound::with_scores(s, report, [&](const auto& typed) {
    if (typed.n_inputs != sketch->n_inputs) {
      return smoothbound::refuse(report, Error::bad_option, "n_inputs must be that of the sketch",
                                 typed.n_inputs);
    }
    if (const std::int32_t status = smoothbound::check_room(*sketch, typed.n_draws, report)) {
      return status;
    }
    const std::int32_t status = report(sketch->counter.count(typed, sketch->counts, threads));
    if (status == SMOOTHBOUND_OK) sketch->n_draws += typed.n_draws;
    return status;
  });
}

std::int32_t smoothbound_sketch_add_counts(smoothbound_sketch* sketch, const std::uint32_t* counts,
                                           std::size_t n_counts, std::size_t n_draws,
                                           smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (sketch == nullptr) return report.null("sketch");
  if (counts == nullptr && n_counts > 0) return report.null("counts");
  if (n_counts != sketch->counts.size()) {
    return smoothbound::refuse(report, Error::bad_option,
                               "counts must hold n_inputs * n_cells numbers", n_counts);
  }
  if (const std::int32_t status = smoothbound::check_room(*sketch, n_draws, report)) return status;
  const std::span<const std::uint32_t> given(counts, n_counts);
  const std::size_t n_cells = sketch->counter.n_cells();
  for (std::size_t i = 0; i < sketch->n_inputs; ++i) {
    const auto row = given.subspan(i * n_cells, n_cells);
    const auto total = std::accumulate(row.begin(), row.end(), std::uint64_t{0});
    if (total == n_draws) continue;
    return smoothbound::refuse(report, Error::bad_option,
                               "counts of each input must add up to n_draws", total, i);
  }
  smoothbound::add_counts(*sketch, given, n_draws);
  return SMOOTHBOUND_OK;
}

std::int32_t smoothbound_sketch_merge(smoothbound_sketch* sketch, const smoothbound_sketch* other,
                                      smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (sketch == nullptr) return report.null("sketch");
  if (other == nullptr) return report.null("other");
  const auto refuse = [&](const char* need, double got) {
    return report(SMOOTHBOUND_BAD_ARGUMENT, need, "other", got);
  };
  if (other == sketch) return refuse("%s must be another sketch: no draw counts twice", 0.0);
  if (other->n_inputs != sketch->n_inputs) {
    return refuse("%s must have as many inputs, got %.17g", static_cast<double>(other->n_inputs));
  }
  const auto differ = std::mismatch(sketch->edges.begin(), sketch->edges.end(),
                                    other->edges.begin(), other->edges.end());
  if (differ.first != sketch->edges.end() || differ.second != other->edges.end()) {
    return refuse("%s must have the same edges, got others from the edge %.17g on",
                  static_cast<double>(differ.first - sketch->edges.begin()));
  }
  if (other->n_draws == 0) return SMOOTHBOUND_OK;
  if (const std::int32_t status = smoothbound::check_room(*sketch, other->n_draws, report)) {
    return status;
  }
  smoothbound::add_counts(*sketch, other->counts, other->n_draws);
  return SMOOTHBOUND_OK;
}

std::size_t smoothbound_sketch_n_inputs(const smoothbound_sketch* sketch) {
  return sketch == nullptr ? 0 : sketch->n_inputs;
}

std::size_t smoothbound_sketch_n_draws(const smoothbound_sketch* sketch) {
  return sketch == nullptr ? 0 : sketch->n_draws;
}

std::size_t smoothbound_sketch_n_cells(const smoothbound_sketch* sketch) {
  return sketch == nullptr ? 0 : sketch->counter.n_cells();
}

std::int32_t smoothbound_sketch_counts(const smoothbound_sketch* sketch, std::uint32_t* counts,
                                       std::size_t n_counts, smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (sketch == nullptr) return report.null("sketch");
  if (counts == nullptr && n_counts > 0) return report.null("counts");
  if (n_counts != sketch->counts.size()) {
    return smoothbound::refuse(report, Error::bad_output,
                               "counts must hold n_inputs * n_cells numbers", n_counts);
  }
  std::copy(sketch->counts.begin(), sketch->counts.end(), counts);
  return SMOOTHBOUND_OK;
}

std::int32_t smoothbound_sketch_certify(const smoothbound_sketch* sketch,
                                        const smoothbound_options* options,
                                        const smoothbound_certificates* out,
                                        smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (sketch == nullptr) return report.null("sketch");
  smoothbound_options every_draw = smoothbound::defaults();
  if (const std::int32_t status = report.take(options, "options", every_draw)) return status;
  every_draw.struct_size = sizeof every_draw;
  every_draw.n_bins = 0;  // the edges are the knots, with any count of draws
  smoothbound_plan plan;
  if (const std::int32_t status =
          smoothbound::prepare(plan, &every_draw, sketch->n_draws, report)) {
    return status;
  }
  return smoothbound::certify_sketch(plan, *sketch, out, report);
}

std::int32_t smoothbound_plan_certify_sketch(const smoothbound_plan* plan,
                                             const smoothbound_sketch* sketch,
                                             const smoothbound_certificates* out,
                                             smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (plan == nullptr) return report.null("plan");
  if (sketch == nullptr) return report.null("sketch");
  return smoothbound::certify_sketch(*plan, *sketch, out, report);
}

// NOLINTNEXTLINE(misc-const-correctness): as free() takes it
void smoothbound_sketch_destroy(smoothbound_sketch* sketch) { delete sketch; }

const char* smoothbound_version(void) { return SMOOTHBOUND_VERSION_TEXT; }

const char* smoothbound_tier(void) { return smoothbound::tier(); }
