// A record of draws in bytes. Whole numbers are little endian, in groups of seven bits with the
// eighth set in all but the last ("n" below), or of fixed size:
//
//     "SBDR", version 2 (1 byte), side (1 byte: 0 lower, 1 upper), a, b (8 bytes each)
//     n draws of the guess, its masses
//     n draws, the masses between every two looks that they have reached, those after the last look
//     checksum of all bytes before (8 bytes): FNV-1a, 64 bits
//
// Masses are: n knots that have any; for each, n knots passed over since the one before, n mass.
// The looks follow from the number of draws. There is one way to write a record.
#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "batch.hpp"
#include "smoothbound/draw_record.hpp"

namespace smoothbound {

using namespace detail;

namespace {

constexpr std::array<std::uint8_t, 4> magic = {'S', 'B', 'D', 'R'};
constexpr std::uint8_t version = 2;
constexpr std::size_t checksum_size = 8;

std::uint64_t checksum(std::span<const std::uint8_t> bytes) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

class Writer {
 public:
  void byte(std::uint8_t x) { bytes_.push_back(x); }

  void fixed(std::uint64_t x) {
    for (int shift = 0; shift < 64; shift += 8) byte(static_cast<std::uint8_t>(x >> shift));
  }

  void number(std::uint64_t x) {
    for (; x >= 0x80; x >>= 7) byte(static_cast<std::uint8_t>(x | 0x80));
    byte(static_cast<std::uint8_t>(x));
  }

  void masses(std::span<const DrawRecord::Entry> entries) {
    number(entries.size());
    std::uint32_t next = 0;
    for (const auto& [knot, mass] : entries) {
      number(knot - next);
      number(mass);
      next = knot + 1;
    }
  }

  void masses(const DrawRecord::Masses& dense) {
    number(static_cast<std::uint64_t>(
        std::count_if(dense.begin(), dense.end(), [](std::uint64_t mass) { return mass > 0; })));
    std::size_t next = 0;
    for (std::size_t knot = 0; knot < dense.size(); ++knot) {
      if (dense[knot] == 0) continue;
      number(knot - next);
      number(dense[knot]);
      next = knot + 1;
    }
  }

  std::vector<std::uint8_t> sealed() && {
    fixed(checksum(bytes_));
    return std::move(bytes_);
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

// Reads what Writer wrote. After anything else good() is false, and the numbers are of no use.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  bool good() const noexcept { return good_; }
  bool at_end() const noexcept { return bytes_.empty(); }

  std::uint8_t byte() noexcept {
    if (bytes_.empty()) {
      good_ = false;
      return 0;
    }
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }

  std::uint64_t fixed() noexcept {
    std::uint64_t x = 0;
    for (int shift = 0; shift < 64; shift += 8) x |= std::uint64_t{byte()} << shift;
    return x;
  }

  // At most 2^56 - 1, in as few bytes as it takes.
  std::uint64_t number() noexcept {
    std::uint64_t x = 0;
    for (int shift = 0; shift < 56; shift += 7) {
      const std::uint8_t group = byte();
      x |= std::uint64_t{group & 0x7fu} << shift;
      if (group >= 0x80) continue;
      good_ &= group > 0 || shift == 0;
      return x;
    }
    good_ = false;
    return 0;
  }

  std::uint64_t draws() noexcept {
    const std::uint64_t n = number();
    good_ &= n <= most_recorded_draws;
    return good_ ? n : 0;
  }

  // Masses that are those of n_draws draws together.
  DrawRecord::Masses masses(std::uint64_t n_draws) noexcept {
    DrawRecord::Masses dense{};
    std::uint64_t left = DrawRecord::one * n_draws;
    std::size_t next = 0;
    for (std::uint64_t entries = number(); entries > 0 && good_; --entries) {
      const std::uint64_t passed = number();
      const std::uint64_t mass = number();
      good_ &= passed < dense.size() - next && mass > 0 && mass <= left;
      if (!good_) break;
      next += static_cast<std::size_t>(passed);
      dense[next++] = mass;
      left -= mass;
    }
    good_ &= left == 0;
    return dense;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool good_ = true;
};

Failure refused(const char* need, double got) noexcept {
  return {Error::bad_option, 0, 0, need, got};
}

// Whether the bytes are as they were sealed.
Failure check_seal(std::span<const std::uint8_t> bytes) noexcept {
  const auto size = static_cast<double>(bytes.size());
  if (bytes.size() < magic.size() + 1 + checksum_size ||
      !std::equal(magic.begin(), magic.end(), bytes.begin())) {
    return refused("state must be what a record was saved to", size);
  }
  if (bytes[magic.size()] != version) {
    return refused(
        "state must be of version 2 (or read it with the smoothbound that wrote it, or "
        "make the draws again)",
        bytes[magic.size()]);
  }
  const auto contents = bytes.first(bytes.size() - checksum_size);
  if (Reader(bytes.last(checksum_size)).fixed() == checksum(contents)) return {};
  return refused("state must be whole and unchanged, as its checksum is", size);
}

}  // namespace

std::vector<std::uint8_t> DrawRecord::save() const {
  Writer to;
  for (const std::uint8_t byte : magic) to.byte(byte);
  to.byte(version);
  to.byte(side_ == Side::lower ? 0 : 1);
  to.fixed(std::bit_cast<std::uint64_t>(a_));
  to.fixed(std::bit_cast<std::uint64_t>(b_));
  to.number(n_guess_);
  to.masses(guessed_);
  to.number(n_draws_);
  for (std::size_t look = 0; look + 1 < n_looks(); ++look) to.masses(between(look));
  to.masses(open_);
  return std::move(to).sealed();
}

Failure DrawRecord::load(std::span<const std::uint8_t> bytes) noexcept {
  if (const Failure failure = check_seal(bytes)) return failure;
  Reader from(bytes.first(bytes.size() - checksum_size).subspan(magic.size() + 1));
  const std::uint8_t side = from.byte();
  const auto a = std::bit_cast<double>(from.fixed());
  const auto b = std::bit_cast<double>(from.fixed());
  try {
    DrawRecord read(a, b, side == 0 ? Side::lower : Side::upper);
    read.n_guess_ = from.draws();
    read.guessed_ = from.masses(read.n_guess_);
    const std::uint64_t n_draws = from.draws();
    for (std::uint64_t look = look_after(0); look <= n_draws && from.good();) {
      read.open_ = from.masses(look - read.n_draws_);
      read.n_draws_ = look;
      read.close();
      look = look_after(look);
    }
    read.open_ = from.masses(n_draws - read.n_draws_);
    read.n_draws_ = n_draws;
    if (side > 1 || !valid_range(a, b) || !from.good() || !from.at_end()) {
      return refused("state must hold numbers that a record can have",
                     static_cast<double>(bytes.size()));
    }
    *this = std::move(read);
    return {};
  } catch (...) {  // std::bad_alloc: nothing else is thrown
    return out_of_memory();
  }
}

}  // namespace smoothbound
