// What the batch calls share: the check of the options, and inputs shared among threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "smoothbound/certify.hpp"

namespace smoothbound {

// Whether every option is in its range.
bool valid(const Options& options) noexcept;

// Calls work(i) once for every i < n, on up to `threads` threads; make() returns the `work` of one
// thread, a callable that may keep memory of its own and returns false if input i holds a bad
// score. Reports the least such i, whatever the thread.
template <class Make>
Failure for_each_input(std::size_t n, int threads, const Make& make) {
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> first_bad{n};
  std::atomic<bool> out_of_memory{false};
  const auto run = [&]() noexcept {
    try {
      auto work = make();
      for (std::size_t i = next++; i < n; i = next++) {
        if (work(i)) continue;
        std::size_t seen = first_bad.load();
        while (i < seen && !first_bad.compare_exchange_weak(seen, i)) {
        }
      }
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  };
  std::vector<std::thread> others;
  for (std::size_t t = 1; t < std::min(static_cast<std::size_t>(threads), n); ++t) {
    try {
      others.emplace_back(run);
    } catch (const std::system_error&) {
      break;  // fewer threads than asked for: slower, not wrong
    }
  }
  run();
  for (std::thread& thread : others) thread.join();
  if (out_of_memory) return {Error::out_of_memory};
  if (first_bad < n) return {Error::bad_score, first_bad};
  return {};
}

}  // namespace smoothbound
