/// \file draw_record.hpp
/// The draws of one input, as the anytime test keeps them (anytime.hpp).
///
/// A score z is a share u of the range: its distance from the safe end in units of the width,
/// rounded down to a multiple of 1/512 of an interval between fixed knots. Its mass 1 is shared
/// between the two knots beside it in proportion to their nearness, so that a score on a knot, such
/// as 0 or 1, lies on this knot alone. What the test multiplies is the exponential of a function
/// that is concave between the knots, and so takes no more from the shared mass than from the
/// score.
///
/// Knots are the multiples of 1/256, and near both ends, where scores crowd, eight an octave down
/// to 2^-17. They are the same for all inputs and do not depend on the draws.
///
/// The record keeps the masses of the draws between the *looks*, fixed numbers of draws: 0, 1, 2,
/// ..., 64, 66, 68, ..., each 1/32 larger than the one before. They depend on the number of draws
/// alone, so that the record is the same however the draws are cut into calls.
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

/// Most draws of a record.
inline constexpr std::uint64_t most_recorded_draws = std::uint64_t{1} << 28;

/// The look after that at this number of draws.
constexpr std::uint64_t look_after(std::uint64_t look) noexcept {
  return look + (look < 64 ? 1 : look / 32);
}

/// The index of the first look at this number of draws or more.
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
  /// \param side  the end of the range that a bound understates: `lower` to show that the
  ///              confidence is above a threshold, `upper` that it is below
  DrawRecord(double a, double b, Side side);

  /// Whether b - a is finite and at least least_width.
  static bool valid_range(double a, double b) noexcept;

  /// Takes scores that serve as the first guess of the distribution and for nothing else, such as
  /// those of the draws that selected the class. Failure, after which nothing is taken: bad_score;
  /// bad_option if there are draws, or would be more than most_recorded_draws.
  template <class T>
  Failure guess(Row<T> scores) noexcept;

  /// Takes the scores of the next draws, in an order that does not depend on their values. Failure,
  /// after which nothing is taken: bad_score; bad_option if there would be more than
  /// most_recorded_draws; out_of_memory.
  template <class T>
  Failure add(Row<T> scores) noexcept;

  /// The record in bytes, the same on every machine. Throws std::bad_alloc.
  std::vector<std::uint8_t> save() const;

  /// Becomes the record that was saved. Failure, after which nothing is changed: bad_option if the
  /// bytes are not those of a record, whole and possible; out_of_memory.
  Failure load(std::span<const std::uint8_t> bytes) noexcept;

  double a() const noexcept { return a_; }
  double b() const noexcept { return b_; }
  Side side() const noexcept { return side_; }

  std::uint64_t n_draws() const noexcept { return n_draws_; }
  std::uint64_t n_guess() const noexcept { return n_guess_; }

  /// Number of looks that the draws have reached, that after 0 draws included.
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
