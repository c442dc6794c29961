// The anytime test: the record of the draws of one input, and the wealth of one question.
#include <cmath>

#include "convert.hpp"
#include "register.hpp"

namespace bindings {
namespace {

using sb::DrawRecord;
using sb::EProcess;

DrawRecord make_record(double a, double b, const std::string& side) {
  require(std::isfinite(b - a) && b - a >= sb::least_width, "b - a must be positive and finite");
  return DrawRecord(a, b, named(side, sb::detail::sides));
}

// Returns the place of the first score that is NaN or outside the range, or -1.
template <class Take>
py::ssize_t take(const py::array& scores, const Take& take_row) {
  require(scores.ndim() == 2 && scores.shape(0) == 1, "scores must be one row");
  const sb::Failure failure =
      run_any(scores, 0, [&](const auto& rows, sb::Cancel) { return take_row(rows.row(0)); });
  return bad_row(failure) < 0 ? -1 : static_cast<py::ssize_t>(failure.draw);
}

py::ssize_t guess(DrawRecord& record, const py::array& scores) {
  return take(scores, [&](const auto& row) { return record.guess(row); });
}

py::ssize_t add(DrawRecord& record, const py::array& scores) {
  return take(scores, [&](const auto& row) { return record.add(row); });
}

EProcess make_process(double target, double r, std::size_t first) {
  require(target > 0.0 && target <= 1.0, "target must lie above 0 and be at most 1");
  require(r >= 0.0 && std::isfinite(r), "r must not be negative");
  return EProcess(target, r, first);
}

std::uint64_t advance(EProcess& process, const DrawRecord& record, double alpha) {
  require_alpha(alpha);
  WithoutGil released;
  return process.advance_until(record, alpha);
}

}  // namespace

void register_anytime(py::module_& module) {
  class_made_by_function<DrawRecord>(module, "DrawRecord")
      .def("guess", &guess, py::arg("scores"))
      .def("add", &add, py::arg("scores"))
      .def_property_readonly("n_draws", &DrawRecord::n_draws)
      .def_property_readonly("n_guess", &DrawRecord::n_guess)
      .def_property_readonly("n_looks", &DrawRecord::n_looks);
  module.def("DrawRecord", &make_record, py::arg("a"), py::arg("b"), py::arg("side"));
  module.attr("anytime_knots") = copy_of(DrawRecord::knots());
  class_made_by_function<EProcess>(module, "EProcess")
      .def("advance", &advance, py::arg("record"), py::arg("alpha"))
      .def_property_readonly("log_wealth", &EProcess::log_wealth)
      .def_property_readonly("highest", &EProcess::highest)
      .def_property_readonly("growth", &EProcess::growth)
      .def_property_readonly("stake", &EProcess::stake)
      .def_property_readonly("null_mean", &EProcess::null_mean)
      .def_property_readonly("z", [](const EProcess& p) { return copy_of(p.tangents().z()); })
      .def_property_readonly("weights",
                             [](const EProcess& p) { return copy_of(p.tangents().weights()); });
  module.def("EProcess", &make_process, py::arg("target"), py::arg("r"), py::arg("first") = 0);
  module.def("estimate_functional", [](const DrawRecord& record, double r) {
    const sb::FunctionalEstimate found = sb::estimate_functional(record, r);
    return py::make_tuple(found.value, found.deviation);
  });
}

}  // namespace bindings
