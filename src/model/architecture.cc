// SPDX-License-Identifier: Apache-2.0
#include "model/architecture.h"

#include <algorithm>
#include <functional>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "graph/structure.h"
#include "model/families.h"

namespace upres {
namespace {

/// Tried in this order.
constexpr const Architecture* kArchitectures[] = {&kRrdbNet, &kSrvggNetCompact};

constexpr size_t kReasonsTold = 3;

StateDict with_published_names(const Architecture& architecture, const StateDict& weights) {
  return architecture.with_published_names ? architecture.with_published_names(weights) : weights;
}

// --- files that hold a graph ---

/// Whether a tensor is the first of its layer; what follows it belongs to the same.
bool begins_layer(const std::string& tensor_name) {
  return tensor_name.ends_with(".weight");
}

/// The published names for weights in the order of their layers.
std::optional<std::vector<std::string>> published_names(const Architecture& architecture,
                                                        const StateDict& weights) {
  int convolutions = 0;
  int slopes = 0;
  for (const auto& [name, tensor] : weights) {
    if (begins_layer(name)) ++(tensor.shape().size() == 1 ? slopes : convolutions);
  }
  return architecture.layer_names(convolutions, slopes);
}

StateDict renamed(const StateDict& weights, const std::vector<std::string>& layer_names) {
  StateDict result;
  auto layer = layer_names.begin();
  for (const auto& [name, tensor] : weights) {
    if (begins_layer(name) && !result.empty()) ++layer;
    result.add(*layer + name.substr(name.rfind('.')), tensor);
  }
  return result;
}

/// The hash of the node that makes the graph's output, by the hashes of all nodes; 0 if none does.
uint64_t output_hash(const Graph& graph, const std::vector<uint64_t>& hashes) {
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (graph.nodes()[i].output == graph.output()) return hashes[i];
  }
  return 0;
}

/// Nothing when both graphs compute the same; otherwise the first operator of `graph` that has no
/// equal in `expected`.
std::optional<Mismatch> compare(const Graph& graph, const Graph& expected) {
  const auto hashes = structure_hashes(graph);
  const auto expected_hashes = structure_hashes(expected);
  const std::unordered_set<uint64_t> known(expected_hashes.begin(), expected_hashes.end());
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (known.contains(hashes[i])) continue;
    const Node& node = graph.nodes()[i];
    return Mismatch{double(i) / double(hashes.size()),
                    fmt::format("layer {} ({}) does not fit", node.name, kind_name(node.op))};
  }
  if (output_hash(graph, hashes) == output_hash(expected, expected_hashes)) return std::nullopt;
  return Mismatch{1, "the result is taken from another layer than the last"};
}

/// Makes `result` the network when it is of the architecture; otherwise says why it is not.
std::optional<Mismatch> match_graph(const Architecture& architecture, const StateDict& weights,
                                    const Graph& graph, Recognised& result) {
  const auto names = published_names(architecture, weights);
  if (!names) return Mismatch{0, "no network of this family has these numbers of layers"};
  result.weights = renamed(weights, *names);
  if (auto mismatch = architecture.mismatch(result.weights)) return mismatch;
  result.network = architecture.build(result.weights, &graph);
  return compare(graph, result.network.graph);
}

// --- choosing ---

struct Candidate {
  std::string_view id;
  Mismatch mismatch;
};

[[noreturn]] void refuse(std::vector<Candidate> candidates) {
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.mismatch.likeness > b.mismatch.likeness;
  });
  candidates.resize(std::min(candidates.size(), kReasonsTold));
  std::vector<std::string> reasons;
  for (const auto& [id, mismatch] : candidates) {
    reasons.push_back(fmt::format("not {}: {}", id, mismatch.reason));
  }
  fail(ErrorCode::model, "not a network that upres runs ({}); choose a model of one of these kinds",
       fmt::join(reasons, "; "));
}

/// The first architecture that `mismatch` finds nothing against.
const Architecture& choose(
    const StateDict& weights,
    const std::function<std::optional<Mismatch>(const Architecture&)>& mismatch) {
  std::vector<Candidate> candidates;
  for (const Architecture* architecture : kArchitectures) {
    auto found = mismatch(*architecture);
    if (!found) return *architecture;
    candidates.push_back({architecture->id, std::move(*found)});
  }
  if (const auto family = foreign_family(weights)) refuse_family(*family);
  refuse(std::move(candidates));
}

const Architecture& architecture_of(const StateDict& weights) {
  return choose(weights, [&](const Architecture& architecture) {
    return architecture.mismatch(with_published_names(architecture, weights));
  });
}

}  // namespace

Recognised recognise(const StateDict& weights) {
  const Architecture& architecture = architecture_of(weights);
  StateDict published = with_published_names(architecture, weights);
  Network network = architecture.build(published, nullptr);
  return {std::move(published), std::move(network)};
}

Recognised recognise(const StateDict& weights, const Graph& graph) {
  Recognised result;
  choose(weights, [&](const Architecture& architecture) {
    return match_graph(architecture, weights, graph, result);
  });
  return result;
}

std::optional<Recognised> find_architecture(const StateDict& weights, const Graph& graph) {
  for (const Architecture* architecture : kArchitectures) {
    Recognised result;
    if (!match_graph(*architecture, weights, graph, result)) return result;
  }
  return std::nullopt;
}

void check_recognised(const StateDict& outline) {
  architecture_of(outline);
}

void refuse_family(std::string_view family) {
  std::vector<std::string_view> ids;
  for (const Architecture* architecture : kArchitectures) ids.push_back(architecture->id);
  const bool vowel = std::string_view("AEIO").find(family.front()) != std::string_view::npos;
  fail(ErrorCode::model, "this is {0} {1} model; upres does not run {1} yet (it runs {2})",
       vowel ? "an" : "a", family, fmt::join(ids, " and "));
}

}  // namespace upres
