// The anytime test: the record of the draws of one input, and the wealth of one question.
#include <algorithm>
#include <cmath>
#include <string_view>

#include "convert.hpp"
#include "register.hpp"

namespace bindings {
namespace {

using sb::DrawRecord;
using sb::EProcess;

DrawRecord make_record(double a, double b, const std::string& side) {
  require(DrawRecord::valid_range(a, b), "b - a must be at least 1e-300 and finite");
  return DrawRecord(a, b, named(side, sb::detail::sides));
}

// Keeps the GIL, so that no other thread reads a record meanwhile. Returns the place of the first
// score that is NaN or outside the range, or -1.
template <class Take>
py::ssize_t take(const py::array& scores, const Take& take_row) {
  require(scores.ndim() == 2 && scores.shape(0) == 1, "scores must be one row");
  const sb::Failure failure =
      with_rows(scores, 0, [&](const auto& rows) { return take_row(rows.row(0)); });
  return bad_row(failure) < 0 ? -1 : static_cast<py::ssize_t>(failure.draw);
}

py::ssize_t guess(DrawRecord& record, const py::array& scores) {
  return take(scores, [&](const auto& row) { return record.guess(row); });
}

py::ssize_t add(DrawRecord& record, const py::array& scores) {
  return take(scores, [&](const auto& row) { return record.add(row); });
}

py::bytes to_bytes(const DrawRecord& record) {
  const std::vector<std::uint8_t> state = record.save();
  return {reinterpret_cast<const char*>(state.data()), state.size()};
}

DrawRecord record_from_bytes(const py::bytes& state) {
  const std::string_view view = state;
  DrawRecord record(0.0, 1.0, sb::Side::lower);
  bad_row(record.load({reinterpret_cast<const std::uint8_t*>(view.data()), view.size()}));
  return record;
}

py::array_t<std::uint64_t> array_of(const DrawRecord::Masses& masses) {
  return py::array_t<std::uint64_t>(static_cast<py::ssize_t>(masses.size()), masses.data());
}

py::array_t<std::uint64_t> looks(const DrawRecord& record) {
  py::array_t<std::uint64_t> at(static_cast<py::ssize_t>(record.n_looks()));
  for (std::size_t look = 0; look < record.n_looks(); ++look) {
    at.mutable_at(static_cast<py::ssize_t>(look)) = record.draws_at(look);
  }
  return at;
}

// Row k has the masses of the draws from look k to the next.
py::array_t<std::uint32_t> between_looks(const DrawRecord& record) {
  py::array_t<std::uint32_t> masses({record.n_looks() - 1, DrawRecord::n_knots});
  std::fill_n(masses.mutable_data(), masses.size(), 0u);
  auto rows = masses.mutable_unchecked<2>();
  for (std::size_t look = 0; look + 1 < record.n_looks(); ++look) {
    for (const auto& [knot, mass] : record.between(look)) {
      rows(static_cast<py::ssize_t>(look), knot) = mass;
    }
  }
  return masses;
}

EProcess make_process(double target, double r, std::size_t first) {
  require(target > 0.0 && target <= 1.0, "target must lie above 0 and be at most 1");
  require(r >= 0.0 && std::isfinite(r), "r must not be negative");
  return EProcess(target, r, first);
}

std::uint64_t advance(EProcess& process, const DrawRecord& record, double alpha) {
  require_alpha(alpha);
  return process.advance(record, alpha);
}

py::tuple estimate(const DrawRecord& record, double r) {
  const sb::FunctionalEstimate found = sb::estimate_functional(record, r);
  return py::make_tuple(found.value, found.deviation);
}

std::vector<sb::Question> questions_of(const Vector& targets, const Vector& r,
                                       const py::array_t<bool, py::array::c_style>& chained) {
  require(targets.ndim() == 1 && r.ndim() == 1 && chained.ndim() == 1 &&
              targets.size() == r.size() && r.size() == chained.size(),
          "targets, r and chained must be as many");
  std::vector<sb::Question> questions;
  for (py::ssize_t j = 0; j < r.size(); ++j) {
    questions.push_back({targets.at(j), r.at(j), chained.at(j)});
  }
  return questions;
}

// Returns (numbers of draws at which each question was shown, first row with a bad score or -1).
py::tuple test_rows(const py::array& scores, const Vector& targets, const Vector& r,
                    const py::array_t<bool, py::array::c_style>& chained, double alpha, double a,
                    double b, const std::string& side, std::size_t n_guess,
                    const std::string& order, std::uint64_t seed, std::uint64_t first_row,
                    int threads) {
  const std::vector<sb::Question> questions = questions_of(targets, r, chained);
  sb::AnytimeOptions options;
  options.alpha = alpha;
  options.a = a;
  options.b = b;
  options.side = named(side, sb::detail::sides);
  options.n_guess = n_guess;
  options.order = named(order, sb::detail::orders);
  options.seed = seed;
  options.questions = questions;
  options.threads = threads;
  require(scores.ndim() == 2, "scores must have two dimensions");
  py::array_t<std::uint64_t> shown({scores.shape(0), r.size()});
  const std::span<std::uint64_t> out{shown.mutable_data(), static_cast<std::size_t>(shown.size())};
  const sb::Failure failure = run_any(scores, first_row, [&](const auto& rows, sb::Cancel cancel) {
    options.cancel = cancel;
    return sb::test_rows(rows, options, out);
  });
  return py::make_tuple(shown, bad_row(failure));
}

}  // namespace

void register_anytime(py::module_& module) {
  class_made_by_function<DrawRecord>(module, "DrawRecord")
      .def("guess", &guess, py::arg("scores"))
      .def("add", &add, py::arg("scores"))
      .def("to_bytes", &to_bytes)
      .def_property_readonly("a", &DrawRecord::a)
      .def_property_readonly("b", &DrawRecord::b)
      .def_property_readonly(
          "side",
          [](const DrawRecord& r) { return sb::detail::word_of(sb::detail::sides, r.side()); })
      .def_property_readonly("n_draws", &DrawRecord::n_draws)
      .def_property_readonly("n_guess", &DrawRecord::n_guess)
      .def_property_readonly("n_looks", &DrawRecord::n_looks)
      .def_property_readonly("looks", &looks)
      .def_property_readonly("guessed", [](const DrawRecord& r) { return array_of(r.guessed()); })
      .def_property_readonly("between_looks", &between_looks)
      .def_property_readonly("since_last_look",
                             [](const DrawRecord& r) { return array_of(r.since_last_look()); });
  module.def("DrawRecord", &make_record, py::arg("a"), py::arg("b"), py::arg("side"));
  module.def("record_from_bytes", &record_from_bytes, py::arg("state"));
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
  module.def("estimate_functional", &estimate, py::arg("record"), py::arg("r"));
  module.def("test_rows", &test_rows, py::arg("scores"), py::kw_only(), py::arg("targets"),
             py::arg("r"), py::arg("chained"), py::arg("alpha"), py::arg("a"), py::arg("b"),
             py::arg("side"), py::arg("n_guess"), py::arg("order"), py::arg("seed"),
             py::arg("first_row"), py::arg("threads"));
}

}  // namespace bindings
