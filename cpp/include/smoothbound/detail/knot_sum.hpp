/// \file detail/knot_sum.hpp
/// The bound of one input for any curve (noise_curve.hpp), as the sum that Theorem 2 states.
///
/// For the Gaussian, BoundCurve (curve.hpp) computes the same bound from a few numbers. Here each
/// radius takes one pass over the knots.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "smoothbound/detail/curve.hpp"
#include "smoothbound/noise_curve.hpp"

namespace smoothbound::detail {

/// The probabilities of levels: lower bounds on Phi(z), and upper bounds on 1 - Phi(z).
struct Probabilities {
  std::vector<double> p, q;

  /// May throw std::bad_alloc.
  explicit Probabilities(const KnotLevels& levels);
};

/// psi at one radius, shared by all rows.
class CurveAt {
 public:
  /// \param curve  must outlive this object. \param r  as NoiseCurve takes it
  CurveAt(const NoiseCurve& curve, double r) noexcept;

  double operator()(double p, double q) const noexcept;

  /// out[i] = (*this)(p[i], q[i]) for i < n
  void operator()(const double* p, const double* q, double* out, std::size_t n) const noexcept;

 private:
  enum class Form { line, laplace, gaussian, table };
  const NoiseCurve& curve_;
  Form form_;
  double value_ = 0.0;  // line: the loss, rounded up; laplace: exp(-r), rounded down; gaussian: r
  const double* row_ = nullptr;  // table: the values at the radius
};

/// The knots of one input. Members that allocate may throw std::bad_alloc.
class KnotSum {
 public:
  /// \param shared  levels that many rows share, with their probabilities; both must outlive this
  KnotSum(const KnotLevels* shared, const Probabilities* probabilities) noexcept
      : shared_(shared), probabilities_(probabilities) {}

  /// These members have the meaning of those of BoundCurve.
  void clear() noexcept;
  void add(std::span<const double> gaps, const KnotLevels& levels);
  void add(std::span<const double> gaps, const KnotLevels& levels, std::span<const std::size_t> at,
           std::span<double> offsets);
  void add(double gap, double z);

  /// Theorem 2: the sum of gap * psi(p), rounded down.
  double operator()(const CurveAt& psi) const noexcept;

 private:
  const KnotLevels* shared_;
  const Probabilities* probabilities_;
  std::vector<double> gaps_, p_, q_;
};

/// The largest radius for which the search finds a sum above the target, in the units of `curve`.
/// It is an integer for `ablation`, and one of the radii or 0 for `table`.
/// \return a radius at which the sum was evaluated and exceeds the target; NaN if R = 0 fails
double certified_radius(const KnotSum& sum, const NoiseCurve& curve, double target) noexcept;

}  // namespace smoothbound::detail
