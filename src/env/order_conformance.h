// SPDX-License-Identifier: Apache-2.0
//
// order_conformance.h -- the promises about when callbacks run: `order_cases`.
#ifndef QUOIT_ENV_ORDER_CONFORMANCE_H
#define QUOIT_ENV_ORDER_CONFORMANCE_H

#include "env/env_case.h"

#endif
