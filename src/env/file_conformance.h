// SPDX-License-Identifier: Apache-2.0
//
// file_conformance.h -- the promises about the disk: `file_cases`.
#ifndef QUOIT_ENV_FILE_CONFORMANCE_H
#define QUOIT_ENV_FILE_CONFORMANCE_H

#include "env/env_case.h"

#endif
