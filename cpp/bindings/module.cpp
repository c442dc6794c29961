// The extension smoothbound._core: converts arguments, releases the GIL, calls the core.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "smoothbound/detail/binning.hpp"
#include "smoothbound/detail/crossing.hpp"
#include "smoothbound/detail/tangent.hpp"
#include "smoothbound/smoothbound.hpp"

namespace py = pybind11;
namespace sb = smoothbound;

namespace {

using Vector = py::array_t<double, py::array::c_style>;

std::span<const double> view(const Vector& x) {
  return {x.data(), static_cast<std::size_t>(x.size())};
}
Vector copy_of(std::span<const double> x) {
  return Vector(static_cast<py::ssize_t>(x.size()), x.data());
}
std::span<double> view(Vector& x) { return {x.mutable_data(), static_cast<std::size_t>(x.size())}; }

// Releases the GIL until its end. A daemon thread that wants it back while the interpreter ends
// gets it never: CPython ends such a thread by unwinding its stack, which no destructor may let
// pass, so the thread stays here until the process is gone.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() { take_back(); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

  // Lets Python's signal handlers run, ten times a second. After Ctrl-C their exception is set, and
  // the call ends.
  sb::Cancel cancel() {
    return {[](void* self) { return static_cast<WithoutGil*>(self)->interrupted() ? 1 : 0; }, this};
  }

 private:
  bool interrupted() noexcept {
    const auto now = std::chrono::steady_clock::now();
    if (now - asked_ < std::chrono::milliseconds(100)) return false;
    asked_ = now;
    take_back();
    const bool raised = PyErr_CheckSignals() != 0;
    state_ = PyEval_SaveThread();
    return raised;
  }

  void take_back() noexcept {
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }

  PyThreadState* state_;
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
};

// What calibrates throws Cancelled after a signal handler raised.
template <class Call>
auto interruptible(const Call& call) {
  try {
    WithoutGil released;
    return call(released.cancel());
  } catch (sb::Cancelled) {
    throw py::error_already_set();
  }
}

void require(bool holds, const char* what) {
  if (!holds) throw py::value_error(what);
}

void require_alpha(double alpha) {
  require(alpha >= sb::least_alpha && alpha < 1.0, "alpha must be at least 1e-302 and below 1");
}

void require_draws(std::size_t draws) {
  require(draws >= 1 && draws <= 0xffffffffu, "draws must be at least 1 and below 2^32");
}

void require_level(double level) {
  require(level > 0.0 && level <= sb::most_level, "level must lie above 0, and at most at 1/2");
}

// Whether numbers in [0, 1] ascend.
bool ascend(std::span<const double> x) {
  return std::is_sorted(x.begin(), x.end()) &&
         (x.empty() || (x.front() >= 0.0 && x.back() <= 1.0)) &&
         std::none_of(x.begin(), x.end(), [](double one) { return one != one; });
}

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

// A certifier, the band that it looks at, and the sizes of what it returns.
struct Prepared {
  sb::Plan plan;
  std::shared_ptr<const sb::ConfidenceBand> band;
  py::ssize_t n_radii, n_thresholds;
};

template <class T, class Call>
sb::Failure run(const py::array& scores, std::uint64_t first_row, const Call& call) {
  const sb::Scores<T> view{static_cast<const T*>(scores.data()),
                           static_cast<std::size_t>(scores.shape(0)),
                           static_cast<std::size_t>(scores.shape(1)),
                           scores.strides(0),
                           scores.strides(1),
                           first_row};
  WithoutGil released;
  return call(view, released.cancel());
}

// call(scores, cancel) for scores of any type, without the GIL.
template <class Call>
sb::Failure run_any(const py::array& scores, std::uint64_t first_row, const Call& call) {
  if (scores.ndim() != 2) throw py::value_error("scores must have two dimensions");
  const py::dtype type = scores.dtype();
  const auto order = type.byteorder();
  const bool foreign = order != '=' && order != '|';
  if (foreign) throw py::type_error("scores must be in the machine's byte order");
  if (type.kind() == 'f' && type.itemsize() == 2) return run<sb::half>(scores, first_row, call);
  if (type.kind() == 'f' && type.itemsize() == 4) return run<float>(scores, first_row, call);
  if (type.kind() == 'f' && type.itemsize() == 8) return run<double>(scores, first_row, call);
  throw py::type_error("scores must be float16, float32 or float64, got " +
                       py::str(py::object(type)).cast<std::string>());
}

