// Probabilities and quantiles of scores, from rows of scores and from counts.
#include <memory>

#include "convert.hpp"
#include "register.hpp"

namespace bindings {
namespace {

using Counts = py::array_t<std::uint32_t, py::array::c_style>;

sb::LevelOptions options_of(const std::string& statistic, const Vector& levels, double sigma,
                            double alpha, double a, double b, const std::string& side,
                            const Vector& radii, const Vector& thresholds, int threads,
                            const std::shared_ptr<Curve>& curve) {
  sb::LevelOptions options;
  if (curve != nullptr) options.curve = curve->curve;
  options.statistic = named(statistic, sb::detail::statistics);
  options.levels = view(levels);
  options.sigma = sigma;
  options.alpha = alpha;
  options.a = a;
  options.b = b;
  options.side = named(side, sb::detail::sides);
  options.radii = view(radii);
  options.thresholds = view(thresholds);
  options.threads = threads;
  return options;
}

// Returns (bounds, radius, bad): `bad` is the first row with a score that is NaN or outside the
// range, or -1.
py::tuple bound_levels(const py::array& scores, const std::string& statistic, const Vector& levels,
                       double sigma, double alpha, double a, double b, const std::string& side,
                       const Vector& radii, const Vector& thresholds, int threads,
                       const std::shared_ptr<Curve>& curve) {
  require(scores.ndim() == 2, "scores must have two dimensions");
  sb::LevelOptions options =
      options_of(statistic, levels, sigma, alpha, a, b, side, radii, thresholds, threads, curve);
  Vector bounds({scores.shape(0), levels.size(), radii.size()});
  Vector radius({scores.shape(0), levels.size(), thresholds.size()});
  const sb::Certificates out{view(bounds), view(radius)};
  const sb::Failure failure = run_any(scores, 0, [&](const auto& rows, sb::Cancel cancel) {
    options.cancel = cancel;
    return sb::certify_levels(rows, options, out);
  });
  return py::make_tuple(bounds, radius, bad_row(failure));
}

// Returns (bounds, radius).
py::tuple bound_level_counts(const Vector& edges, const Counts& counts, std::size_t n_draws,
                             const std::string& statistic, const Vector& levels, double sigma,
                             double alpha, const std::string& side, const Vector& radii,
                             const Vector& thresholds, int threads,
                             const std::shared_ptr<Curve>& curve) {
  require(counts.ndim() == 2 && edges.size() > 0,
          "counts must have two dimensions, and there must be edges");
  sb::LevelOptions options =
      options_of(statistic, levels, sigma, alpha, view(edges).front(), view(edges).back(), side,
                 radii, thresholds, threads, curve);
  Vector bounds({counts.shape(0), levels.size(), radii.size()});
  Vector radius({counts.shape(0), levels.size(), thresholds.size()});
  const sb::ScoreCounts sketch{view(edges),
                               {counts.data(), static_cast<std::size_t>(counts.size())},
                               static_cast<std::size_t>(counts.shape(0)),
                               n_draws};
  const sb::Certificates out{view(bounds), view(radius)};
  sb::Failure failure;
  {
    WithoutGil released;
    options.cancel = released.cancel();
    failure = sb::certify_levels(sketch, options, out);
  }
  bad_row(failure);
  return py::make_tuple(bounds, radius);
}

double binomial_quantile(std::size_t k, std::size_t n_draws, double alpha) {
  require_draws(n_draws);
  require_alpha(alpha);
  require(k <= n_draws, "k must be at most n_draws");
  return sb::binomial_quantile(k, n_draws, alpha);
}

}  // namespace

void register_levels(py::module_& module) {
  module.def("bound_levels", &bound_levels, py::arg("scores"), py::kw_only(), py::arg("statistic"),
             py::arg("levels"), py::arg("sigma"), py::arg("alpha"), py::arg("a"), py::arg("b"),
             py::arg("side"), py::arg("radii"), py::arg("thresholds"), py::arg("threads"),
             py::arg("curve").none(true) = nullptr);
  module.def("bound_level_counts", &bound_level_counts, py::arg("edges"), py::arg("counts"),
             py::arg("n_draws"), py::kw_only(), py::arg("statistic"), py::arg("levels"),
             py::arg("sigma"), py::arg("alpha"), py::arg("side"), py::arg("radii"),
             py::arg("thresholds"), py::arg("threads"), py::arg("curve").none(true) = nullptr);
  module.def("binomial_quantile", &binomial_quantile, py::arg("k"), py::arg("n_draws"),
             py::arg("alpha"));
}

}  // namespace bindings
