/// \file failure.hpp
/// Failures as return values, and their descriptions.
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

/// The reason why a call failed; converts to false if it succeeded. After a failure the content of
/// the outputs is unspecified.
struct Failure {
  Error error = Error::none;
  std::size_t input = 0, draw = 0;  ///< position of the first bad score (bad_score only)
  const char* need = "";            ///< a string literal: the argument and its allowed values
  double got = 0.0;                 ///< the value received (not for out_of_memory)

  explicit operator bool() const noexcept { return error != Error::none; }
};

/// Writes a description of a failure, such as "sigma must be positive and finite, got 0". The text
/// is truncated to the size of `words` and ends with a null character; 200 characters are always
/// enough.
void describe(const Failure& failure, std::span<char> words) noexcept;

}  // namespace smoothbound
