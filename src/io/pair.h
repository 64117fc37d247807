/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two directories as one: HOME, and AWAY over it. Whoever has the table and the directory of a pair sees the
 * names of both; where both have a name, AWAY's is the file. What is made lies on the side that the pair
 * stands on. So a log that leaves its directory for another one stays one log for all who read or write it.
 *
 * A name moves from AWAY to HOME by being written there first and removed from AWAY then: at each moment in
 * between AWAY's is the one that counts, and both say the same.
 *
 * Calls that may hang can be guarded: vv_pair_guard.
 */
#ifndef VV_IO_PAIR_H
#define VV_IO_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/patience.h"
#include "varve/io.h"

enum vv_half {
    VV_HOME = 0,
    VV_AWAY = 1,
};

#define VV_PAIR_LOCK "LOCK" /* each side has its own; locking it locks both */

struct vv_pair;

/* Names of AWAY that are its own business, and are not seen through the pair. */
typedef bool (*vv_pair_hides_fn)(const char *name);

/*
 * Makes a pair that stands on HOME. Both directories are the pair's from then on, and are closed when the
 * directory that vv_pair_dir returns is closed through vv_pair_io: that ends the pair. Errors: -ENOMEM; then
 * the directories are still the caller's.
 */
int vv_pair_open(struct varve_io *below, struct varve_dir *home, struct varve_dir *away,
                 vv_pair_hides_fn hides, struct vv_pair **ret_pair);
struct varve_io *vv_pair_io(struct vv_pair *pair);
struct varve_dir *vv_pair_dir(struct vv_pair *pair);
/* One side alone, and the table below; not to be closed. */
struct varve_io *vv_pair_below(struct vv_pair *pair);
struct varve_dir *vv_pair_side_dir(struct vv_pair *pair, enum vv_half side);

/* Reads AWAY's names once, and knows them from then on: nobody else changes them. So what is at HOME does not
 * depend on AWAY. Errors: those of dir_list, -ENOMEM. */
int vv_pair_learn(struct vv_pair *pair);

/* Files of AWAY are opened without VARVE_IO_DIRECT, which it cannot. */
void vv_pair_away_buffered(struct vv_pair *pair);

/*
 * From now on calls that may hang are waited for no longer than `limit_us`, but for those on AWAY while the
 * pair stands there: there is no third place to go. Reading, and all that is below the two directories, is
 * not guarded. `workers`, `buffer_bytes`, `fn`, `arg`: vv_patience_new. Errors: likewise.
 */
int vv_pair_guard(struct vv_pair *pair, uint64_t limit_us, unsigned workers, size_t buffer_bytes,
                  vv_patience_fn fn, void *arg);
/* Waits for all that still hangs. `forked`: only says that the threads are another process's. */
void vv_pair_unguard(struct vv_pair *pair, bool forked);
/* Says that this process was forked: the threads are another one's. */
void vv_pair_forked(struct vv_pair *pair);
/* How many calls on HOME, or on AWAY, hang and were left behind. */
uint32_t vv_pair_hung(struct vv_pair *pair, enum vv_half side);

enum vv_half vv_pair_side(struct vv_pair *pair);
/* To AWAY: every call on HOME but for reads fails from now on, with -ENODEV, and those under way are left
 * behind. To HOME: all is as at the start. */
void vv_pair_go(struct vv_pair *pair, enum vv_half side);

/* Whether that name is AWAY's: 1 or 0, or a negative errno. */
int vv_pair_is_away(struct vv_pair *pair, const char *name);

/* The same on one side, whichever the pair stands on. */
int vv_pair_open_on(struct vv_pair *pair, enum vv_half side, const char *name, unsigned flags,
                    struct varve_file **ret_file);
int vv_pair_unlink_on(struct vv_pair *pair, enum vv_half side, const char *name);
int vv_pair_rename_on(struct vv_pair *pair, enum vv_half side, const char *from, const char *to);
int vv_pair_sync_on(struct vv_pair *pair, enum vv_half side);
int vv_pair_list_on(struct vv_pair *pair, enum vv_half side, varve_io_name_fn fn, void *arg);

/* Writes, makes durable and removes a file of 4096 bytes at HOME, also while the pair stands on AWAY. */
int vv_pair_probe(struct vv_pair *pair, const char *name);
/* Takes a small file from AWAY to HOME, durably on both sides; `temp`: its name at HOME until it is whole. 0
 * also where AWAY has none. On failure AWAY has it still, or both have the same. */
int vv_pair_bring_home(struct vv_pair *pair, const char *temp, const char *name, size_t bytes_max);

/* `path` from the root, as it is where it begins with a slash. Errors: -ENAMETOOLONG and those of getcwd. */
int vv_pair_absolute(const char *path, char *out, size_t room);

#endif
