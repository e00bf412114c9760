// SPDX-License-Identifier: Apache-2.0
// Writes pickles and torch.save()'s archives, proper and improper ones.
#pragma once

#include <gtest/gtest.h>
#include <zip.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace upres {

/// Appends the opcodes of a pickle, one call each.
class PickleWriter {
 public:
  PickleWriter() { op(0x80).byte(2); }

  PickleWriter& op(int code) { return byte(code); }
  PickleWriter& byte(int value) { return raw_text(std::string(1, char(value))); }
  PickleWriter& raw_text(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  PickleWriter& u32(uint32_t value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    return raw_text({bytes, sizeof value});
  }
  /// As Python 2 pickles text: one byte a character, at most 255.
  PickleWriter& short_string(std::string_view text) {
    return op('U').byte(int(text.size())).raw_text(text);
  }
  PickleWriter& text(std::string_view text) {
    return op('X').u32(uint32_t(text.size())).raw_text(text);
  }
  PickleWriter& integer(int64_t value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    return op(0x8a).byte(sizeof value).raw_text({bytes, sizeof value});
  }
  PickleWriter& integers(const std::vector<int64_t>& values) {
    op('(');
    for (const int64_t value : values) integer(value);
    return op('t');
  }
  PickleWriter& global(std::string_view module, std::string_view name) {
    return op('c').raw_text(module).byte('\n').raw_text(name).byte('\n');
  }

  /// The pickle, ended.
  std::string stop() const { return bytes_ + '.'; }

 private:
  std::string bytes_;
};

/// A tensor as torch.save() pickles it.
struct PickledTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  int64_t offset = 0;
  std::string storage_type = "FloatStorage";
  std::string key = "0";
  int64_t storage_count = 0;
};

inline PickleWriter& write_tensor(PickleWriter& pickle, const PickledTensor& tensor) {
  pickle.global("torch._utils", "_rebuild_tensor_v2").op('(');
  pickle.op('(').text("storage").global("torch", tensor.storage_type).text(tensor.key);
  pickle.text("cpu").integer(tensor.storage_count).op('t').op('Q');
  pickle.integer(tensor.offset).integers(tensor.shape).integers(tensor.strides);
  return pickle.op(0x89).global("collections", "OrderedDict").op(')').op('R').op('t').op('R');
}

/// Appends a dict of tensors.
inline PickleWriter& write_dict(PickleWriter& pickle, const std::vector<PickledTensor>& tensors) {
  pickle.op('}').op('(');
  for (const PickledTensor& tensor : tensors) write_tensor(pickle.text(tensor.name), tensor);
  return pickle.op('u');
}

inline std::string pickled(const std::vector<PickledTensor>& tensors) {
  PickleWriter pickle;
  return write_dict(pickle, tensors).stop();
}

struct ZipEntry {
  std::string name;
  std::string content;
};

/// An archive of the entries, stored or deflated. A name that ends in a slash is a folder.
inline std::string zip_of(const std::vector<ZipEntry>& entries, bool deflated = false) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(target);
  zip_t* archive = zip_open_from_source(target, ZIP_TRUNCATE, &error);
  for (const auto& [name, content] : entries) {
    if (name.ends_with('/')) {
      EXPECT_GE(zip_dir_add(archive, name.c_str(), 0), 0);
      continue;
    }
    zip_source_t* source = zip_source_buffer(archive, content.data(), content.size(), 0);
    const zip_int64_t index = zip_file_add(archive, name.c_str(), source, 0);
    EXPECT_GE(index, 0);
    zip_set_file_compression(archive, zip_uint64_t(index), deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE,
                             0);
  }
  EXPECT_EQ(zip_close(archive), 0);
  zip_stat_t status;
  EXPECT_EQ(zip_source_stat(target, &status), 0);
  std::string bytes(status.size, '\0');
  zip_source_open(target);
  EXPECT_EQ(zip_source_read(target, bytes.data(), bytes.size()), zip_int64_t(bytes.size()));
  zip_source_close(target);
  zip_source_free(target);
  zip_error_fini(&error);
  return bytes;
}

/// torch.save()'s archive of a pickle and one storage.
inline std::string torch_file(const std::string& pickle, const std::string& storage) {
  return zip_of(
      {{"archive/data.pkl", pickle}, {"archive/data/0", storage}, {"archive/version", "3\n"}});
}

/// A storage in a stream of before PyTorch 1.6.
struct LegacyStorage {
  std::string key;
  int64_t count;
  std::string elements;
};

constexpr std::string_view kLegacyMagic =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// torch.save()'s stream of before PyTorch 1.6 with these storages.
inline std::string legacy_torch_file(const std::string& pickle,
                                     const std::vector<LegacyStorage>& storages,
                                     int64_t protocol = 1001) {
  std::string file(kLegacyMagic);
  file += PickleWriter().integer(protocol).stop();
  file += PickleWriter().op('}').text("little_endian").op(0x88).op('s').stop();
  file += pickle;
  PickleWriter keys;
  keys.op(']').op('(');
  for (const LegacyStorage& storage : storages) keys.text(storage.key);
  file += keys.op('e').stop();
  for (const LegacyStorage& storage : storages) {
    file.append(reinterpret_cast<const char*>(&storage.count), sizeof storage.count);
    file += storage.elements;
  }
  return file;
}

}  // namespace upres
