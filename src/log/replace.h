/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of facts (MANIFEST, PINS): read whole, and replaced as a whole. */
#ifndef VV_LOG_REPLACE_H
#define VV_LOG_REPLACE_H

#include <stddef.h>

#include "varve/io.h"

/* Reads up to `room` bytes of the file; *ret_len is how many. Negative errno; ENOENT only when there is no
 * such file. */
int vv_replace_read(struct varve_io *io, struct varve_dir *dir, const char *name, char *buf, size_t room,
                    size_t *ret_len);

/*
 * Writes a new file under the name `temp`, syncs it, renames it over `name`, syncs the directory. On failure
 * the old one stands, or the new one does and may not be durable; what is left under `temp` means nothing.
 * Negative errno.
 */
int vv_replace_file(struct varve_io *io, struct varve_dir *dir, const char *temp, const char *name,
                    const char *text, size_t len);

#endif
