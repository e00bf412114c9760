// SPDX-License-Identifier: Apache-2.0
//
//   8 bytes          length of the header
//   header           {"NAME": {"dtype": "F16", "shape": [64, 3], "data_offsets": [0, 384]}, ...}
//   data             offsets count from here
#include "model/safetensors.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/cursor.h"

namespace upres {
namespace {

using nlohmann::json;

// A tensor takes about 120 bytes of header: room for 17,000, five times what a large network has.
constexpr uint64_t kMaxHeaderBytes = 2 << 20;

constexpr std::pair<std::string_view, DType> kDTypes[] = {
    {"F16", DType::f16}, {"BF16", DType::bf16},   {"F32", DType::f32}, {"F64", DType::f64},
    {"U8", DType::u8},   {"I8", DType::i8},       {"I16", DType::i16}, {"I32", DType::i32},
    {"I64", DType::i64}, {"BOOL", DType::boolean}};

/// A tensor as the header describes it.
struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  uint64_t begin;
  uint64_t end;
};

/// Builds entries from the events of a JSON parser. There is no document in between: it would not
/// show names that occur twice, and takes many times the header's size.
class HeaderHandler final : public json::json_sax_t {
 public:
  std::vector<Entry> take_entries() { return std::move(entries_); }

  bool start_object(size_t) override {
    if (depth_ == kInTensor) unexpected();
    ++depth_;
    return true;
  }

  bool key(std::string& key) override {
    if (depth_ == kInTensor) {
      field_ = key;
      return true;
    }
    if (!names_.insert(key).second) fail(ErrorCode::model, "two tensors are called {}", key);
    fields_ = {};
    fields_.name = key;
    return true;
  }

  bool end_object() override {
    if (depth_-- == kInTensor && !in_metadata()) entries_.push_back(make_entry());
    return true;
  }

  bool start_array(size_t) override {
    const bool fits =
        depth_ == kInTensor && !numbers_ && (field_ == "shape" || field_ == "data_offsets");
    if (!fits) unexpected();
    numbers_ = field_ == "shape" ? &fields_.shape.emplace() : &fields_.offsets.emplace();
    return true;
  }

  bool number_unsigned(uint64_t value) override {
    if (!numbers_) unexpected();
    numbers_->push_back(value);
    return true;
  }

  bool end_array() override {
    numbers_ = nullptr;
    return true;
  }

  bool string(std::string& value) override {
    if (depth_ != kInTensor || numbers_) unexpected();
    if (in_metadata()) return true;
    if (field_ != "dtype") unexpected();
    fields_.dtype = parse_dtype(value);
    return true;
  }

  bool null() override { unexpected(); }
  bool boolean(bool) override { unexpected(); }
  bool number_integer(int64_t) override { unexpected(); }
  bool number_float(double, const std::string&) override { unexpected(); }
  bool binary(json::binary_t&) override { unexpected(); }

  bool parse_error(size_t, const std::string&, const json::exception& error) override {
    fail(ErrorCode::model, "the header is not JSON: {}", error.what());
  }

 private:
  static constexpr int kInTensor = 2;  ///< {"NAME": { here

  /// Fields of the tensor at work, as far as they were read.
  struct Fields {
    std::string name;
    std::optional<DType> dtype;
    std::optional<std::vector<uint64_t>> shape;
    std::optional<std::vector<uint64_t>> offsets;
  };

  /// Remarks of whoever wrote the file, which are passed over.
  bool in_metadata() const { return fields_.name == "__metadata__"; }

  DType parse_dtype(std::string_view text) const {
    for (const auto& [known, dtype] : kDTypes) {
      if (known == text) return dtype;
    }
    fail(ErrorCode::model,
         "tensor {} is of type {}, which upres does not read; save it as F16 or F32", fields_.name,
         text);
  }

