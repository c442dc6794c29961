/// \file failure.hpp
/// Failures as values, and their descriptions in words.
#pragma once

#include <cstddef>
#include <span>

namespace smoothbound {

enum class Error {
  none,
  bad_option,  ///< an option is out of its range
  bad_output,  ///< an output span has the wrong size
  bad_score,   ///< a score is NaN or outside [a, b]
  out_of_memory,
  cancelled,  ///< Options::cancel ended the call
};

/// What went wrong; false if nothing did. After a failure the outputs hold nothing of use.
struct Failure {
  Error error = Error::none;
  std::size_t input = 0, draw = 0;  ///< the first bad score (bad_score only)
  const char* need = "";            ///< a literal: the argument at fault, and what it must be
  double got = 0.0;                 ///< the value it had instead (not for out_of_memory)

  explicit operator bool() const noexcept { return error != Error::none; }
};

/// Writes a failure in words, such as "sigma must be positive and finite, got 0". The text ends
/// with a zero and is cut to the size of `words`; 200 characters are always enough.
void describe(const Failure& failure, std::span<char> words) noexcept;

}  // namespace smoothbound
