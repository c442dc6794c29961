// Sketches of the C interface.
#include "sketch.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "arrays.hpp"
#include "options.hpp"
#include "plan.hpp"

namespace smoothbound::c {
namespace {

// Whether n_draws more of each input can be counted.
std::int32_t check_room(const smoothbound_sketch& sketch, std::size_t n_draws,
                        const Report& report) noexcept {
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
  if (n_draws == 0 || n_draws > most || sketch.n_draws > most - n_draws) {
    return report.refuse(Error::bad_option,
                         "n_draws must be at least 1, and below 2^32 with those in the sketch",
                         n_draws);
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
}  // namespace smoothbound::c

using smoothbound::Error;
using smoothbound::c::Report;

std::int32_t smoothbound_sketch_create(const double* edges, std::size_t n_edges,
                                       std::size_t n_inputs, smoothbound_sketch** sketch,
                                       smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (sketch == nullptr) return report.null("sketch");
  *sketch = nullptr;
  if (edges == nullptr) return report.null("edges");
  if (!smoothbound::valid_edges({edges, n_edges})) {
    return report.refuse(Error::bad_option,
                         "edges must be 2 to 2^20 + 1 finite numbers that ascend strictly, "
                         "with a finite distance from the first to the last",
                         n_edges);
  }
  if (n_inputs > std::numeric_limits<std::size_t>::max() / (8 * n_edges)) {
    return report.out_of_memory();
  }
  try {
    *sketch = new smoothbound_sketch({edges, n_edges}, n_inputs);
    return SMOOTHBOUND_OK;
  } catch (...) {  // std::bad_alloc, or std::length_error for a size that no vector can have
    return report.out_of_memory();
  }
}

std::int32_t smoothbound_sketch_add(smoothbound_sketch* sketch, const smoothbound_scores* scores,
                                    std::int32_t threads, smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (sketch == nullptr) return report.null("sketch");
  smoothbound_scores s{};
  if (const std::int32_t status = report.take(scores, "scores", s)) return status;
  return smoothbound::c::with_scores(s, report, [&](const auto& typed) {
    if (typed.n_inputs != sketch->n_inputs) {
      return report.refuse(Error::bad_option, "n_inputs must be that of the sketch",
                           typed.n_inputs);
    }
    if (const std::int32_t status = smoothbound::c::check_room(*sketch, typed.n_draws, report)) {
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
    return report.refuse(Error::bad_option, "counts must hold n_inputs * n_cells numbers",
                         n_counts);
  }
  if (const std::int32_t status = smoothbound::c::check_room(*sketch, n_draws, report))
    return status;
  const std::span<const std::uint32_t> given(counts, n_counts);
  const std::size_t n_cells = sketch->counter.n_cells();
  for (std::size_t i = 0; i < sketch->n_inputs; ++i) {
    const auto row = given.subspan(i * n_cells, n_cells);
    const auto total = std::accumulate(row.begin(), row.end(), std::uint64_t{0});
    if (total == n_draws) continue;
    return report.refuse(Error::bad_option, "counts of each input must add up to n_draws", total,
                         i);
  }
  smoothbound::c::add_counts(*sketch, given, n_draws);
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
  if (const std::int32_t status = smoothbound::c::check_room(*sketch, other->n_draws, report)) {
    return status;
  }
  smoothbound::c::add_counts(*sketch, other->counts, other->n_draws);
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
    return report.refuse(Error::bad_output, "counts must hold n_inputs * n_cells numbers",
                         n_counts);
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
  smoothbound_options every_draw = smoothbound::c::defaults();
  if (const std::int32_t status = report.take(options, "options", every_draw)) return status;
  every_draw.struct_size = sizeof every_draw;
  every_draw.n_bins = 0;  // the edges are the knots, with any count of draws
  smoothbound_plan plan;
  if (const std::int32_t status =
          smoothbound::c::create(plan, &every_draw, sketch->n_draws, report)) {
    return status;
  }
  return smoothbound::c::certify_sketch(plan, *sketch, out, report);
}

std::int32_t smoothbound_plan_certify_sketch(const smoothbound_plan* plan,
                                             const smoothbound_sketch* sketch,
                                             const smoothbound_certificates* out,
                                             smoothbound_failure* failure) {
  const Report report(failure);
  if (!report.usable()) return SMOOTHBOUND_BAD_ARGUMENT;
  if (plan == nullptr) return report.null("plan");
  if (sketch == nullptr) return report.null("sketch");
  return smoothbound::c::certify_sketch(*plan, *sketch, out, report);
}

// NOLINTNEXTLINE(misc-const-correctness): as free() takes it
void smoothbound_sketch_destroy(smoothbound_sketch* sketch) { delete sketch; }
