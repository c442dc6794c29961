// The table of the kernels of one tier. CMake compiles it once per tier and defines
// SMOOTHBOUND_TIER as the name of the tier.
#include "kernels/kernels.hpp"

#include "kernels/convolution-inl.hpp"
#include "kernels/counting-inl.hpp"
#include "kernels/curve-inl.hpp"
#include "kernels/inline.hpp"
#include "kernels/noise-inl.hpp"
#include "kernels/normal-inl.hpp"
#include "kernels/quantile-inl.hpp"
#include "kernels/record-inl.hpp"
#include "kernels/rows-inl.hpp"
#include "kernels/spread-inl.hpp"
#include "kernels/sums-inl.hpp"

#define SMOOTHBOUND_TEXT_OF(name) #name
#define SMOOTHBOUND_TEXT(macro) SMOOTHBOUND_TEXT_OF(macro)

namespace smoothbound::detail::SMOOTHBOUND_TIER {

const Kernels table = {
    .tier = SMOOTHBOUND_TEXT(SMOOTHBOUND_TIER),
    .cdf = cdf,
    .exp = exp,
    .log = log,
    .quantile = quantile,
    .tangents = tangents,
    .sum_floats = sum_floats,
    .sum_doubles = sum_doubles,
    .moments = moments,
    .convolve = convolve,
    .curve_weights = curve_weights,
    .curve = curve,
    .widen = widen,
    .cells_float = cells_float,
    .cells_double = cells_double,
    .count_float = count_float,
    .count_double = count_double,
    .philox_words = philox_words,
    .lattice_float = lattice_float,
    .lattice_double = lattice_double,
    .normals = normals,
    .shift_float = shift_float,
    .shift_double = shift_double,
    .levels = levels,
    .scatter = scatter,
    .places_float = places_float,
    .places_double = places_double,
    .growth_slope = growth_slope,
#if defined(SMOOTHBOUND_HAS_NETWORK)
    .row_lanes = network_lanes,
    .sort_rows = sort_rows,
    .sort_in_place = sort_in_place,
    .row_moments = row_moments,
    .row_curves = row_curves,
#endif
};

}  // namespace smoothbound::detail::SMOOTHBOUND_TIER
