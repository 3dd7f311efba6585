// SPDX-License-Identifier: Apache-2.0
//
// daemon_check.h -- quoitd --check: what is wrong with the data of a node that does not run.
#ifndef QUOIT_BIN_DAEMON_CHECK_H
#define QUOIT_BIN_DAEMON_CHECK_H

// With all arguments, of which --check is one. Returns the exit status of the program: 0 when all
// is well, 1 when something is damaged or could not be looked at, 2 when the arguments are wrong.
int check_main(int argc, char **argv);

#endif
