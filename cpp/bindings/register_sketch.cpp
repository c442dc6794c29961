// Counts of scores over edges, and their bounds.
#include <memory>

#include "convert.hpp"
#include "register.hpp"

namespace bindings {
namespace {

using Counts = py::array_t<std::uint32_t, py::array::c_style>;

sb::ScoreCounter make_counter(const Vector& edges) {
  if (!sb::valid_edges(view(edges))) throw py::value_error("edges must be finite and ascending");
  return sb::ScoreCounter(view(edges));
}

// Adds the scores to `counts`. Returns the first row with a bad score, or -1.
py::ssize_t count(const sb::ScoreCounter& counter, const py::array& scores, Counts& counts,
                  int threads) {
  if (scores.ndim() != 2 || counts.ndim() != 2 || counts.shape(0) != scores.shape(0)) {
    throw py::value_error("counts must have a row for each row of the scores");
  }
  const std::span<std::uint32_t> out{counts.mutable_data(),
                                     static_cast<std::size_t>(counts.size())};
  return bad_row(run_any(
      scores, 0, [&](const auto& rows, sb::Cancel) { return counter.count(rows, out, threads); }));
}

// Returns (bounds, radius).
py::tuple bound_counts(const Vector& edges, const Counts& counts, double sigma, double alpha,
                       const std::string& side, const sb::ConfidenceBand& band, const Vector& radii,
                       const Vector& thresholds, int threads, const std::shared_ptr<Curve>& curve) {
  if (counts.ndim() != 2 || edges.size() == 0) {
    throw py::value_error("counts must have two dimensions, and there must be edges");
  }
  sb::Options options;
  options.sigma = sigma;
  options.alpha = alpha;
  options.a = view(edges).front();
  options.b = view(edges).back();
  options.side = named(side, sb::detail::sides);
  options.shared_band = &band;
  if (curve != nullptr) options.curve = curve->curve;
  options.radii = view(radii);
  options.thresholds = view(thresholds);
  options.threads = threads;
  Vector bounds({counts.shape(0), radii.size()});
  Vector radius({counts.shape(0), thresholds.size()});
  const sb::ScoreCounts sketch{view(edges),
                               {counts.data(), static_cast<std::size_t>(counts.size())},
                               static_cast<std::size_t>(counts.shape(0)),
                               band.n_draws()};
  const sb::Certificates out{view(bounds), view(radius)};
  sb::Failure failure;
  {
    WithoutGil released;
    options.cancel = released.cancel();
    failure = sb::certify(sketch, options, out);
  }
  bad_row(failure);
  return py::make_tuple(bounds, radius);
}

}  // namespace

void register_sketch(py::module_& module) {
  class_made_by_function<sb::ScoreCounter>(module, "ScoreCounter")
      .def("count", &count, py::arg("scores"), py::arg("counts").noconvert(), py::arg("threads"));
  module.def("ScoreCounter", &make_counter, py::arg("edges"));
  module.def("bound_counts", &bound_counts, py::arg("edges"), py::arg("counts"), py::kw_only(),
             py::arg("sigma"), py::arg("alpha"), py::arg("side"), py::arg("band"), py::arg("radii"),
             py::arg("thresholds"), py::arg("threads"), py::arg("curve").none(true) = nullptr);
}

}  // namespace bindings
