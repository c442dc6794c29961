// Some scores of a row in the form that kernels take.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include "kernels/kernels.hpp"
#include "smoothbound/scores.hpp"

namespace smoothbound::detail {

// Some scores of a row as neighbours of type Real, where they lie if they can be read there. The
// infinities of a half become NaN.
template <class Real>
class Block {
 public:
  // \pre n <= sum_block
  template <class T>
  Block(Row<T> row, std::size_t start, std::size_t n) {
    if (std::is_same_v<T, Real> && row.is_dense()) {
      data_ = reinterpret_cast<const Real*>(row.data) + start;
      return;
    }
    if constexpr (std::is_same_v<T, half>) {
      std::array<half, sum_block> narrow;
      for (std::size_t i = 0; i < n; ++i) narrow[i] = row[start + i];
      kernels().widen(narrow.data(), copy_.data(), n);
    } else {
      for (std::size_t i = 0; i < n; ++i) copy_[i] = row[start + i];
    }
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  const Real* data() const noexcept { return data_; }

 private:
  std::array<Real, sum_block> copy_;
  const Real* data_ = copy_.data();
};

}  // namespace smoothbound::detail
