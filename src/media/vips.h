// SPDX-License-Identifier: Apache-2.0
// What reading and writing pictures share of libvips. Included by media/ only.
#pragma once

#include <vips/vips.h>

#include <memory>
#include <string>

namespace upres {

struct Unref {
  void operator()(gpointer object) const { g_object_unref(object); }
};
/// One of libvips' reference-counted objects; move-only.
template <typename T>
using VipsHandle = std::unique_ptr<T, Unref>;

struct Free {
  void operator()(void* memory) const { g_free(memory); }
};
/// Memory that libvips hands out.
template <typename T>
using VipsMemory = std::unique_ptr<T, Free>;

/// Starts libvips, once: silent, without a cache, and with only those of its readers and writers
/// that are made for hostile files, or are named here. Error{device} where it cannot start.
void start_vips();

/// Forgets what failed before.
void forget_vips_errors();

/// Why libvips failed since forget_vips_errors(), in a few words. The library has one list of
/// errors for all threads.
std::string vips_reason();

}  // namespace upres
