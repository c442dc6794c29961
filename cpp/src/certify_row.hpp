// Certifies the rows that one thread takes: chooses the bound, and prepares the row for it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "plan_contents.hpp"
#include "row_knots.hpp"
#include "row_mean.hpp"
#include "row_shares.hpp"
#include "short_rows.hpp"
#include "smoothbound/certify.hpp"
#include "smoothbound/detail/aimed.hpp"
#include "smoothbound/detail/joint.hpp"
#include "smoothbound/detail/mean.hpp"
#include "smoothbound/detail/radius.hpp"
#include "smoothbound/detail/tangent.hpp"

namespace smoothbound::detail {

// Keeps its memory from row to row: one per thread.
template <class T>
class RowCertifier {
 public:
  explicit RowCertifier(const PlanContents& plan)
      : plan_(plan),
        knots_(plan),
        shares_(plan.options),
        short_rows_(plan.band == nullptr ? nullptr : &plan.band->levels()),
        sum_(plan.other ? plan.other->sum() : KnotSum(nullptr, nullptr)),
        tangent_(plan.options.mean, plan.options.alpha),
        joint_(plan.options.alpha * (1.0 - joint_band_share)),
        aimed_(plan.options.alpha) {}

  // How many rows to certify in one call.
  static std::size_t rows_together(const PlanContents& plan) noexcept {
    const bool by_band = plan.options.bound == Bound::cdf;
    if (!by_band || plan.other || std::is_same_v<T, double>) return 1;
    return ShortRows::fits(plan.band->levels()) ? ShortRows::together(plan.n_draws) : 1;
  }

  // Certifies the rows from `begin` to `end`, no more than rows_together().
  // \return false if one holds a score that is NaN or outside the range
  bool operator()(const Scores<T>& scores, std::size_t begin, std::size_t end, Certificates out) {
    if constexpr (!std::is_same_v<T, double>) {
      if (rows_together(plan_) > 1 && ShortRows::worthwhile(end - begin)) {
        return certify_together(scores, begin, end - begin, part(out, begin, end - begin));
      }
    }
    for (std::size_t i = begin; i < end; ++i) {
      if (!certify(scores.row(i), scores.first_row + i, part(out, i, 1))) return false;
    }
    return true;
  }

 private:
  Certificates part(Certificates out, std::size_t first, std::size_t n) const noexcept {
    const std::size_t n_radii = plan_.r.size();
    const std::size_t n_thresholds = plan_.targets.size();
    return {out.bounds.subspan(first * n_radii, n * n_radii),
            out.radius.subspan(first * n_thresholds, n * n_thresholds)};
  }

  // `number` is the number of the row, which keys its permutation.
  bool certify(Row<T> row, std::uint64_t number, Certificates out) {
    if (plan_.options.bound == Bound::tangent) return by_pilot(tangent_, row, number, out);
    if (plan_.options.bound == Bound::joint) return by_joint(row, number, out);
    return plan_.other ? by_curve(row, number, sum_, out) : by_curve(row, number, curve_, out);
  }

  // Theorems 1 and 2.
  template <class Curve>
  bool by_curve(Row<T> row, std::uint64_t number, Curve& curve, Certificates out) {
    curve.clear();
    if (plan_.options.bound == Bound::mean) {
      if (!add_mean(row, number, curve)) return false;
    } else {
      if (!sort_(row, plan_.options.a, plan_.options.b)) return false;
      knots_.add(sort_, curve);
    }
    evaluate(curve, out);
    return true;
  }

  // The same for short rows, by Theorem 2.
  bool certify_together(const Scores<T>& scores, std::size_t begin, std::size_t count,
                        Certificates out) {
    std::array<Row<T>, most_row_lanes> rows;
    for (std::size_t i = 0; i < count; ++i) rows[i] = scores.row(begin + i);
    if (!short_rows_.sort(std::span<const Row<T>>(rows.data(), count), plan_.range)) return false;
    if (!knots_.every_draw_is_a_knot()) {
      for (std::size_t i = 0; i < count; ++i) {
        curve_.clear();
        knots_.add(ShortRow{short_rows_, i, plan_.n_draws}, curve_);
        evaluate(curve_, part(out, i, 1));
      }
      return true;
    }
    short_rows_.condense(plan_.range);
    short_rows_.evaluate(plan_.curve_radii, out.bounds);
    for (double& bound : out.bounds) bound = plan_.range.confidence(bound);
    if (plan_.targets.empty()) return true;
    const std::span<const BoundCurve> curves = short_rows_.curves();
    for (std::size_t i = 0; i < count; ++i) find_radii(curves[i], part(out, i, 1).radius);
    return true;
  }

