/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plain_walk.c does at a place that is not as it should be: judge it, and stop or pass over it as the
 * policy says. All return 0 (the walk goes on), VARVE_END (the log ends here: walk->damage is TORN) or an
 * error, after which walk->damage has the place.
 */
#ifndef VV_LOG_PLAIN_DAMAGE_H
#define VV_LOG_PLAIN_DAMAGE_H

#include "log/plain_walk.h"

/* Whether the open file is the log's last: a torn tail can only be there. */
bool vv_plain_damage_last(const struct vv_plain_walk *walk);

/* At walk->offset no record stands. */
int vv_plain_damage_here(struct vv_plain_walk *walk, enum varve_found found,
                         const struct varve_format_entry *entry, struct varve_error *ret_error);

/* A file whose header does not check, or is another log's: it is passed over as a whole. */
int vv_plain_damage_header(struct vv_plain_walk *walk, const struct vv_plain_file *item,
                           struct varve_error *ret_error);

/* Files are missing: `number` is the first of them; before `then`, or at the end of the log. */
int vv_plain_damage_missing(struct vv_plain_walk *walk, uint64_t number, bool at_end,
                            struct varve_error *ret_error);

/* A sound record has a number that does not follow. *ret_take: it is taken all the same. */
int vv_plain_damage_lsn(struct vv_plain_walk *walk, const struct varve_format_entry *entry, bool *ret_take,
                        struct varve_error *ret_error);

/* Which LSN the log begins with cannot be told. */
int vv_plain_damage_start(struct vv_plain_walk *walk, struct varve_error *ret_error);

#endif
