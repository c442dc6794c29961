// The record of the draws of one input, the wealth of a question, and both for many inputs.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "knot_layout.hpp"
#include "smoothbound/anytime.hpp"
#include "smoothbound/anytime_batch.hpp"
#include "smoothbound/detail/permute.hpp"
#include "smoothbound/gaussian.hpp"

using namespace smoothbound;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double alpha = 1e-3;

template <class T>
Row<T> row_of(const std::vector<T>& x) {
  return {x.data(), x.size(), sizeof(T)};
}

template <class T>
DrawRecord record_of(const std::vector<T>& x, double a = 0.0, double b = 1.0,
                     Side side = Side::lower) {
  DrawRecord record(a, b, side);
  CHECK(!record.add(row_of(x)));
  return record;
}

// Scores that crowd near 1, as those of a confident classifier.
std::vector<double> confident(std::size_t n, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(4.0, 1.5);
  std::vector<double> x(n);
  for (double& one : x) one = 1.0 / (1.0 + std::exp(-normal(random)));
  return x;
}

// The place of a score, from the masses of a record of this score alone; its mass is shared between
// two neighbours.
template <class T>
std::uint32_t place_of(T x, double a = 0.0, double b = 1.0, Side side = Side::lower) {
  const DrawRecord record = record_of(std::vector<T>{x}, a, b, side);
  std::uint64_t place = 0;
  std::uint64_t total = 0;
  for (const auto& [knot, mass] : record.between(0)) {
    place += std::uint64_t{mass} * knot;
    total += mass;
  }
  CHECK(total == DrawRecord::one && record.between(0).size() <= 2);
  return static_cast<std::uint32_t>(place);
}

// Where a place lies, exactly: a place is a 512th of the interval that it lies in.
long double at_place(std::uint32_t place) {
  const auto knots = DrawRecord::knots();
  const std::uint32_t i = place / DrawRecord::one;
  const long double lower = knots[i];
  if (place % DrawRecord::one == 0) return lower;
  return lower + (knots[i + 1] - lower) * (place % DrawRecord::one) / DrawRecord::one;
}

// A score's share of the range, exactly, where long double has the digits.
long double share_of(long double x, long double a, long double b, Side side) {
  return (side == Side::lower ? x - a : b - x) / (b - a);
}

// Rounded down to a place, and not to one further down than 2^-49 of the share explains.
template <class T>
void check_place(T x, double a, double b, Side side) {
  const std::uint32_t place = place_of(x, a, b, side);
  const long double share = share_of(static_cast<long double>(to_double(x)), a, b, side);
  CHECK(place <= detail::last_place);
  CHECK(at_place(place) <= share);
  if (place < detail::last_place) CHECK(share * (1.0L - 0x1p-49L) < at_place(place + 1));
}

bool same_record(const DrawRecord& x, const DrawRecord& y) { return x.save() == y.save(); }

// The logarithm of the wealth in long double, of the bets that a process makes, look by look.
long double exact_log_wealth(const DrawRecord& whole, const std::vector<double>& draws,
                             double target, double r) {
  DrawRecord record(whole.a(), whole.b(), whole.side());
  EProcess process(target, r);
  long double wealth = 0.0L;
  process.advance(record, least_alpha);
  for (std::size_t look = 0; look + 1 < whole.n_looks(); ++look) {
    const auto begin = static_cast<std::size_t>(whole.draws_at(look));
    const auto end = static_cast<std::size_t>(whole.draws_at(look + 1));
    const long double stake = process.stake();
    const long double null_mean = process.null_mean();
    const std::vector<double> v(process.tangents().values().begin(),
                                process.tangents().values().end());
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint32_t place = place_of(draws[i], whole.a(), whole.b(), whole.side());
      const std::uint32_t k = place / DrawRecord::one;
      const long double f = static_cast<long double>(place % DrawRecord::one) / DrawRecord::one;
      const long double value = f == 0.0L
                                    ? static_cast<long double>(v[k])
                                    : (1.0L - f) * static_cast<long double>(v[k]) + f * v[k + 1];
      wealth += std::log((1.0L + stake * value) / (1.0L + stake * null_mean));
    }
    CHECK(
        !record.add(row_of(std::vector<double>(draws.begin() + static_cast<std::ptrdiff_t>(begin),
                                               draws.begin() + static_cast<std::ptrdiff_t>(end)))));
    process.advance(record, least_alpha);
    CHECK(process.log_wealth() <= wealth);
  }
  return wealth;
}

