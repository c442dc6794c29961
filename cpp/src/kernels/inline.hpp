// What every part of kernels.cpp needs. The parts, named -inl.hpp, are compiled once per tier of
// vector instructions, each time in a namespace of that name. No contraction to fused multiply-add
// and a fixed order of additions: every tier returns the same bits.
//
// A function that the linker may choose from any object must not be among them, or a machine could
// be given one that it cannot run. So all of them have internal linkage, and builtins are called
// instead of the inline functions of the standard library; a test looks at the symbols.
#pragma once

#if !defined(SMOOTHBOUND_TIER)  // for whoever reads a part by itself
#define SMOOTHBOUND_TIER baseline
#endif

// A loop is vectorised only if everything in it is inlined.
#define SMOOTHBOUND_INLINE inline __attribute__((always_inline))
