#include "short_rows.hpp"

#include <algorithm>
#include <memory>
#include <type_traits>

#include "kernels/kernels.hpp"

namespace smoothbound::detail {

std::size_t ShortRows::together(std::size_t n_draws) noexcept {
  constexpr std::size_t longest = 2048;  // beyond it, a radix sort wins
  return n_draws <= longest ? std::max<std::size_t>(kernels().row_lanes, 1) : 1;
}

bool ShortRows::worthwhile(std::size_t n_rows) noexcept {
  return n_rows > kernels().row_lanes / 4 &&
         n_rows > 1;  // an empty lane costs as much as a full one
}

template <class T>
bool ShortRows::sort(std::span<const Row<T>> rows, const Range& range) {
  count_ = rows.size();
  n_draws_ = rows[0].size;
  const float* data[most_row_lanes];
  for (std::size_t k = 0; k < count_; ++k) {
    const Row<T>& row = rows[k];
    if constexpr (std::is_same_v<T, float>) {
      data[k] = row.data;
      if (row.stride == sizeof(float)) continue;
    }
    packed_.resize(most_row_lanes * n_draws_);
    float* packed = packed_.data() + k * n_draws_;
    for (std::size_t i = 0; i < n_draws_; ++i) packed[i] = static_cast<float>(to_double(row[i]));
    data[k] = packed;
  }
  const std::size_t lanes = kernels().row_lanes;
  memory_.resize(lanes * row_room(n_draws_) + 16);  // to start at a multiple of 64 bytes
  void* start = memory_.data();
  std::size_t space = memory_.size() * sizeof(float);
  sorted_ = static_cast<float*>(std::align(64, 64, start, space));
  if (!kernels().sort_rows(data, count_, n_draws_, sorted_)) return false;
  for (std::size_t k = 0; k < count_; ++k) {
    if (!(at(k, 0) >= range.a && at(k, n_draws_ - 1) <= range.b)) return false;
  }
  return true;
}

template bool ShortRows::sort(std::span<const Row<half>>, const Range&);
template bool ShortRows::sort(std::span<const Row<float>>, const Range&);

double ShortRows::at(std::size_t row, std::size_t i) const noexcept {
  return sorted_[i * kernels().row_lanes + row];
}

bool ShortRows::fits(const KnotLevels& levels) noexcept {
  return std::all_of(levels.groups().begin(), levels.groups().end(),
                     [](const KnotGroup& g) { return g.end - g.begin <= moment_block; });
}

void ShortRows::condense(const Range& range) {
  const std::vector<KnotGroup>& groups = levels_->groups();
  moments_.resize(groups.size() * curve_terms * kernels().row_lanes);
  kernels().row_moments(sorted_, n_draws_, range, groups.data(), groups.size(),
                        levels_->offsets().data(), moments_.data(), totals_);
}

void ShortRows::evaluate(const CurveRadii& radii, std::span<double> distances) {
  const std::size_t lanes = kernels().row_lanes;
  const std::size_t n_radii = radii.size();
  sums_.resize(n_radii * lanes);
  kernels().row_curves(moments_.data(), levels_->groups().data(), levels_->groups().size(),
                       radii.weights(0), n_radii, sums_.data());
  for (std::size_t k = 0; k < count_; ++k) {
    for (std::size_t j = 0; j < n_radii; ++j) {
      distances[k * n_radii + j] = BoundCurve::rounded_down(sums_[j * lanes + k], totals_[k]);
    }
  }
}

std::span<const BoundCurve> ShortRows::curves() {
  // The groups in use are the same in every call, so the others stay 0.
  if (curves_.size() < count_) curves_.resize(count_);
  const std::size_t lanes = kernels().row_lanes;
  const double* moment = moments_.data();
  for (const KnotGroup& group : levels_->groups()) {
    for (std::size_t k = 0; k < count_; ++k) curves_[k].set(group.index, moment + k, lanes);
    moment += curve_terms * lanes;
  }
  for (std::size_t k = 0; k < count_; ++k) curves_[k].set_total(totals_[k]);
  return {curves_.data(), count_};
}

}  // namespace smoothbound::detail
