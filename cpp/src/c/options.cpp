#include "options.hpp"

#include <algorithm>
#include <limits>

#include "names.hpp"

namespace smoothbound::c {

smoothbound_options defaults() noexcept {
  const Options o;
  smoothbound_options c{};
  c.n_bins = o.n_bins;
  c.sigma = o.sigma;
  c.alpha = o.alpha;
  c.a = o.a;
  c.b = o.b;
  c.side = detail::code_of(detail::sides, o.side);
  c.bound = detail::code_of(detail::bounds, o.bound);
  c.band = detail::code_of(detail::bands, o.band);
  c.threads = o.threads;
  return c;
}

std::int32_t options_of(const smoothbound_options* given, std::size_t n_draws, const Report& report,
                        Options& o) noexcept {
  smoothbound_options c = defaults();
  if (const std::int32_t status = report.take(given, "options", c)) return status;
  if (c.radii == nullptr && c.n_radii > 0) return report.null("options->radii");
  if (c.thresholds == nullptr && c.n_thresholds > 0) return report.null("options->thresholds");
  if (!take(detail::sides, c.side, o.side)) return report.code("side", c.side);
  if (!take(detail::bounds, c.bound, o.bound)) return report.code("bound", c.bound);
  if (!take(detail::bands, c.band, o.band)) return report.code("band", c.band);
  if (c.mean == SMOOTHBOUND_MEAN_DEFAULT) {
    const bool tangents = o.bound == Bound::tangent || o.bound == Bound::joint;
    o.mean = tangents ? MeanKind::betting : MeanKind::hoeffding;
  } else if (!take(detail::means, c.mean, o.mean)) {
    return report.code("mean", c.mean);
  }
  if (c.reserved != 0) return report.code("options->reserved", c.reserved);
  if (!take(detail::orders, c.order, o.order)) return report.code("order", c.order);
  if (c.reserved_2 != 0) return report.code("options->reserved_2", c.reserved_2);
  if (c.reserved_3 != 0) return report.code("options->reserved_3", c.reserved_3);
  if (const std::int32_t status = curve_of(c, report, o.curve)) return status;
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

}  // namespace smoothbound::c

void smoothbound_options_init(smoothbound_options* options, std::size_t struct_size) {
  smoothbound::c::init(options, struct_size, smoothbound::c::defaults());
}
