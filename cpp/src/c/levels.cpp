// Probabilities and quantiles in the C interface.
#include "smoothbound/levels.hpp"

#include "arrays.hpp"
#include "names.hpp"
#include "options.hpp"
#include "report.hpp"
#include "sketch.hpp"

namespace smoothbound::c {

template <>
constexpr std::size_t first_size<smoothbound_level_options> =
    offsetof(smoothbound_level_options, cancel_context) + sizeof(void*);
static_assert(ends_without_padding<smoothbound_level_options>);
static_assert(offsetof(smoothbound_level_options, curve_values) + sizeof(void*) ==
              sizeof(smoothbound_level_options));

namespace {

smoothbound_level_options level_defaults() noexcept {
  const LevelOptions o;
  smoothbound_level_options c{};
  c.sigma = o.sigma;
  c.alpha = o.alpha;
  c.a = o.a;
  c.b = o.b;
  c.side = detail::code_of(detail::sides, o.side);
  c.statistic = detail::code_of(detail::statistics, o.statistic);
  c.threads = o.threads;
  return c;
}

// Converts `given`, of any version, to `o`, whose spans point to the arrays of `given`.
std::int32_t level_options_of(const smoothbound_level_options* given, const Report& report,
                              LevelOptions& o) noexcept {
  smoothbound_level_options c = level_defaults();
  if (const std::int32_t status = report.take(given, "options", c)) return status;
  if (c.levels == nullptr && c.n_levels > 0) return report.null("options->levels");
  if (c.radii == nullptr && c.n_radii > 0) return report.null("options->radii");
  if (c.thresholds == nullptr && c.n_thresholds > 0) return report.null("options->thresholds");
  if (!take(detail::sides, c.side, o.side)) return report.code("side", c.side);
  if (!take(detail::statistics, c.statistic, o.statistic)) {
    return report.code("statistic", c.statistic);
  }
  if (c.reserved != 0) return report.code("options->reserved", c.reserved);
  if (c.reserved_2 != 0) return report.code("options->reserved_2", c.reserved_2);
  if (const std::int32_t status = curve_of(c, report, o.curve)) return status;
  o.sigma = c.sigma;
  o.alpha = c.alpha;
  o.a = c.a;
  o.b = c.b;
  o.levels = {c.levels, c.n_levels};
  o.radii = {c.radii, c.n_radii};
  o.thresholds = {c.thresholds, c.n_thresholds};
  o.threads = c.threads;
  o.cancel = {c.cancel, c.cancel_context};
  return SMOOTHBOUND_OK;
}

// Calls certify(options, out) with both converted.
template <class Certify>
std::int32_t with_levels(const smoothbound_level_options* options,
                         const smoothbound_certificates* given, const Report& report,
                         const Certify& certify) noexcept {
  LevelOptions o;
  if (const std::int32_t status = level_options_of(options, report, o)) return status;
  Certificates out;
  if (const std::int32_t status = output_of(given, report, out)) return status;
  return certify(o, out);
}

}  // namespace
}  // namespace smoothbound::c

using smoothbound::c::Report;

void smoothbound_level_options_init(smoothbound_level_options* options, std::size_t struct_size) {
  smoothbound::c::init(options, struct_size, smoothbound::c::level_defaults());
}

std::int32_t smoothbound_certify_levels(const smoothbound_scores* scores,
                                        const smoothbound_level_options* options,
                                        const smoothbound_certificates* out,
                                        smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  smoothbound_scores s{};
  if (const std::int32_t status = report.take(scores, "scores", s)) return status;
  return smoothbound::c::with_levels(options, out, report, [&](const auto& o, const auto& to) {
    return smoothbound::c::with_scores(s, report, [&](const auto& typed) {
      return report(smoothbound::certify_levels(typed, o, to));
    });
  });
}

std::int32_t smoothbound_sketch_certify_levels(const smoothbound_sketch* sketch,
                                               const smoothbound_level_options* options,
                                               const smoothbound_certificates* out,
                                               smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (sketch == nullptr) return report.null("sketch");
  return smoothbound::c::with_levels(options, out, report, [&](const auto& o, const auto& to) {
    const smoothbound::ScoreCounts counts{sketch->edges, sketch->counts, sketch->n_inputs,
                                          sketch->n_draws};
    return report(smoothbound::certify_levels(counts, o, to));
  });
}