// The number of draws at which a question is shown by a record of these draws.
std::uint64_t shown_at(const DrawRecord& record, double target, double r, std::size_t first = 0) {
  return EProcess(target, r, first).advance(record, alpha);
}

}  // namespace

CASE("the knots ascend from 0 to 1, mirror each other, and are those of the layout") {
  const auto knots = DrawRecord::knots();
  CHECK(knots.front() == 0.0 && knots.back() == 1.0);
  CHECK(knots[1] == 0x1p-17 && knots[detail::tail_intervals] == 0x1p-5 && knots[217] == 0.5);
  for (std::size_t k = 0; k + 1 < knots.size(); ++k) {
    CHECK(knots[k] < knots[k + 1]);
    CHECK(knots[knots.size() - 1 - k] == 1.0 - knots[k]);
  }
  for (std::size_t k = 1; k < detail::tail_intervals; ++k) {
    CHECK(knots[k + 1] / knots[k] <= 1.125);
  }
}

CASE("a score is rounded down to a place, at every place and beside it") {
  for (std::uint32_t place = 0; place < detail::last_place; ++place) {
    const auto x = static_cast<double>(at_place(place));
    check_place(x, 0.0, 1.0, Side::lower);
    check_place(std::nextafter(x, inf), 0.0, 1.0, Side::lower);
    if (place > 0) check_place(std::nextafter(x, -inf), 0.0, 1.0, Side::lower);
    check_place(1.0 - x, 0.0, 1.0, Side::upper);
  }
}

CASE("the ends of a range lose nothing, and no place is beyond them") {
  for (const auto& [a, b] : std::vector<std::pair<double, double>>{{0.0, 1.0},
                                                                   {-1.0, 1.0},
                                                                   {-0.3, 7.1},
                                                                   {1e6, 1e6 + 1.0},
                                                                   {-8e307, 9e307},
                                                                   {0.0, 1e-300}}) {
    CHECK(DrawRecord::valid_range(a, b));
    CHECK(place_of(a, a, b) == 0 && place_of(b, a, b) == detail::last_place);
    CHECK(place_of(b, a, b, Side::upper) == 0);
    CHECK(place_of(a, a, b, Side::upper) == detail::last_place);
    for (const double x : {std::nextafter(a, b), std::nextafter(b, a), 0.5 * a + 0.5 * b}) {
      check_place(x, a, b, Side::lower);
      check_place(x, a, b, Side::upper);
    }
  }
  for (const double b : {inf, 0.0, std::nan(""), 1e-301}) CHECK(!DrawRecord::valid_range(0.0, b));
}

CASE("scores of every type, in any layout, have the places of the same doubles") {
  for (unsigned bits = 0; bits <= 0x3c00u; bits += 7) {
    const auto x = static_cast<half>(bits);
    CHECK(place_of(x) == place_of(to_double(x)));
    check_place(x, -0.25, 1.5, Side::upper);
  }
  const std::vector<double> draws = confident(3000, 1);
  std::vector<float> narrow(draws.begin(), draws.end());
  const std::vector<double> wide(narrow.begin(), narrow.end());
  CHECK(same_record(record_of(narrow), record_of(wide)));
  std::vector<float> backwards(narrow.rbegin(), narrow.rend());
  DrawRecord record(0.0, 1.0, Side::lower);
  CHECK(!record.add(
      Row<float>{&backwards.back(), 3000, -static_cast<std::ptrdiff_t>(sizeof(float))}));
  CHECK(same_record(record, record_of(narrow)));
}

