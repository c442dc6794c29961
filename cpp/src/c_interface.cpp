// The C interface: converts structures and codes, calls certify.hpp, lets nothing throw.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "smoothbound/certify.hpp"
#include "smoothbound/smoothbound.h"
#include "smoothbound/tier.hpp"

struct smoothbound_plan {
  smoothbound::Certifier certifier;
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
                                   {SMOOTHBOUND_BOUND_CDF, Bound::cdf}};
constexpr Coded<BandKind> bands[] = {{SMOOTHBOUND_BAND_DKW, BandKind::dkw},
                                     {SMOOTHBOUND_BAND_ELL, BandKind::ell}};

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
static_assert(ends_without_padding<smoothbound_scores>);
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
    if (size < first_size<Struct> || size > 4096) {
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

std::int32_t options_of(const smoothbound_options* given, const Report& report,
                        Options& o) noexcept {
  smoothbound_options c = defaults();
  if (const std::int32_t status = report.take(given, "options", c)) return status;
  if (c.radii == nullptr && c.n_radii > 0) return report.null("options->radii");
  if (c.thresholds == nullptr && c.n_thresholds > 0) return report.null("options->thresholds");
  if (!decode(sides, c.side, o.side)) return report.code("side", c.side);
  if (!decode(bounds, c.bound, o.bound)) return report.code("bound", c.bound);
  if (!decode(bands, c.band, o.band)) return report.code("band", c.band);
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

template <class T>
Failure run(const Certifier& certifier, const smoothbound_scores& s, Certificates out) noexcept {
  return certifier(Scores<T>{static_cast<const T*>(s.data), s.n_inputs, s.n_draws, s.input_stride,
                             s.draw_stride},
                   out);
}

std::int32_t certify_with(const Certifier& certifier, const smoothbound_scores& s,
                          const smoothbound_certificates* given, const Report& report) noexcept {
  smoothbound_certificates c{};
  if (const std::int32_t status = report.take(given, "out", c)) return status;
  if (s.data == nullptr && s.n_inputs > 0) return report.null("scores->data");
  if (c.bounds == nullptr && c.n_bounds > 0) return report.null("out->bounds");
  if (c.radius == nullptr && c.n_radius > 0) return report.null("out->radius");
  if (s.reserved != 0) return report.code("reserved", s.reserved);
  const Certificates out{{c.bounds, c.n_bounds}, {c.radius, c.n_radius}};
  switch (s.type) {
    case SMOOTHBOUND_FLOAT16:
      return report(run<half>(certifier, s, out));
    case SMOOTHBOUND_FLOAT32:
      return report(run<float>(certifier, s, out));
    case SMOOTHBOUND_FLOAT64:
      return report(run<double>(certifier, s, out));
    default:
      return report.code("type", s.type);
  }
}

}  // namespace
}  // namespace smoothbound

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
  smoothbound::Options o;
  if (const std::int32_t status = smoothbound::options_of(options, report, o)) return status;
  smoothbound::Certifier certifier;
  if (const smoothbound::Failure bad = certifier.prepare(o, n_draws)) return report(bad);
  *plan = new (std::nothrow) smoothbound_plan{std::move(certifier)};
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
  return smoothbound::certify_with(plan->certifier, s, out, report);
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
  smoothbound::Options o;
  if (const std::int32_t status = smoothbound::options_of(options, report, o)) return status;
  if (const smoothbound::Failure bad = plan.certifier.prepare(o, s.n_draws)) return report(bad);
  return smoothbound::certify_with(plan.certifier, s, out, report);
}

const char* smoothbound_version(void) { return SMOOTHBOUND_VERSION; }

const char* smoothbound_tier(void) { return smoothbound::tier(); }
