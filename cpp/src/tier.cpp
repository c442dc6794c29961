#include "smoothbound/tier.hpp"

#include <cstdlib>
#include <cstring>

#include "kernels.hpp"

namespace smoothbound {
namespace {

#if defined(SMOOTHBOUND_X86_TIERS)
#if defined(_MSC_VER)
#include <intrin.h>
bool machine_has(int leaf_7_bits_avx512) {
  int r[4];
  __cpuid(r, 1);
  const bool osxsave = (r[2] >> 27) & 1, fma = (r[2] >> 12) & 1;
  if (!osxsave || !fma) return false;
  const unsigned long long xcr = _xgetbv(0);
  __cpuidex(r, 7, 0);
  const bool avx2 = (r[1] >> 5) & 1;
  if (!leaf_7_bits_avx512) return avx2 && (xcr & 6) == 6;
  const unsigned wanted = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
  return (xcr & 0xe6) == 0xe6 && (static_cast<unsigned>(r[1]) & wanted) == wanted;
}
bool has_avx2() { return machine_has(0); }
bool has_avx512() { return machine_has(1); }
#else
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif
#endif

const Kernels& choose() {
#if defined(SMOOTHBOUND_X86_TIERS)
  const char* cap = std::getenv("SMOOTHBOUND_TIER");
  const bool avx2_allowed = cap == nullptr || std::strcmp(cap, "baseline") != 0;
  const bool avx512_allowed = avx2_allowed && (cap == nullptr || std::strcmp(cap, "avx2") != 0);
  if (avx512_allowed && has_avx512()) return kernels_avx512;
  if (avx2_allowed && has_avx2()) return kernels_avx2;
#endif
  return kernels_baseline;
}

}  // namespace

const Kernels& kernels() noexcept {
  static const Kernels& chosen = choose();
  return chosen;
}

const char* tier() noexcept { return kernels().tier; }

}  // namespace smoothbound