template <class Enum>
Enum named(const std::string& word, const std::vector<std::pair<std::string, Enum>>& names) {
  for (const auto& [name, value] : names) {
    if (name == word) return value;
  }
  throw py::value_error("unknown name: " + word);
}

sb::Side side_of(const std::string& name) {
  return named<sb::Side>(name, {{"lower", sb::Side::lower}, {"upper", sb::Side::upper}});
}

sb::MeanKind mean_of(const std::string& name) {
  return named<sb::MeanKind>(name, {{"hoeffding", sb::MeanKind::hoeffding},
                                    {"bernstein", sb::MeanKind::bernstein},
                                    {"betting", sb::MeanKind::betting}});
}

// The first row with a bad score, or -1; throws for every other failure.
py::ssize_t bad_row(const sb::Failure& failure) {
  if (failure.error == sb::Error::cancelled) throw py::error_already_set();
  if (failure.error == sb::Error::out_of_memory) throw std::bad_alloc();
  if (failure.error == sb::Error::bad_option || failure.error == sb::Error::bad_output) {
    char words[200];
    sb::describe(failure, words);
    throw py::value_error(words);
  }
  return failure ? static_cast<py::ssize_t>(failure.input) : -1;
}

Prepared certifier(std::size_t n_draws, double sigma, double alpha, double a, double b,
                   const std::string& side, const std::string& bound,
                   std::shared_ptr<const sb::ConfidenceBand> band, const std::string& mean,
                   std::size_t n_pilot, const std::string& order, std::uint64_t seed,
                   const std::vector<double>& radii, const std::vector<double>& thresholds,
                   int threads) {
  sb::Options options;
  options.sigma = sigma;
  options.alpha = alpha;
  options.a = a;
  options.b = b;
  options.side = side_of(side);
  options.bound = named<sb::Bound>(
      bound, {{"mean", sb::Bound::mean}, {"cdf", sb::Bound::cdf}, {"tangent", sb::Bound::tangent}});
  options.mean = mean_of(mean);
  options.n_pilot = n_pilot;
  options.order =
      named<sb::Order>(order, {{"unknown", sb::Order::unknown}, {"drawn", sb::Order::drawn}});
  options.seed = seed;
  options.prepared = band.get();
  options.radii = radii;
  options.thresholds = thresholds;
  options.threads = threads;
  Prepared prepared{{},
                    std::move(band),
                    static_cast<py::ssize_t>(radii.size()),
                    static_cast<py::ssize_t>(thresholds.size())};
  sb::Failure failure;
  {
    WithoutGil released;
    options.cancel = released.cancel();
    failure = prepared.plan.create(options, n_draws);
  }
  bad_row(failure);
  return prepared;
}

// Returns (bounds, radius, bad): `bad` is the first row with a score that is NaN or outside the
// range, or -1.
py::tuple certify(const Prepared& prepared, const py::array& scores, std::uint64_t first_row) {
  if (scores.ndim() != 2) throw py::value_error("scores must have two dimensions");
  Vector bounds({scores.shape(0), prepared.n_radii});
  Vector radius({scores.shape(0), prepared.n_thresholds});
  const sb::Certificates out{view(bounds), view(radius)};
  const sb::Failure failure = run_any(scores, first_row, [&](const auto& rows, sb::Cancel cancel) {
    return prepared.plan.certify(rows, out, cancel);
  });
  return py::make_tuple(bounds, radius, bad_row(failure));
}

using Counts = py::array_t<std::uint32_t, py::array::c_style>;

sb::ScoreCounter make_counter(const Vector& edges) {
  if (!sb::valid_edges(view(edges))) throw py::value_error("edges must be finite and ascending");
  return sb::ScoreCounter(view(edges));
}

