// SPDX-License-Identifier: Apache-2.0
// Files of the cache: facts and bytes under one checksum, so that nothing is used that another
// program wrote, or that a disk or an interruption damaged.
//
//     upres sealed file 1
//     sha256 9f86d081…                of all that follows this line
//     kind engine
//     gpu NVIDIA GeForce RTX 4090     facts, a word and a text each
//     …
//                                     an empty line, then the bytes
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/file.h"

namespace upres::tensorrt {

/// Names and texts, in their order. A name is one word; a text has no line breaks.
using Facts = std::vector<std::pair<std::string, std::string>>;

/// The text of a fact; empty where there is none of this name.
std::string fact(const Facts& facts, const std::string& name);

/// Writes a file beside its place and puts it there when it is whole. Error{output}.
void write_sealed(const std::filesystem::path& path, const Facts& facts,
                  std::span<const std::byte> bytes);

/// A file whose seal holds; the bytes live as long as it does.
struct Sealed {
  MappedFile file;
  Facts facts;
  std::span<const std::byte> bytes;
};

/// What is wrong with a file that is there, to be read after its name: "is damaged".
using Fault = std::string;

/// Never throws for what a file holds, or because it cannot be read.
std::variant<Sealed, Fault> read_sealed(const std::filesystem::path& path);

/// The facts alone, without the checksum's test, for lists.
std::variant<Facts, Fault> read_facts(const std::filesystem::path& path);

}  // namespace upres::tensorrt
