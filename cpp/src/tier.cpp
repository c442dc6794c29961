#include "smoothbound/tier.hpp"

#include <cstdlib>
#include <cstring>

#include "kernels.hpp"

namespace smoothbound {
namespace detail {
namespace {

#if defined(SMOOTHBOUND_X86_TIERS)
#if defined(_MSC_VER)
#include <intrin.h>
// Whether cpuid leaf 7 has the bits of ebx, and the system saves the registers in xcr0.
bool machine_has(unsigned ebx, unsigned long long registers) {
  int r[4];
  __cpuid(r, 0);
  if (r[0] < 7) return false;
  __cpuid(r, 1);
  constexpr unsigned needed = 1u << 27 | 1u << 12;  // OSXSAVE, FMA
  if ((static_cast<unsigned>(r[2]) & needed) != needed) return false;
  if ((_xgetbv(0) & registers) != registers) return false;
  __cpuidex(r, 7, 0);
  return (static_cast<unsigned>(r[1]) & ebx) == ebx;
}
bool has_avx2() { return machine_has(1u << 5 | 1u << 8, 0x06); }  // with BMI2
bool has_avx512() {
  return machine_has(1u << 5 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, 0xe6);  // F, DQ, BW, VL
}
#else
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
}
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

}  // namespace detail

const char* tier() noexcept { return detail::kernels().tier; }

}  // namespace smoothbound
