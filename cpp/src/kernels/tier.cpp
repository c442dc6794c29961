#include "smoothbound/tier.hpp"

#include <cstdlib>
#include <cstring>

#include "kernels/kernels.hpp"

namespace smoothbound {
namespace detail {
namespace {

#if defined(SMOOTHBOUND_X86_TIERS)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
}
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

const Kernels& choose() {
#if defined(SMOOTHBOUND_X86_TIERS)
  const char* cap = std::getenv("SMOOTHBOUND_TIER");
  const bool avx2_allowed = cap == nullptr || std::strcmp(cap, "baseline") != 0;
  const bool avx512_allowed = avx2_allowed && (cap == nullptr || std::strcmp(cap, "avx2") != 0);
  if (avx512_allowed && has_avx512()) return avx512::table;
  if (avx2_allowed && has_avx2()) return avx2::table;
#endif
  return baseline::table;
}

}  // namespace

const Kernels& kernels() noexcept {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace detail

const char* tier() noexcept { return detail::kernels().tier; }

}  // namespace smoothbound
