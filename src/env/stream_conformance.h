// SPDX-License-Identifier: Apache-2.0
//
// stream_conformance.h -- the promises about the network: `stream_cases`.
#ifndef QUOIT_ENV_STREAM_CONFORMANCE_H
#define QUOIT_ENV_STREAM_CONFORMANCE_H

#include "env/env_case.h"

#endif
