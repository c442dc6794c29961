// Writes failures to the caller's structure, and reads structures of every version.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "smoothbound/failure.hpp"
#include "smoothbound/smoothbound.h"

namespace smoothbound::c {

constexpr std::int32_t status_of(Error error) noexcept {
  switch (error) {
    case Error::none:
      return SMOOTHBOUND_OK;
    case Error::bad_option:
      return SMOOTHBOUND_BAD_OPTION;
    case Error::bad_output:
      return SMOOTHBOUND_BAD_OUTPUT;
    case Error::bad_score:
      return SMOOTHBOUND_BAD_SCORE;
    case Error::cancelled:
      return SMOOTHBOUND_CANCELLED;
    case Error::out_of_memory:
      break;
  }
  return SMOOTHBOUND_OUT_OF_MEMORY;
}

// Sizes of the structures in version 0.1, the first, up to the last field that they had then.
template <class Struct>
constexpr std::size_t first_size = 0;
template <>
constexpr std::size_t first_size<smoothbound_options> =
    offsetof(smoothbound_options, n_thresholds) + sizeof(std::size_t);
template <>
constexpr std::size_t first_size<smoothbound_scores> =
    offsetof(smoothbound_scores, reserved) + sizeof(std::int32_t);
template <>
constexpr std::size_t first_size<smoothbound_certificates> =
    offsetof(smoothbound_certificates, n_radius) + sizeof(std::size_t);
template <>
constexpr std::size_t first_size<smoothbound_failure> =
    offsetof(smoothbound_failure, message) + 252;

// A field added later must not hide in the padding at the end of an earlier version.
template <class Struct>
constexpr bool ends_without_padding = first_size<Struct> % alignof(Struct) == 0;
static_assert(ends_without_padding<smoothbound_options>);
static_assert(offsetof(smoothbound_options, curve_values) + sizeof(void*) ==
              sizeof(smoothbound_options));
static_assert(ends_without_padding<smoothbound_scores>);
static_assert(offsetof(smoothbound_scores, first_input) + sizeof(std::uint64_t) ==
              sizeof(smoothbound_scores));
static_assert(ends_without_padding<smoothbound_certificates>);
static_assert(ends_without_padding<smoothbound_failure>);

// Writes to the caller's failure, if there is one.
class Report {
 public:
  explicit Report(smoothbound_failure* to) noexcept : to_(to) {}

  // Whether the caller's failure is absent or can be written to.
  bool usable() const noexcept {
    return to_ == nullptr || to_->struct_size >= first_size<smoothbound_failure>;
  }

  std::int32_t operator()(const Failure& failure) const noexcept {
    if (to_ != nullptr && failure) {
      describe(failure, to_->message);
      to_->input = failure.input;
      to_->draw = failure.draw;
      to_->status = status_of(failure.error);
    }
    return status_of(failure.error);
  }

  std::int32_t operator()(std::int32_t status, const char* need, const char* name,
                          double got) const noexcept {
    if (to_ != nullptr) {
      std::snprintf(to_->message, sizeof to_->message, need, name, got);
      to_->input = to_->draw = 0;
      to_->status = status;
    }
    return status;
  }

  std::int32_t null(const char* name) const noexcept {
    return (*this)(SMOOTHBOUND_BAD_ARGUMENT, "%s must not be NULL", name, 0.0);
  }

  // Copies the caller's structure, of any version, over the defaults in `known`.
  template <class Struct>
  std::int32_t take(const Struct* given, const char* name, Struct& known) const noexcept {
    if (given == nullptr) return null(name);
    const std::size_t size = given->struct_size;
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    const auto version = "%s->struct_size must be its sizeof, got %.17g";
    if (size < first_size<Struct> || size > 4096 || size % alignof(Struct) != 0) {
      return (*this)(SMOOTHBOUND_BAD_ARGUMENT, version, name, static_cast<double>(size));
    }
    std::memcpy(&known, bytes, std::min(size, sizeof(Struct)));
    for (std::size_t i = sizeof(Struct); i < size; ++i) {
      if (bytes[i] == 0) continue;
      return (*this)(SMOOTHBOUND_BAD_ARGUMENT,
                     "%s has fields set that this version of the library does not know: its "
                     "struct_size is %.17g",
                     name, static_cast<double>(size));
    }
    return SMOOTHBOUND_OK;
  }

  std::int32_t code(const char* name, std::int32_t got) const noexcept {
    return (*this)(SMOOTHBOUND_BAD_OPTION,
                   "%s must be one of its codes in smoothbound.h, got %.17g", name,
                   static_cast<double>(got));
  }

  std::int32_t refuse(Error error, const char* need, std::size_t got,
                      std::size_t input = 0) const noexcept {
    return (*this)(Failure{error, input, 0, need, static_cast<double>(got)});
  }

  std::int32_t out_of_memory() const noexcept {
    return (*this)(Failure{Error::out_of_memory, 0, 0, "out of memory", 0.0});
  }

 private:
  smoothbound_failure* to_;
};

}  // namespace smoothbound::c
