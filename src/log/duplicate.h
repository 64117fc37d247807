/* SPDX-License-Identifier: Apache-2.0 */
/* A log's files copied into another directory, for repair. */
#ifndef VV_LOG_DUPLICATE_H
#define VV_LOG_DUPLICATE_H

#include "varve/error.h"
#include "varve/io.h"

/* The path under which a copy is made until it is whole; to be freed. NULL: no memory. */
char *vv_duplicate_path(const char *to);

/*
 * Copies the files of the log in `dir`, and lost/, to the directory `path` (vv_duplicate_path), which is
 * made; what an earlier try has left there is removed. All of it is durable when it returns. Errors: EXISTS
 * (it is there, and no such copy) IO NOSPC NOMEM NOT_REGULAR.
 */
int vv_duplicate_make(struct varve_io *io, struct varve_dir *dir, const char *path,
                      struct varve_error *ret_error);

/* Gives the copy its name, durably. Errors: EXISTS IO. */
int vv_duplicate_finish(struct varve_io *io, const char *path, const char *to, struct varve_error *ret_error);

#endif
