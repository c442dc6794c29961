// Helpers of the batch calls: they check the options and share the inputs among threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <span>
#include <thread>
#include <vector>

#include "smoothbound/cancel.hpp"
#include "smoothbound/failure.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/scores.hpp"
#include "smoothbound/sketch.hpp"

namespace smoothbound::detail {

// The first option that is out of its range.
Failure check(const Options& options, std::size_t n_draws) noexcept;

// What a curve lacks to be one, with these radii and this sigma; null if nothing.
const char* fault_of(const NoiseCurve& curve, std::span<const double> radii, double sigma) noexcept;

// The first part of a sketch that is out of its range, where [a, b] is the range of the scores.
Failure check_counts(const ScoreCounts& sketch, double a, double b) noexcept;

// Whether a size is rows * columns, which may be too large for a size_t.
bool holds(std::size_t size, std::size_t rows, std::size_t columns) noexcept;

Failure out_of_memory() noexcept;
Failure cancelled() noexcept;

constexpr std::size_t most_threads = 1024;  // more are not worth their memory

// The first score of an input that is NaN or outside [a, b].
template <class T>
Failure bad_score(const Scores<T>& scores, std::size_t input, double a, double b) noexcept {
  const Row<T> row = scores.row(input);
  std::size_t draw = 0;
  while (draw + 1 < row.size && to_double(row[draw]) >= a && to_double(row[draw]) <= b) ++draw;
  return {Error::bad_score, input, draw, "must be a number in the range [a, b]",
          to_double(row[draw])};
}

// Calls work(i) once for every i < n, on up to `threads` threads. make() returns the `work` of one
// thread, a callable that may keep memory of its own and returns false if input i holds a bad
// score. The calling thread asks `cancel` before each of its inputs. The failure names the least
// input with a bad score; the caller adds the draw.
template <class Make>
Failure for_each_input(std::size_t n, int threads, const Make& make, Cancel cancel = {}) {
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> first_bad{n};
  std::atomic<bool> failed{false};
  std::atomic<bool> stopped{false};
  const auto run = [&](Cancel asked) noexcept {
    try {
      auto work = make();
      for (std::size_t i = next++; i < n && !stopped; i = next++) {
        if (asked()) {
          stopped = true;
          return;
        }
        if (work(i)) continue;
        std::size_t seen = first_bad.load();
        while (i < seen && !first_bad.compare_exchange_weak(seen, i)) {
        }
      }
    } catch (...) {  // std::bad_alloc: nothing else is thrown
      failed = true;
    }
  };
  std::vector<std::thread> others;
  for (std::size_t t = 1; t < std::min({static_cast<std::size_t>(threads), n, most_threads}); ++t) {
    try {
      others.emplace_back(run, Cancel{});
    } catch (const std::exception&) {  // no thread is left, or no memory for it
      break;                           // with fewer threads the call is slower, not wrong
    }
  }
  run(cancel);
  for (std::thread& thread : others) thread.join();
  if (failed) return out_of_memory();
  if (stopped) return cancelled();
  if (first_bad < n) return {Error::bad_score, first_bad};
  return {};
}

}  // namespace smoothbound::detail
