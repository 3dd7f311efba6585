// SPDX-License-Identifier: Apache-2.0
//
// uring_file.h -- files of the io_uring world.
//
// Names are relative to the descriptor of the data directory, so that nothing outside it can be
// touched. What may block in the kernel (create, rename, link, remove, close, sync) the kernel does
// on threads of its own.
#ifndef QUOIT_ENV_URING_FILE_H
#define QUOIT_ENV_URING_FILE_H

#include "env/uring_loop.h"

// Fills a submission.
void uring_file_prepare(struct uring *u, struct env_op *op, struct io_uring_sqe *sqe);

// Takes an answer: true when the request is done and its status set, false when it was asked anew.
bool uring_file_finish(struct uring *u, struct env_op *op, int result);

// Closes what is still open.
void uring_file_destroy_all(struct uring *u);

void uring_file_open(struct env *env, struct env_op *op, const char *name, enum env_open mode,
                     struct env_file **file);
void uring_file_allocate(struct env *env, struct env_op *op, struct env_file *file, uint64_t size);
void uring_file_read(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                     uint8_t *to, uint32_t size);
void uring_file_read_direct(struct env *env, struct env_op *op, struct env_file *file,
                            uint64_t offset, uint8_t *to, uint32_t size);
void uring_file_write(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                      const uint8_t *from, uint32_t size);
void uring_file_sync(struct env *env, struct env_op *op, struct env_file *file);
void uring_file_close(struct env *env, struct env_op *op, struct env_file *file);
void uring_file_sync_names(struct env *env, struct env_op *op);
void uring_file_rename(struct env *env, struct env_op *op, const char *from, const char *to);
void uring_file_link(struct env *env, struct env_op *op, const char *from, const char *to);
void uring_file_remove(struct env *env, struct env_op *op, const char *name);
void uring_file_list(struct env *env, struct env_op *op, uint8_t *to, uint32_t capacity);
void uring_file_space(struct env *env, struct env_op *op);

#endif
