// Where the fixed knots of a record of draws lie (draw_record.hpp): one interval from 0 to 2^-17,
// eight an octave up to 2^-5, multiples of 1/256 up to 1 - 2^-5, and the mirror image of the first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace smoothbound::detail {

inline constexpr std::size_t tail_octaves = 12;
inline constexpr std::size_t intervals_per_octave = 8;
inline constexpr std::size_t tail_intervals = 1 + intervals_per_octave * tail_octaves;
inline constexpr std::size_t middle_intervals = 240;
inline constexpr std::size_t n_intervals = 2 * tail_intervals + middle_intervals;

// Places are counted in 512ths of an interval.
inline constexpr std::uint32_t places_per_interval = 512;
inline constexpr std::uint32_t last_place = places_per_interval * n_intervals;

}  // namespace smoothbound::detail
