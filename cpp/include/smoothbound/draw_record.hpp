/// \file draw_record.hpp
/// The record of the draws of one input for the anytime test (anytime.hpp).
///
/// The record keeps a score z as a share u of the range: its distance from the safe end in units of
/// the width, rounded down to a multiple of 1/512 of an interval between fixed knots. The mass 1 of
/// the score is divided between its two neighbouring knots by linear interpolation, so a score on a
/// knot, such as 0 or 1, gives its whole mass to this knot. The factors of the test are
/// exponentials of functions that are concave between the knots, so the divided mass gives a factor
/// that is no larger than that of the score.
///
/// The knots are the multiples of 1/256 and, near both ends, where scores cluster, eight per octave
/// down to 2^-17. They are the same for all inputs and do not depend on the draws.
///
/// The record keeps the masses of the draws between *looks*. Looks are fixed numbers of draws: 0,
/// 1, 2, ..., 64, 66, 68, ..., which grow by 1/32 each. The record therefore does not depend on how
/// the draws are divided into calls.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "smoothbound/failure.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/scores.hpp"

namespace smoothbound {

/// Largest number of draws of a record.
inline constexpr std::uint64_t most_recorded_draws = std::uint64_t{1} << 28;

/// The next look after the look at this number of draws.
constexpr std::uint64_t look_after(std::uint64_t look) noexcept {
  return look + (look < 64 ? 1 : look / 32);
}

/// The index of the first look at or after this number of draws.
std::size_t first_look_from(std::uint64_t n_draws) noexcept;

class DrawRecord {
 public:
  static constexpr std::size_t n_knots = 435;
  /// The mass of one draw.
  static constexpr std::uint32_t one = 512;
  using Masses = std::array<std::uint64_t, n_knots>;

  /// The mass at one knot of the draws between two looks.
  struct Entry {
    std::uint32_t knot, mass;
  };

  /// \param a, b  range of the scores; \pre valid_range(a, b)
  /// \param side  `lower` to show that the confidence is above a threshold, `upper` to show that it
  ///              is below
  DrawRecord(double a, double b, Side side);

  /// Whether b - a is finite and at least least_width.
  static bool valid_range(double a, double b) noexcept;

  /// Adds scores that serve only as the first guess of the distribution, such as those of the draws
  /// that selected the class. A failure leaves the record unchanged: bad_score; bad_option if there
  /// are draws already, or there would be more than most_recorded_draws scores.
  template <class T>
  Failure guess(Row<T> scores) noexcept;

  /// Adds the scores of the next draws, in an order that does not depend on their values. A failure
  /// leaves the record unchanged: bad_score; bad_option if there would be more than
  /// most_recorded_draws draws; out_of_memory.
  template <class T>
  Failure add(Row<T> scores) noexcept;

  /// The record as bytes, which are the same on every machine. Throws std::bad_alloc.
  std::vector<std::uint8_t> save() const;

  /// Restores the record that was saved. A failure leaves this record unchanged: bad_option if the
  /// bytes are not those of a complete and consistent record; out_of_memory.
  Failure load(std::span<const std::uint8_t> bytes) noexcept;

  double a() const noexcept { return a_; }
  double b() const noexcept { return b_; }
  Side side() const noexcept { return side_; }

  std::uint64_t n_draws() const noexcept { return n_draws_; }
  std::uint64_t n_guess() const noexcept { return n_guess_; }

  /// Number of looks that the draws have reached, including the one at 0 draws.
  std::size_t n_looks() const noexcept { return looks_.size(); }
  /// The number of draws at a look. \pre look < n_looks()
  std::uint64_t draws_at(std::size_t look) const noexcept { return looks_[look]; }
  /// The masses of the draws from a look to the next. \pre look + 1 < n_looks()
  std::span<const Entry> between(std::size_t look) const noexcept {
    return std::span(entries_).subspan(ends_[look], ends_[look + 1] - ends_[look]);
  }
  /// The masses of the first guess, of all draws up to the last look, and of those after it.
  const Masses& guessed() const noexcept { return guessed_; }
  const Masses& until_last_look() const noexcept { return closed_; }
  const Masses& since_last_look() const noexcept { return open_; }

  /// The knots, ascending from 0 to 1.
  static std::span<const double, n_knots> knots() noexcept;

 private:
  template <class T>
  bool take(Row<T> scores);
  void take_places(std::span<const std::uint32_t> places);
  void close();
  void drop_after(std::size_t n_looks) noexcept;

  double a_, b_;
  Side side_;
  std::uint64_t n_draws_ = 0, n_guess_ = 0;
  Masses guessed_{}, closed_{}, open_{};
  std::vector<std::uint64_t> looks_ = {0};
  std::vector<std::size_t> ends_ = {0};  // of the entries before each look
  std::vector<Entry> entries_;
};

}  // namespace smoothbound
