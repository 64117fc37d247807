/* SPDX-License-Identifier: Apache-2.0 */
/* Where the target of a conversion is made, and how it gets its name. */
#ifndef VV_LOG_CONVERT_PLACE_H
#define VV_LOG_CONVERT_PLACE_H

#include <stdbool.h>

#include "varve/error.h"
#include "varve/io.h"

/* Whether a directory may be made there, or is there and empty. `temp`: it is where the target is made until
 * it is whole. Errors: EXISTS LOCKED NOT_REGULAR IO. */
int vv_convert_place(struct varve_io *io, const char *path, bool temp, struct varve_error *ret_error);

/* Renames directory `temp` to `path`, beside it, durably; an empty directory there gives way. Errors: EXISTS
 * NOMEM IO. */
int vv_convert_name(struct varve_io *io, const char *temp, const char *path, struct varve_error *ret_error);

#endif