  Entry make_entry() const {
    const auto& [name, dtype, sizes, offsets] = fields_;
    if (!dtype || !sizes || !offsets || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) {
      fail(ErrorCode::model, "tensor {} lacks a dtype, a shape or first and last offsets", name);
    }
    const Shape shape(sizes->begin(), sizes->end());
    const auto count = element_count(shape);
    const uint64_t bytes = (*offsets)[1] - (*offsets)[0];
    const size_t size = size_bytes(*dtype);
    if (!count || bytes % size != 0 || bytes / size != uint64_t(*count)) {
      fail(ErrorCode::model, "tensor {} of {} {} does not fit its {} bytes", name, to_string(shape),
           upres::name(*dtype), bytes);
    }
    return {name, *dtype, shape, (*offsets)[0], (*offsets)[1]};
  }

  [[noreturn]] void unexpected() const {
    fail(ErrorCode::model, "the header does not describe tensors: unexpected value at {} {}",
         fields_.name, field_);
  }

  int depth_ = 0;
  std::string field_;
  Fields fields_;
  std::vector<uint64_t>* numbers_ = nullptr;  ///< those of the array at work
  std::unordered_set<std::string> names_;
  std::vector<Entry> entries_;
};

/// The header's tensors in the order of their bytes.
std::vector<Entry> parse_header(std::string_view text) {
  HeaderHandler handler;
  json::sax_parse(text, &handler);
  std::vector<Entry> entries = handler.take_entries();
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  return entries;
}

std::string_view type_name(DType dtype) {
  const auto* known = std::find_if(std::begin(kDTypes), std::end(kDTypes),
                                   [&](const auto& entry) { return entry.second == dtype; });
  UPRES_ASSERT(known != std::end(kDTypes), "every DType has a name in safetensors");
  return known->first;
}

/// The header of tensors that follow each other, ended by blanks so that they begin at a multiple
/// of 8.
std::string header_of(const std::vector<std::pair<std::string, Tensor>>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header{{"__metadata__", metadata}};
  size_t end = 0;
  for (const auto& [name, tensor] : tensors) {
    const size_t begin = std::exchange(end, end + tensor.bytes().size());
    header[name] = {{"dtype", type_name(tensor.dtype())},
                    {"shape", tensor.shape()},
                    {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

StateDict read_safetensors(std::span<const std::byte> file, const CheckOutline& check) {
  Cursor in(file, "the file");
  const auto header_bytes = in.read<uint64_t>();
  if (header_bytes > kMaxHeaderBytes) {
    fail(ErrorCode::model, "a header of {} bytes is longer than {}", header_bytes, kMaxHeaderBytes);
  }
  const std::vector<Entry> entries = parse_header(in.text(header_bytes));

  StateDict outline;
  for (const Entry& entry : entries) {
    outline.add(entry.name, Tensor::outline(entry.dtype, entry.shape));
  }
  if (outline.empty()) fail(ErrorCode::model, "the file holds no tensors");
  check(outline);

  const size_t data_begin = in.position();
  StateDict weights;
  for (const Entry& entry : entries) {
    const size_t expected = in.position() - data_begin;
    if (entry.begin != expected) {
      fail(ErrorCode::model, "tensor {} begins at offset {}, the one before it ends at {}",
           entry.name, entry.begin, expected);
    }
    weights.add(entry.name, read_tensor(in, entry.dtype, entry.shape));
  }
  if (in.remaining() > 0) {
    fail(ErrorCode::model, "{} bytes follow the last tensor", in.remaining());
  }
  return weights;
}

void write_safetensors(const std::filesystem::path& path, Existing existing,
                       const StateDict& weights,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<std::pair<std::string, Tensor>> tensors(weights.begin(), weights.end());
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return size_bytes(a.second.dtype()) > size_bytes(b.second.dtype());
  });
  const std::string header = header_of(tensors, metadata);
  const uint64_t length = header.size();
  AtomicFile file(path, existing);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(std::as_bytes(std::span(header)));
  for (const auto& [name, tensor] : tensors) file.write(tensor.bytes());
  file.commit();
}

}  // namespace upres
