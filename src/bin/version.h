// SPDX-License-Identifier: Apache-2.0
//
// version.h -- what this is called.
#ifndef QUOIT_BIN_VERSION_H
#define QUOIT_BIN_VERSION_H

#define QUOIT_VERSION "0.1.0"

#endif
