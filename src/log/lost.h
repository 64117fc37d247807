/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost/: what was set aside, under the policy skip or by an application. Its file `index` has a line for
 * each. A damage that stands there is passed over from then on: the loss was accepted, and is told again by
 * verify and stat.
 */
#ifndef VV_LOG_LOST_H
#define VV_LOG_LOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/lost.h"
#include "varve/error.h"
#include "varve/io.h"

#define VV_LOST_DIR        "lost"
#define VV_LOST_INDEX      "index"
#define VV_LOST_INDEX_TEMP "index.tmp"

/* What the index may take, when it is not damage that is added to it. */
#define VV_LOST_INDEX_MAX (UINT64_C(16) << 20)

struct vv_lost {
    struct vv_lost_range {
        uint64_t first, last;
        uint64_t segment, offset;
        bool repaired;
    } * ranges; /* of damage */
    size_t count, room;
    uint64_t last_id; /* the highest that an entry has */
    uint64_t unread;  /* lines that do not check */
    uint64_t index_bytes;
};

struct vv_damage;

/* Reads the index; one that is not there is empty. Lines that do not check are left out, and counted. Errors:
 * IO NOMEM. */
int vv_lost_load(struct vv_lost *lost, struct varve_io *io, struct varve_dir *dir,
                 struct varve_error *ret_error);
void vv_lost_free(struct vv_lost *lost);

/* Whether just this range was accepted. */
bool vv_lost_has(const struct vv_lost *lost, uint64_t first, uint64_t last);

/* Whether that was part of a repair. */
bool vv_lost_repaired(const struct vv_lost *lost, uint64_t first, uint64_t last);

/* Whether just this place was set aside. LSNs do not tell, where records are only counted. */
bool vv_lost_holds(const struct vv_lost *lost, const struct vv_damage *damage);

/* The last LSN of the longest range that was accepted and begins at `first`; 0 = there is none. */
uint64_t vv_lost_from(const struct vv_lost *lost, uint64_t first);

/* Copies the bytes of the damage, which are in a file in `from`, to a file in lost/, which is in `dir`, and
 * adds the line, durably. Errors: IO NOSPC NOMEM. */
int vv_lost_add(struct vv_lost *lost, struct varve_io *io, struct varve_dir *dir, struct varve_dir *from,
                const struct vv_damage *damage, struct varve_error *ret_error);

/* Makes durable what the index holds, and its name: whoever wrote the last line may not have got so far.
 * Errors: IO NOSPC NOMEM. */
int vv_lost_keep(struct varve_io *io, struct varve_dir *dir, struct varve_error *ret_error);

/* The directory, to be closed. `create`: durably, where it is not there; else NOT_FOUND then. Errors: IO. */
int vv_lost_open(struct varve_io *io, struct varve_dir *dir, bool create, struct varve_dir **ret_sub,
                 struct varve_error *ret_error);

/* Called for each line of the index, `line` NULL for one that does not check. Non-zero ends the walk and is
 * returned. */
typedef int (*vv_lost_line_fn)(void *arg, const struct vv_lost_line *line, const char *text, size_t len);
/* NOT_FOUND where there is no index. Errors: IO. */
int vv_lost_each(struct varve_io *io, struct varve_dir *sub, vv_lost_line_fn fn, void *arg,
                 struct varve_error *ret_error);

/* Adds a line to the index, durably; what it names is durable already. Negative errno. */
int vv_lost_append(struct varve_io *io, struct varve_dir *sub, const struct vv_lost_line *line);

/* What becomes of a line when the index is written anew: it may be changed; false: it goes. */
typedef bool (*vv_lost_edit_fn)(void *arg, struct vv_lost_line *line);
/* Replaces the index as a whole. Lines that do not check stay as they are. Errors: IO NOSPC NOMEM. */
int vv_lost_edit(struct varve_io *io, struct varve_dir *sub, vv_lost_edit_fn fn, void *arg,
                 struct varve_error *ret_error);

/* Copies bytes of one file to a place in another, both of any size. Negative errno. */
int vv_lost_copy(struct varve_io *io, struct varve_file *from, uint64_t offset, uint64_t end,
                 struct varve_file *to, uint64_t to_offset);

#endif