CASE("the looks are those of the schedule, and every mass lies between them") {
  const std::vector<double> draws = confident(5000, 2);
  const DrawRecord record = record_of(draws);
  std::uint64_t look = 0;
  for (std::size_t i = 0; i < record.n_looks(); ++i) {
    CHECK(record.draws_at(i) == look && first_look_from(look) == i);
    CHECK(first_look_from(look + 1) == i + 1);
    if (i + 1 < record.n_looks()) {
      std::uint64_t total = 0;
      for (const auto& entry : record.between(i)) total += entry.mass;
      CHECK(total == DrawRecord::one * (record.draws_at(i + 1) - look));
    }
    look += look < 64 ? 1 : look / 32;
  }
  CHECK(look > draws.size());
  DrawRecord::Masses all = record.since_last_look();
  for (std::size_t i = 0; i + 1 < record.n_looks(); ++i) {
    for (const auto& [knot, mass] : record.between(i)) all[knot] += mass;
  }
  DrawRecord guess(0.0, 1.0, Side::lower);
  CHECK(!guess.guess(row_of(draws)) && guess.n_guess() == draws.size());
  CHECK(guess.guessed() == all && guess.n_draws() == 0 && guess.n_looks() == 1);
  for (std::size_t k = 0; k < all.size(); ++k) {
    CHECK(record.until_last_look()[k] + record.since_last_look()[k] == all[k]);
  }
}

CASE("the record and the wealth are the same bits however the draws are cut") {
  const std::vector<double> draws = confident(4000, 3);
  const DrawRecord whole = record_of(draws);
  EProcess once(0.8, 1.0);
  once.advance(whole, least_alpha);
  for (const std::size_t step : {1u, 7u, 64u, 513u, 3999u}) {
    DrawRecord record(0.0, 1.0, Side::lower);
    EProcess process(0.8, 1.0);
    for (std::size_t at = 0; at < draws.size(); at += step) {
      const Row<double> part = row_of(draws).after(at);
      CHECK(!record.add(Row<double>{part.data, std::min(step, part.size), part.stride}));
      process.advance(record, least_alpha);
    }
    CHECK(same_record(record, whole));
    CHECK(process.log_wealth() == once.log_wealth() && process.highest() == once.highest());
    CHECK(process.stake() == once.stake() && process.growth() == once.growth());
  }
}

CASE("the wealth is never above that of long double with the same bets") {
  for (const double r : {0.0, 0.5, 2.0, 8.0, 40.0}) {
    for (const double target : {1e-6, 0.2, 0.5, 0.9, 0.999}) {
      const std::vector<double> draws = confident(400, 4);
      exact_log_wealth(record_of(draws), draws, target, r);
    }
  }
  std::vector<double> votes(2000, 1.0);
  for (std::size_t i = 0; i < votes.size(); i += 97) votes[i] = 0.0;
  const DrawRecord record = record_of(votes);
  const long double exact = exact_log_wealth(record, votes, 0.5, 1.0);
  EProcess process(0.5, 1.0);
  process.advance(record, least_alpha);
  CHECK(process.log_wealth() > exact - 1e-9L && process.log_wealth() > 100.0);
}

CASE("a question that holds is shown soon, and one that does not is not") {
  const DrawRecord record = record_of(confident(5000, 5));
  const std::uint64_t n = shown_at(record, 0.5, 1.0);
  CHECK(n > 10 && n < 200);
  CHECK(shown_at(record, 0.9, 2.0) == 0);
  CHECK(shown_at(record, 1.0, 0.0) == 0);
  EProcess process(0.5, 1.0);
  CHECK(process.advance(record, alpha) == n && process.advance(record, alpha) == n);
  CHECK(process.reached(alpha) && !process.reached(least_alpha));
  CHECK(process.growth() > 0.0 && process.stake() > 0.0);
  CHECK(process.advance(record, least_alpha) == 0 || process.highest() > 690.0);
  CHECK(process.highest() >= process.log_wealth());
  EProcess early(0.5, 1.0);
  CHECK(early.advance(record, 0.5) > 0 && early.advance(record, alpha) == n);
}

CASE("a question that is asked later takes the draws of later looks only") {
  const std::vector<double> draws = confident(3000, 6);
  const DrawRecord record = record_of(draws);
  const std::size_t first = first_look_from(1000);
  const std::uint64_t seen = record.draws_at(first);
  EProcess later(0.5, 1.0, first);
  DrawRecord part(0.0, 1.0, Side::lower);
  CHECK(!part.add(Row<double>{draws.data(), seen, sizeof(double)}));
  CHECK(later.advance(part, alpha) == 0 && later.log_wealth() == 0.0);
  const std::uint64_t n = later.advance(record, alpha);
  CHECK(n > seen && n < seen + 200);
  CHECK(later.advance(part, least_alpha) == 0);  // a record with less draws: nothing happens
  CHECK(EProcess(0.5, 1.0, first_look_from(100000)).advance(record, alpha) == 0);
}

