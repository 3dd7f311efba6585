// SPDX-License-Identifier: Apache-2.0
//
// reallocate_firsts.h -- who is first in each run, where it is given which members have copies.
//
// The last step of reallocate.h. It moves no data: replicas of a run change places, and a run is
// cut, or its border to a run with the same replicas moved, where less than the whole of it should
// have another first. Nobody else includes this.
#ifndef QUOIT_MODEL_REALLOCATE_FIRSTS_H
#define QUOIT_MODEL_REALLOCATE_FIRSTS_H

#include "model/allocate_plan.h"

void reallocate_firsts(const struct plan *plan, struct map *map);

#endif
