// Helpers of all bindings: they convert arrays to spans, words to values and failures to
// exceptions, and release the GIL.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "names.hpp"
#include "smoothbound/smoothbound.hpp"

namespace bindings {

namespace py = pybind11;
namespace sb = smoothbound;

using Vector = py::array_t<double, py::array::c_style>;

inline std::span<const double> view(const Vector& x) {
  return {x.data(), static_cast<std::size_t>(x.size())};
}
inline Vector copy_of(std::span<const double> x) {
  return Vector(static_cast<py::ssize_t>(x.size()), x.data());
}
inline std::span<double> view(Vector& x) {
  return {x.mutable_data(), static_cast<std::size_t>(x.size())};
}

// The table of a curve, if it has one, and the curve that points to it.
struct Curve {
  std::vector<double> radii, p, values;
  sb::NoiseCurve curve;
};

// Releases the GIL while it lives. A daemon thread that asks for the GIL while the interpreter ends
// never gets it. CPython ends such a thread by unwinding its stack, which a destructor must not let
// through, so the thread sleeps here until the process ends.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() { take_back(); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

  // Lets Python's signal handlers run ten times a second. After Ctrl-C they set an exception, and
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

// Makes a call that can take long. If a signal handler raised, the call throws Cancelled, which
// becomes the exception of the handler.
template <class Call>
auto interruptible(const Call& call) {
  try {
    WithoutGil released;
    return call(released.cancel());
  } catch (sb::Cancelled) {
    throw py::error_already_set();
  }
}

inline void require(bool holds, const char* what) {
  if (!holds) throw py::value_error(what);
}

inline void require_alpha(double alpha) {
  require(alpha >= sb::least_alpha && alpha < 1.0, "alpha must be at least 1e-302 and below 1");
}

inline void require_draws(std::size_t n_draws) {
  require(n_draws >= 1 && n_draws <= 0xffffffffu, "n_draws must be at least 1 and below 2^32");
}

inline void require_level(double level) {
  require(level > 0.0 && level <= sb::most_level, "level must lie above 0, and at most at 1/2");
}

// Whether the numbers lie in [0, 1] and ascend.
inline bool ascend(std::span<const double> x) {
  return std::is_sorted(x.begin(), x.end()) &&
         (x.empty() || (x.front() >= 0.0 && x.back() <= 1.0)) &&
         std::none_of(x.begin(), x.end(), [](double one) { return one != one; });
}

template <class T>
sb::Scores<T> rows_of(const py::array& scores, std::uint64_t first_row) {
  return {static_cast<const T*>(scores.data()),
          static_cast<std::size_t>(scores.shape(0)),
          static_cast<std::size_t>(scores.shape(1)),
          scores.strides(0),
          scores.strides(1),
          first_row};
}

// Calls call(scores) with the scores in their type.
template <class Call>
sb::Failure with_rows(const py::array& scores, std::uint64_t first_row, const Call& call) {
  if (scores.ndim() != 2) throw py::value_error("scores must have two dimensions");
  const py::dtype type = scores.dtype();
  const auto order = type.byteorder();
  const bool foreign = order != '=' && order != '|';
  if (foreign) throw py::type_error("scores must be in the machine's byte order");
  const bool real = type.kind() == 'f';
  if (real && type.itemsize() == 2) return call(rows_of<sb::half>(scores, first_row));
  if (real && type.itemsize() == 4) return call(rows_of<float>(scores, first_row));
  if (real && type.itemsize() == 8) return call(rows_of<double>(scores, first_row));
  throw py::type_error("scores must be float16, float32 or float64, got " +
                       py::str(py::object(type)).cast<std::string>());
}

// Calls call(scores, cancel) without the GIL, with the scores in their type.
template <class Call>
sb::Failure run_any(const py::array& scores, std::uint64_t first_row, const Call& call) {
  return with_rows(scores, first_row, [&](const auto& rows) {
    WithoutGil released;
    return call(rows, released.cancel());
  });
}

// The value of a word in a table of names.hpp.
template <class Enum, std::size_t n>
Enum named(const std::string& word, const sb::detail::Name<Enum> (&names)[n]) {
  if (const auto value = sb::detail::named(names, word)) return *value;
  throw py::value_error("unknown name: " + word);
}

// Returns the first row with a bad score, or -1. Throws for every other failure.
inline py::ssize_t bad_row(const sb::Failure& failure) {
  if (failure.error == sb::Error::cancelled) throw py::error_already_set();
  if (failure.error == sb::Error::out_of_memory) throw std::bad_alloc();
  if (failure.error == sb::Error::bad_option || failure.error == sb::Error::bad_output) {
    char words[200];
    sb::describe(failure, words);
    throw py::value_error(words);
  }
  return failure ? static_cast<py::ssize_t>(failure.input) : -1;
}

inline PyObject* refuse_new(PyTypeObject*, PyObject*, PyObject*) {
  PyErr_SetString(PyExc_TypeError, "objects of this type are made by functions of the module");
  return nullptr;
}

// Registers a type whose objects are made by the function of the same name. Type.__new__(Type)
// would give an empty object, whose methods would read memory that was never allocated.
template <class Type, class... More>
py::class_<Type, More...> class_made_by_function(py::module_& module, const char* name) {
  py::class_<Type, More...> made(module, name);
  reinterpret_cast<PyTypeObject*>(made.ptr())->tp_new = refuse_new;
  module.attr((std::string("_") + name).c_str()) = made;
  py::delattr(module, name);
  return made;
}

}  // namespace bindings
