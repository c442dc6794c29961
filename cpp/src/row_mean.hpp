// Theorem 1 by Hoeffding's inequality: the mean distance of a row's scores from the safe end.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

#include "kernels/kernels.hpp"
#include "score_block.hpp"
#include "smoothbound/detail/mean.hpp"
#include "smoothbound/detail/range.hpp"
#include "smoothbound/scores.hpp"

namespace smoothbound::detail {

// The sum of the distances of n <= sum_block scores, or NaN if one is bad.
template <class T>
double sum_of_block(Row<T> row, std::size_t start, std::size_t n, const Range& range) {
  const bool lower = range.side == Side::lower;
  if constexpr (std::is_same_v<T, double>) {
    const Block<double> scores(row, start, n);
    return kernels().sum_doubles(scores.data(), n, range.a, range.b, lower);
  } else {
    const Block<float> scores(row, start, n);
    return kernels().sum_floats(scores.data(), n, range.a, range.b, lower);
  }
}

// The sum of the distances of all scores, or NaN if one is bad.
template <class T>
double sum_of_distances(Row<T> row, const Range& range) {
  double total = 0.0;
  double lost = 0.0;
  for (std::size_t start = 0; start < row.size; start += sum_block) {
    const std::size_t n = std::min(sum_block, row.size - start);
    add_to(total, lost, sum_of_block(row, start, n, range));
  }
  return total + lost;
}

// In a range wider than this, the sum of 2^32 distances could overflow. Each distance is then
// multiplied by `shrink`, which loses less than one part in 2^1900 of the range.
constexpr double widest = 0x1p980;
constexpr double shrink = 0x1p-64;

template <class T>
double sum_of_shrunk_distances(Row<T> row, const Range& range) {
  double total = 0.0;
  double lost = 0.0;
  for (std::size_t i = 0; i < row.size; ++i) {
    const double x = to_double(row[i]);
    if (!(x >= range.a && x <= range.b)) return std::numeric_limits<double>::quiet_NaN();
    add_to(total, lost, range.distance(x) * shrink);
  }
  return total + lost;
}

// Phi^-1 of a lower bound on the mean distance in units of the range, or NaN if a score is bad.
// \param deviation  deviation(row.size, alpha)
template <class T>
double hoeffding_quantile_of(Row<T> row, const Range& range, double deviation) {
  const bool wide = range.width() > widest;
  const double sum = wide ? sum_of_shrunk_distances(row, range) : sum_of_distances(row, range);
  if (std::isnan(sum)) return sum;
  return hoeffding_quantile(sum, row.size, range.width() * (wide ? shrink : 1.0), deviation);
}

}  // namespace smoothbound::detail
