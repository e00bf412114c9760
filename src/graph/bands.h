// SPDX-License-Identifier: Apache-2.0
// In what pieces a network is run.
//
// A network's tail works on pictures that are larger than what the rest works on: four times the
// side, sixteen times the memory. So it runs in bands of rows, each from the body's result to the
// network's, and its values are never there whole.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "graph/footprint.h"
#include "graph/graph.h"

namespace upres {

/// For every band the rows of each value, by ValueId, that are made in it.
using Bands = std::vector<std::vector<Interval>>;

/// The node from which on all results are larger than those before; the number of nodes where the
/// network has no such tail, or one that cannot run in bands.
size_t find_tail(const Graph& graph);

/// The nodes from `first_banded` on in as few bands as it takes that no value of theirs has more
/// than `limit_bytes` in one, or in bands of twice `least_rows` of the result where they have more.
/// Values of the nodes before are whole in all bands. `bytes_of`: so many rows of a value.
Bands cut_tail(const Graph& graph, size_t first_banded, Size padded,
               const std::function<size_t(ValueId, int rows)>& bytes_of, size_t limit_bytes,
               int least_rows);

/// Of a value, in the band that has the most.
int most_rows(const Bands& bands, ValueId id);

}  // namespace upres