// Adds to `counts`, and returns the first row with a bad score, or -1.
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
py::tuple certify_counts(const Vector& edges, const Counts& counts, double sigma, double alpha,
                         const std::string& side, const sb::ConfidenceBand& band,
                         const Vector& radii, const Vector& thresholds, int threads) {
  if (counts.ndim() != 2 || edges.size() == 0) {
    throw py::value_error("counts must have two dimensions, and there must be edges");
  }
  sb::Options options;
  options.sigma = sigma;
  options.alpha = alpha;
  options.a = view(edges).front();
  options.b = view(edges).back();
  options.side = side_of(side);
  options.prepared = &band;
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

sb::ConfidenceBand make_band(const std::string& kind, std::size_t draws, double alpha,
                             std::size_t n_bins, double level) {
  const auto named_kind =
      named<sb::BandKind>(kind, {{"dkw", sb::BandKind::dkw}, {"ell", sb::BandKind::ell}});
  require_draws(draws);
  require_alpha(alpha);
  if (named_kind == sb::BandKind::ell && level != 0.0) require_level(level);
  return interruptible([&](sb::Cancel cancel) {
    return sb::ConfidenceBand(named_kind, draws, alpha, n_bins, level, cancel);
  });
}

double quantile_of(const sb::ConfidenceBand& band, std::size_t count) {
  require(count <= band.n_draws(), "count must be at most the number of draws");
  return band.quantile(count);
}

// The counts of the knots, ascending.
std::vector<std::size_t> ranks_of(std::size_t draws, std::size_t n_bins) {
  std::vector<std::size_t> ranks = sb::detail::equal_count_positions(draws, n_bins);
  for (std::size_t& rank : ranks) rank = draws - rank;
  std::reverse(ranks.begin(), ranks.end());
  return ranks;
}

double ell_level(std::size_t draws, double alpha, std::size_t n_bins, bool two_sided) {
  require_draws(draws);
  require_alpha(alpha);
  return interruptible([&](sb::Cancel cancel) {
    return sb::ell_level(draws, alpha, ranks_of(draws, n_bins), two_sided, cancel);
  });
}

double ell_failure(std::size_t draws, double level, std::size_t n_bins, bool two_sided) {
  require_draws(draws);
  require_level(level);
  return interruptible([&](sb::Cancel cancel) {
    return sb::ell_failure(draws, level, ranks_of(draws, n_bins), two_sided, cancel);
  });
}

// The bound with what it chose, for tests against exact arithmetic.
sb::detail::TangentBound make_tangent(const std::string& mean, double alpha, const Vector& pilot,
                                      const Vector& draws) {
  require_alpha(alpha);
  require(pilot.size() > 0 && draws.size() > 0, "pilot and draws must not be empty");
  require(ascend(view(pilot)) && ascend(view(draws)), "draws must ascend from 0 to 1 at most");
  sb::detail::TangentBound tangent(mean_of(mean), alpha);
  tangent.fit(view(pilot), view(draws));
  return tangent;
}

double bound_at(sb::detail::TangentBound& tangent, double r) {
  require(r >= 0.0, "r must not be negative");
  return tangent(r);
}

double radius_of(sb::detail::TangentBound& tangent, double target) {
  require(target > 0.0, "target must be positive");
  return tangent.certified_radius(target);
}

// Bounds as two vectors of ranks and values, for tests against other programs.
double stay_probability(std::size_t draws, const std::vector<std::size_t>& lower_ranks,
                        const Vector& lower, const std::vector<std::size_t>& upper_ranks,
                        const Vector& upper) {
  const auto zip = [draws](const std::vector<std::size_t>& ranks, const Vector& values) {
    if (static_cast<py::ssize_t>(ranks.size()) != values.size()) {
      throw py::value_error("as many ranks as values are needed");
    }
    require(ascend(view(values)) && std::is_sorted(ranks.begin(), ranks.end()),
            "ranks and values must ascend, values from 0 to 1 at most");
    require(ranks.empty() || (ranks.front() >= 1 && ranks.back() <= draws),
            "ranks must be at least 1 and at most the number of draws");
    std::vector<sb::detail::OrderBound> bounds;
    for (std::size_t i = 0; i < ranks.size(); ++i) bounds.push_back({ranks[i], values.data()[i]});
    return bounds;
  };
  require_draws(draws);
  const auto lower_bounds = zip(lower_ranks, lower);
  const auto upper_bounds = zip(upper_ranks, upper);
  return interruptible([&](sb::Cancel cancel) {
    return sb::detail::stay_probability(draws, lower_bounds, upper_bounds, cancel);
  });
}

using Numbers = py::array_t<std::int64_t, py::array::c_style>;

// Four vectors of one length, from a batch of `out`.
sb::NoiseRows noise_rows(const Numbers& rows, const Numbers& examples, const Numbers& draws,
                         const Numbers& streams) {
  const auto whole = [](const Numbers& x) {
    return std::span<const std::int64_t>(x.data(), static_cast<std::size_t>(x.size()));
  };
  return {whole(rows), whole(examples), whole(draws), whole(streams)};
}

template <class T>
sb::Points<T> points_of(const py::array_t<T, py::array::c_style>& x) {
  if (x.ndim() != 2) throw py::value_error("points must have two dimensions");
  return {x.data(), static_cast<std::size_t>(x.shape(0)), static_cast<std::size_t>(x.shape(1))};
}

sb::LatticeNoise make_lattice(const py::array_t<std::int32_t, py::array::c_style>& high,
                              const py::array_t<std::uint64_t, py::array::c_style>& low,
                              double steps) {
  if (high.size() != low.size()) throw py::value_error("high and low must have the same size");
  require(high.size() < 1 << 30, "there must be fewer than 2^30 thresholds");
  require(steps > 0 && std::isfinite(steps), "steps must be positive and finite");
  require(std::is_sorted(high.data(), high.data() + high.size()) &&
              (high.size() == 0 || (high.data()[0] >= 0 && high.data()[high.size() - 1] < 1 << 15)),
          "high must ascend from 0 to below 2^15");
  return {{high.data(), static_cast<std::size_t>(high.size())},
          {low.data(), static_cast<std::size_t>(low.size())},
          steps};
}

// Whether int32 holds the elements of the points that rows name, with `largest` added or taken
// away. The other points may hold anything.
bool in_reach(const sb::Points<std::int32_t>& points, const sb::NoiseRows& rows,
              std::size_t largest) {
  std::vector<bool> named(points.count);
  for (const std::int64_t row : rows.points) {
    if (row >= 0 && std::cmp_less(row, points.count)) named[static_cast<std::size_t>(row)] = true;
  }
  const std::int64_t most =
      std::numeric_limits<std::int32_t>::max() - static_cast<std::int64_t>(largest);
  const auto fits = [most](std::int64_t element) { return -most <= element && element <= most; };
  for (std::size_t i = 0; i < points.count; ++i) {
    const std::int32_t* point = points.data + i * points.size;
    if (named[i] && !std::all_of(point, point + points.size, fits)) return false;
  }
  return true;
}

template <class T>
void add_lattice(const sb::LatticeNoise& noise,
                 const py::array_t<std::int32_t, py::array::c_style>& points, const Numbers& rows,
                 const Numbers& examples, const Numbers& draws, const Numbers& streams,
                 py::array_t<T, py::array::c_style>& out, std::uint64_t seed, int threads) {
  const auto from = points_of(points);
  const auto key = noise_rows(rows, examples, draws, streams);
  require(in_reach(from, key, noise.largest()),
          "points must stay below 2^31 with the largest noise added");
  const std::span<T> to{out.mutable_data(), static_cast<std::size_t>(out.size())};
  sb::Failure failure;
  {
    const WithoutGil released;
    failure = noise.add(from, key, seed, to, threads);
  }
  bad_row(failure);
}

template <class T>
void add_gaussian(const py::array_t<T, py::array::c_style>& points, const Numbers& rows,
                  const Numbers& examples, const Numbers& draws, const Numbers& streams,
                  py::array_t<T, py::array::c_style>& out, double sigma, std::uint64_t seed,
                  int threads) {
  const auto from = points_of(points);
  const auto key = noise_rows(rows, examples, draws, streams);
  const std::span<T> to{out.mutable_data(), static_cast<std::size_t>(out.size())};
  sb::Failure failure;
  {
    const WithoutGil released;
    failure = sb::add_gaussian(from, key, sigma, seed, to, threads);
  }
  bad_row(failure);
}

// The two functions in one type of floating-point numbers.
template <class T>
void define_noise(py::module_& module, py::class_<sb::LatticeNoise>& lattice) {
  lattice.def("add", &add_lattice<T>, py::arg("points").noconvert(), py::arg("rows").noconvert(),
              py::arg("examples").noconvert(), py::arg("draws").noconvert(),
              py::arg("streams").noconvert(), py::arg("out").noconvert(), py::kw_only(),
              py::arg("seed"), py::arg("threads"));
  module.def("add_gaussian", &add_gaussian<T>, py::arg("points").noconvert(),
             py::arg("rows").noconvert(), py::arg("examples").noconvert(),
             py::arg("draws").noconvert(), py::arg("streams").noconvert(),
             py::arg("out").noconvert(), py::kw_only(), py::arg("sigma"), py::arg("seed"),
             py::arg("threads"));
}

PyObject* refuse_new(PyTypeObject*, PyObject*, PyObject*) {
  PyErr_SetString(PyExc_TypeError, "objects of this type are made by functions of the module");
  return nullptr;
}

// A type whose objects are made by the function of the same name. Type.__new__(Type) would give an
// object that holds nothing, whose methods would read memory that is not there.
template <class Type, class... More>
py::class_<Type, More...> class_made_by_function(py::module_& module, const char* name) {
  py::class_<Type, More...> made(module, name);
  reinterpret_cast<PyTypeObject*>(made.ptr())->tp_new = refuse_new;
  module.attr((std::string("_") + name).c_str()) = made;
  py::delattr(module, name);
  return made;
}

}  // namespace

