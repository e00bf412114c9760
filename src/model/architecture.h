// SPDX-License-Identifier: Apache-2.0
// The network families that can be run: one line each in architecture.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "model/state_dict.h"

namespace upres {

/// Why a state dict is not of an architecture.
struct Mismatch {
  /// How far it got, 0 (nothing fits) to 1: the user is told of the nearest architectures.
  double likeness = 0;
  std::string reason;  ///< "no tensor conv_first.weight"
};

/// A network ready to be compiled.
struct Network {
  std::string architecture;  ///< "RRDBNet 64 features, 23 blocks, growth 32"
  Graph graph;
};

/// One family.
struct Architecture {
  std::string_view id;

  /// The weights under the names that mismatch() knows, where the family has been published under
  /// older ones too; null where it has not.
  StateDict (*with_published_names)(const StateDict& weights);

  /// Why the weights are not of the family; nothing when they are. By their published names and
  /// shapes alone: outlines will do.
  std::optional<Mismatch> (*mismatch)(const StateDict& weights);

  /// The network of weights that mismatch() found nothing against. `graph`, null unless the file
  /// holds one, is asked only for what names and shapes cannot tell. Error{model} where the weights
  /// are no finite numbers.
  Network (*build)(const StateDict& weights, const Graph* graph);

  /// The published names of a network's layers with weights, in the order they run, for a file that
  /// keeps only the order: so many convolutions and layers of slopes. Nothing when no network of
  /// the family has these numbers.
  std::optional<std::vector<std::string>> (*layer_names)(int convolutions, int slopes);
};

extern const Architecture kRrdbNet;
extern const Architecture kSrvggNetCompact;

/// A network, and its weights under their published names.
struct Recognised {
  StateDict weights;
  Network network;
};

/// The network of weights under published names, older ones too. When it is of no architecture:
/// Error{model} with its family where that is known (families.h), else with the reasons of the
/// nearest architectures.
Recognised recognise(const StateDict& weights);

/// The network of a file that holds a graph and keeps its weights in the order of the graph's
/// layers, whatever their names. The graph is compared with the architecture's own, which is
/// returned: Error{model} names the first operator that does not fit.
Recognised recognise(const StateDict& weights, const Graph& graph);

/// The same; nothing when the network is of no architecture.
std::optional<Recognised> find_architecture(const StateDict& weights, const Graph& graph);

/// Refuses weights that recognise() would not take whatever their elements, in the same words. For
/// files without a graph; outlines will do.
void check_recognised(const StateDict& outline);

/// Error{model} that says that networks of a foreign family are not run, and which ones are.
[[noreturn]] void refuse_family(std::string_view family);

}  // namespace upres
