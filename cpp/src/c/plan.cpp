// Plans of the C interface, its version and its tier.
#include "plan.hpp"

#include <new>
#include <utility>

#include "arrays.hpp"
#include "options.hpp"
#include "smoothbound/tier.hpp"

namespace smoothbound::c {

std::int32_t create(smoothbound_plan& plan, const smoothbound_options* options, std::size_t n_draws,
                    const Report& report) noexcept {
  Options o;
  if (const std::int32_t status = options_of(options, n_draws, report, o)) return status;
  return report(plan.plan.create(o, n_draws));
}

namespace {

std::int32_t certify_scores(const smoothbound_plan& plan, const smoothbound_scores& scores,
                            const smoothbound_certificates* given, const Report& report) noexcept {
  Certificates out;
  if (const std::int32_t status = output_of(given, report, out)) return status;
  return with_scores(scores, report,
                     [&](const auto& typed) { return report(plan.plan.certify(typed, out)); });
}

}  // namespace
}  // namespace smoothbound::c

using smoothbound::c::Report;

std::int32_t smoothbound_plan_create(const smoothbound_options* options, std::size_t n_draws,
                                     smoothbound_plan** plan, smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (plan == nullptr) return report.null("plan");
  *plan = nullptr;
  smoothbound_plan made;
  if (const std::int32_t status = smoothbound::c::create(made, options, n_draws, report)) {
    return status;
  }
  *plan = new (std::nothrow) smoothbound_plan{std::move(made)};
  return *plan != nullptr ? SMOOTHBOUND_OK : report.out_of_memory();
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
  return smoothbound::c::certify_scores(*plan, s, out, report);
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
  if (const std::int32_t status = smoothbound::c::create(plan, options, s.n_draws, report)) {
    return status;
  }
  return smoothbound::c::certify_scores(plan, s, out, report);
}

const char* smoothbound_version(void) { return SMOOTHBOUND_VERSION_TEXT; }

const char* smoothbound_tier(void) { return smoothbound::tier(); }
