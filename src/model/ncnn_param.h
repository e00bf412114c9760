// SPDX-License-Identifier: Apache-2.0
// The graph of an ncnn network as its .param file has it: layers with numbered parameters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace upres {

/// The first line of a .param file as text, and the first four bytes of one in binary.
constexpr std::string_view kNcnnMagic = "7767517";
constexpr std::string_view kNcnnBinaryMagic("\xdd\x85\x76\x00", 4);

/// A layer. Parameters are taken one by one, so that those left over are ones that are not
/// understood. Every failure is an Error{model} that names the layer.
class NcnnLayer {
 public:
  /// A number in text, or of four bytes, whose type only the layer knows; several for arrays.
  using Parameter = std::variant<std::string, std::vector<uint32_t>>;

  /// Adds a parameter as it stands in the file: -(23300 + key) for arrays.
  void add_parameter(int key, Parameter value);

  /// A number that is missing is `absent`, as in ncnn.
  int integer(int key, int absent);
  float real(int key, float absent);

  /// An array that is missing is empty.
  std::vector<float> reals(int key);

  /// Takes a number that must be `only`, the one value that we run.
  void expect(std::string_view what, int key, int only, int absent);

  /// To be called when all parameters that are understood were taken.
  void refuse_other_parameters();

  [[noreturn]] void refuse(std::string_view why) const;

  std::string type;
  std::string name;
  std::vector<std::string> inputs;  ///< blobs
  std::vector<std::string> outputs;

 private:
  std::optional<Parameter> take(int key);
  template <typename T>
  T number(int key, T absent);

  std::map<int, Parameter> parameters_;
};

/// The layers of a .param file, as text or in binary. In binary layers and blobs have no names:
/// they are called by their numbers.
std::vector<NcnnLayer> read_ncnn_param(std::span<const std::byte> file);

}  // namespace upres
