#include "smoothbound/certify.hpp"

#include <algorithm>
#include <memory>

#include "batch.hpp"
#include "certify_row.hpp"
#include "plan_contents.hpp"

namespace smoothbound {

using namespace detail;

namespace {

// The first bad score in the rows from `begin` on. If there is none, the scores have changed during
// the call.
template <class T>
Failure first_bad_score(const Scores<T>& scores, std::size_t begin, double a, double b) noexcept {
  Failure failure{Error::bad_score, begin};
  for (std::size_t i = begin; i < scores.n_inputs; ++i) {
    failure = bad_score(scores, i, a, b);
    if (!(failure.got >= a && failure.got <= b)) break;
  }
  return failure;
}

template <class T>
Failure certify_rows(const Scores<T>& scores, const PlanContents& plan, Certificates out,
                     Cancel cancel) {
  const auto threads = static_cast<std::size_t>(plan.options.threads);
  const std::size_t rows =
      std::clamp<std::size_t>(scores.n_inputs / threads, 1, RowCertifier<T>::rows_together(plan));
  const std::size_t blocks = (scores.n_inputs + rows - 1) / rows;
  const Failure failure = for_each_input(
      blocks, plan.options.threads,
      [&] {
        return [&, certify = RowCertifier<T>(plan)](std::size_t block) mutable {
          const std::size_t begin = block * rows;
          return certify(scores, begin, std::min(begin + rows, scores.n_inputs), out);
        };
      },
      cancel);
  if (failure.error == Error::bad_score) {
    return first_bad_score(scores, failure.input * rows, plan.options.a, plan.options.b);
  }
  return failure;
}

}  // namespace

Failure Plan::create(const Options& options, std::size_t n_draws) noexcept {
  contents_.reset();
  if (const Failure failure = check(options, n_draws)) return failure;
  try {
    contents_ = std::make_shared<const PlanContents>(options, n_draws);
    return {};
  } catch (Cancelled) {
    return cancelled();
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return out_of_memory();
  }
}

const Options* Plan::options() const noexcept {
  return contents_ == nullptr ? nullptr : &contents_->options;
}

template <class T>
Failure Plan::certify(const Scores<T>& scores, Certificates out) const noexcept {
  return certify(scores, out, contents_ == nullptr ? Cancel{} : contents_->options.cancel);
}

template <class T>
Failure Plan::certify(const Scores<T>& scores, Certificates out, Cancel cancel) const noexcept {
  const auto refused = [](Error error, const char* need, std::size_t got) {
    return Failure{error, 0, 0, need, static_cast<double>(got)};
  };
  if (contents_ == nullptr) return refused(Error::bad_option, "create() must have succeeded", 0);
  const PlanContents& plan = *contents_;
  if (scores.n_draws != plan.n_draws) {
    return refused(Error::bad_option, "n_draws must be that of the plan", scores.n_draws);
  }
  if (!holds(out.bounds.size(), scores.n_inputs, plan.r.size())) {
    return refused(Error::bad_output, "bounds must hold n_inputs * n_radii numbers",
                   out.bounds.size());
  }
  if (!holds(out.radius.size(), scores.n_inputs, plan.targets.size())) {
    return refused(Error::bad_output, "radius must hold n_inputs * n_thresholds numbers",
                   out.radius.size());
  }
  return certify_rows(scores, plan, out, cancel);
}

template <class T>
Failure certify(const Scores<T>& scores, const Options& options, Certificates out) noexcept {
  Plan plan;
  if (const Failure failure = plan.create(options, scores.n_draws)) return failure;
  return plan.certify(scores, out);
}

template Failure Plan::certify(const Scores<half>&, Certificates) const noexcept;
template Failure Plan::certify(const Scores<float>&, Certificates) const noexcept;
template Failure Plan::certify(const Scores<double>&, Certificates) const noexcept;
template Failure Plan::certify(const Scores<half>&, Certificates, Cancel) const noexcept;
template Failure Plan::certify(const Scores<float>&, Certificates, Cancel) const noexcept;
template Failure Plan::certify(const Scores<double>&, Certificates, Cancel) const noexcept;
template Failure certify(const Scores<half>&, const Options&, Certificates) noexcept;
template Failure certify(const Scores<float>&, const Options&, Certificates) noexcept;
template Failure certify(const Scores<double>&, const Options&, Certificates) noexcept;

}  // namespace smoothbound
