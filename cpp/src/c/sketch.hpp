// The sketch of the C interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "smoothbound/sketch.hpp"
#include "smoothbound/smoothbound.h"

struct smoothbound_sketch {
  std::vector<double> edges;
  smoothbound::ScoreCounter counter;
  std::size_t n_inputs;
  std::vector<std::uint32_t> counts;
  std::size_t n_draws = 0;

  smoothbound_sketch(std::span<const double> e, std::size_t n)
      : edges(e.begin(), e.end()), counter(e), n_inputs(n), counts(n * counter.n_cells()) {}
};
