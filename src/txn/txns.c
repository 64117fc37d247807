/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txns: the transactions of a log. Options in, a thread that watches time limits, a pin that is dropped when
 * it was left behind, counts out.
 */
#include "txn/txns.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/thread.h"
#include "base/wait.h"
#include "txn/take.h"

enum {
    LIMIT_MS = 30000,
    STREAM_BYTES = 1 << 20,
    STREAM_BYTES_MIN = 4096,
    TYPE_MAX = 256 - VARVE_TXN_TYPES,
};

static int check_options(struct varve_txns *txns, const struct varve_txns_options *given,
                         struct varve_error *ret_error)
{
    struct varve_stats stats = {.size = sizeof stats};
    struct varve_txns_options o;
    int rc;

    if (!vv_take(&o, sizeof o, given))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "the options of transactions: size is not valid");
    rc = varve_stats_get(txns->log, &stats);
    if (rc)
        return vv_error_set(ret_error, rc, 0, "the log's settings");
    txns->record_max = stats.record_max;
    txns->io = o.io ? o.io : varve_io_system();
    txns->limit_ms = o.limit_ms ? o.limit_ms : LIMIT_MS;
    txns->stream_bytes = o.stream_bytes ? o.stream_bytes : vv_min_u64(STREAM_BYTES, stats.record_max);
    if (o.stream_bytes && (o.stream_bytes < STREAM_BYTES_MIN || o.stream_bytes > stats.record_max))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "stream_bytes is not between %d and record_max, %llu", STREAM_BYTES_MIN,
                            (unsigned long long)stats.record_max);
    if (o.type > TYPE_MAX)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "type is not between 1 and %d", TYPE_MAX);
    txns->type = (uint8_t)(o.type ? o.type : VARVE_TXN_TYPE);
    return 0;
}

/* One that a crash has left behind: the transactions that it was for are over. */
static int drop_old_pin(struct varve_txns *txns, struct varve_error *ret_error)
{
    int rc;

    (void)snprintf(txns->pin, sizeof txns->pin, "varve-txn-%u", txns->type);
    rc = varve_pin_drop(txns->log, txns->pin, ret_error);
    return rc == VARVE_E_NO_PIN || rc == VARVE_E_UNSUPPORTED ? 0 : rc;
}

static void *run_timer(void *arg)
{
    struct varve_txns *txns = arg;

    for (;;) {
        uint32_t seen = atomic_load(&txns->timer_event);
        uint64_t next = vv_live_expire(txns), now = txns->io->monotonic_us(txns->io);
        int64_t sleep_us = VV_WAIT_FOREVER;
        bool stop;

        pthread_mutex_lock(&txns->list_lock);
        stop = txns->stop;
        pthread_mutex_unlock(&txns->list_lock);
        if (stop)
            return NULL;
        if (next != UINT64_MAX)
            sleep_us = next > now ? (int64_t)vv_min_u64(next - now, INT64_MAX) : 0;
        (void)vv_wait_on(&txns->timer_event, seen, sleep_us);
    }
}

int varve_txns_open(struct varve_log *log, const struct varve_txns_options *options,
                    struct varve_txns **ret_txns, struct varve_error *ret_error)
{
    struct varve_txns *txns = vv_alloc_zero(sizeof *txns);
    int rc;

    if (!txns)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "transactions");
    txns->log = log;
    txns->timer_wake_us = UINT64_MAX;
    pthread_mutex_init(&txns->pin_lock, NULL);
    pthread_mutex_init(&txns->list_lock, NULL);
    atomic_init(&txns->next_id, varve_last_lsn(log) + 1);
    rc = check_options(txns, options, ret_error);
    if (rc == 0)
        rc = drop_old_pin(txns, ret_error);
    if (rc == 0) {
        rc = txns->io->random(txns->io, txns->origin, sizeof txns->origin);
        if (rc)
            rc = vv_error_set(ret_error, VARVE_E_IO, rc, "random bytes");
    }
    if (rc == 0) {
        rc = vv_thread_start(&txns->timer, "varve-txn", run_timer, txns);
        if (rc)
            rc = vv_error_set(ret_error, VARVE_E_NOMEM, rc, "a thread for time limits");
        txns->timer_runs = rc == 0;
    }
    if (rc) {
        varve_txns_close(txns);
        return rc;
    }
    *ret_txns = txns;
    return 0;
}

void varve_txns_close(struct varve_txns *txns)
{
    if (!txns)
        return;
    if (txns->timer_runs) {
        pthread_mutex_lock(&txns->list_lock);
        txns->stop = true;
        pthread_mutex_unlock(&txns->list_lock);
        atomic_fetch_add(&txns->timer_event, 1);
        vv_wake_all(&txns->timer_event);
        pthread_join(txns->timer, NULL);
    }
    while (txns->first) {
        struct vv_live *live = txns->first;

        vv_live_abort(live);
        vv_free(live);
    }
    pthread_mutex_destroy(&txns->list_lock);
    pthread_mutex_destroy(&txns->pin_lock);
    vv_free(txns);
}

int varve_txns_stats_get(struct varve_txns *txns, struct varve_txns_stats *ret_stats)
{
    const struct varve_txns_stats stats = {
        .open = atomic_load(&txns->open),
        .begun = atomic_load(&txns->begun),
        .committed = atomic_load(&txns->committed),
        .aborted = atomic_load(&txns->aborted),
        .timed_out = atomic_load(&txns->timed_out),
        .failed = atomic_load(&txns->failed),
        .streamed = atomic_load(&txns->streamed),
        .mutations = atomic_load(&txns->mutations),
        .bytes = atomic_load(&txns->bytes),
    };

    return vv_give(ret_stats, &stats, sizeof stats) ? 0 : VARVE_E_INVALID;
}
