// Calls a libFuzzer entry point with random bytes for a number of seconds, where there is no
// libFuzzer. usage: fuzz_... SECONDS [FIRST_SEED]; a failure names its seed.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

volatile unsigned long current_seed = 0;

void tell_seed() { std::fprintf(stderr, "seed %lu\n", current_seed); }

void run(unsigned long seed) {
  current_seed = seed;
  std::mt19937_64 random(seed);
  std::vector<std::uint8_t> bytes(random() % 4096);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

#if defined(__GNUC__)  // there is one under a sanitizer
extern "C" void __sanitizer_set_death_callback(void (*)()) __attribute__((weak));
#endif

int main(int argc, char** argv) {
#if defined(__GNUC__)
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(tell_seed);
#endif
  std::signal(SIGABRT, [](int) { tell_seed(); });
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  const unsigned long first = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  unsigned long seed = first;
  while (std::chrono::steady_clock::now() < end) run(seed++);
  std::printf("%lu inputs in %g s, no failure\n", seed - first, seconds);
  return 0;
}
