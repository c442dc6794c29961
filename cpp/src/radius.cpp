#include "smoothbound/detail/radius.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "smoothbound/gaussian.hpp"

namespace smoothbound::detail {
namespace {

constexpr double resolution = 1e-14;  // of r, in units of 1 + r
// Interpolation usually ends after a few steps. Otherwise the bracket is halved. Some 50 halvings
// lead from 44, its greatest width before the bound is 0, to the resolution.
constexpr int most_interpolations = 30;
constexpr int most_steps = 200;
constexpr double shortest_step = 1e-8;  // over a shorter step, heights differ only by rounding

constexpr double infinity = std::numeric_limits<double>::infinity();

// The bound at r, and its height above the target in the coordinate Phi^-1(. / width).
struct Point {
  double r, height;
  bool passes;
};

// First finds a bracket among the multiples of 1/8, where the bound costs little. Then interpolates
// inversely, by the polynomial in the height through the points near the target. In this coordinate
// the bound is smooth and nearly a line with a slope between -1 and 0, because Phi^-1 of a smoothed
// score in [0, 1] is 1-Lipschitz in r. So two or three points at other r are enough.
class Search {
 public:
  Search(const BoundCurve& bound, double width, double target)
      : bound_(bound), width_(width), target_(target), goal_(gaussian::quantile(target / width)) {
    eighths_.fill(-1.0);
  }

  double run() {
    if (!(at_eighth(0) > target_)) return std::numeric_limits<double>::quiet_NaN();
    bracket();
    for (int step = 0; step < most_steps && !done(); ++step) {
      const double r = step < most_interpolations ? next() : middle();
      move_to(point(r, bound_(r)));
    }
    return low_.r;
  }

 private:
  static constexpr std::size_t last_eighth = BoundCurve::last_eighth;
  static constexpr std::size_t most_nodes = 8;

  static double tolerance(double r) { return resolution * (1.0 + r); }

  double at_eighth(std::size_t k) {
    if (eighths_[k] < 0.0) eighths_[k] = bound_.at_eighth(k);
    return eighths_[k];
  }

  Point point(double r, double distance) const {
    return {r, gaussian::quantile(distance / width_) - goal_, distance > target_};
  }

  void bracket() {
    std::size_t low = 0;
    std::size_t high = last_eighth + 1;
    while (high - low > 1) {
      const std::size_t k = (low + high) / 2;
      (at_eighth(k) > target_ ? low : high) = k;
    }
    // The farthest points come first, because the first are dropped first.
    for (const std::size_t k : {low - 2, low - 1, low + 2, low, low + 1}) {
      if (k <= last_eighth) move_to(point(static_cast<double>(k) / 8, at_eighth(k)));
    }
  }

  bool done() const {
    const double enough = tolerance(low_.r);
    return low_.height / slope_ <= enough || high_ - low_.r <= enough;
  }

  // The r at which the polynomial meets the target (Neville's scheme), minus half the tolerance, so
  // that the last step ends on the side that passes.
  double next() const {
    std::array<double, most_nodes> r;
    for (std::size_t i = 0; i < n_nodes_; ++i) {
      r[i] = nodes_[i].r;
      for (std::size_t j = i; j-- > 0;) {
        const double share = nodes_[i].height / (nodes_[i].height - nodes_[j].height);
        r[j] = r[j + 1] + (r[j] - r[j + 1]) * share;
      }
    }
    const double meeting = r[0] - 0.5 * tolerance(r[0]);
    return meeting > low_.r && meeting < high_ ? meeting : middle();
  }

  double middle() const { return high_ < infinity ? 0.5 * (low_.r + high_) : 2.0 * low_.r + 1.0; }

  void move_to(const Point& point) {
    if (point.passes) {
      if (point.r >= low_.r) low_ = point;
    } else if (point.r < high_) {
      high_ = point.r;
      high_height_ = point.height;
    }
    const double slope = (low_.height - high_height_) / (high_ - low_.r);
    if (high_ - low_.r > shortest_step && slope > 0.0 && slope < infinity)
      slope_ = std::min(slope, 1.0);
    if (!std::isfinite(point.height)) return;
    if (n_nodes_ == most_nodes) {
      std::shift_left(nodes_.begin(), nodes_.end(), 1);
      --n_nodes_;
    }
    nodes_[n_nodes_++] = point;
  }

  const BoundCurve& bound_;
  const double width_, target_;
  const double goal_;
  std::array<double, last_eighth + 1> eighths_;  // the bounds known so far; -1 for the others
  std::array<Point, most_nodes> nodes_;
  std::size_t n_nodes_ = 0;
  Point low_{0.0, infinity, true};
  double high_ = infinity, high_height_ = -infinity;
  double slope_ = 1.0;
};

}  // namespace

double certified_radius(const BoundCurve& bound, double width, double target) noexcept {
  return Search(bound, width, target).run();
}

}  // namespace smoothbound::detail
