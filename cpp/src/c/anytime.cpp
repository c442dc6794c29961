// Anytime tests of the C interface: records of draws, and questions.
#include "smoothbound/anytime.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "arrays.hpp"
#include "names.hpp"
#include "report.hpp"
#include "smoothbound/detail/range.hpp"

struct smoothbound_record {
  smoothbound::DrawRecord draws;
};

struct smoothbound_question {
  smoothbound::detail::Range range;
  smoothbound::EProcess process;
};

namespace smoothbound::c {
namespace {

std::int32_t refuse(const Report& report, const char* need, double got) noexcept {
  return report(Failure{Error::bad_option, 0, 0, need, got});
}

// Calls take(row) with the scores, which must be of one input.
template <class Take>
std::int32_t with_row(smoothbound_record* record, const smoothbound_scores* scores,
                      const Report& report, const Take& take) noexcept {
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (record == nullptr) return report.null("record");
  smoothbound_scores s{};
  if (const std::int32_t status = report.take(scores, "scores", s)) return status;
  if (s.n_inputs != 1) return report.refuse(Error::bad_option, "n_inputs must be 1", s.n_inputs);
  return with_scores(s, report, [&](const auto& typed) { return report(take(typed.row(0))); });
}

std::int32_t check_question(const DrawRecord& record, double threshold, double radius, double sigma,
                            std::uint64_t n_seen, const Report& report) noexcept {
  if (!(threshold > record.a() && threshold < record.b())) {
    return refuse(report, "threshold must lie strictly between a and b", threshold);
  }
  if (!(std::isfinite(sigma) && sigma > 0.0)) {
    return refuse(report, "sigma must be positive and finite", sigma);
  }
  if (!(radius >= 0.0 && std::isfinite(radius / sigma))) {
    return refuse(report, "radius must not be negative, and radius / sigma finite", radius);
  }
  if (n_seen > most_recorded_draws) {
    return report.refuse(Error::bad_option, "n_seen must be at most 2^28", n_seen);
  }
  return SMOOTHBOUND_OK;
}

bool same_range(const detail::Range& range, const DrawRecord& record) noexcept {
  return range.a == record.a() && range.b == record.b() && range.side == record.side();
}

}  // namespace
}  // namespace smoothbound::c

using smoothbound::DrawRecord;
using smoothbound::c::Report;

std::int32_t smoothbound_record_create(double a, double b, std::int32_t side,
                                       smoothbound_record** record, smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (record == nullptr) return report.null("record");
  *record = nullptr;
  const auto coded = smoothbound::detail::coded(smoothbound::detail::sides, side);
  if (!coded) return report.code("side", side);
  if (!DrawRecord::valid_range(a, b)) {
    return smoothbound::c::refuse(report, "b - a must be finite and at least 1e-300", b - a);
  }
  try {
    *record = new smoothbound_record{DrawRecord(a, b, *coded)};
    return SMOOTHBOUND_OK;
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return report.out_of_memory();
  }
}

std::int32_t smoothbound_record_guess(smoothbound_record* record, const smoothbound_scores* scores,
                                      smoothbound_failure* failure) {
  return smoothbound::c::with_row(record, scores, Report(failure),
                                  [&](const auto& row) { return record->draws.guess(row); });
}

std::int32_t smoothbound_record_add(smoothbound_record* record, const smoothbound_scores* scores,
                                    smoothbound_failure* failure) {
  return smoothbound::c::with_row(record, scores, Report(failure),
                                  [&](const auto& row) { return record->draws.add(row); });
}

std::uint64_t smoothbound_record_n_draws(const smoothbound_record* record) {
  return record == nullptr ? 0 : record->draws.n_draws();
}

std::int32_t smoothbound_record_save(const smoothbound_record* record, void* state,
                                     std::size_t size, std::size_t* n_bytes,
                                     smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (record == nullptr) return report.null("record");
  if (n_bytes == nullptr) return report.null("n_bytes");
  if (state == nullptr && size > 0) return report.null("state");
  try {
    const std::vector<std::uint8_t> saved = record->draws.save();
    *n_bytes = saved.size();
    if (state == nullptr) return SMOOTHBOUND_OK;
    if (size < saved.size()) {
      return report.refuse(smoothbound::Error::bad_output,
                           "state must have room for the bytes that n_bytes is set to", size);
    }
    std::copy(saved.begin(), saved.end(), static_cast<std::uint8_t*>(state));
    return SMOOTHBOUND_OK;
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return report.out_of_memory();
  }
}

std::int32_t smoothbound_record_load(const void* state, std::size_t size,
                                     smoothbound_record** record, smoothbound_failure* failure) {
  const std::span bytes(static_cast<const std::uint8_t*>(state), size);
  const std::int32_t status =
      smoothbound_record_create(0.0, 1.0, SMOOTHBOUND_SIDE_LOWER, record, failure);
  if (status != SMOOTHBOUND_OK) return status;
  const Report report(failure);
  const std::int32_t loaded =
      state == nullptr ? report.null("state") : report((*record)->draws.load(bytes));
  if (loaded == SMOOTHBOUND_OK) return loaded;
  smoothbound_record_destroy(*record);
  *record = nullptr;
  return loaded;
}

// NOLINTNEXTLINE(misc-const-correctness): as free() takes it
void smoothbound_record_destroy(smoothbound_record* record) { delete record; }

std::int32_t smoothbound_question_create(const smoothbound_record* record, double threshold,
                                         double radius, double sigma, std::uint64_t n_seen,
                                         smoothbound_question** question,
                                         smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (question == nullptr) return report.null("question");
  *question = nullptr;
  if (record == nullptr) return report.null("record");
  const DrawRecord& draws = record->draws;
  if (const std::int32_t status =
          smoothbound::c::check_question(draws, threshold, radius, sigma, n_seen, report)) {
    return status;
  }
  const double target = smoothbound::threshold_share(threshold, draws.a(), draws.b(), draws.side());
  const double r = smoothbound::detail::scaled_radius(radius, sigma);
  try {
    *question = new smoothbound_question{{draws.a(), draws.b(), draws.side()},
                                         {target, r, smoothbound::first_look_from(n_seen)}};
    return SMOOTHBOUND_OK;
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return report.out_of_memory();
  }
}

std::int32_t smoothbound_question_advance(smoothbound_question* question,
                                          const smoothbound_record* record, double alpha,
                                          std::uint64_t* n_draws, smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (question == nullptr) return report.null("question");
  if (record == nullptr) return report.null("record");
  if (n_draws == nullptr) return report.null("n_draws");
  *n_draws = 0;
  if (!smoothbound::c::same_range(question->range, record->draws)) {
    return report(SMOOTHBOUND_BAD_ARGUMENT, "%s must have the range and side of the question",
                  "record", 0.0);
  }
  if (!(alpha >= smoothbound::least_alpha && alpha < 1.0)) {
    return smoothbound::c::refuse(report, "alpha must be at least 1e-302 and below 1", alpha);
  }
  *n_draws = question->process.advance(record->draws, alpha);
  return SMOOTHBOUND_OK;
}

double smoothbound_question_log_wealth(const smoothbound_question* question) {
  return question == nullptr ? 0.0 : question->process.log_wealth();
}

// NOLINTNEXTLINE(misc-const-correctness): as free() takes it
void smoothbound_question_destroy(smoothbound_question* question) { delete question; }
