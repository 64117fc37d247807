/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of the store `lmdb`: runs of entries in the order of 64-bit words, an index of what expires
 * when, and the facts, which say what is in it. LMDB's terms end here: nobody else includes lmdb.h.
 *
 * LMDB does its own I/O, on the file "data.mdb" in the directory, mapped read-only; a write transaction
 * keeps the pages it changes in memory and writes them at its commit: pages that no older state needs, a
 * sync, then the page that makes them count, synced too. So a crash leaves the state before or the one after.
 * The map has a size of its own, which grows while no reader of this process looks at it.
 *
 * Source: lmdb.h, version 0.9.
 *
 * Threads: reads from any at once; one writer at a time, and the same thread from its begin to its end.
 */
#ifndef VV_KV_ENV_H
#define VV_KV_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"

#define VV_ENV_DIR      "lmdb"
#define VV_ENV_TEMP     "lmdb.tmp" /* while it is made */
#define VV_ENV_PAST_MAX 100

struct vv_env;
struct vv_env_read;

struct vv_env_facts {
    uint32_t shards;
    uint64_t secret[2];  /* of the hash of keys, which words come from */
    uint64_t lsn;        /* every record up to it is in it */
    uint64_t end_lsn;    /* and none beyond this one */
    uint64_t created_us; /* when it was folded last */
    uint64_t entries, expiring;
    uint64_t past[VV_ENV_PAST_MAX]; /* the LSNs of the last folds, the newest first */
    uint32_t past_count;
};

/* Whether this build has LMDB. */
bool vv_env_is_built(void);

/*
 * Opens the environment in the directory `path`, or with `create` makes what is missing. Read-only it sees
 * what was there at this moment, until it is closed. Errors: UNSUPPORTED (not in this build, or open in this
 * process) NOT_FOUND (read-only: nothing is in it) CORRUPT VERSION IO NOSPC NOMEM.
 */
int vv_env_open(const char *path, bool read_only, bool create, struct vv_env **ret_env,
                struct varve_error *ret_error);
void vv_env_close(struct vv_env *env);

/* Bytes of the file that are in use, and of the map. */
void vv_env_size(struct vv_env *env, uint64_t *ret_used, uint64_t *ret_map);

/* -- reading -- */

/* Looks at the newest committed state until the end, which is to come soon: meanwhile its pages are not used
 * again, and the map does not grow. Errors: IO CORRUPT NOMEM. */
int vv_env_read_begin(struct vv_env *env, struct vv_env_read **ret_read);
void vv_env_read_end(struct vv_env *env, struct vv_env_read *read);

/* Lasts until the read's end. VARVE_END: nothing; IO CORRUPT. */
int vv_env_get(struct vv_env_read *read, uint64_t word, const uint8_t **ret_run, size_t *ret_bytes);
/* The first at *word or behind it, which moves there; each call leaves a cursor at it for the next. */
int vv_env_next(struct vv_env_read *read, uint64_t *word, const uint8_t **ret_run, size_t *ret_bytes);
/* The first moment at which something expires behind that of (*expires_us, *word), which move there. */
int vv_env_next_expiry(struct vv_env_read *read, uint64_t *expires_us, uint64_t *word);
int vv_env_facts(struct vv_env_read *read, struct vv_env_facts *ret_facts);

/* -- writing -- */

enum {
    VV_ENV_FULL = 2 /* the map is: the transaction is aborted; to be grown, and begun anew */
};

/* Each but begin and commit leaves an error's text to be taken by vv_env_why, and the transaction to be
 * aborted. Errors: VV_ENV_FULL IO NOSPC NOMEM CORRUPT. */
int vv_env_write_begin(struct vv_env *env);
int vv_env_write_get(struct vv_env *env, uint64_t word, const uint8_t **ret_run, size_t *ret_bytes);
/* Room for a run of so many bytes, to be filled before the next call. */
int vv_env_write_put(struct vv_env *env, uint64_t word, size_t bytes, uint8_t **ret_run);
int vv_env_write_remove(struct vv_env *env, uint64_t word);
int vv_env_write_expiry(struct vv_env *env, uint64_t expires_us, uint64_t word, bool is_there);
/* Ends it in any case. With 0 everything is durable. */
int vv_env_write_commit(struct vv_env *env, const struct vv_env_facts *facts);
void vv_env_write_abort(struct vv_env *env);

/* Waits for the readers of this process, and makes the map so large that `more` bytes fit and then some. No
 * write is under way. Errors: NOMEM IO. */
int vv_env_grow(struct vv_env *env, uint64_t more);

/* Closes and opens it once more where LMDB asks for that after a failure. No write is under way. */
int vv_env_mend(struct vv_env *env);

/* What the last write call came to, in the struct and as a code. */
int vv_env_why(struct vv_env *env, struct varve_error *ret_error);

#endif
