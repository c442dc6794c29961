#include "smoothbound/radius.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "smoothbound/gaussian.hpp"

namespace smoothbound {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// The bound at r, and its height above the target in the coordinate Phi^-1(. / width).
struct Point {
  double r, height;
  bool passes;
};

// The secant rule between the greatest radius known to pass and the least known to fail, first
// among the multiples of 1/8, where the bound costs little. Two facts make it short: the slope lies
// in (0, 1], since Phi^-1 of a smoothed score in [0, 1] is 1-Lipschitz in r, and it changes little.
class Search {
 public:
  Search(const BoundCurve& bound, double width, double target)
      : bound_(bound), width_(width), target_(target), goal_(gaussian::quantile(target / width)) {}

  double run() {
    if (!(bound_.at_eighth(0) > target_)) return std::numeric_limits<double>::quiet_NaN();
    bracket();
    for (int evaluations = 0; evaluations < 200 && !done(); ++evaluations) {
      move_to(at(evaluations < 30 ? next() : middle()));
    }
    return low_.r;
  }

 private:
  static double tolerance(double r) { return 1e-14 * (1.0 + r); }

  Point at(double r) const { return point(r, bound_(r)); }

  Point point(double r, double distance) const {
    return {r, gaussian::quantile(distance / width_) - goal_, distance > target_};
  }

  void bracket() {
    std::size_t low = 0;
    std::size_t high = BoundCurve::last_eighth + 1;
    while (high - low > 1) {
      const std::size_t k = (low + high) / 2;
      (bound_.at_eighth(k) > target_ ? low : high) = k;
    }
    low_ = point(static_cast<double>(low) / 8, bound_.at_eighth(low));
    last_ = low_;
    if (high <= BoundCurve::last_eighth) {
      move_to(point(static_cast<double>(high) / 8, bound_.at_eighth(high)));
    }
  }

  bool done() const {
    const double enough = tolerance(low_.r);
    return low_.height / slope_ <= enough || high_ - low_.r <= enough;
  }

  // Where the line through the last two points meets the target, and a little less, so that the
  // last step ends on the side that passes.
  double next() const {
    const double r = last_.r + last_.height / slope_ - 0.5 * tolerance(last_.r);
    return r > low_.r && r < high_ ? r : middle();
  }

  double middle() const { return high_ < infinity ? 0.5 * (low_.r + high_) : 2.0 * low_.r + 1.0; }

  void move_to(const Point& point) {
    const double step = point.r - last_.r;
    const double slope = (last_.height - point.height) / step;
    // Over the shortest steps the heights differ by their rounding alone.
    if (std::fabs(step) > 1e-8 && slope > 0.0 && slope < infinity) slope_ = std::min(slope, 1.0);
    last_ = point;
    if (point.passes) {
      low_ = point;
    } else {
      high_ = point.r;
    }
  }

  const BoundCurve& bound_;
  const double width_, target_;
  const double goal_;
  Point last_{}, low_{};
  double high_ = infinity;
  double slope_ = 1.0;
};

}  // namespace

double certified_radius(const BoundCurve& bound, double width, double target) noexcept {
  return Search(bound, width, target).run();
}

}  // namespace smoothbound
