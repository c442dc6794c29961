// Converts scores and outputs of C to those of C++.
#pragma once

#include <cstdint>

#include "report.hpp"
#include "smoothbound/certify.hpp"
#include "smoothbound/scores.hpp"
#include "smoothbound/smoothbound.h"

namespace smoothbound::c {

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

inline std::int32_t output_of(const smoothbound_certificates* given, const Report& report,
                              Certificates& out) noexcept {
  smoothbound_certificates c{};
  if (const std::int32_t status = report.take(given, "out", c)) return status;
  if (c.bounds == nullptr && c.n_bounds > 0) return report.null("out->bounds");
  if (c.radius == nullptr && c.n_radius > 0) return report.null("out->radius");
  out = {{c.bounds, c.n_bounds}, {c.radius, c.n_radius}};
  return SMOOTHBOUND_OK;
}

}  // namespace smoothbound::c
