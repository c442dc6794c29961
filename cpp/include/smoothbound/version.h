/** \file version.h
 * The version of smoothbound, for the preprocessor, in C and in C++. CMake reads it from here. */
#ifndef SMOOTHBOUND_VERSION_H
#define SMOOTHBOUND_VERSION_H

#define SMOOTHBOUND_VERSION_MAJOR 0
#define SMOOTHBOUND_VERSION_MINOR 1
#define SMOOTHBOUND_VERSION_PATCH 0

#endif
