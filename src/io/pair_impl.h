/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the pair share. */
#ifndef VV_IO_PAIR_IMPL_H
#define VV_IO_PAIR_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "io/pair.h"

struct vv_pair_dir {
    struct varve_dir *below; /* of a directory below HOME; NULL: the pair's own */
};

struct vv_pair {
    struct varve_io io; /* first: a pair is found by its table */
    struct varve_io *below;
    struct varve_dir *dirs[2];
    struct vv_pair_dir dir;
    vv_pair_hides_fn hides;
    bool away_buffered; /* [const once files are written] */
    _Atomic uint32_t side;
    _Atomic uint32_t gone; /* HOME was given up */
    _Atomic uint32_t forked;
    struct vv_patience *patience[2]; /* [const while the log's threads run] NULL: calls are not guarded */
    _Atomic uint64_t changes[2], synced[2]; /* of names; what a sync that has returned covers */
    pthread_mutex_t lock;
    _Atomic bool learnt;        /* only want of memory takes it away again */
    struct vv_call_names names; /* [lock] of AWAY, where they are learnt */
};

/* Makes a call on a side, guarded where that is wanted. */
long vv_pair_ask(struct vv_pair *pair, enum vv_half side, struct vv_call *call);
/* The same for a call on a name; `name` is copied. */
int vv_pair_call(enum vv_call_op op, const char *name, struct vv_call *ret_call);

void vv_pair_changed(struct vv_pair *pair, enum vv_half side);
void vv_pair_remember(struct vv_pair *pair, const char *name);
void vv_pair_forget(struct vv_pair *pair, const char *name);

/* pair_file.c: the part of the table that is about open files, and opening. */
void vv_pair_file_table(struct varve_io *io);
/* `forced` as in struct vv_call. */
int vv_pair_open_file(struct vv_pair *pair, enum vv_half side, struct varve_dir *dir, const char *name,
                      unsigned flags, bool forced, struct varve_file **ret_file);

#endif
