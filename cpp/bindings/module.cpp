// The extension smoothbound._core. Each subject registers its functions and types.
#include "register.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "C++ core of smoothbound; use it through the functions of the package.";
  bindings::register_bands(module);
  bindings::register_bounds(module);
  bindings::register_anytime(module);
  bindings::register_levels(module);
  bindings::register_sketch(module);
  bindings::register_noise(module);
}
