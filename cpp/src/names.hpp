// The options that are chosen by name, each with its word for Python and its code for C. A new
// method is a new line here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "smoothbound/levels.hpp"
#include "smoothbound/options.hpp"
#include "smoothbound/smoothbound.h"

namespace smoothbound::detail {

template <class Enum>
struct Name {
  std::string_view word;
  std::int32_t code;
  Enum value;
};

inline constexpr Name<Side> sides[] = {
    {"lower", SMOOTHBOUND_SIDE_LOWER, Side::lower},
    {"upper", SMOOTHBOUND_SIDE_UPPER, Side::upper},
};
inline constexpr Name<Bound> bounds[] = {
    {"mean", SMOOTHBOUND_BOUND_MEAN, Bound::mean},
    {"cdf", SMOOTHBOUND_BOUND_CDF, Bound::cdf},
    {"tangent", SMOOTHBOUND_BOUND_TANGENT, Bound::tangent},
    {"joint", SMOOTHBOUND_BOUND_JOINT, Bound::joint},
};
inline constexpr Name<MeanKind> means[] = {
    {"hoeffding", SMOOTHBOUND_MEAN_HOEFFDING, MeanKind::hoeffding},
    {"bernstein", SMOOTHBOUND_MEAN_BERNSTEIN, MeanKind::bernstein},
    {"betting", SMOOTHBOUND_MEAN_BETTING, MeanKind::betting},
};
inline constexpr Name<BandKind> bands[] = {
    {"dkw", SMOOTHBOUND_BAND_DKW, BandKind::dkw},
    {"ell", SMOOTHBOUND_BAND_ELL, BandKind::ell},
};
inline constexpr Name<Order> orders[] = {
    {"unknown", SMOOTHBOUND_ORDER_UNKNOWN, Order::unknown},
    {"drawn", SMOOTHBOUND_ORDER_DRAWN, Order::drawn},
};

inline constexpr Name<Statistic> statistics[] = {
    {"probability", SMOOTHBOUND_STATISTIC_PROBABILITY, Statistic::probability},
    {"quantile", SMOOTHBOUND_STATISTIC_QUANTILE, Statistic::quantile},
};

inline constexpr Name<CurveKind> curves[] = {
    {"gaussian", SMOOTHBOUND_CURVE_GAUSSIAN, CurveKind::gaussian},
    {"l1-uniform", SMOOTHBOUND_CURVE_L1_UNIFORM, CurveKind::l1_uniform},
    {"l1-laplace", SMOOTHBOUND_CURVE_L1_LAPLACE, CurveKind::l1_laplace},
    {"ablation", SMOOTHBOUND_CURVE_ABLATION, CurveKind::ablation},
    {"table", SMOOTHBOUND_CURVE_TABLE, CurveKind::table},
};

template <class Enum, std::size_t n>
constexpr std::optional<Enum> named(const Name<Enum> (&names)[n], std::string_view word) noexcept {
  for (const Name<Enum>& name : names) {
    if (name.word == word) return name.value;
  }
  return std::nullopt;
}

template <class Enum, std::size_t n>
constexpr std::optional<Enum> coded(const Name<Enum> (&names)[n], std::int32_t code) noexcept {
  for (const Name<Enum>& name : names) {
    if (name.code == code) return name.value;
  }
  return std::nullopt;
}

// \pre the value has a name
template <class Enum, std::size_t n>
constexpr std::string_view word_of(const Name<Enum> (&names)[n], Enum value) noexcept {
  std::string_view word;
  for (const Name<Enum>& name : names) {
    if (name.value == value) word = name.word;
  }
  return word;
}

// \pre the value has a name
template <class Enum, std::size_t n>
constexpr std::int32_t code_of(const Name<Enum> (&names)[n], Enum value) noexcept {
  std::int32_t code = 0;
  for (const Name<Enum>& name : names) {
    if (name.value == value) code = name.code;
  }
  return code;
}

}  // namespace smoothbound::detail
