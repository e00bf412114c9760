// SPDX-License-Identifier: Apache-2.0
#include "model/model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/hash.h"
#include "graph/footprint.h"
#include "model/pth.h"
#include "support.h"
#include "torch_file.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// --- published files ---

struct Published {
  const char* file;
  const char* format;
  const char* architecture;
  int scale;
  int64_t parameters;
  DType dtype;
};

void PrintTo(const Published& published, std::ostream* out) {
  *out << published.file;
}

class PublishedModel : public testing::TestWithParam<Published> {};

TEST_P(PublishedModel, Loads) {
  const Published& expected = GetParam();
  REQUIRE_FILE(published(expected.file));
  const Model model = load_model(published(expected.file));
  EXPECT_EQ(model.file.format, expected.format);
  EXPECT_EQ(model.network.architecture, expected.architecture);
  EXPECT_EQ(model.network.graph.scale(), expected.scale);
  EXPECT_EQ(parameter_count(model.network.graph), expected.parameters);
  EXPECT_EQ(model.file.weights.begin()->second.dtype(), expected.dtype);
}

constexpr const char* kCompact16 = "SRVGGNetCompact 64 features, 16 convolutions, PReLU";
constexpr const char* kCompact32 = "SRVGGNetCompact 64 features, 32 convolutions, PReLU";

