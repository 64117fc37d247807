/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot as a file: a header, blocks of entries, an end. docs/SNAPSHOTS.md has every byte.
 *
 * Threads: one for a writer; several at once may take blocks from a reader.
 */
#ifndef VV_KV_SNAPFILE_H
#define VV_KV_SNAPFILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "kv/entry.h"
#include "varve/error.h"
#include "varve/io.h"

#define VV_SNAP_TEMP       "snapshot.tmp"
#define VV_SNAP_NAME_BYTES 32

/* What a snapshot says of itself. */
struct vv_snap {
    uint64_t lsn;      /* all records up to it are in it */
    uint64_t from_lsn; /* where replay begins: no higher than the next, or where what was open began */
    uint64_t end_lsn;  /* nothing beyond this one is in it */
    uint64_t created_us;
    uint64_t entries, blocks, bytes;
};

/* "snap-000000000000002a.kvs" */
void vv_snap_name(uint64_t lsn, char name[VV_SNAP_NAME_BYTES]);
bool vv_snap_parse(const char *name, uint64_t *ret_lsn);

struct vv_snap_writer {
    struct varve_io *io;
    struct varve_file *file;
    struct vv_snap snap;
    uint8_t *block; /* with room for its header in front */
    size_t used, room;
    uint32_t block_entries, chain;
    int failed; /* the first error, VARVE_E_... */
    int sys_errno;
};

/* `file` is empty, and stays the caller's. */
void vv_snap_begin(struct vv_snap_writer *writer, struct varve_io *io, struct varve_file *file, uint64_t lsn,
                   uint64_t from_lsn, uint64_t created_us);
/* Puts an entry into the block at hand. Does no I/O: it may be called under a lock. */
void vv_snap_add(struct vv_snap_writer *writer, const struct vv_entry *entry);
/* Writes the block at hand when it is full. */
void vv_snap_flush(struct vv_snap_writer *writer);
/* Writes the rest, and syncs. Frees the writer's memory, also after an error. 0, or IO NOSPC NOMEM. */
int vv_snap_end(struct vv_snap_writer *writer, uint64_t end_lsn);

struct vv_snap_reader {
    struct varve_io *io;
    struct varve_file *file;
    struct vv_snap snap;
    pthread_mutex_t lock;
    uint64_t offset, block; /* [lock] of the next one */
    uint64_t entries;       /* [lock] taken so far */
    uint32_t chain;         /* [lock] the sum of the sums of the blocks taken so far */
    uint32_t chain_wanted;
};

/* Reads header and end, which must agree with the file's size, and `lsn`. Errors: CORRUPT VERSION IO NOMEM.
 * vv_snap_close is to be called after success. */
int vv_snap_open(struct vv_snap_reader *reader, struct varve_io *io, struct varve_file *file, uint64_t lsn,
                 struct varve_error *ret_error);
void vv_snap_close(struct vv_snap_reader *reader);

/* A block, in memory that is used again. */
struct vv_snap_block {
    uint8_t *memory;
    size_t room, bytes, at;
    uint32_t left; /* entries that are still to come */
};

/* Takes the next block and checks it. VARVE_END: there is none, and their number and sums agree with the end.
 * Errors: CORRUPT IO NOMEM. */
int vv_snap_take(struct vv_snap_reader *reader, struct vv_snap_block *block, struct varve_error *ret_error);

/* The next entry of a block, made anew, to be freed by vv_free. VARVE_END; CORRUPT NOMEM. */
int vv_snap_entry(struct vv_snap_block *block, struct vv_entry **ret_entry);

#endif
