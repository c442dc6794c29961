// Theorems 1 and 2, the tangent and the joint bound, for rows of scores.
#include <pybind11/stl.h>

#include <memory>
#include <vector>

#include "batch.hpp"
#include "convert.hpp"
#include "register.hpp"
#include "smoothbound/detail/aimed.hpp"
#include "smoothbound/detail/joint.hpp"
#include "smoothbound/detail/tangent.hpp"

namespace bindings {
namespace {

// A plan, the band that it points to, and the sizes of its results.
struct BoundPlan {
  sb::Plan plan;
  std::shared_ptr<const sb::ConfidenceBand> band;
  py::ssize_t n_radii, n_thresholds;
};

std::shared_ptr<Curve> make_curve(const std::string& kind, std::size_t pixels, std::size_t kept,
                                  std::vector<double> radii, std::vector<double> p,
                                  const Vector& values) {
  const std::span<const double> all = view(values);
  const auto made =
      std::make_shared<Curve>(Curve{std::move(radii), std::move(p), {all.begin(), all.end()}, {}});
  made->curve = {named(kind, sb::detail::curves), pixels, kept, made->radii, made->p, made->values};
  const char* fault = sb::detail::fault_of(made->curve, {}, 1.0);
  require(fault == nullptr, fault);
  return made;
}

double lower_of(const Curve& made, double p, double q, double r) {
  const char* fault = sb::detail::fault_of(made.curve, std::span(&r, 1), 1.0);
  require(r >= 0.0 && fault == nullptr, fault == nullptr ? "r must be at least 0" : fault);
  return made.curve(p, q, r);
}

BoundPlan make_plan(std::size_t n_draws, double sigma, double alpha, double a, double b,
                    const std::string& side, const std::string& bound,
                    std::shared_ptr<const sb::ConfidenceBand> band, const std::string& mean,
                    std::size_t n_pilot, const std::string& order, std::uint64_t seed,
                    const std::vector<double>& radii, const std::vector<double>& thresholds,
                    int threads, const std::shared_ptr<Curve>& curve) {
  sb::Options options;
  options.sigma = sigma;
  options.alpha = alpha;
  options.a = a;
  options.b = b;
  options.side = named(side, sb::detail::sides);
  options.bound = named(bound, sb::detail::bounds);
  options.mean = named(mean, sb::detail::means);
  options.n_pilot = n_pilot;
  options.order = named(order, sb::detail::orders);
  options.seed = seed;
  options.shared_band = band.get();
  if (curve != nullptr) options.curve = curve->curve;
  options.radii = radii;
  options.thresholds = thresholds;
  options.threads = threads;
  BoundPlan made{{},
                 std::move(band),
                 static_cast<py::ssize_t>(radii.size()),
                 static_cast<py::ssize_t>(thresholds.size())};
  sb::Failure failure;
  {
    WithoutGil released;
    options.cancel = released.cancel();
    failure = made.plan.create(options, n_draws);
  }
  bad_row(failure);
  return made;
}

// Returns (bounds, radius, bad): `bad` is the first row with a score that is NaN or outside the
// range, or -1.
py::tuple certify(const BoundPlan& made, const py::array& scores, std::uint64_t first_row) {
  if (scores.ndim() != 2) throw py::value_error("scores must have two dimensions");
  Vector bounds({scores.shape(0), made.n_radii});
  Vector radius({scores.shape(0), made.n_thresholds});
  const sb::Certificates out{view(bounds), view(radius)};
  const sb::Failure failure = run_any(scores, first_row, [&](const auto& rows, sb::Cancel cancel) {
    return made.plan.certify(rows, out, cancel);
  });
  return py::make_tuple(bounds, radius, bad_row(failure));
}

void require_parts(const Vector& pilot, const Vector& draws) {
  require(pilot.size() > 0 && draws.size() > 0, "pilot and draws must not be empty");
  require(ascend(view(pilot)) && ascend(view(draws)), "draws must ascend from 0 to 1 at most");
}

// For tests against exact arithmetic: the bound with its knots, touching points and stake.
sb::detail::TangentBound make_tangent(const std::string& mean, double alpha, const Vector& pilot,
                                      const Vector& draws) {
  require_alpha(alpha);
  require_parts(pilot, draws);
  sb::detail::TangentBound tangent(named(mean, sb::detail::means), alpha);
  tangent.fit(view(pilot), view(draws));
  return tangent;
}

sb::detail::JointBound make_joint(double alpha, const Vector& pilot, const Vector& draws) {
  require_alpha(alpha);
  require_parts(pilot, draws);
  sb::detail::JointBound joint(alpha);
  joint.fit(view(pilot), view(draws));
  return joint;
}

template <class PilotBound>
double bound_at(PilotBound& bound, double r) {
  require(r >= 0.0, "r must not be negative");
  return bound(r);
}

template <class PilotBound>
double radius_of(PilotBound& bound, double target) {
  require(target > 0.0, "target must be positive");
  return bound.certified_radius(target);
}

// The choices of a joint bound: (knots, slopes of each of the tangents, stakes, mixture, touching
// points of the tangents to psi_r).
py::tuple choices_of(const sb::detail::JointBound& joint) {
  py::list weights;
  for (std::size_t k = 0; k < sb::detail::JointBound::n_tangents; ++k) {
    weights.append(copy_of(joint.weights(k)));
  }
  return py::make_tuple(copy_of(joint.knots()), weights, copy_of(joint.stakes()),
                        copy_of(joint.mixture()), copy_of(joint.touching_points()));
}

// For tests against exact arithmetic: the bound with the pieces and the factors of its stakes.
double bound_of_draws(sb::detail::AimedBets& bets, const Vector& draws) {
  require(draws.size() > 0, "draws must not be empty");
  for (const double x : view(draws)) require(x >= 0.0 && x <= 1.0, "draws must lie in [0, 1]");
  return bets(view(draws));
}

Vector lines_of(const sb::detail::AimedBets& bets) {
  std::vector<double> numbers;
  for (const auto& line : bets.lines()) numbers.insert(numbers.end(), {line.height, line.slope});
  return copy_of(numbers);
}

}  // namespace

void register_bounds(py::module_& module) {
  class_made_by_function<sb::detail::TangentBound>(module, "TangentBound")
      .def("__call__", &bound_at<sb::detail::TangentBound>, py::arg("r"))
      .def("certified_radius", &radius_of<sb::detail::TangentBound>, py::arg("target"))
      .def_property_readonly("knots",
                             [](const sb::detail::TangentBound& t) { return copy_of(t.knots()); })
      .def_property_readonly(
          "z", [](const sb::detail::TangentBound& t) { return copy_of(t.touching_points()); })
      .def_property_readonly("stake", &sb::detail::TangentBound::stake);
  module.def("TangentBound", &make_tangent, py::arg("mean"), py::arg("alpha"), py::arg("pilot"),
             py::arg("draws"));
  class_made_by_function<sb::detail::JointBound>(module, "JointBound")
      .def("__call__", &bound_at<sb::detail::JointBound>, py::arg("r"))
      .def("certified_radius", &radius_of<sb::detail::JointBound>, py::arg("target"))
      .def_property_readonly("choices", &choices_of);
  module.def("JointBound", &make_joint, py::arg("alpha"), py::arg("pilot"), py::arg("draws"));
  class_made_by_function<sb::detail::AimedBets>(module, "AimedBets")
      .def("__call__", &bound_of_draws, py::arg("draws"))
      .def_property_readonly("lines", &lines_of)
      .def_property_readonly(
          "scales", [](const sb::detail::AimedBets& bets) { return copy_of(bets.scales()); });
  module.def(
      "AimedBets",
      [](double alpha) {
        require_alpha(alpha);
        return sb::detail::AimedBets(alpha);
      },
      py::arg("alpha"));
  class_made_by_function<Curve, std::shared_ptr<Curve>>(module, "Curve")
      .def("lower", &lower_of, py::arg("p"), py::arg("q"), py::arg("r"));
  module.def("Curve", &make_curve, py::arg("kind"), py::arg("pixels") = 0, py::arg("kept") = 0,
             py::arg("radii") = std::vector<double>{}, py::arg("p") = std::vector<double>{},
             py::arg("values") = Vector(0));
  class_made_by_function<BoundPlan>(module, "Plan")
      .def("certify", &certify, py::arg("scores"), py::arg("first_row") = 0);
  module.def("Plan", &make_plan, py::arg("n_draws"), py::kw_only(), py::arg("sigma"),
             py::arg("alpha"), py::arg("a"), py::arg("b"), py::arg("side"), py::arg("bound"),
             py::arg("band").none(true), py::arg("mean"), py::arg("n_pilot"), py::arg("order"),
             py::arg("seed"), py::arg("radii"), py::arg("thresholds"), py::arg("threads"),
             py::arg("curve").none(true) = nullptr);
}

}  // namespace bindings
