// SPDX-License-Identifier: Apache-2.0
#include "model/format.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/hash.h"
#include "model/legacy_pth.h"
#include "model/legacy_tar.h"
#include "model/ncnn.h"
#include "model/ncnn_param.h"
#include "model/onnx.h"
#include "model/pth.h"
#include "model/safetensors.h"

namespace upres {
namespace {

namespace fs = std::filesystem;
using Bytes = std::span<const std::byte>;

bool has_at(Bytes file, size_t offset, std::string_view text) {
  return file.size() >= offset && file.size() - offset >= text.size() &&
         std::equal(text.begin(), text.end(), file.begin() + ptrdiff_t(offset),
                    [](char a, std::byte b) { return std::byte(a) == b; });
}

// --- formats that are read ---

bool is_zip(const fs::path&, Bytes file) {
  return has_at(file, 0, "PK\x03\x04");
}

ModelFile read_pytorch(const fs::path&, Bytes file, const CheckOutline& check) {
  return {.format = {}, .weights = read_pth(file, check), .graph = {}, .sha256 = sha256_hex(file)};
}

bool is_legacy_pytorch(const fs::path&, Bytes file) {
  return has_at(file, 0, kLegacyPthMagic);
}

ModelFile read_legacy_pytorch(const fs::path&, Bytes file, const CheckOutline& check) {
  return {.format = {},
          .weights = read_legacy_pth(file, check),
          .graph = {},
          .sha256 = sha256_hex(file)};
}

bool is_tar(const fs::path&, Bytes file) {
  return has_at(file, 257, "ustar");
}

ModelFile read_tar(const fs::path&, Bytes file, const CheckOutline& check) {
  return {.format = {},
          .weights = read_legacy_tar(file, check),
          .graph = {},
          .sha256 = sha256_hex(file)};
}

bool is_param(Bytes file) {
  return has_at(file, 0, kNcnnMagic) || has_at(file, 0, kNcnnBinaryMagic);
}

/// X.param or X.param.bin for X.bin.
fs::path param_beside(fs::path bin) {
  bin.replace_extension(".param");
  std::error_code ignored;
  return fs::exists(bin, ignored) ? bin : bin.concat(".bin");
}

/// X.bin for X.param or X.param.bin.
fs::path bin_beside(fs::path param) {
  if (param.stem().extension() == ".param") param.replace_extension();
  return param.replace_extension(".bin");
}

bool is_ncnn(const fs::path& path, Bytes file) {
  std::error_code ignored;
  return is_param(file) || (path.extension() == ".bin" && fs::exists(param_beside(path), ignored));
}

ModelFile read_ncnn_pair(const fs::path& path, Bytes file, const CheckOutline&) {
  const bool param_named = is_param(file);
  const fs::path other_path = param_named ? bin_beside(path) : param_beside(path);
  const MappedFile other = MappedFile::open(other_path, ErrorCode::model);
  const Bytes param = param_named ? file : other.bytes();
  const Bytes bin = param_named ? other.bytes() : file;
  NcnnNetwork network = read_ncnn(param, bin);
  return {.format = {},
          .weights = std::move(network.weights),
          .graph = std::move(network.graph),
          .sha256 = sha256_hex(bin)};
}

bool is_safetensors(const fs::path&, Bytes file) {
  return has_at(file, 8, "{");  // after the header's length
}

ModelFile read_safetensors_file(const fs::path&, Bytes file, const CheckOutline& check) {
  return {.format = {},
          .weights = read_safetensors(file, check),
          .graph = {},
          .sha256 = sha256_hex(file)};
}

/// Protocol buffers have no mark: ONNX's begin with a small version number, field 1.
bool is_onnx(const fs::path& path, Bytes file) {
  return path.extension() == ".onnx" && has_at(file, 0, "\x08");
}

ModelFile read_onnx_file(const fs::path& path, Bytes file, const CheckOutline&) {
  OnnxNetwork network = read_onnx(file, path.parent_path());
  return {.format = {},
          .weights = std::move(network.weights),
          .graph = std::move(network.graph),
          .graph_runs = true,
          .sha256 = sha256_hex(file)};
}

struct Format {
  std::string_view name;
  bool (*looks_like)(const fs::path& path, Bytes file);
  ModelFile (*read)(const fs::path& path, Bytes file, const CheckOutline& check);
};

/// Tried in this order: a .bin may also be PyTorch's.
constexpr Format kFormats[] = {
    {"PyTorch", is_zip, read_pytorch},
    {"PyTorch", is_legacy_pytorch, read_legacy_pytorch},
    {"PyTorch", is_tar, read_tar},
    {"ncnn", is_ncnn, read_ncnn_pair},
    {"safetensors", is_safetensors, read_safetensors_file},
    {"ONNX", is_onnx, read_onnx_file},
};

// --- formats that are only named ---

bool is_pickle(const fs::path&, Bytes file) {
  return has_at(file, 0, "\x80");
}

bool is_lone_bin(const fs::path& path, Bytes) {
  return path.extension() == ".bin";
}

struct RefusedFormat {
  bool (*looks_like)(const fs::path& path, Bytes file);
  std::string_view what;
  std::string_view next_step;
};

constexpr RefusedFormat kRefused[] = {
    {is_pickle, "a bare Python pickle", "load it with PyTorch and save it with torch.save again"},
    {is_lone_bin, "a .bin without its .param", "put both files of the ncnn model in one folder"},
};

[[noreturn]] void refuse(const fs::path& path, Bytes file) {
  for (const RefusedFormat& format : kRefused) {
    if (format.looks_like(path, file)) {
      fail(ErrorCode::model, "this is {}, which upres does not read; {}", format.what,
           format.next_step);
    }
  }
  fail(ErrorCode::model,
       "this is not a model file; upres reads .safetensors, PyTorch's .pth, ncnn's .param with "
       ".bin, "
       "and .onnx");
}

// --- names ---

/// Names without the "module." that torch.nn.DataParallel puts before all of them.
StateDict without_module(const StateDict& weights) {
  constexpr std::string_view kPrefix = "module.";
  const auto has_prefix = [&](const auto& entry) { return entry.first.starts_with(kPrefix); };
  if (!std::all_of(weights.begin(), weights.end(), has_prefix)) return weights;
  StateDict result;
  for (const auto& [name, tensor] : weights) result.add(name.substr(kPrefix.size()), tensor);
  return result;
}

ModelFile read(const fs::path& path, Bytes file, const CheckOutline& check) {
  for (const Format& format : kFormats) {
    if (!format.looks_like(path, file)) continue;
    ModelFile model =
        format.read(path, file, [&](const StateDict& outline) { check(without_module(outline)); });
    model.format = format.name;
    model.weights = without_module(model.weights);
    return model;
  }
  refuse(path, file);
}

}  // namespace

ModelFile read_model_file(const fs::path& path, const CheckOutline& check) {
  const MappedFile file = MappedFile::open(path, ErrorCode::model);
  try {
    return read(path, file.bytes(), check);
  } catch (const Error& error) {
    throw about_file(path, error);
  }
}

Error about_file(const fs::path& path, const Error& error) {
  constexpr size_t kMaxLength = 600;
  std::string what = error.what();
  if (what.size() > kMaxLength) what = what.substr(0, kMaxLength) + "...";
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; };
  std::replace_if(what.begin(), what.end(), is_control, '?');
  return Error(error.code(), fmt::format("{}: {}", path.string(), what));
}

}  // namespace upres
