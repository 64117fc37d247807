/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of an engine: made while it is written to, listed, loaded. */
#ifndef VV_KV_SNAPSHOT_H
#define VV_KV_SNAPSHOT_H

#include "kv/engine.h"
#include "kv/snapfile.h"

/* The LSNs of the snapshots there are, the newest first, to be freed by vv_free. Errors: IO NOMEM. */
int vv_snapshot_list(struct varve_kv *kv, uint64_t **ret_lsns, size_t *ret_count,
                     struct varve_error *ret_error);

enum vv_snapshot_use {
    VV_SNAPSHOT_LOOK,  /* its beginning and its end */
    VV_SNAPSHOT_CHECK, /* all of it, to see whether it is sound */
    VV_SNAPSHOT_LOAD,  /* into the engine, which is empty; after a failure it may hold a part */
};

/* Reads a snapshot. LOAD: VARVE_END when it holds something beyond `at_lsn`; SNAPSHOT when it does not fit
 * the log. *ret_snap is set as soon as it is known. Errors: CORRUPT VERSION IO NOMEM NOT_FOUND NOT_REGULAR.
 */
int vv_snapshot_read(struct varve_kv *kv, uint64_t lsn, enum vv_snapshot_use use, uint64_t at_lsn,
                     struct vv_snap *ret_snap, struct varve_error *ret_error);

/* Loads the newest one that is sound, fits the log, and holds nothing beyond `at_lsn`; *ret_from: where
 * replay begins then. 0 also when there is none; then *ret_from is untouched. Errors: NOMEM IO SNAPSHOT. */
int vv_snapshot_load(struct varve_kv *kv, uint64_t at_lsn, uint64_t *ret_from, struct varve_error *ret_error);

/* Makes one, or a fold where there is an environment, and does what comes after. snapshot_lock is held. */
int vv_snapshot_now(struct varve_kv *kv, uint64_t *ret_lsn, struct varve_error *ret_error);
void vv_snapshot_say_failed(struct varve_kv *kv, const struct varve_error *error);

/* The log is needed from here on; 0: all of it. */
int vv_snapshot_hold(struct varve_kv *kv, uint64_t lsn, struct varve_error *ret_error);

/* Opening for writing: removes what a crash has left behind, and makes sure that the log is held. Errors: IO
 * NOSPC NOMEM READONLY LIMIT. */
int vv_snapshot_settle(struct varve_kv *kv, struct varve_error *ret_error);

#endif
