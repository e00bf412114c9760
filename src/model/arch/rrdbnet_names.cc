// SPDX-License-Identifier: Apache-2.0
//
// One network, three sets of names:
//
//   2018 (ESRGAN's first release)      2019 (RealSR, BSRGAN)       BasicSR
//   model.0                            conv_first                  conv_first
//   model.1.sub.I.RDBK.convJ.0         RRDB_trunk.I.RDBK.convJ     body.I.rdbK.convJ
//   model.1.sub.I.RDBK.conv1x1         RRDB_trunk.I.RDBK.conv1x1   body.I.rdbK.conv1x1
//   model.1.sub.B                      trunk_conv                  conv_body
//   model.3, model.6, ..., model.3U    upconv1, upconv2, ...       conv_up1, conv_up2, ...
//   model.3U+2                         HRconv                      conv_hr
//   model.3U+4                         conv_last                   conv_last
//
// for B blocks and U upsamplings. The names of 2018 are places in one torch.nn.Sequential, where an
// upsampling takes three (Upsample, convolution, activation), so they depend on how many there are.
#include "model/arch/rrdbnet_names.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace upres {
namespace {

/// A layer's name in an older set and in BasicSR's; each # stands for one number, the same in both.
struct Renaming {
  std::string older;
  std::string basicsr;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The numbers that stand for # in `name`; nothing where the pattern does not fit.
std::optional<std::vector<std::string_view>> match(std::string_view pattern,
                                                   std::string_view name) {
  std::vector<std::string_view> numbers;
  for (const char expected : pattern) {
    size_t length = 1;
    if (expected == '#') {
      length = size_t(std::find_if_not(name.begin(), name.end(), is_digit) - name.begin());
      numbers.push_back(name.substr(0, length));
    }
    if (name.empty() || length == 0 || (expected != '#' && name[0] != expected)) return {};
    name.remove_prefix(length);
  }
  return name.empty() ? std::optional(numbers) : std::nullopt;
}

std::string fill(std::string_view pattern, const std::vector<std::string_view>& numbers) {
  std::string name;
  auto number = numbers.begin();
  for (const char c : pattern) {
    if (c == '#') {
      name += *number++;
    } else {
      name += c;
    }
  }
  return name;
}

std::string renamed(const std::vector<Renaming>& renamings, const std::string& tensor_name) {
  const size_t dot = std::min(tensor_name.rfind('.'), tensor_name.size());
  const std::string_view layer = std::string_view(tensor_name).substr(0, dot);
  for (const Renaming& renaming : renamings) {
    if (const auto numbers = match(renaming.older, layer)) {
      return fill(renaming.basicsr, *numbers) + tensor_name.substr(dot);
    }
  }
  return tensor_name;
}

/// The last place of a torch.nn.Sequential that has weights; 0 where none has.
int last_place(const StateDict& weights, std::string_view sequential) {
  int last = 0;
  const std::string pattern = fmt::format("{}.#.weight", sequential);
  for (const auto& [name, tensor] : weights) {
    const auto numbers = match(pattern, name);
    if (!numbers) continue;
    int place = 0;
    const std::string_view digits = numbers->front();
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), place);
    if (error == std::errc()) last = std::max(last, place);
  }
  return last;
}

std::vector<Renaming> renamings_of_2018(const StateDict& weights) {
  constexpr int kPlacesPerUpsampling = 3;
  constexpr int kMaxUpsamplings =
      16;  // a file may say anything; rrdbnet.cc says how many there are
  const int last = last_place(weights, "model");
  std::vector<Renaming> renamings = {
      {"model.0", "conv_first"},
      {"model.1.sub.#.RDB#.conv#.0", "body.#.rdb#.conv#"},
      {"model.1.sub.#.RDB#.conv1x1", "body.#.rdb#.conv1x1"},
      {fmt::format("model.1.sub.{}", last_place(weights, "model.1.sub")), "conv_body"},
      {fmt::format("model.{}", last - 2), "conv_hr"},
      {fmt::format("model.{}", last), "conv_last"},
  };
  const int upsamplings = std::min((last - 4) / kPlacesPerUpsampling, kMaxUpsamplings);
  for (int i = 1; i <= upsamplings; ++i) {
    renamings.push_back(
        {fmt::format("model.{}", kPlacesPerUpsampling * i), fmt::format("conv_up{}", i)});
  }
  return renamings;
}

std::vector<Renaming> renamings_of_2019() {
  return {
      {"RRDB_trunk.#.RDB#.conv#", "body.#.rdb#.conv#"},
      {"RRDB_trunk.#.RDB#.conv1x1", "body.#.rdb#.conv1x1"},
      {"trunk_conv", "conv_body"},
      {"upconv#", "conv_up#"},
      {"HRconv", "conv_hr"},
  };
}

std::vector<Renaming> renamings_for(const StateDict& weights) {
  if (weights.find("model.1.sub.0.RDB1.conv1.0.weight")) return renamings_of_2018(weights);
  if (weights.find("RRDB_trunk.0.RDB1.conv1.weight")) return renamings_of_2019();
  return {};
}

}  // namespace

StateDict with_basicsr_names(const StateDict& weights) {
  const std::vector<Renaming> renamings = renamings_for(weights);
  StateDict result;
  for (const auto& [name, tensor] : weights) result.add(renamed(renamings, name), tensor);
  return result;
}

}  // namespace upres