CASE("the upper side is the lower side of the reflected scores") {
  const std::vector<double> draws = confident(2000, 7);
  std::vector<double> reflected = draws;
  for (double& x : reflected) x = -x;
  const DrawRecord lower = record_of(draws);
  const DrawRecord upper = record_of(reflected, -1.0, 0.0, Side::upper);
  EProcess one(0.7, 0.5);
  EProcess other(threshold_share(-0.7, -1.0, 0.0, Side::upper), 0.5);
  CHECK(one.advance(lower, alpha) == other.advance(upper, alpha));
  for (std::size_t i = 0; i + 1 < lower.n_looks(); ++i) {
    CHECK(std::equal(
        lower.between(i).begin(), lower.between(i).end(), upper.between(i).begin(),
        [](const auto& x, const auto& y) { return x.knot == y.knot && x.mass == y.mass; }));
  }
}

CASE("a threshold is rounded up, to at most 1") {
  for (const double c : {1e-9, 0.1, 0.5, 0.9, 1.0 - 0x1p-53}) {
    for (const Side side : {Side::lower, Side::upper}) {
      const double share = threshold_share(c, 0.0, 1.0, side);
      CHECK(static_cast<long double>(share) >= share_of(c, 0.0L, 1.0L, side) && share <= 1.0);
      CHECK(static_cast<long double>(share) <= share_of(c, 0.0L, 1.0L, side) * (1.0L + 0x1p-49L));
    }
  }
}

CASE("bad scores, too many draws and a late guess leave the record as it was") {
  DrawRecord record = record_of(confident(100, 8));
  const std::vector<std::uint8_t> before = record.save();
  std::vector<double> draws(2000, 0.75);
  for (const double bad : {std::nan(""), -1e-300, std::nextafter(1.0, 2.0), inf}) {
    for (const std::size_t place : {0u, 700u, 1999u}) {
      std::vector<double> wrong = draws;
      wrong[place] = bad;
      if (place < 1999) wrong[1999] = 7.0;
      const Failure failure = record.add(row_of(wrong));
      CHECK(failure.error == Error::bad_score && failure.draw == place);
      CHECK(record.save() == before);
      DrawRecord empty(0.0, 1.0, Side::lower);
      CHECK(empty.guess(row_of(wrong)).error == Error::bad_score && empty.n_guess() == 0);
    }
  }
  const std::vector<half> infinite = {half{0x3c00}, half{0x7c00}};
  CHECK(record.add(row_of(infinite)).error == Error::bad_score);
  const Row<double> same{draws.data(), most_recorded_draws - 99, 0};
  CHECK(record.add(same).error == Error::bad_option);
  CHECK(record.guess(row_of(draws)).error == Error::bad_option);
  CHECK(record.save() == before);
  CHECK(!record.add(row_of(draws)) && record.n_draws() == 2100);
}

CASE("a saved record is the same one, and goes on as it would have") {
  std::vector<double> draws = confident(3000, 9);
  for (const Side side : {Side::lower, Side::upper}) {
    for (const std::size_t n : {0u, 1u, 63u, 64u, 65u, 1000u, 2900u}) {
      DrawRecord record(-0.5, 1.0, side);
      CHECK(!record.guess(Row<double>{draws.data(), 10, sizeof(double)}));
      CHECK(!record.add(Row<double>{draws.data(), n, sizeof(double)}));
      DrawRecord loaded(0.0, 1.0, Side::lower);
      CHECK(!loaded.load(record.save()) && same_record(loaded, record));
      CHECK(loaded.a() == -0.5 && loaded.b() == 1.0 && loaded.side() == side);
      CHECK(loaded.n_draws() == n && loaded.n_guess() == 10);
      CHECK(loaded.until_last_look() == record.until_last_look());
      CHECK(!loaded.add(row_of(draws)) && !record.add(row_of(draws)));
      CHECK(same_record(loaded, record));
      CHECK(shown_at(loaded, 0.6, 0.5) == shown_at(record, 0.6, 0.5));
    }
  }
  CHECK(record_of(draws).save().size() < 30000);
}

