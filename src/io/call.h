/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call to a struct varve_io as data: what is asked for, and what came of it. So it can be made by another
 * thread than the one that wants it, and be left to itself when it hangs: it refers to nothing of who asked.
 */
#ifndef VV_IO_CALL_H
#define VV_IO_CALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "varve/io.h"

#define VV_CALL_NAME_BYTES 256u /* NAME_MAX and a NUL */
#define VV_CALL_IOV_MAX    2

enum vv_call_op {
    VV_CALL_OPEN,
    VV_CALL_CLOSE,
    VV_CALL_STAT,
    VV_CALL_WRITE,
    VV_CALL_ALLOCATE,
    VV_CALL_OWN,
    VV_CALL_SYNC,
    VV_CALL_TRUNCATE,
    VV_CALL_RENAME,
    VV_CALL_UNLINK,
    VV_CALL_STAT_NAME,
    VV_CALL_SPACE,
    VV_CALL_DIR_LIST,
    VV_CALL_DIR_SYNC,
    VV_CALL_DIR_SYNC_PARENT,
};

/* An open file that whoever opened it and any number of calls may hold; the last one to let go closes it. */
struct vv_held_file {
    struct varve_file *file;
    struct varve_file *twin; /* the same name on the other side, locked with this one; else NULL */
    uint8_t side;            /* enum vv_half */
    bool reads;              /* open for reading only */
    bool apart;              /* in a directory below: such calls are waited for as long as they take */
    _Atomic uint32_t holders;
};

/* Names of a directory: one behind the other, each with its NUL. */
struct vv_call_names {
    char *text;
    size_t used, room;
};

struct vv_call {
    enum vv_call_op op;
    struct varve_dir *dir;     /* outlives every call */
    struct vv_held_file *held; /* held once more while the call is made */
    struct varve_file *file;   /* CLOSE: the one that nobody holds any more */
    unsigned flags;
    int flag; /* WRITE: dsync; RENAME: replace */
    struct iovec iov[VV_CALL_IOV_MAX];
    int iov_count;
    uint64_t offset, bytes;
    bool forced; /* also made where the side was given up */
    /* What came of it. */
    struct varve_file *ret_file;
    struct varve_io_stat ret_stat;
    uint64_t ret_bytes;
    struct vv_call_names names;
    char name[VV_CALL_NAME_BYTES], other[VV_CALL_NAME_BYTES];
};

/* Makes the call, in this thread. Bytes written, 0, or a negative errno. */
long vv_call_run(struct varve_io *io, struct vv_call *call);

/* Undoes what nobody will ever hear of: closes a file that was opened, frees names. */
void vv_call_drop(struct varve_io *io, struct vv_call *call);

/* Lets go of it. */
void vv_held_release(struct varve_io *io, struct vv_held_file *held);

/* "write" and so on. Static. */
const char *vv_call_name(enum vv_call_op op);

#endif
