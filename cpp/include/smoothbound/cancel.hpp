/// \file cancel.hpp
/// Cancellation of long calls by a function of the caller.
#pragma once

namespace smoothbound {

/// The calling thread calls `wanted` between the steps of a calibration and between inputs. This
/// can be a million times per second, so `wanted` must be fast. It must not throw.
struct Cancel {
  int (*wanted)(void* context) =
      nullptr;  ///< a result other than 0 ends the call; null: not called
  void* context = nullptr;

  bool operator()() const noexcept { return wanted != nullptr && wanted(context) != 0; }
};

/// Thrown by functions that take a Cancel and are not noexcept, after the Cancel returned true.
struct Cancelled {};

}  // namespace smoothbound
