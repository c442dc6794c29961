#include "smoothbound/draw_record.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "rounding.hpp"
#include "smoothbound/detail/range.hpp"

namespace smoothbound {
namespace {

using detail::below;
using detail::Range;
using detail::unit;

constexpr std::size_t tail_octaves = 12;                     // from 2^-17 to 2^-5
constexpr std::size_t per_octave = 4;                        // intervals
constexpr std::size_t tail = 1 + per_octave * tail_octaves;  // and one from 0 to 2^-17
constexpr std::size_t middle = 128 - 2 * (128 >> 5);         // from 2^-5 to 1 - 2^-5
static_assert(DrawRecord::n_knots == 2 * tail + middle + 1);

constexpr std::uint32_t last_place = 256 * (2 * tail + middle);

enum class Round { down, up };

// Where u lies among the intervals, in 256ths of an interval, rounded down or up. Nothing but whole
// numbers is added: the sum of a fraction and a whole number could be rounded past the next place.
// \pre 0 <= u < 2^-5
std::uint32_t place_in_tail(double u, Round round) noexcept {
  constexpr int below_place = 52 - 10;  // bits of a mantissa: 4 intervals an octave, 256 places
  if (u < 0x1p-17) {
    const double at = u * 0x1p25;  // exact
    return static_cast<std::uint32_t>(round == Round::up ? std::ceil(at) : at);
  }
  // The exponent of a double counts octaves, and its mantissa is the place in the octave.
  const auto bits = std::bit_cast<std::uint64_t>(u);
  const std::uint64_t most = (std::uint64_t{1} << below_place) - 1;
  const std::uint64_t places = (bits + (round == Round::up ? most : 0)) >> below_place;
  constexpr std::uint64_t first = std::uint64_t{1023 - 17} << 10;  // those of 2^-17
  return static_cast<std::uint32_t>(256 + places - first);
}

// The same for every u in [0, 1], rounded down.
std::uint32_t place(double u) noexcept {
  if (u < 0x1p-5) return place_in_tail(u, Round::down);
  if (u > 1.0 - 0x1p-5) return last_place - place_in_tail(1.0 - u, Round::up);
  return 256 * tail + static_cast<std::uint32_t>((u - 0x1p-5) * 0x1p15);
}

// The distance from the safe end in units of the width, rounded down: it is known to 3 units. The
// ends themselves are exact.
double share(const Range& range, double x) noexcept {
  if (x == (range.side == Side::lower ? range.b : range.a)) return 1.0;
  return std::max(0.0, below(range.distance(x) / range.width() * (1.0 - 4 * unit)));
}

std::array<double, DrawRecord::n_knots> make_knots() noexcept {
  std::array<double, DrawRecord::n_knots> knots{};
  for (std::size_t i = 0; i <= tail_octaves * per_octave; ++i) {
    const auto octave = static_cast<int>(i / per_octave);
    const double within = 1.0 + static_cast<double>(i % per_octave) / per_octave;
    knots[1 + i] = std::ldexp(within, octave - 17);
  }
  for (std::size_t i = 0; i <= middle; ++i) {
    knots[tail + i] = 0x1p-5 + static_cast<double>(i) / 128;
  }
  for (std::size_t i = 0; i <= tail; ++i) knots[knots.size() - 1 - i] = 1.0 - knots[i];
  return knots;
}

}  // namespace

std::span<const double, DrawRecord::n_knots> DrawRecord::knots() noexcept {
  static const std::array<double, n_knots> made = make_knots();
  return made;
}

DrawRecord::DrawRecord(double a, double b, Side side) : a_(a), b_(b), side_(side) {}

template <class T>
Failure DrawRecord::check(Row<T> scores) const noexcept {
  for (std::size_t i = 0; i < scores.size; ++i) {
    const double x = to_double(scores[i]);
    if (!(x >= a_ && x <= b_)) {
      return {Error::bad_score, 0, i, "must be a number in the range [a, b]", x};
    }
  }
  return {};
}

template <class T>
void DrawRecord::count(Row<T> scores, Masses& masses) const noexcept {
  const Range range{a_, b_, side_};
  for (std::size_t i = 0; i < scores.size; ++i) {
    const std::uint32_t at = place(share(range, to_double(scores[i])));
    const std::uint32_t beyond = at % one;
    masses[at / one] += one - beyond;
    if (beyond > 0) masses[at / one + 1] += beyond;
  }
}

template <class T>
Failure DrawRecord::guess(Row<T> scores) {
  if (const Failure failure = check(scores)) return failure;
  count(scores, guessed_);
  n_guess_ += scores.size;
  return {};
}

template <class T>
Failure DrawRecord::add(Row<T> scores) {
  if (const Failure failure = check(scores)) return failure;
  if (scores.size > most_recorded_draws - n_draws_) {
    const double wanted = static_cast<double>(n_draws_) + static_cast<double>(scores.size);
    return {Error::bad_option, 0, 0, "the number of draws must be at most 2^28", wanted};
  }
  while (scores.size > 0) {
    const std::uint64_t look = look_after(looks_.back());
    const std::size_t n = std::min<std::uint64_t>(scores.size, look - n_draws_);
    count(Row<T>{scores.data, n, scores.stride}, open_);
    scores = scores.after(n);
    n_draws_ += n;
    if (n_draws_ == look) close();
  }
  return {};
}

// Makes entries of the masses since the last look, which another look ends.
void DrawRecord::close() {
  for (std::uint32_t k = 0; k < n_knots; ++k) {
    if (open_[k] > 0) entries_.push_back({k, static_cast<std::uint32_t>(open_[k])});
  }
  open_.fill(0);
  ends_.push_back(entries_.size());
  looks_.push_back(n_draws_);
}

template Failure DrawRecord::guess(Row<half> scores);
template Failure DrawRecord::guess(Row<float> scores);
template Failure DrawRecord::guess(Row<double> scores);
template Failure DrawRecord::add(Row<half> scores);
template Failure DrawRecord::add(Row<float> scores);
template Failure DrawRecord::add(Row<double> scores);

}  // namespace smoothbound
