// Noise that belongs to (seed, index, stream, draw).
#include <cmath>
#include <limits>
#include <utility>

#include "convert.hpp"
#include "register.hpp"

namespace bindings {
namespace {

using Numbers = py::array_t<std::int64_t, py::array::c_style>;

// The four vectors that describe the rows of a batch.
sb::NoiseRows noise_rows(const Numbers& rows, const Numbers& indices, const Numbers& draws,
                         const Numbers& streams) {
  const auto whole = [](const Numbers& x) {
    return std::span<const std::int64_t>(x.data(), static_cast<std::size_t>(x.size()));
  };
  return {whole(rows), whole(indices), whole(draws), whole(streams)};
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
  require(std::cmp_less_equal(high.size(), sb::LatticeNoise::max_thresholds),
          "high and low must hold fewer than 2^24 thresholds");
  require(steps > 0 && std::isfinite(steps), "steps must be positive and finite");
  require(std::is_sorted(high.data(), high.data() + high.size()) &&
              (high.size() == 0 || (high.data()[0] >= 0 && high.data()[high.size() - 1] < 1 << 15)),
          "high must ascend from 0 to below 2^15");
  return {{high.data(), static_cast<std::size_t>(high.size())},
          {low.data(), static_cast<std::size_t>(low.size())},
          steps};
}

// Whether int32 holds the elements of the points in `rows`, with `largest` added or subtracted. The
// other points may hold anything.
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
                 const Numbers& indices, const Numbers& draws, const Numbers& streams,
                 py::array_t<T, py::array::c_style>& out, std::uint64_t seed, int threads) {
  const auto from = points_of(points);
  const auto key = noise_rows(rows, indices, draws, streams);
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
                  const Numbers& indices, const Numbers& draws, const Numbers& streams,
                  py::array_t<T, py::array::c_style>& out, double sigma, std::uint64_t seed,
                  int threads) {
  const auto from = points_of(points);
  const auto key = noise_rows(rows, indices, draws, streams);
  const std::span<T> to{out.mutable_data(), static_cast<std::size_t>(out.size())};
  sb::Failure failure;
  {
    const WithoutGil released;
    failure = sb::add_gaussian(from, key, sigma, seed, to, threads);
  }
  bad_row(failure);
}

// Defines the two functions for one type of floating-point numbers.
template <class T>
void define_noise(py::module_& module, py::class_<sb::LatticeNoise>& lattice) {
  lattice.def("add", &add_lattice<T>, py::arg("points").noconvert(), py::arg("rows").noconvert(),
              py::arg("indices").noconvert(), py::arg("draws").noconvert(),
              py::arg("streams").noconvert(), py::arg("out").noconvert(), py::kw_only(),
              py::arg("seed"), py::arg("threads"));
  module.def("add_gaussian", &add_gaussian<T>, py::arg("points").noconvert(),
             py::arg("rows").noconvert(), py::arg("indices").noconvert(),
             py::arg("draws").noconvert(), py::arg("streams").noconvert(),
             py::arg("out").noconvert(), py::kw_only(), py::arg("sigma"), py::arg("seed"),
             py::arg("threads"));
}

}  // namespace

void register_noise(py::module_& module) {
  auto lattice = class_made_by_function<sb::LatticeNoise>(module, "LatticeNoise");
  module.def("LatticeNoise", &make_lattice, py::arg("high"), py::arg("low"), py::arg("steps"));
  define_noise<float>(module, lattice);
  define_noise<double>(module, lattice);
}

}  // namespace bindings
