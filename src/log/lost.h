/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost/: what was set aside under the policy skip. Its file `index` has a line for each damage that was
 * passed over, so that it is passed over from then on: the loss was accepted, and is told again by verify and
 * stat.
 */
#ifndef VV_LOG_LOST_H
#define VV_LOG_LOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/io.h"

#define VV_LOST_DIR   "lost"
#define VV_LOST_INDEX "index"

struct vv_lost {
    struct vv_lost_range {
        uint64_t first, last;
    } * ranges;
    size_t count, room;
};

struct vv_damage;

/* Reads the index; one that is not there is empty. Lines that do not check are left out. Errors: IO NOMEM. */
int vv_lost_load(struct vv_lost *lost, struct varve_io *io, struct varve_dir *dir,
                 struct varve_error *ret_error);
void vv_lost_free(struct vv_lost *lost);

/* Whether just this range was accepted. */
bool vv_lost_has(const struct vv_lost *lost, uint64_t first, uint64_t last);

/* The last LSN of the longest range that was accepted and begins at `first`; 0 = there is none. */
uint64_t vv_lost_from(const struct vv_lost *lost, uint64_t first);

/* Copies the bytes of the damage to a file in lost/ and adds the line, durably. Errors: IO NOSPC NOMEM. */
int vv_lost_add(struct vv_lost *lost, struct varve_io *io, struct varve_dir *dir,
                const struct vv_damage *damage, struct varve_error *ret_error);

/* Makes durable what the index holds, and its name: whoever wrote the last line may not have got so far.
 * Errors: IO NOSPC NOMEM. */
int vv_lost_keep(struct varve_io *io, struct varve_dir *dir, struct varve_error *ret_error);

#endif
