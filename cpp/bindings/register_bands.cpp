// The normal distribution, confidence bands and their calibration.
#include <pybind11/stl.h>

#include "convert.hpp"
#include "register.hpp"
#include "smoothbound/detail/binning.hpp"
#include "smoothbound/detail/crossing.hpp"

namespace bindings {
namespace {

// Applies a function from span to span to an array of any shape.
template <void (*f)(std::span<const double>, std::span<double>) noexcept>
Vector elementwise(const Vector& x) {
  Vector out(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  const std::span<const double> from = view(x);
  const std::span<double> to = view(out);
  const WithoutGil released;
  f(from, to);
  return out;
}

sb::ConfidenceBand make_band(const std::string& kind, std::size_t n_draws, double alpha,
                             std::size_t n_bins, double level) {
  const sb::BandKind named_kind = named(kind, sb::detail::bands);
  require_draws(n_draws);
  require_alpha(alpha);
  if (named_kind == sb::BandKind::ell && level != 0.0) require_level(level);
  return interruptible([&](sb::Cancel cancel) {
    return sb::ConfidenceBand(named_kind, n_draws, alpha, n_bins, level, cancel);
  });
}

double quantile_of(const sb::ConfidenceBand& band, std::size_t count) {
  require(count <= band.n_draws(), "count must be at most n_draws");
  return band.quantile(count);
}

// The numbers of draws that reach the knots, ascending.
std::vector<std::size_t> ranks_of(std::size_t n_draws, std::size_t n_bins) {
  std::vector<std::size_t> ranks = sb::detail::equal_count_positions(n_draws, n_bins);
  for (std::size_t& rank : ranks) rank = n_draws - rank;
  std::reverse(ranks.begin(), ranks.end());
  return ranks;
}

double ell_level(std::size_t n_draws, double alpha, std::size_t n_bins, bool two_sided) {
  require_draws(n_draws);
  require_alpha(alpha);
  return interruptible([&](sb::Cancel cancel) {
    return sb::ell_level(n_draws, alpha, ranks_of(n_draws, n_bins), two_sided, cancel);
  });
}

double ell_failure(std::size_t n_draws, double level, std::size_t n_bins, bool two_sided) {
  require_draws(n_draws);
  require_level(level);
  return interruptible([&](sb::Cancel cancel) {
    return sb::ell_failure(n_draws, level, ranks_of(n_draws, n_bins), two_sided, cancel);
  });
}

// For tests against other programs: bounds as two vectors of ranks and values.
double stay_probability(std::size_t n_draws, const std::vector<std::size_t>& lower_ranks,
                        const Vector& lower, const std::vector<std::size_t>& upper_ranks,
                        const Vector& upper) {
  const auto zip = [n_draws](const std::vector<std::size_t>& ranks, const Vector& values) {
    if (static_cast<py::ssize_t>(ranks.size()) != values.size()) {
      throw py::value_error("as many ranks as values are needed");
    }
    require(ascend(view(values)) && std::is_sorted(ranks.begin(), ranks.end()),
            "ranks and values must ascend, values from 0 to 1 at most");
    require(ranks.empty() || (ranks.front() >= 1 && ranks.back() <= n_draws),
            "ranks must be at least 1 and at most n_draws");
    std::vector<sb::detail::OrderBound> bounds;
    for (std::size_t i = 0; i < ranks.size(); ++i) bounds.push_back({ranks[i], values.data()[i]});
    return bounds;
  };
  require_draws(n_draws);
  const auto lower_bounds = zip(lower_ranks, lower);
  const auto upper_bounds = zip(upper_ranks, upper);
  return interruptible([&](sb::Cancel cancel) {
    return sb::detail::stay_probability(n_draws, lower_bounds, upper_bounds, cancel);
  });
}

}  // namespace

void register_bands(py::module_& module) {
  module.def("cdf", &elementwise<sb::gaussian::cdf>, py::arg("z"));
  module.def("quantile", &elementwise<sb::gaussian::quantile>, py::arg("p"));
  module.def("tier", &sb::tier);
  class_made_by_function<sb::ConfidenceBand, std::shared_ptr<sb::ConfidenceBand>>(module,
                                                                                  "ConfidenceBand")
      .def("quantile", &quantile_of, py::arg("count"));
  module.def("ConfidenceBand", &make_band, py::arg("kind"), py::arg("n_draws"), py::arg("alpha"),
             py::arg("n_bins"), py::arg("level"));
  module.def("ell_level", &ell_level, py::arg("n_draws"), py::arg("alpha"), py::arg("n_bins"),
             py::arg("two_sided"));
  module.def("ell_failure", &ell_failure, py::arg("n_draws"), py::arg("level"), py::arg("n_bins"),
             py::arg("two_sided"));
  module.def("stay_probability", &stay_probability, py::arg("n_draws"), py::arg("lower_ranks"),
             py::arg("lower"), py::arg("upper_ranks"), py::arg("upper"));
}

}  // namespace bindings
