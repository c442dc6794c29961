#include "smoothbound/failure.hpp"

#include <cstdio>

#include "batch.hpp"

namespace smoothbound {

void describe(const Failure& failure, std::span<char> words) noexcept {
  if (words.empty()) return;
  int length = 0;
  switch (failure.error) {
    case Error::none:
    case Error::out_of_memory:
    case Error::cancelled:
      length = std::snprintf(words.data(), words.size(), "%s", failure.need);
      break;
    case Error::bad_option:
    case Error::bad_output:
      length =
          std::snprintf(words.data(), words.size(), "%s, got %.17g", failure.need, failure.got);
      break;
    case Error::bad_score:
      length = std::snprintf(words.data(), words.size(), "scores[%zu, %zu] %s, got %.17g",
                             failure.input, failure.draw, failure.need, failure.got);
      break;
  }
  if (length < 0) words[0] = '\0';
}

namespace detail {

Failure out_of_memory() noexcept { return {Error::out_of_memory, 0, 0, "out of memory", 0.0}; }
Failure cancelled() noexcept { return {Error::cancelled, 0, 0, "cancelled", 0.0}; }

}  // namespace detail
}  // namespace smoothbound
