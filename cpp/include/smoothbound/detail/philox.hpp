/// \file detail/philox.hpp
/// Philox 4x32-10, a counter-based generator of random numbers.
///
/// Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011. For each key it
/// is a bijection on counters, so any thread or device can compute any number of any stream
/// directly.
#pragma once

#include <cstdint>

namespace smoothbound::detail {

/// Four words: a counter, or its random block.
struct PhiloxBlock {
  std::uint32_t word[4];
};

/// The random block of a counter under a 64-bit key, whose low half is the first key word.
static constexpr PhiloxBlock philox(PhiloxBlock counter, std::uint64_t key) noexcept {
  std::uint32_t c0 = counter.word[0], c1 = counter.word[1];
  std::uint32_t c2 = counter.word[2], c3 = counter.word[3];
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

}  // namespace smoothbound::detail
