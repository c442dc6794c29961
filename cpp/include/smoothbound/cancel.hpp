/// \file cancel.hpp
/// A way to end a long call: the caller's function is asked from time to time.
#pragma once

namespace smoothbound {

/// The thread that made the call asks it between the steps of a calibration and between inputs. It
/// can be asked a million times a second, so it must be fast. It must not throw.
struct Cancel {
  int (*wanted)(void* context) = nullptr;  ///< not 0 ends the work; null: never asked
  void* context = nullptr;

  bool operator()() const noexcept { return wanted != nullptr && wanted(context) != 0; }
};

/// A function that takes a Cancel and is not noexcept throws this after the Cancel returned true.
struct Cancelled {};

}  // namespace smoothbound
