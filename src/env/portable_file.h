// SPDX-License-Identifier: Apache-2.0
//
// portable_file.h -- files of the libuv world: plain system calls on its threads.
//
// libuv's own file functions take paths; these are relative to the descriptor of the data
// directory, as in the io_uring world.
#ifndef QUOIT_ENV_PORTABLE_FILE_H
#define QUOIT_ENV_PORTABLE_FILE_H

#include "env/portable_loop.h"

// Closes what is still open.
void portable_file_destroy_all(struct portable *p);

void portable_file_open(struct env *env, struct env_op *op, const char *name, enum env_open mode,
                        struct env_file **file);
void portable_file_allocate(struct env *env, struct env_op *op, struct env_file *file,
                            uint64_t size);
void portable_file_read(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                        uint8_t *to, uint32_t size);
void portable_file_write(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                         const uint8_t *from, uint32_t size);
void portable_file_sync(struct env *env, struct env_op *op, struct env_file *file);
void portable_file_close(struct env *env, struct env_op *op, struct env_file *file);
void portable_file_sync_names(struct env *env, struct env_op *op);
void portable_file_rename(struct env *env, struct env_op *op, const char *from, const char *to);
void portable_file_link(struct env *env, struct env_op *op, const char *from, const char *to);
void portable_file_remove(struct env *env, struct env_op *op, const char *name);
void portable_file_list(struct env *env, struct env_op *op, uint8_t *to, uint32_t capacity);
void portable_file_space(struct env *env, struct env_op *op);

#endif
