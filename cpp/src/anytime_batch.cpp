#include "smoothbound/anytime_batch.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "batch.hpp"
#include "smoothbound/anytime.hpp"
#include "smoothbound/detail/permute.hpp"

namespace smoothbound {

using namespace detail;

namespace {

Failure refused(const char* need, double got) noexcept {
  return {Error::bad_option, 0, 0, need, got};
}

Failure check_questions(std::span<const Question> questions) noexcept {
  for (const Question& question : questions) {
    if (!(question.target > 0.0 && question.target <= 1.0)) {
      return refused("targets must lie above 0, and at most at 1", question.target);
    }
    if (!(std::isfinite(question.r) && question.r >= 0.0)) {
      return refused("r must be finite and not negative", question.r);
    }
  }
  if (!questions.empty() && questions.front().chained) {
    return refused("chained must be false for the first question", 1.0);
  }
  return {};
}

Failure check(const AnytimeOptions& o, std::size_t n_draws) noexcept {
  if (!(o.alpha >= least_alpha && o.alpha < 1.0)) {
    return refused("alpha must be at least 1e-302 and below 1", o.alpha);
  }
  if (!DrawRecord::valid_range(o.a, o.b)) {
    return refused("b - a must be finite and at least 1e-300", o.b - o.a);
  }
  if (o.n_guess > n_draws) {
    return refused("n_guess must be at most n_draws", static_cast<double>(o.n_guess));
  }
  if (n_draws > most_recorded_draws) {
    return refused("n_draws must be at most 2^28", static_cast<double>(n_draws));
  }
  if (o.threads < 1) return refused("threads must be at least 1", o.threads);
  return check_questions(o.questions);
}

// Tests one row after the other, in memory of its own.
template <class T>
class RowTester {
 public:
  RowTester(const Scores<T>& scores, const AnytimeOptions& options)
      : scores_(scores), options_(options) {}

  // \return false if a score is bad
  bool operator()(std::size_t i, std::span<std::uint64_t> shown) {
    const Row<T> row = in_order(i);
    DrawRecord record(options_.a, options_.b, options_.side);
    const Row<T> guess{row.data, options_.n_guess, row.stride};
    if (!taken(record.guess(guess)) || !taken(record.add(row.after(options_.n_guess)))) {
      return false;
    }
    for (std::size_t j = 0; j < shown.size(); ++j) {
      const Question& question = options_.questions[j];
      const bool asked = !question.chained || shown[j - 1] > 0;
      shown[j] = asked ? EProcess(question.target, question.r).advance(record, options_.alpha) : 0;
    }
    return true;
  }

 private:
  Row<T> in_order(std::size_t i) {
    const Row<T> row = scores_.row(i);
    if (options_.order == Order::drawn) return row;
    draws_.resize(row.size);
    for (std::size_t j = 0; j < row.size; ++j) draws_[j] = row[j];
    permute(std::span(draws_), draws_.size(), options_.seed, scores_.first_row + i);
    return {draws_.data(), draws_.size(), sizeof(T)};
  }

  static bool taken(const Failure& failure) {
    if (failure.error == Error::out_of_memory) throw std::bad_alloc();
    return !failure;
  }

  const Scores<T>& scores_;
  const AnytimeOptions& options_;
  std::vector<T> draws_;
};

}  // namespace

template <class T>
Failure test_rows(const Scores<T>& scores, const AnytimeOptions& options,
                  std::span<std::uint64_t> shown) noexcept {
  if (const Failure failure = check(options, scores.n_draws)) return failure;
  const std::size_t n_questions = options.questions.size();
  if (!holds(shown.size(), scores.n_inputs, n_questions)) {
    return {Error::bad_output, 0, 0, "shown must hold n_inputs * n_questions numbers",
            static_cast<double>(shown.size())};
  }
  const Failure failure = for_each_input(
      scores.n_inputs, options.threads,
      [&] {
        return [&, test = RowTester<T>(scores, options)](std::size_t i) mutable {
          return test(i, shown.subspan(i * n_questions, n_questions));
        };
      },
      options.cancel);
  if (failure.error != Error::bad_score) return failure;
  return bad_score(scores, failure.input, options.a, options.b);
}

template Failure test_rows(const Scores<half>&, const AnytimeOptions&,
                           std::span<std::uint64_t>) noexcept;
template Failure test_rows(const Scores<float>&, const AnytimeOptions&,
                           std::span<std::uint64_t>) noexcept;
template Failure test_rows(const Scores<double>&, const AnytimeOptions&,
                           std::span<std::uint64_t>) noexcept;

}  // namespace smoothbound
