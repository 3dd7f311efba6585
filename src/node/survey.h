// SPDX-License-Identifier: Apache-2.0
//
// survey.h -- coordinating SCAN and COUNT.
//
// SCAN asks the replicas of a run for the keys of a stretch of slots and joins the lists of a
// majority, or, where fewer are up, of all of those. If it is to go on past a key that is not known
// here, it first asks which key that was (places.h). COUNT asks every member for the slots it is
// first for, and goes without the word of one that is lost meanwhile.
#ifndef QUOIT_NODE_SURVEY_H
#define QUOIT_NODE_SURVEY_H

#include "node/operation.h"
#include "wire/message.h"

void scan_start(struct operation *o);

void count_start(struct operation *o);
void count_on_answer(struct operation *o, uint32_t member, const struct message_count_done *m);
void count_on_lost(struct operation *o, uint32_t member);

#endif