  void evaluate(const BoundCurve& curve, Certificates out) const {
    for (std::size_t j = 0; j < plan_.r.size(); ++j) {
      out.bounds[j] = plan_.range.confidence(curve.at(plan_.curve_radii, j));
    }
    find_radii(curve, out.radius);
  }

  void evaluate(const KnotSum& sum, Certificates out) const {
    for (std::size_t j = 0; j < plan_.r.size(); ++j) {
      out.bounds[j] = plan_.range.confidence(sum(plan_.other->at(j)));
    }
    for (std::size_t k = 0; k < plan_.targets.size(); ++k) {
      out.radius[k] = plan_.other->radius(sum, plan_.targets[k], plan_.options.sigma);
    }
  }

  void find_radii(const BoundCurve& curve, std::span<double> radius) const {
    for (std::size_t k = 0; k < plan_.targets.size(); ++k) radius[k] = radius_of(curve, k);
  }

  double radius_of(const BoundCurve& curve, std::size_t k) const {
    const double r = certified_radius(curve, plan_.range.width(), plan_.targets[k]);
    return input_radius(r, plan_.options.sigma);
  }

  // Theorem 1: one gap, the whole range, at the level of the mean.
  template <class Curve>
  bool add_mean(Row<T> row, std::uint64_t number, Curve& curve) {
    double z = 0.0;
    if (plan_.options.mean == MeanKind::hoeffding) {
      z = hoeffding_quantile_of(row, plan_.range, plan_.hoeffding);
      if (std::isnan(z)) return false;
    } else {
      const bool betting = plan_.options.mean == MeanKind::betting;
      if (betting ? !shares_.take_in_order(row, number) : !shares_.take_all(row)) return false;
      const double share = betting ? aimed_(shares_.draws()) : bernstein_share();
      z = lower_quantile(share, 1.0 - share);
    }
    curve.add(plan_.range.width(), z);
    return true;
  }

  double bernstein_share() {
    constexpr std::array<double, 2> identity = {0.0, 1.0};
    tally_.reset(identity);
    tally_.count(shares_.draws());
    return bernstein_lower(tally_, identity, plan_.options.alpha);
  }

  // The tangent or the joint bound.
  template <class PilotBound>
  bool by_pilot(PilotBound& bound, Row<T> row, std::uint64_t number, Certificates out) {
    if (!shares_.split(row, number)) return false;
    bound.fit(shares_.pilot(), shares_.draws());
    const double width = plan_.range.width();
    for (std::size_t j = 0; j < plan_.r.size(); ++j) {
      out.bounds[j] = plan_.range.confidence(bound(plan_.r[j]) * width * (1.0 - 4 * unit));
    }
    for (std::size_t k = 0; k < plan_.targets.size(); ++k) {
      const double target = plan_.targets[k] / width * (1.0 + 4 * unit);
      out.radius[k] = input_radius(bound.certified_radius(target), plan_.options.sigma);
    }
    return true;
  }

  // The greater one of the joint bound and of Theorem 2. Both hold together.
  bool by_joint(Row<T> row, std::uint64_t number, Certificates out) {
    if (!by_pilot(joint_, row, number, out)) return false;
    if (!sort_(row, plan_.options.a, plan_.options.b)) return false;
    curve_.clear();
    knots_.add(sort_, curve_);
    const bool lower = plan_.range.side == Side::lower;
    for (std::size_t j = 0; j < plan_.r.size(); ++j) {
      const double by_band = plan_.range.confidence(curve_.at(plan_.curve_radii, j));
      out.bounds[j] = lower ? std::max(out.bounds[j], by_band) : std::min(out.bounds[j], by_band);
    }
    for (std::size_t k = 0; k < plan_.targets.size(); ++k) {
      out.radius[k] = std::fmax(out.radius[k], radius_of(curve_, k));  // either may be NaN
    }
    return true;
  }

  const PlanContents& plan_;
  Sorter<T> sort_;
  RowKnots knots_;
  RowShares<T> shares_;
  ShortRows short_rows_;
  BoundCurve curve_;
  KnotSum sum_;
  TangentBound tangent_;
  JointBound joint_;
  AimedBets aimed_;
  Tally tally_;
};

}  // namespace smoothbound::detail
