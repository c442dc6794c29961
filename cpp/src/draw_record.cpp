#include "smoothbound/draw_record.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "batch.hpp"
#include "kernels/kernels.hpp"
#include "knot_layout.hpp"
#include "score_block.hpp"
#include "smoothbound/detail/range.hpp"

namespace smoothbound {

using namespace detail;

namespace {

static_assert(DrawRecord::n_knots == n_intervals + 1 && DrawRecord::one == places_per_interval);
// The draws between two looks are less than a 32nd of all, so that an entry can hold their mass.
static_assert(most_recorded_draws / 32 * DrawRecord::one <= std::uint64_t{1} << 32);

std::array<double, DrawRecord::n_knots> make_knots() noexcept {
  std::array<double, DrawRecord::n_knots> knots{};
  for (std::size_t i = 0; i + 1 < tail_intervals; ++i) {
    const auto octave = static_cast<int>(i / intervals_per_octave);
    const auto within = static_cast<double>(i % intervals_per_octave) / intervals_per_octave;
    knots[1 + i] = std::ldexp(1.0 + within, octave - 17);
  }
  for (std::size_t i = 0; i <= middle_intervals; ++i) {
    knots[tail_intervals + i] = 0x1p-5 + static_cast<double>(i) / 256;
  }
  for (std::size_t i = 0; i <= tail_intervals; ++i) knots[n_intervals - i] = 1.0 - knots[i];
  return knots;
}

// The places of n <= sum_block scores; false if one is bad.
template <class T>
bool find_places(Row<T> row, std::size_t start, std::size_t n, const Range& range,
                 std::uint32_t* places) noexcept {
  if constexpr (std::is_same_v<T, double>) {
    const Block<double> scores(row, start, n);
    return kernels().places_double(scores.data(), n, range, places);
  } else {
    const Block<float> scores(row, start, n);
    return kernels().places_float(scores.data(), n, range, places);
  }
}

// Calls use(places) for the places of some scores after the other, until one is bad.
template <class T, class Use>
bool for_each_place(Row<T> scores, const Range& range, const Use& use) {
  std::array<std::uint32_t, sum_block> places;
  for (std::size_t start = 0; start < scores.size; start += sum_block) {
    const std::size_t n = std::min(sum_block, scores.size - start);
    if (!find_places(scores, start, n, range, places.data())) return false;
    use(std::span<const std::uint32_t>(places).first(n));
  }
  return true;
}

void share_out(std::span<const std::uint32_t> places, DrawRecord::Masses& masses) noexcept {
  for (const std::uint32_t place : places) {
    const std::uint32_t knot = place / DrawRecord::one;
    const std::uint32_t beyond = place % DrawRecord::one;
    masses[knot] += DrawRecord::one - beyond;
    if (beyond > 0) masses[knot + 1] += beyond;
  }
}

template <class T>
Failure first_bad(Row<T> scores, double a, double b) noexcept {
  return bad_score(Scores<T>{scores.data, 1, scores.size, 0, scores.stride}, 0, a, b);
}

Failure check_number(std::uint64_t before, std::size_t more) noexcept {
  if (more <= most_recorded_draws - before) return {};
  return {Error::bad_option, 0, 0, "the number of draws must be at most 2^28",
          static_cast<double>(before) + static_cast<double>(more)};
}

}  // namespace

std::size_t first_look_from(std::uint64_t n_draws) noexcept {
  std::size_t index = 0;
  for (std::uint64_t look = 0; look < n_draws; look = look_after(look)) ++index;
  return index;
}

std::span<const double, DrawRecord::n_knots> DrawRecord::knots() noexcept {
  static const std::array<double, n_knots> made = make_knots();
  return made;
}

DrawRecord::DrawRecord(double a, double b, Side side) : a_(a), b_(b), side_(side) {}

bool DrawRecord::valid_range(double a, double b) noexcept {
  return std::isfinite(b - a) && b - a >= least_width;
}

template <class T>
Failure DrawRecord::guess(Row<T> scores) noexcept {
  if (n_draws_ > 0) {
    return {Error::bad_option, 0, 0, "the first guess must come before the first draw",
            static_cast<double>(n_draws_)};
  }
  if (const Failure failure = check_number(n_guess_, scores.size)) return failure;
  Masses masses = guessed_;
  const auto use = [&](std::span<const std::uint32_t> places) { share_out(places, masses); };
  if (!for_each_place(scores, {a_, b_, side_}, use)) return first_bad(scores, a_, b_);
  guessed_ = masses;
  n_guess_ += scores.size;
  return {};
}

template <class T>
Failure DrawRecord::add(Row<T> scores) noexcept {
  if (const Failure failure = check_number(n_draws_, scores.size)) return failure;
  const Masses open = open_;
  const std::uint64_t n_draws = n_draws_;
  const std::size_t looks = n_looks();
  const auto undone = [&](const Failure& failure) {
    drop_after(looks);
    open_ = open;
    n_draws_ = n_draws;
    return failure;
  };
  const auto use = [&](std::span<const std::uint32_t> places) { take_places(places); };
  try {
    if (for_each_place(scores, {a_, b_, side_}, use)) return {};
    return undone(first_bad(scores, a_, b_));
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return undone(out_of_memory());
  }
}

void DrawRecord::take_places(std::span<const std::uint32_t> places) {
  while (!places.empty()) {
    const std::uint64_t look = look_after(looks_.back());
    const auto n =
        static_cast<std::size_t>(std::min<std::uint64_t>(places.size(), look - n_draws_));
    share_out(places.first(n), open_);
    places = places.subspan(n);
    n_draws_ += n;
    if (n_draws_ == look) close();
  }
}

// Makes entries of the masses since the last look, which another look ends.
void DrawRecord::close() {
  for (std::uint32_t k = 0; k < n_knots; ++k) {
    if (open_[k] == 0) continue;
    entries_.push_back({k, static_cast<std::uint32_t>(open_[k])});
    closed_[k] += open_[k];
  }
  ends_.push_back(entries_.size());
  looks_.push_back(n_draws_);
  open_.fill(0);
}

// Forgets all looks but the first ones, and what lies after them.
void DrawRecord::drop_after(std::size_t n_looks) noexcept {
  ends_.resize(n_looks);
  looks_.resize(n_looks);
  for (std::size_t i = ends_.back(); i < entries_.size(); ++i) {
    closed_[entries_[i].knot] -= entries_[i].mass;
  }
  entries_.resize(ends_.back());
}

template Failure DrawRecord::guess(Row<half> scores) noexcept;
template Failure DrawRecord::guess(Row<float> scores) noexcept;
template Failure DrawRecord::guess(Row<double> scores) noexcept;
template Failure DrawRecord::add(Row<half> scores) noexcept;
template Failure DrawRecord::add(Row<float> scores) noexcept;
template Failure DrawRecord::add(Row<double> scores) noexcept;

}  // namespace smoothbound
