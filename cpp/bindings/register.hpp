// One function for each subject: adds its functions and types to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace bindings {

void register_bands(pybind11::module_& module);
void register_anytime(pybind11::module_& module);
void register_bounds(pybind11::module_& module);
void register_levels(pybind11::module_& module);
void register_sketch(pybind11::module_& module);
void register_noise(pybind11::module_& module);

}  // namespace bindings