PYBIND11_MODULE(_core, module) {
  module.doc() = "C++ core of smoothbound; use it through the functions of the package.";
  module.def("cdf", &elementwise<sb::gaussian::cdf>, py::arg("z"));
  module.def("quantile", &elementwise<sb::gaussian::quantile>, py::arg("p"));
  module.def("tier", &sb::tier);
  class_made_by_function<sb::ConfidenceBand, std::shared_ptr<sb::ConfidenceBand>>(module,
                                                                                  "ConfidenceBand")
      .def("quantile", &quantile_of, py::arg("count"));
  module.def("ConfidenceBand", &make_band, py::arg("kind"), py::arg("draws"), py::arg("alpha"),
             py::arg("n_bins"), py::arg("level"));
  module.def("ell_level", &ell_level, py::arg("draws"), py::arg("alpha"), py::arg("n_bins"),
             py::arg("two_sided"));
  module.def("ell_failure", &ell_failure, py::arg("draws"), py::arg("level"), py::arg("n_bins"),
             py::arg("two_sided"));
  module.def("stay_probability", &stay_probability, py::arg("draws"), py::arg("lower_ranks"),
             py::arg("lower"), py::arg("upper_ranks"), py::arg("upper"));
  class_made_by_function<sb::detail::TangentBound>(module, "TangentBound")
      .def("__call__", &bound_at, py::arg("r"))
      .def("certified_radius", &radius_of, py::arg("target"))
      .def_property_readonly("knots",
                             [](const sb::detail::TangentBound& t) { return copy_of(t.knots()); })
      .def_property_readonly(
          "z", [](const sb::detail::TangentBound& t) { return copy_of(t.touching_points()); })
      .def_property_readonly("stake", &sb::detail::TangentBound::stake);
  module.def("TangentBound", &make_tangent, py::arg("mean"), py::arg("alpha"), py::arg("pilot"),
             py::arg("draws"));
  class_made_by_function<Prepared>(module, "Certifier")
      .def("__call__", &certify, py::arg("scores"), py::arg("first_row") = 0);
  module.def("certifier", &certifier, py::arg("n_draws"), py::kw_only(), py::arg("sigma"),
             py::arg("alpha"), py::arg("a"), py::arg("b"), py::arg("side"), py::arg("bound"),
             py::arg("band").none(true), py::arg("mean"), py::arg("n_pilot"), py::arg("order"),
             py::arg("seed"), py::arg("radii"), py::arg("thresholds"), py::arg("threads"));
  class_made_by_function<sb::ScoreCounter>(module, "ScoreCounter")
      .def("count", &count, py::arg("scores"), py::arg("counts").noconvert(), py::arg("threads"));
  module.def("ScoreCounter", &make_counter, py::arg("edges"));
  module.def("certify_counts", &certify_counts, py::arg("edges"), py::arg("counts"), py::kw_only(),
             py::arg("sigma"), py::arg("alpha"), py::arg("side"), py::arg("band"), py::arg("radii"),
             py::arg("thresholds"), py::arg("threads"));
  auto lattice = class_made_by_function<sb::LatticeNoise>(module, "LatticeNoise");
  module.def("LatticeNoise", &make_lattice, py::arg("high"), py::arg("low"), py::arg("steps"));
  define_noise<float>(module, lattice);
  define_noise<double>(module, lattice);
}