namespace {

std::uint64_t checksum_of(const std::vector<std::uint8_t>& bytes, std::size_t n) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (std::size_t i = 0; i < n; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  return hash;
}

// Gives changed contents the checksum that they should have.
std::vector<std::uint8_t> sealed(std::vector<std::uint8_t> bytes) {
  const std::size_t n = bytes.size() - 8;
  const std::uint64_t hash = checksum_of(bytes, n);
  for (std::size_t i = 0; i < 8; ++i) bytes[n + i] = static_cast<std::uint8_t>(hash >> (8 * i));
  return bytes;
}

}  // namespace

CASE("a state that is foreign, cut, damaged or impossible is refused, and changes nothing") {
  DrawRecord record(0.0, 1.0, Side::lower);
  const std::vector<double> draws = confident(70, 10);
  CHECK(!record.guess(Row<double>{draws.data(), 5, sizeof(double)}) && !record.add(row_of(draws)));
  const std::vector<std::uint8_t> state = record.save();
  DrawRecord kept = record_of(confident(20, 11));
  const std::vector<std::uint8_t> before = kept.save();
  const auto refuses = [&](const std::vector<std::uint8_t>& wrong) {
    return kept.load(wrong).error == Error::bad_option && kept.save() == before;
  };
  CHECK(refuses({}) && refuses({'S', 'B', 'D', 'R', 1}));
  for (std::size_t n = 0; n < state.size(); ++n) {
    CHECK(refuses({state.begin(), state.begin() + static_cast<std::ptrdiff_t>(n)}));
  }
  std::vector<std::uint8_t> longer = state;
  longer.push_back(0);
  CHECK(refuses(longer) && refuses(sealed(longer)));
  for (std::size_t bit = 0; bit < 8 * state.size(); ++bit) {
    std::vector<std::uint8_t> wrong = state;
    wrong[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    CHECK(refuses(wrong));
    // With a checksum of its own it is refused, or is another record that can be, written in the
    // one way there is.
    const std::vector<std::uint8_t> made = sealed(wrong);
    DrawRecord other(0.0, 1.0, Side::lower);
    const Failure failure = other.load(made);
    CHECK(failure ? failure.error == Error::bad_option : other.save() == made);
    const bool in_masses = bit / 8 >= 22 && bit / 8 + 8 < state.size();
    if (in_masses && bit % 8 < 7 && !failure) CHECK(other.n_draws() == 70);
  }
}

CASE("the estimate is that of the draws up to the last look, and takes it from the counts") {
  const std::vector<double> ones(100, 1.0);
  const FunctionalEstimate sure = estimate_functional(record_of(ones), 1.0);
  CHECK(sure.value > 1.0 - 1e-9 && sure.value <= 1.0 && sure.deviation < 1e-6);
  std::vector<double> votes(1024, 1.0);
  for (std::size_t i = 0; i < votes.size(); i += 8) votes[i] = 0.0;
  const DrawRecord record = record_of(votes);
  const double p = 0.875;
  const FunctionalEstimate found = estimate_functional(record, 0.5);
  CHECK(std::fabs(found.value - gaussian::cdf(gaussian::quantile(p) - 0.5)) < 0.003);
  CHECK(found.deviation > std::sqrt(p * (1.0 - p)) && found.deviation < 1.0);
  CHECK(std::isnan(estimate_functional(DrawRecord(0.0, 1.0, Side::lower), 0.5).value));
}

namespace {

// 40 rows of 600 draws each, and questions of both kinds.
struct Setting {
  static constexpr std::size_t n_inputs = 40, n_draws = 600;
  std::vector<float> data;
  std::vector<Question> questions = {{0.5, 0.0}, {0.5, 1.0}, {0.8, 0.5}};
  std::vector<std::uint64_t> shown;
  AnytimeOptions options;
  Scores<float> scores{};

  Setting() {
    for (unsigned i = 0; i < n_inputs; ++i) {
      const std::vector<double> row = confident(n_draws, 100 + i);
      data.insert(data.end(), row.begin(), row.end());
    }
    for (int j = 0; j < 30; ++j) questions.push_back({0.6, 0.1 * j, j > 0});
    shown.assign(n_inputs * questions.size(), 7);
    options.n_guess = 10;
    options.order = Order::drawn;
    options.questions = questions;
    scores = {data.data(), n_inputs, n_draws, n_draws * sizeof(float), sizeof(float), 3};
  }

  // The answers of one row by itself, question by question.
  std::vector<std::uint64_t> expected(const float* row) const {
    DrawRecord record(0.0, 1.0, Side::lower);
    CHECK(!record.guess(Row<float>{row, 10, sizeof(float)}));
    CHECK(!record.add(Row<float>{row + 10, n_draws - 10, sizeof(float)}));
    std::vector<std::uint64_t> found;
    for (const Question& question : questions) {
      const bool asked = !question.chained || found.back() > 0;
      found.push_back(asked ? shown_at(record, question.target, question.r) : 0);
    }
    return found;
  }
};

}  // namespace

CASE("many inputs have the answers of each by itself, whatever the number of threads") {
  Setting s;
  std::vector<std::uint64_t> all;
  for (std::size_t i = 0; i < s.n_inputs; ++i) {
    const std::vector<std::uint64_t> row = s.expected(s.data.data() + i * s.n_draws);
    all.insert(all.end(), row.begin(), row.end());
  }
  for (const int threads : {1, 3}) {
    s.options.threads = threads;
    CHECK(!test_rows(s.scores, s.options, s.shown));
    CHECK(s.shown == all);
  }
  CHECK(std::count(all.begin(), all.end(), 0u) > 100);
  CHECK(std::count_if(all.begin(), all.end(), [](std::uint64_t n) { return n > 0; }) > 400);
}

CASE("draws of unknown order are permuted over all positions, the guess included") {
  Setting s;
  s.options.order = Order::unknown;
  s.options.seed = 5;
  CHECK(!test_rows(s.scores, s.options, s.shown));
  std::vector<float> row(s.data.begin() + 2 * s.n_draws, s.data.begin() + 3 * s.n_draws);
  detail::permute(std::span(row), row.size(), 5, s.scores.first_row + 2);
  const std::vector<std::uint64_t> expected = s.expected(row.data());
  CHECK(std::equal(expected.begin(), expected.end(),
                   s.shown.begin() + static_cast<std::ptrdiff_t>(2 * s.questions.size())));
}

CASE("what cannot be is refused in words, and a cancelled call ends") {
  Setting s;
  const auto refused = [&](auto change) {
    AnytimeOptions wrong = s.options;
    change(wrong);
    return test_rows(s.scores, wrong, s.shown).error == Error::bad_option;
  };
  CHECK(refused([](AnytimeOptions& o) { o.alpha = 1.0; }));
  CHECK(refused([](AnytimeOptions& o) { o.b = o.a; }));
  CHECK(refused([](AnytimeOptions& o) { o.n_guess = 601; }));
  CHECK(refused([](AnytimeOptions& o) { o.threads = 0; }));
  for (const Question& wrong :
       {Question{0.0, 1.0}, {1.1, 1.0}, {0.5, -1.0}, {0.5, inf}, {0.5, 1.0, true}}) {
    CHECK(refused([&](AnytimeOptions& o) { o.questions = std::span(&wrong, 1); }));
  }
  CHECK(test_rows(s.scores, s.options, std::span(s.shown).first(5)).error == Error::bad_output);
  s.data[3 * s.n_draws + 599] = 2.0f;
  s.data[9 * s.n_draws] = 2.0f;
  for (const int threads : {1, 3}) {
    s.options.threads = threads;
    const Failure failure = test_rows(s.scores, s.options, s.shown);
    CHECK(failure.error == Error::bad_score && failure.input == 3 && failure.draw == 599);
  }
  s.options.cancel = {[](void*) { return 1; }, nullptr};
  CHECK(test_rows(s.scores, s.options, s.shown).error == Error::cancelled);
}

int main() { return run_cases(); }
