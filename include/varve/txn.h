/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions on a log: several changes that are in it together or not at all, whatever happens. For
 * programs that keep a store of their own and want their log to tell what was committed; varve/kv.h is such a
 * store. In the library varvekv.
 *
 * A transaction gathers mutations (varve/writeset.h). Committed, they are one record. A transaction that
 * grows beyond `stream_bytes` is streamed: a record that begins it, records with parts of it, and one that
 * commits it, under one id. Reading the log back (varve_txn_replay_*) gives the mutations of committed
 * transactions and of no others, in the order of their commits. docs/TRANSACTIONS.md has the records.
 *
 * Records of transactions carry types of their own (five of them, `type` and the next four), so that a
 * program may append other records to the same log.
 *
 * Threads: any at once for the functions on struct varve_txns; one at a time for a transaction, and for a
 * replay.
 */
#ifndef VARVE_TXN_H
#define VARVE_TXN_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"
#include "varve/log.h"
#include "varve/options.h"
#include "varve/writeset.h"

#ifdef __cplusplus
extern "C" {
#endif

struct varve_txns; /* the transactions of a log that is open for writing */
struct varve_txn;
struct varve_txn_replay;

#define VARVE_TXN_TYPE     240 /* default of `type` */
#define VARVE_TXN_TYPES    5
#define VARVE_TXN_NO_LIMIT UINT64_MAX

/* Zero means default. */
struct varve_txns_options {
    size_t size;         /* sizeof(struct varve_txns_options) */
    struct varve_io *io; /* clock and randomness; default varve_io_system(); must outlive the transactions */
    uint64_t limit_ms;   /* how long a transaction may stay open; VARVE_TXN_NO_LIMIT; default 30,000 */
    uint64_t stream_bytes; /* memory of a transaction, or of its largest mutation: what is more is streamed;
                              4096 to record_max; default 1 MiB, or record_max where that is less */
    uint32_t type;         /* the first of the five types; 1 to 251; default VARVE_TXN_TYPE */
};

/*
 * Makes transactions possible on `log`, which must outlive them. Only one at a time for a log and a type.
 * `options`: NULL = all defaults; read during the call only. Sets no record. A transaction that is streamed
 * holds the log from its beginning on by the pin "varve-txn-240" (the type), which is dropped when none is.
 * Errors: INVALID NOMEM IO READONLY FORKED.
 */
VARVE_API VARVE_MUST_CHECK int varve_txns_open(struct varve_log *log,
                                               const struct varve_txns_options *options,
                                               struct varve_txns **ret_txns, struct varve_error *ret_error);

/* Aborts and frees what is still open, and frees `txns`. Before the log is closed. NULL is allowed. */
VARVE_API void varve_txns_close(struct varve_txns *txns);

struct varve_txn_options {
    size_t size;       /* sizeof(struct varve_txn_options) */
    uint64_t limit_ms; /* 0 = that of the options above */
};

/*
 * Begins a transaction, to be ended by varve_txn_commit or varve_txn_abort. When it is open for longer than
 * its limit, a thread of the library aborts it and frees its memory; its next call gets TIMEOUT.
 * Errors: INVALID NOMEM.
 */
VARVE_API VARVE_MUST_CHECK int varve_txn_begin(struct varve_txns *txns,
                                               const struct varve_txn_options *options,
                                               struct varve_txn **ret_txn);

/*
 * Each adds a mutation. `version`: the caller's own, or 0 for the LSN of the commit, which replay then puts
 * there. What is given is copied. After an error the mutation is not part of the transaction, which goes on,
 * but after TIMEOUT, READONLY, SYNC and FORKED, when all that is left is to abort it. Errors: INVALID (the
 * entity) TOO_LARGE (a mutation that no record can hold) NOMEM TIMEOUT; while it streams also those of
 * varve_append_async, and of varve_pin_set.
 */
VARVE_API int varve_txn_put(struct varve_txn *txn, const struct varve_entity *entity, uint64_t version,
                            const void *value, size_t value_bytes);
VARVE_API int varve_txn_delete(struct varve_txn *txn, const struct varve_entity *entity);
VARVE_API int varve_txn_append(struct varve_txn *txn, const struct varve_entity *entity, uint64_t version,
                               const void *value, size_t value_bytes);

/*
 * Commits, waits as varve_append_record does with `durability`, and frees the transaction. *ret_lsn (may be
 * NULL): the LSN of its commit; 0 for a transaction without mutations, of which nothing is in the log.
 *
 * On an error the transaction is still the caller's, who aborts it, or, after BACKPRESSURE, NOSPC and
 * LOG_FULL, may try again. It is not committed then, but after READONLY and SYNC: whether it is shows when
 * the log is opened again. Errors: as varve_append_record, and TIMEOUT.
 */
VARVE_API int varve_txn_commit(struct varve_txn *txn, enum varve_durability durability, uint64_t *ret_lsn);

/* The same without waiting: whoever needs it waits for *ret_lsn with varve_wait. */
VARVE_API int varve_txn_commit_async(struct varve_txn *txn, uint64_t *ret_lsn);

/* Aborts and frees the transaction. Nothing of it is ever replayed. NULL is allowed. */
VARVE_API void varve_txn_abort(struct varve_txn *txn);

/* Its id in the log, together with the 16 bytes that are drawn anew by each varve_txns_open. */
VARVE_API uint64_t varve_txn_id(const struct varve_txn *txn);

/*
 * From which LSN replay has to start so that it has every transaction whole that has not ended now; never
 * beyond the last LSN + 1. A checkpoint asks first for this, then for the last LSN up to which it has applied
 * commits, and writes both down: they are from_lsn and applied_lsn of the next replay, and the log may be
 * trimmed below the first.
 */
VARVE_API uint64_t varve_txns_floor(struct varve_txns *txns);

/* Counts since varve_txns_open. */
struct varve_txns_stats {
    size_t size;   /* set by the caller to sizeof(struct varve_txns_stats); no more than that is filled */
    uint64_t open; /* at the moment */
    uint64_t begun;
    uint64_t committed;
    uint64_t aborted; /* by the caller, or by close */
    uint64_t timed_out;
    uint64_t failed;    /* the log accepts no writes any more */
    uint64_t streamed;  /* begun in the log, however they ended */
    uint64_t mutations; /* of those that were committed */
    uint64_t bytes;     /* of their writesets */
};

/* Errors: INVALID. */
VARVE_API int varve_txns_stats_get(struct varve_txns *txns, struct varve_txns_stats *ret_stats);

/* -- replay -- */

/* What becomes of a transaction that stands in the log. */
enum varve_txn_action {
    VARVE_TXN_COMMITTED = 1,   /* its mutations were given */
    VARVE_TXN_ROLLED_BACK = 2, /* it was aborted, or never ended: none of them are given */
    VARVE_TXN_PARTIAL =
        3, /* it was committed, and a part of it is not there, because replay started too late,
              because the log was trimmed too far, or by damage: none of them are given */
};

/* "commit", "rollback", "partial log". Static. */
VARVE_API const char *varve_txn_action_name(enum varve_txn_action action);

struct varve_txn_outcome {
    enum varve_txn_action action;
    uint64_t txn_id;
    uint8_t origin[VARVE_ORIGIN_BYTES];
    uint64_t first_lsn; /* of its first record that was met */
    uint64_t last_lsn;  /* of the record that ended it; 0 = never ended */
};

/* Valid during the call. Called before the first of a transaction's mutations is given. */
typedef void (*varve_txn_outcome_fn)(void *arg, const struct varve_txn_outcome *outcome);

enum varve_txn_replay_flags {
    VARVE_TXN_REPLAY_OTHERS = 1 << 0, /* gives other records too, in their places */
};

struct varve_txn_replay_options {
    size_t size;                  /* sizeof(struct varve_txn_replay_options) */
    uint64_t from_lsn;            /* the first record that is read; 0 = the first there is */
    enum varve_policy policy;     /* what to do at damage: as varve_cursor_open */
    uint32_t flags;               /* enum varve_txn_replay_flags */
    uint32_t type;                /* as it was when the log was written; default VARVE_TXN_TYPE */
    varve_txn_outcome_fn outcome; /* default none */
    void *outcome_arg;
    uint64_t applied_lsn; /* what was committed up to this LSN is passed over, and not reported */
};

/* A committed mutation, or another record. What it points to is the replay's, valid until its next call. */
struct varve_txn_change {
    struct varve_mutation mutation; /* its version is never 0; kind 0: another record, which is in `entry` */
    uint64_t commit_lsn;            /* the LSN and the time of the commit */
    uint64_t time_us;
    uint64_t txn_id;
    uint8_t origin[VARVE_ORIGIN_BYTES];
    int last;                  /* the last mutation of its transaction: now it is whole */
    struct varve_entry *entry; /* the record that it stands in */
};

/*
 * Reads the transactions of a log, also of one that is open read-only beside its writer: then up to what is
 * durable now. Memory is bounded by two frames, and grows with transactions that are streamed at the same
 * time: those are read a second time when they turn out to be committed.
 * Errors: INVALID and those of varve_cursor_open and varve_cursor_seek_lsn.
 */
VARVE_API VARVE_MUST_CHECK int varve_txn_replay_open(struct varve_log *log,
                                                     const struct varve_txn_replay_options *options,
                                                     struct varve_txn_replay **ret_replay,
                                                     struct varve_error *ret_error);

/* NULL is allowed. */
VARVE_API void varve_txn_replay_close(struct varve_txn_replay *replay);

/*
 * The next mutation. VARVE_END: there is none now; a later call may find one. An error stays. Errors: those
 * of varve_cursor_next; CORRUPT (a record has the type of a transaction's and is none) VERSION.
 */
VARVE_API int varve_txn_replay_next(struct varve_txn_replay *replay, struct varve_txn_change *ret_change);

/* Says that nothing will follow: what is still open is rolled back, and reported. Returns how many. */
VARVE_API uint64_t varve_txn_replay_settle(struct varve_txn_replay *replay);

/* What the last failed call was about. Untouched if none failed. */
VARVE_API void varve_txn_replay_error(const struct varve_txn_replay *replay, struct varve_error *ret_error);

struct varve_txn_replay_stats {
    size_t size;      /* set by the caller to sizeof(struct varve_txn_replay_stats) */
    uint64_t records; /* that were read, each once */
    uint64_t others;  /* of these, not of transactions */
    uint64_t committed;
    uint64_t streamed;    /* of these */
    uint64_t mutations;   /* of these, given by now */
    uint64_t rolled_back; /* aborted in the log */
    uint64_t orphans;     /* never ended, since varve_txn_replay_settle */
    uint64_t partial;
    uint64_t open;     /* neither ended nor settled */
    uint64_t lost;     /* LSNs that the policy skip passed over */
    uint64_t last_lsn; /* of the last record that was read; 0 = none */
};

/* Errors: INVALID. */
VARVE_API int varve_txn_replay_stats_get(const struct varve_txn_replay *replay,
                                         struct varve_txn_replay_stats *ret_stats);

#ifdef __cplusplus
}
#endif

#endif
