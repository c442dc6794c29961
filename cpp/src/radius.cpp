#include "smoothbound/radius.hpp"

#include <algorithm>
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

// A search keeps the last point that passes, a radius known to fail, and the slope between the
// last two points. Two facts make it short: the slope lies in (0, 1], since Phi^-1 of a smoothed
// score in [0, 1] is 1-Lipschitz in r, and it changes little.
class Search {
 public:
  Search(const BoundCurve& bound, double width, double target)
      : bound_(bound),
        width_(width),
        target_(target),
        goal_(gaussian::quantile(target / width)),
        low_(at(0.0)) {}

  double run() {
    if (!low_.passes) return std::numeric_limits<double>::quiet_NaN();
    for (int evaluations = 0; evaluations < 200 && !done(); ++evaluations) move_to(at(next()));
    return low_.r;
  }

 private:
  static constexpr double tolerance = 1e-14;

  Point at(double r) const {
    const double distance = bound_(r);
    return {r, gaussian::quantile(distance / width_) - goal_, distance > target_};
  }

  double gap() const { return low_.height / slope_; }

  bool done() const {
    const double enough = tolerance * (1.0 + low_.r);
    return !(gap() > enough) || high_ - low_.r <= enough;
  }

  // Where the line through the last points meets the target; just below it when the last line
  // overshot, and the middle when lines keep overshooting.
  double next() const {
    if (overshoots_ == 0) return low_.r + gap();
    const double r = low_.r + gap() * (1.0 - 0x1p-10);
    return overshoots_ < 3 && r < high_ ? r : low_.r + 0.5 * (high_ - low_.r);
  }

  void move_to(const Point& point) {
    const double slope = (low_.height - point.height) / (point.r - low_.r);
    if (slope > 0.0 && slope < infinity) slope_ = std::min(slope, point.passes ? 1.0 : slope);
    if (point.passes) {
      low_ = point;
      overshoots_ = 0;
    } else {
      high_ = point.r;
      ++overshoots_;
    }
  }

  const BoundCurve& bound_;
  const double width_, target_;
  const double goal_;
  Point low_;
  double high_ = infinity;
  double slope_ = 1.0;
  int overshoots_ = 0;
};

}  // namespace

double certified_radius(const BoundCurve& bound, double width, double target) noexcept {
  return Search(bound, width, target).run();
}

}  // namespace smoothbound
