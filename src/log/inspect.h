/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VV_LOG_INSPECT_H
#define VV_LOG_INSPECT_H

#include "varve/error.h"
#include "varve/io.h"

/* Opens a directory that somebody named. Errors: NOT_FOUND NOT_REGULAR IO. */
int vv_inspect_open_dir(const char *path, struct varve_io *io, struct varve_dir **ret_dir,
                        struct varve_error *ret_error);

#endif
