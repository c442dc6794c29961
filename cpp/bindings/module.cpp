// The extension smoothbound._core: converts arguments, releases the GIL, calls the core.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "smoothbound/smoothbound.hpp"

namespace py = pybind11;
namespace sb = smoothbound;

namespace {

using Vector = py::array_t<double, py::array::c_style>;

std::span<const double> view(const Vector& x) {
  return {x.data(), static_cast<std::size_t>(x.size())};
}
std::span<double> view(Vector& x) { return {x.mutable_data(), static_cast<std::size_t>(x.size())}; }

// Applies a function from span to span to an array of any shape.
template <void (*f)(std::span<const double>, std::span<double>) noexcept>
Vector elementwise(const Vector& x) {
  Vector out(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  const std::span<const double> from = view(x);
  const std::span<double> to = view(out);
  py::gil_scoped_release release;
  f(from, to);
  return out;
}

template <class T>
sb::Failure run(const py::array& scores, const sb::Options& options, sb::Certificates out) {
  const sb::Scores<T> view{
      static_cast<const T*>(scores.data()), static_cast<std::size_t>(scores.shape(0)),
      static_cast<std::size_t>(scores.shape(1)), scores.strides(0), scores.strides(1)};
  py::gil_scoped_release release;
  return sb::certify(view, options, out);
}

sb::Failure run_any(const py::array& scores, const sb::Options& options, sb::Certificates out) {
  if (scores.dtype().is(py::dtype("float16"))) return run<sb::half>(scores, options, out);
  if (py::isinstance<py::array_t<float>>(scores)) return run<float>(scores, options, out);
  if (py::isinstance<py::array_t<double>>(scores)) return run<double>(scores, options, out);
  throw py::type_error("scores must be float16, float32 or float64, got " +
                       py::str(py::object(scores.dtype())).cast<std::string>());
}

template <class Enum>
Enum named(const std::string& word, const std::vector<std::pair<std::string, Enum>>& names) {
  for (const auto& [name, value] : names) {
    if (name == word) return value;
  }
  throw py::value_error("unknown name: " + word);
}

// Returns (bounds, radius, bad): `bad` is the first row with a score that is NaN or outside the
// range, or -1.
py::tuple certify(const py::array& scores, double sigma, double alpha, double a, double b,
                  const std::string& side, const std::string& bound, const std::string& band,
                  const std::string& mean, std::size_t n_pilot, std::size_t n_bins,
                  const Vector& radii, const Vector& thresholds, int threads) {
  if (scores.ndim() != 2) throw py::value_error("scores must have two dimensions");
  sb::Options options;
  options.sigma = sigma;
  options.alpha = alpha;
  options.a = a;
  options.b = b;
  options.side = named<sb::Side>(side, {{"lower", sb::Side::lower}, {"upper", sb::Side::upper}});
  options.bound = named<sb::Bound>(
      bound, {{"mean", sb::Bound::mean}, {"cdf", sb::Bound::cdf}, {"tangent", sb::Bound::tangent}});
  options.band = named<sb::BandKind>(band, {{"dkw", sb::BandKind::dkw}});
  options.mean = named<sb::MeanKind>(mean, {{"hoeffding", sb::MeanKind::hoeffding},
                                            {"bernstein", sb::MeanKind::bernstein},
                                            {"betting", sb::MeanKind::betting}});
  options.n_pilot = n_pilot;
  options.n_bins = n_bins;
  options.radii = view(radii);
  options.thresholds = view(thresholds);
  options.threads = threads;
  Vector bounds({scores.shape(0), radii.size()});
  Vector radius({scores.shape(0), thresholds.size()});
  const sb::Failure failure = run_any(scores, options, {view(bounds), view(radius)});
  if (failure.error == sb::Error::out_of_memory) throw std::bad_alloc();
  if (failure.error == sb::Error::bad_option || failure.error == sb::Error::bad_output) {
    throw py::value_error("an option is out of its range");
  }
  const py::ssize_t bad = failure ? static_cast<py::ssize_t>(failure.input) : -1;
  return py::make_tuple(bounds, radius, bad);
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  module.doc() = "C++ core of smoothbound; use it through the functions of the package.";
  module.def("cdf", &elementwise<sb::gaussian::cdf>, py::arg("z"));
  module.def("quantile", &elementwise<sb::gaussian::quantile>, py::arg("p"));
  module.def("tier", &sb::tier);
  module.def("certify", &certify, py::arg("scores"), py::kw_only(), py::arg("sigma"),
             py::arg("alpha"), py::arg("a"), py::arg("b"), py::arg("side"), py::arg("bound"),
             py::arg("band"), py::arg("mean"), py::arg("n_pilot"), py::arg("n_bins"),
             py::arg("radii"), py::arg("thresholds"), py::arg("threads"));
}
