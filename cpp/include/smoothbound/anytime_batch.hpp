/// \file anytime_batch.hpp
/// The anytime test (anytime.hpp) of many inputs with the same number of draws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "smoothbound/cancel.hpp"
#include "smoothbound/failure.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/scores.hpp"

namespace smoothbound {

/// A question, with the arguments of EProcess.
struct Question {
  double target, r;
  /// Whether it is tested only for inputs for which the previous question was shown, as with the
  /// radii of a grid.
  bool chained = false;
};

struct AnytimeOptions {
  double alpha = 1e-3;      ///< in [least_alpha, 1)
  double a = 0.0, b = 1.0;  ///< range of the scores, b - a finite and at least least_width
  Side side = Side::lower;
  /// Number of draws of each row, the first in `order`, that are its first guess and are not
  /// tested; at most n_draws.
  std::size_t n_guess = 0;
  /// With `unknown`, all positions of each row are permuted first, with the key (seed,
  /// Scores::first_row + i). The seed must be fixed before the scores are seen.
  Order order = Order::unknown;
  std::uint64_t seed = 0;
  std::span<const Question> questions;  ///< targets in (0, 1], r finite and not negative
  int threads = 1;                      ///< >= 1
  Cancel cancel = {};
};

/// Tests every row. Each answer holds at alpha, and the answers of a chain hold at alpha together.
///
/// \param shown  (n_inputs, n_questions): the number of draws after the guess at which the question
///               was shown; 0 if it was not shown
/// \return bad_option, bad_output, bad_score, out_of_memory, cancelled
template <class T>
Failure test_rows(const Scores<T>& scores, const AnytimeOptions& options,
                  std::span<std::uint64_t> shown) noexcept;

}  // namespace smoothbound
