/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VV_LOG_INSPECT_H
#define VV_LOG_INSPECT_H

#include "varve/format.h"
#include "varve/inspect.h"
#include "varve/io.h"

/* Opens a log's own directory, that somebody named. Errors: NOT_FOUND NOT_REGULAR IO. */
int vv_inspect_open_own(const char *path, struct varve_io *io, struct varve_dir **ret_dir,
                        struct varve_error *ret_error);

/* The same. Where the log has a second one, *io and *ret_dir are those of
 * both together, until *ret_dir is closed. Errors: NOT_FOUND NOT_REGULAR IO FOREIGN NOMEM. */
int vv_inspect_open_dir(const char *path, struct varve_io **io, struct varve_dir **ret_dir,
                        struct varve_error *ret_error);

/* The same, and which format the log in it is in: *ret_format, NULL = the native one. Errors: as
 * vv_plain_find too. */
int vv_inspect_find(const char *path, struct varve_io **io, const char *asked, struct varve_dir **ret_dir,
                    const struct varve_format **ret_format, struct varve_error *ret_error);

/* varve_verify, varve_info_get and varve_inspect of a log in a format of others; `name`: one file in `dir`,
 * NULL = the log in it. */
int vv_plain_verify(struct varve_io *io, struct varve_dir *dir, const struct varve_format *format,
                    const struct varve_options *options, varve_damage_fn damage, void *damage_arg,
                    struct varve_verify_result *ret_result, struct varve_error *ret_error);
int vv_plain_info(struct varve_io *io, struct varve_dir *dir, const struct varve_format *format,
                  struct varve_info *ret_info, struct varve_error *ret_error);
int vv_plain_inspect(struct varve_io *io, struct varve_dir *dir, const char *name,
                     const struct varve_format *format, const struct varve_visitor *visitor,
                     struct varve_error *ret_error);

#endif
