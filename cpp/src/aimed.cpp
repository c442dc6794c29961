#include "smoothbound/detail/aimed.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "binomial.hpp"
#include "rounding.hpp"
#include "smoothbound/gaussian.hpp"

namespace smoothbound::detail {
namespace {

// These constants need no derivation, because the bound holds for any bets that are chosen from the
// draws before. _numba/_means/aimed.py has the same constants.
constexpr double goal = 1.0 / 0.9;     // the wealth that the bets aim at; 1 is enough
constexpr double prior_draws = 2.0;    // draws with a standard deviation of 1/2, before the first
constexpr double prior_squares = 0.5;  // the sum of their squared deviations
constexpr double spare = 1e-3;         // no bet risks more than c / (c + spare) of the wealth
constexpr std::uint64_t lowest_octave = 64;  // below 2^-64 the stake is proportional to the wealth
constexpr std::size_t pieces = 16;           // of an octave
constexpr double finest_share = 0x1p-10;     // of the distance from the mean, of the search
constexpr double finest = 0x1p-40;           // of the mean, of the search

constexpr std::size_t n_lines = lowest_octave * pieces + 1;

// order_quantile errs by 1e-12 of p; the probability that follows from it by at most n_draws times
// as much, and by 1e-11 of its own.
constexpr double quantile_margin = 4e-12;
double tail_margin(std::size_t n_draws) noexcept {
  return 1e-9 + quantile_margin * static_cast<double>(n_draws);
}

// order_quantile needs a level of at most 1/2.
double vote_level(double alpha) noexcept { return std::min(alpha, 0.5); }

Proportion vote_quantile(std::size_t k, std::size_t n_draws, double alpha) noexcept {
  const double guess = static_cast<double>(k) / (static_cast<double>(n_draws) + 1.0);
  return order_quantile(k, n_draws, vote_level(alpha), guess);
}

// The stake phi(Phi^-1(u / goal)) goal is concave in the wealth u. So are its chords between the
// knots 2^-e (1 + i/16), and the line from 0 to the first knot.
std::vector<AimedBets::Line> stake_lines() {
  std::vector<double> wealth(n_lines), z(n_lines);
  for (std::size_t i = 0; i < n_lines; ++i) {
    const double part = 1.0 + static_cast<double>(i % pieces) / pieces;
    wealth[i] = std::ldexp(part, static_cast<int>(i / pieces) - static_cast<int>(lowest_octave));
    z[i] = wealth[i] / goal;
  }
  gaussian::quantile(z, z);
  constexpr double height = 0.39894228040143267794;  // 1 / sqrt(2 pi)
  const auto stake = [&](std::size_t i) {
    return goal * height * gaussian::exp(-0.5 * z[i] * z[i]);
  };
  std::vector<AimedBets::Line> lines(n_lines, {0.0, stake(0) / wealth[0]});
  for (std::size_t i = 0; i + 1 < n_lines; ++i) {
    const double slope = (stake(i + 1) - stake(i)) / (wealth[i + 1] - wealth[i]);
    lines[i + 1] = {stake(i) - slope * wealth[i], slope};
  }
  return lines;
}

}  // namespace

AimedBets::AimedBets(double alpha) : alpha_(alpha) {
  static const std::vector<Line> lines = stake_lines();  // for all objects: they take long
  lines_ = lines;
}

// The exponent and the first four bits of the fraction number the pieces.
std::size_t AimedBets::line_of(double wealth) const noexcept {
  constexpr std::uint64_t first = (1023 - lowest_octave) << 4;
  const std::uint64_t piece = std::bit_cast<std::uint64_t>(wealth) >> 48;
  return piece < first ? 0 : std::min<std::size_t>(piece - first + 1, n_lines - 1);
}

// Mean and squared deviations of the draws before each, by Welford's method. They do not depend on
// c. That is why the wealth decreases with c.
void AimedBets::choose_scales(std::span<const double> draws) {
  n_draws_ = draws.size();
  scales_.resize(n_draws_);
  n_votes_ = n_ones_ = 0;
  counts_.clear();
  bool votes = true;
  double squares = prior_squares;
  mean_ = draws[0];
  for (std::size_t i = 0; i < n_draws_; ++i) {
    const double x = draws[i];
    const auto seen = static_cast<double>(i);
    const auto left = static_cast<double>(n_draws_ - i);
    scales_[i] = 1.0 / std::sqrt(left * squares / (seen + prior_draws));
    const double difference = x - mean_;
    mean_ += difference / (seen + 1.0);
    squares += difference * (x - mean_);
    votes = votes && (x == 0.0 || x == 1.0);
    n_votes_ += votes;
    n_ones_ += votes && x == 1.0;
  }
  deviation_ = std::sqrt(squares / static_cast<double>(n_draws_));
}

// The wealth after the votes, the draws before the first that is not 0 or 1, and that draw. Until
// then the bets follow the test that rejects c if at least k of all draws are 1, with the least k
// for which it has the level alpha at some mean of at least c. The wealth is the probability, at
// that mean, that the test rejects.
double AimedBets::start(std::span<const double> draws, double c) {
  const std::size_t k = least_ones(c);
  if (k > n_draws_) return 0.0;
  const Count& count = count_of(k);
  const double x = draws[n_votes_];
  return (1.0 - x) * count.low + x * count.high;
}

std::size_t AimedBets::least_ones(double c) {
  std::size_t low = 0;
  std::size_t high = n_draws_ + 1;
  const auto n = static_cast<double>(n_draws_);
  const double spread = std::sqrt(std::max(n * c * (1.0 - c), 0.0));
  const double guess = n * c - gaussian::quantile(vote_level(alpha_)) * spread + 1.0;
  std::size_t k = std::clamp<std::size_t>(static_cast<std::size_t>(guess), 1, n_draws_);
  for (std::size_t step = 1; high - low > 1; step *= 2) {
    (count_of(k).mean >= c ? high : low) = k;
    if (low == 0) {
      k = high > step ? high - step : 1;
    } else if (high > n_draws_) {
      k = std::min(low + step, n_draws_);
    } else {
      k = low + (high - low) / 2;
    }
  }
  return high;
}

const AimedBets::Count& AimedBets::count_of(std::size_t k) {
  const auto known =
      std::find_if(counts_.begin(), counts_.end(), [k](const Count& one) { return one.k == k; });
  if (known != counts_.end()) return *known;
  const Proportion p = vote_quantile(k, n_draws_, alpha_);
  counts_.push_back(
      {k, p.p * (1.0 - quantile_margin), wealth_if(k, p, n_ones_), wealth_if(k, p, n_ones_ + 1)});
  return counts_.back();
}

// The probability that k of the draws are 1 if the first n_votes_ + 1 of them hold these ones. It
// is lowered by more than its error and that of p.
double AimedBets::wealth_if(std::size_t k, Proportion p, std::size_t ones) const noexcept {
  const std::size_t left = n_draws_ - n_votes_ - 1;
  if (k > ones + left) return 0.0;
  const double wealth = k <= ones ? 1.0 : upper_tail(k - ones, left, p);
  return std::max(0.0, wealth * (1.0 - tail_margin(n_draws_)));
}

// How many of the means, which ascend, have wealth 1 at the end. The stake, the share of the wealth
// that may be risked, x - c, their product and the sum err by a few units of the wealth and the
// stake, and eight are subtracted.
std::size_t AimedBets::passed(std::span<const double> draws, const Lanes& c) {
  Lanes wealth{};
  Lanes most{};
  for (std::size_t j = 0; j < n_lanes; ++j) {
    wealth[j] = start(draws, c[j]);
    most[j] = 1.0 / (c[j] + spare);
  }
  for (std::size_t i = n_votes_ + 1; i < draws.size(); ++i) {
    for (std::size_t j = 0; j < n_lanes; ++j) {
      const double u = wealth[j];
      const Line line = lines_[line_of(u)];
      const double stake = std::min((line.height + line.slope * u) * scales_[i], u * most[j]);
      const double next = u + stake * (draws[i] - c[j]) - (u + stake) * (8 * unit);
      wealth[j] = u >= 1.0 ? u : std::max(next, 0.0);
    }
  }
  std::size_t count = 0;
  while (count < n_lanes && wealth[count] >= 1.0) ++count;
  return count;
}

// Searches below the mean of the draws: first at the distances that the normal distribution
// suggests, then by division into equal parts.
double AimedBets::search(std::span<const double> draws) {
  const double root = std::sqrt(static_cast<double>(n_draws_));
  const double likely = -gaussian::quantile(std::min(alpha_, 0.25)) * deviation_ / root;
  double low = 0.0;
  double high = std::min(mean_, 1.0);
  const double middle = high;
  Lanes c{};
  constexpr Lanes multiples = {4.0, 2.0, 1.25, 0.8};
  for (std::size_t j = 0; j < n_lanes; ++j) {
    c[j] = std::max(0.0, middle - std::min(multiples[j] * likely, high));
  }
  for (;;) {
    const std::size_t count = passed(draws, c);
    if (count > 0) low = std::max(low, c[count - 1]);
    if (count < n_lanes) high = c[count];
    if (!(high - low > std::max(finest_share * (middle - low), finest * middle))) return low;
    const double step = (high - low) / (n_lanes + 1);
    for (std::size_t j = 0; j < n_lanes; ++j) c[j] = low + static_cast<double>(j + 1) * step;
  }
}

double AimedBets::operator()(std::span<const double> draws) {
  choose_scales(draws);
  if (n_votes_ < n_draws_) return search(draws);
  if (n_ones_ == 0) return 0.0;
  return vote_quantile(n_ones_, n_draws_, alpha_).p * (1.0 - quantile_margin);
}

}  // namespace smoothbound::detail
