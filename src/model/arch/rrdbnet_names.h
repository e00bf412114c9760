// SPDX-License-Identifier: Apache-2.0
// The names under which RRDBNet's weights have been published.
#pragma once

#include "model/state_dict.h"

namespace upres {

/// The weights under BasicSR's names, which Real-ESRGAN has and rrdbnet.cc reads; in the same
/// order. They may have them already, or those of ESRGAN's first release (2018) or of its second,
/// which RealSR and BSRGAN kept; tensors of other networks keep their names. Error{model} when two
/// tensors get one name.
StateDict with_basicsr_names(const StateDict& weights);

}  // namespace upres
