/// \file cancel.hpp
/// A way to end what takes long: a function of the caller's that is asked now and then.
#pragma once

namespace smoothbound {

/// Asked between the steps of a calibration and between inputs, by the thread that made the call
/// only. That can be a million times a second: it must be fast, and must not throw.
struct Cancel {
  int (*wanted)(void* context) = nullptr;  ///< not 0 ends the work; null: never asked
  void* context = nullptr;

  bool operator()() const noexcept { return wanted != nullptr && wanted(context) != 0; }
};

/// Thrown by what takes a Cancel and is not noexcept, after it said so.
struct Cancelled {};

}  // namespace smoothbound
