// Included by every part of kernels.cpp. The parts, named -inl.hpp, are compiled once per tier of
// vector instructions, each time in a namespace of that name. Every tier returns the same bits,
// because additions have a fixed order and are not contracted to fused multiply-add.
//
// The linker may keep any one of several copies of an inline function, and so could choose one that
// the machine cannot run. Therefore all functions here have internal linkage, and they call
// builtins instead of the inline functions of the standard library. A test looks at the symbols.
#pragma once

#if !defined(SMOOTHBOUND_TIER)  // so that a part can be checked by itself
#define SMOOTHBOUND_TIER baseline
#endif

// Compilers vectorise a loop only if they inline every call in it.
#define SMOOTHBOUND_INLINE inline __attribute__((always_inline))
