/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations in a log whose format is somebody else's: dbkv's, which has ten operations of its own, or
 * stra's, whose records are writesets. What they cannot say is refused before anything happens. docs/KV.md
 * has the tables.
 */
#ifndef VV_KV_DIALECT_H
#define VV_KV_DIALECT_H

#include "kv/engine.h"
#include "varve/cursor.h"
#include "varve/payload.h"

struct vv_dialect {
    const char *format;
    int (*import)(struct varve_kv *kv, const char *path, struct varve_error *ret_error); /* or NULL */
    const char *folder,
        *suffix; /* of snapshots: where they are (NULL: beside the log), how their names end */
    /* Whether an operation can be said; 0, or UNSUPPORTED. May bring its expiry to what will be read back. */
    int (*check)(struct varve_kv *kv, struct vv_op *op);
    /* Appends an operation that was checked; `next`: what becomes of the entry, NULL = nothing. */
    int (*append)(struct varve_kv *kv, const struct vv_op *op, const struct vv_entry *next,
                  uint64_t *ret_lsn);
    /* Those of a transaction, each the whole of what its key becomes; `record` has the transaction. */
    int (*append_many)(struct varve_kv *kv, const struct vv_op *ops, size_t count,
                       struct varve_record *record, uint64_t *ret_lsn);
    /* Applies a record. NOMEM, or CORRUPT and *ret_why. */
    int (*replay)(struct varve_kv *kv, const struct varve_entry *entry, const char **ret_why);
};

/* That of a log; NULL: its format is Varve's own. UNSUPPORTED: no engine keeps anything in that format. */
int vv_dialect_find(const struct varve_log *log, const struct vv_dialect **ret_dialect);

extern const struct vv_dialect vv_dialect_dbkv, vv_dialect_stra;

enum {
    VV_DIALECT_NUMBER = 40,
    VV_IMPORT_VERSION = 1, /* of what comes from a snapshot of others: 0 would be nothing */
};

/* Whether all that is in the directory can be read, before anything is taken for the whole: a snapshot of the
 * format's own programs is imported where that is known, and the engine is open read-only. Errors:
 * UNSUPPORTED IO NOMEM SNAPSHOT. */
int vv_dialect_admits(struct varve_kv *kv, const char *path, struct varve_error *ret_error);

/* Reads the newest sound snapshot, of which there is one at least. */
int vv_dbkv_import(struct varve_kv *kv, const char *path, struct varve_error *ret_error);

/* The bytes that a value is here. Lists and maps stay as they are written. */
struct varve_bytes vv_dbkv_decode(struct varve_bytes encoded, char text[VV_DIALECT_NUMBER]);

/* Whether these bytes are UTF-8, as all names in these formats are. */
bool vv_dialect_is_text(const void *bytes, size_t count);

/* Memory for a record that a format's own function fills: calls `put` with `arg` twice. */
typedef int (*vv_put_fn)(const void *arg, void *out, size_t room, size_t *ret_bytes);
int vv_dialect_append(struct varve_kv *kv, struct varve_record *record, vv_put_fn put, const void *arg,
                      uint64_t *ret_lsn);

/* -- for replay (replay.c) -- */

int vv_kv_apply(struct varve_kv *kv, const struct vv_op *op, uint64_t lsn);

#endif
