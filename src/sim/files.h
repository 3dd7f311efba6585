// SPDX-License-Identifier: Apache-2.0
//
// files.h -- the disk as a process sees it: requests that take time and may fail.
//
// These are the disk functions of struct env_ops. Every request waits for a time drawn at random,
// so that requests overtake each other, and then takes effect on the machine's disk as a whole.
#ifndef QUOIT_SIM_FILES_H
#define QUOIT_SIM_FILES_H

#include "env/env.h"

struct machine;

void files_open(struct env *env, struct env_op *op, const char *name, enum env_open mode,
                struct env_file **file);
void files_allocate(struct env *env, struct env_op *op, struct env_file *file, uint64_t size);
void files_read(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                uint8_t *to, uint32_t size);
void files_write(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                 const uint8_t *from, uint32_t size);
void files_sync(struct env *env, struct env_op *op, struct env_file *file);
void files_close(struct env *env, struct env_op *op, struct env_file *file);
void files_sync_names(struct env *env, struct env_op *op);
void files_rename(struct env *env, struct env_op *op, const char *from, const char *to);
void files_link(struct env *env, struct env_op *op, const char *from, const char *to);
void files_remove(struct env *env, struct env_op *op, const char *name);
void files_list(struct env *env, struct env_op *op, uint8_t *to, uint32_t capacity);
void files_space(struct env *env, struct env_op *op);

// The process ends: each request under way takes effect, or a part of it does, or nothing; then all
// files are closed.
void files_abandon(struct machine *machine);

#endif