INSTANTIATE_TEST_SUITE_P(
    Files, PublishedModel,
    testing::Values(
        Published{"rrdb/realesrgan-x4plus.bin", "ncnn", "RRDBNet 64 features, 23 blocks, growth 32",
                  4, 16'697'987, DType::f16},
        Published{"rrdb/realesrgan-x4plus.param", "ncnn",
                  "RRDBNet 64 features, 23 blocks, growth 32", 4, 16'697'987, DType::f16},
        Published{"rrdb/RealESRGAN_x4plus_anime_6B.pth", "PyTorch",
                  "RRDBNet 64 features, 6 blocks, growth 32", 4, 4'467'779, DType::f32},
        Published{"pth/realesr-animevideov3.deflated-zip.pth", "PyTorch", kCompact16, 4, 621'424,
                  DType::f32},
        Published{"pth/sudo_UltraCompact_2x.pth", "PyTorch",
                  "SRVGGNetCompact 64 features, 8 convolutions, PReLU", 2, 304'716, DType::f32},
        Published{"ncnn/realesr-animevideov3-x4.param", "ncnn", kCompact16, 4, 621'424, DType::f16},
        Published{"ncnn/4xLSDIRCompactC3.bin", "ncnn", kCompact16, 4, 621'424, DType::f16},
        Published{"ncnn/realesr-general-x4v3.param", "ncnn", kCompact32, 4, 1'213'296, DType::f16},
        Published{"ncnn/realesr-general-wdn-x4v3.bin", "ncnn", kCompact32, 4, 1'213'296,
                  DType::f16}));

TEST(LoadModel, LoadsTheDefaultModel) {
  const Model model =
      load_model(fs::path(UPRES_SOURCE_DIR) / "models/upres-general-x4.fp16.safetensors");
  EXPECT_EQ(model.file.format, "safetensors");
  EXPECT_EQ(model.network.architecture, kCompact16);
  EXPECT_EQ(model.network.graph.scale(), 4);
  EXPECT_EQ(model.file.sha256, "68819705ac00867341274787573fcd177b913c8479706044e30bb02c39279f7a");
}

TEST(LoadModel, FindsTheSameWeightsInBothPublishedFormats) {
  // ncnn's file has the weights in half precision, cut off rather than rounded and zero where they
  // are below its smallest normal number; the rest is as it was.
  const fs::path pth = published("pth/realesr-animevideov3.deflated-zip.pth");
  const fs::path ncnn = published("ncnn/realesr-animevideov3-x4.bin");
  REQUIRE_FILE(pth);
  REQUIRE_FILE(ncnn);
  const Model single = load_model(pth);
  const Model half = load_model(ncnn);
  ASSERT_EQ(single.file.weights.size(), half.file.weights.size());
  for (const auto& [name, tensor] : single.file.weights) {
    const Tensor* other = half.file.weights.find(name);
    ASSERT_TRUE(other && other->shape() == tensor.shape()) << name;
    const float relative = other->dtype() == DType::f16 ? 0x1p-10f : 0.0f;
    const float absolute = other->dtype() == DType::f16 ? 0x1p-14f : 0.0f;
    const std::vector<float> a = tensor.to_floats();
    const std::vector<float> b = other->to_floats();
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_LE(std::abs(a[i] - b[i]), std::abs(a[i]) * relative + absolute) << name << " " << i;
    }
  }
}

TEST(LoadModel, ReadsTheTrailingResizeOfAnimevideoX2) {
  // Its weights are those of the x4 file.
  const fs::path param = published("ncnn/realesr-animevideov3-x2.param");
  const fs::path bin = published("ncnn/realesr-animevideov3-x4.bin");
  REQUIRE_FILE(param);
  REQUIRE_FILE(bin);
  const TemporaryFolder folder;
  folder.write("x2.bin", content_of(bin));
  const fs::path copy = folder.write("x2.param", content_of(param));
  const Network network = load_model(copy).network;
  EXPECT_EQ(network.architecture,
            "SRVGGNetCompact 64 features, 16 convolutions, PReLU, x4 resized by 1/2");
  EXPECT_EQ(network.graph.scale(), 2);
}

struct Refused {
  const char* file;
  const char* part;
};

void PrintTo(const Refused& refused, std::ostream* out) {
  *out << refused.file;
}

class RefusedModel : public testing::TestWithParam<Refused> {};

TEST_P(RefusedModel, IsRefusedWithReasons) {
  const fs::path path = published(GetParam().file);
  REQUIRE_FILE(path);
  EXPECT_REFUSED(load_model(path), path.string() + ": " + GetParam().part);
}

constexpr const char* kNoNetwork =
    "not a network that upres runs (not RRDBNet: no tensor conv_first.weight; not SRVGGNetCompact: "
    "no tensor body.0.weight)";

INSTANTIATE_TEST_SUITE_P(
    Files, RefusedModel,
    testing::Values(Refused{"pth/ntire24_dirn_longstorage.pth", kNoNetwork},
                    Refused{"pth/ntire24_pfdnlite_strided.pth", kNoNetwork},
                    Refused{"pth/dists_weights.legacy.pt", kNoNetwork},
                    Refused{"pth/lpips_alex_v0.0.py2-legacy.pth", kNoNetwork},
                    Refused{"onnx/esrgan-small-end.onnx", "the network has more than one input"},
                    Refused{"rrdb/realesrgan-x4plus-anime.param", "cannot open"}));

// Files whose storages are used in unusual ways are read before their networks are refused.
TEST(Published, StoragesWithOffsetsStridesAndOtherTypesAreRead) {
  const struct {
    const char* file;
    size_t tensors;
  } cases[] = {{"pth/ntire24_advancedsr_offset.pth", 60},
               {"pth/ntire24_pfdnlite_strided.pth", 48},
               {"pth/ntire24_dirn_longstorage.pth", 161},
               {"pth/ntire22_mobilesr_checkpoint.pth", 105},
               {"pth/ntire22_bsrn.pth", 247}};
  for (const auto& [file, tensors] : cases) {
    REQUIRE_FILE(published(file));
    EXPECT_EQ(read_model_file(published(file)).weights.size(), tensors) << file;
  }
}

/// A hash over names, types, shapes and values. Debian 12's PyTorch, 1.13, gives the same for
/// torch.load()'s dict by
///   hash.update(f"{name} {dtype} {'x'.join(shape)}\\n".encode() + tensor.numpy().tobytes())
std::string hash_of(const StateDict& weights) {
  std::string all;
  for (const auto& [name, tensor] : weights) {
    all += fmt::format("{} {} {}\n", name, upres::name(tensor.dtype()), to_string(tensor.shape()));
    const auto bytes = tensor.bytes();
    all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return sha256_hex(bytes_of(all));
}

TEST(Published, StreamsOfBeforePyTorch16GiveWhatPyTorchReads) {
  const struct {
    const char* file;
    size_t tensors;
    const char* hash;
  } cases[] = {{"pth/IMDN_RTC.legacy.pth", 56,
                "5fcf611b2918b7717e8338bb192305703b42d4d051059048210de2031d9e7556"},
               {"pth/IMDN_RTE.legacy-module-prefix.pth", 48,
                "3322cb8b18d8c11d024d307b8c816480403c102d3fdf3dfc0f6d68d764c81b97"},
               {"pth/carn_mdrn-e.legacy-rebuild_tensor_v1.pth", 91,
                "0546cc7aece2c858422f3b6918db98b1a9682d587b81a085988ce7bb576d6103"},
               {"pth/dists_weights.legacy.pt", 2,
                "afbb6bee1efc05086c418eb8a7e25b6fa0b3a386832aa6417e2257d738a0b7de"},
               {"pth/lpips_alex_v0.0.py2-legacy.pth", 5,
                "d5c11a18d6c50e37f36926859c6665d98e0b8482f6e42adc54b86b65c7746124"}};
  for (const auto& [file, tensors, hash] : cases) {
    REQUIRE_FILE(published(file));
    const ModelFile model = read_model_file(published(file));
    EXPECT_EQ(model.format, "PyTorch") << file;
    EXPECT_EQ(model.weights.size(), tensors) << file;
    EXPECT_EQ(hash_of(model.weights), hash) << file;
  }
}

// --- formats ---

TEST(ReadModelFile, TellsFormatsByTheirContent) {
  const TemporaryFolder folder;
  const std::string pickle =
      pickled({{.name = "module.w", .shape = {1}, .strides = {1}, .storage_count = 1}});
  const fs::path torch = folder.write("weights.bin", torch_file(pickle, raw<float>({7})));
  const ModelFile file = read_model_file(torch);
  EXPECT_EQ(file.format, "PyTorch");
  EXPECT_EQ(file.weights.find("w")->to_floats(), std::vector<float>{7});

  const fs::path legacy =
      folder.write("weights.onnx", legacy_torch_file(pickle, {{"0", 1, raw<float>({7})}}));
  EXPECT_EQ(read_model_file(legacy).weights.find("w")->to_floats(), std::vector<float>{7});

  const std::string header = R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  const fs::path safe = folder.write("weights.pth", raw<uint64_t>({header.size()}) + header + "!");
  EXPECT_EQ(read_model_file(safe).format, "safetensors");
}

TEST(ReadModelFile, FindsTheOtherFileOfABinaryParam) {
  const TemporaryFolder folder;
  const std::string one_input = raw<uint32_t>({7767517, 1, 1, 16, 0, 1, 0}) + raw<int>({-233});
  const fs::path param = folder.write("a.param.bin", one_input);
  EXPECT_REFUSED(read_model_file(param), "cannot open " + (folder.path() / "a.bin").string());
  const fs::path bin = folder.write("a.bin", "");
  EXPECT_EQ(read_model_file(param).format, "ncnn");
  EXPECT_EQ(read_model_file(bin).format, "ncnn");
}

TEST(ReadModelFile, NamesWhatItDoesNotRead) {
  const TemporaryFolder folder;
  const auto expect = [&](const std::string& name, std::string_view content, const char* part) {
    const fs::path path = folder.write(name, content);
    EXPECT_REFUSED(read_model_file(path), path.string() + ": " + part);
  };
  expect("a.pth", "\x80\x02}.", "this is a bare Python pickle");
  expect("b.pth", std::string(257, '\0') + "ustar", "a tar archive without storages");
  expect("c.onnx", "\x08\x07\x12", "this is no whole ONNX file");
  expect("e.bin", {"\0\0\0\0", 4}, "this is a .bin without its .param");
  expect("f.param", "7767517\n1 1\n", "cannot open");
  expect("g.pth", "", "this is not a model file");
  expect("h.pth", "<html>", "this is not a model file");
  EXPECT_REFUSED(read_model_file(folder.path() / "none.pth"), "none.pth: No such file");
}

TEST(ReadModelFile, ShowsNoControlCharactersFromTheFile) {
  const TemporaryFolder folder;
  const std::string pickle = PickleWriter().global("\x1b[2J", "x\x07").stop();
  const fs::path path = folder.write("a.pth", torch_file(pickle, ""));
  EXPECT_REFUSED(read_model_file(path), "wants to call ?[2J.x?;");
}

// --- names ---

TEST(FindModel, TakesAPathOrANameInTheFolder) {
  const TemporaryFolder folder;
  for (const char* name :
       {"one.safetensors", "two.fp16.safetensors", "three.pth", "four.param", "four.bin",
        "five.param.bin", "five.bin", "both.pth", "both.safetensors"}) {
    folder.write(name, "");
  }
  const auto found = [&](const std::string& name) {
    return find_model(name, {folder.path()}).filename().string();
  };
  EXPECT_EQ(found("one"), "one.safetensors");
  EXPECT_EQ(found("two"), "two.fp16.safetensors");
  EXPECT_EQ(found("two.fp16"), "two.fp16.safetensors");
  EXPECT_EQ(found("three"), "three.pth");
  EXPECT_EQ(found("four"), "four.param");
  EXPECT_EQ(found("four.bin"), "four.bin");
  EXPECT_EQ(found("five"), "five.param.bin");
  EXPECT_EQ(found("both"), "both.safetensors");
  EXPECT_EQ(find_model(folder.path() / "one.safetensors", {"nowhere"}).filename(),
            "one.safetensors");
}

TEST(FindModel, ListsTheFoldersModels) {
  const TemporaryFolder folder;
  const fs::path nowhere = folder.path() / "nowhere";
  const ModelFolders folders{nowhere, folder.path()};
  EXPECT_REFUSED(find_model("none", folders),
                 "none: no such model file, and no models are in " + nowhere.string() + " or " +
                     folder.path().string() + "; give a file or a folder");
  for (const char* name : {"b.fp16.safetensors", "a.pth", "a.param", "README.md"}) {
    folder.write(name, "");
  }
  EXPECT_REFUSED(find_model("none", {folder.path()}),
                 "none: no such model file; the models in " + folder.path().string() + " are a, b");
}

TEST(FindModel, TakesTheFirstFolderThatHasIt) {
  const TemporaryFolder first;
  const TemporaryFolder second;
  second.write("one.pth", "");
  second.write("two.pth", "");
  first.write("two.safetensors", "");
  first.write("three.ckpt", "");
  const ModelFolders folders{first.path(), second.path()};
  EXPECT_EQ(find_model("one", folders), second.path() / "one.pth");
  EXPECT_EQ(find_model("two", folders), first.path() / "two.safetensors");
  const std::vector<FoundModel> models = models_in(folders);
  ASSERT_EQ(models.size(), 3u);
  EXPECT_EQ(models[0].name, "three.ckpt");
  EXPECT_EQ(models[1].name, "two");
  EXPECT_EQ(models[1].path, first.path() / "two.safetensors");
  EXPECT_EQ(models[2].name, "one");
}

TEST(FindModel, TellsHowToGetAKnownModel) {
  const TemporaryFolder folder;
  folder.write("one.pth", "");
  for (const char* name : {"RealESRGAN_x4plus", "RealESRGAN_x4plus.pth"}) {
    EXPECT_REFUSED(
        find_model(name, {folder.path()}),
        std::string(name) + " is not here; get it with: upres models fetch RealESRGAN_x4plus");
  }
  EXPECT_REFUSED(find_model("realesrgan-x4plus", {folder.path()}),
                 "are one; did you mean RealESRGAN_x4plus?");
}

}  // namespace
}  // namespace upres
