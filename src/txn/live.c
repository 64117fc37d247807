/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live: what is common to all open transactions: a place on the list, a time limit, a hold on the log.
 *
 * In: calls on a transaction, from its caller; the time, from the timer. Out: a transaction that was ended by
 * one of the two, once. The timer takes a transaction's lock only where nobody has it. Where a call is under
 * way it leaves a note, `overdue`, which that call reads after it has given the lock back: either the timer
 * finds the lock free, or the call finds the note.
 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/wait.h"
#include "txn/txns.h"
#include "varve/metrics.h"

static uint64_t now_us(struct varve_txns *txns)
{
    return txns->io->monotonic_us(txns->io);
}

static void wake_timer(struct varve_txns *txns)
{
    atomic_fetch_add(&txns->timer_event, 1);
    vv_wake_all(&txns->timer_event);
}

int vv_live_begin(struct varve_txns *txns, uint64_t limit_ms, void (*forget)(struct vv_live *live),
                  struct vv_live *live)
{
    uint64_t limit_us, deadline = UINT64_MAX;
    bool sooner;

    if (limit_ms == 0)
        limit_ms = txns->limit_ms;
    *live = (struct vv_live){.txns = txns, .began_us = now_us(txns), .forget = forget};
    if (limit_ms != VARVE_TXN_NO_LIMIT &&
        (!vv_mul_checked(limit_ms, 1000, &limit_us) || !vv_add_checked(live->began_us, limit_us, &deadline)))
        return VARVE_E_INVALID;
    pthread_mutex_init(&live->lock, NULL);
    atomic_init(&live->deadline_us, deadline);
    live->group.log = txns->log;
    live->group.type = txns->type;
    live->group.id = atomic_fetch_add(&txns->next_id, 1);
    memcpy(live->group.origin, txns->origin, sizeof live->group.origin);

    pthread_mutex_lock(&txns->list_lock);
    live->next = txns->first;
    if (txns->first)
        txns->first->before = live;
    txns->first = live;
    sooner = deadline < txns->timer_wake_us;
    pthread_mutex_unlock(&txns->list_lock);
    atomic_fetch_add(&txns->open, 1);
    atomic_fetch_add(&txns->begun, 1);
    if (sooner)
        wake_timer(txns);
    return 0;
}

/* Its time is up. `lock` is held. */
static void expire(struct vv_live *live)
{
    atomic_store(&live->deadline_us, UINT64_MAX);
    if (live->state != VV_LIVE_OPEN)
        return;
    live->state = VV_LIVE_EXPIRED;
    live->error = VARVE_E_TIMEOUT;
    atomic_fetch_add(&live->txns->timed_out, 1);
    live->forget(live);
    /* A record less in the log changes nothing: what has no end is rolled back all the same. */
    if (vv_group_is_begun(&live->group))
        (void)vv_group_abort(&live->group, VV_ABORT_TIME);
}

int vv_live_enter(struct vv_live *live)
{
    uint64_t deadline;
    int rc;

    pthread_mutex_lock(&live->lock);
    deadline = atomic_load(&live->deadline_us);
    if (atomic_load(&live->overdue) || (deadline != UINT64_MAX && now_us(live->txns) >= deadline))
        expire(live);
    rc = live->error;
    if (rc)
        pthread_mutex_unlock(&live->lock);
    return rc;
}

void vv_live_leave(struct vv_live *live, int rc)
{
    if (rc == VARVE_E_READONLY || rc == VARVE_E_SYNC || rc == VARVE_E_FORKED) {
        live->state = VV_LIVE_FAILED;
        live->error = rc;
    }
    pthread_mutex_unlock(&live->lock);
    if (atomic_load(&live->overdue)) {
        pthread_mutex_lock(&live->lock);
        expire(live);
        pthread_mutex_unlock(&live->lock);
    }
}

/* -- the hold on the log -- */

/* The lowest record that an open transaction of ours stands at; `none` where there is no such transaction. */
static uint64_t lowest(struct varve_txns *txns, uint64_t none)
{
    uint64_t low = none;

    pthread_mutex_lock(&txns->list_lock);
    for (struct vv_live *at = txns->first; at; at = at->next) {
        uint64_t lsn = atomic_load(&at->group.begin_lsn);

        if (lsn != 0 && lsn < low)
            low = lsn;
    }
    pthread_mutex_unlock(&txns->list_lock);
    return low;
}

uint64_t varve_txns_floor(struct varve_txns *txns)
{
    /* First: what begins from now on begins above it. */
    uint64_t end = varve_last_lsn(txns->log) + 1;

    return lowest(txns, end);
}

/* The first to stream sets the pin, durably; the log is not trimmed below it from then on. */
static int hold(struct vv_live *live)
{
    struct varve_txns *txns = live->txns;
    struct varve_pin pin = {.size = sizeof pin, .owner = "open transactions"};
    int rc = 0;

    pthread_mutex_lock(&txns->pin_lock);
    if (!txns->pin_set) {
        memcpy(pin.name, txns->pin, sizeof pin.name);
        pin.lsn = atomic_load(&live->group.begin_lsn);
        rc = varve_pin_set(txns->log, &pin, NULL);
        txns->pin_set = rc == 0;
        if (rc == VARVE_E_UNSUPPORTED)
            rc = 0; /* a log in `memory` mode is never trimmed under anybody */
    }
    if (rc == 0) {
        txns->pin_holders++;
        live->holds_pin = true;
    }
    pthread_mutex_unlock(&txns->pin_lock);
    return rc;
}

/* After the end of one that streamed. The last one drops the pin; before, it follows when there is time. What
 * fails here holds more of the log than is needed, until the next one ends or the log is opened again. */
static void release(struct vv_live *live)
{
    struct varve_txns *txns = live->txns;

    if (!live->holds_pin)
        return;
    pthread_mutex_lock(&txns->pin_lock);
    if (--txns->pin_holders == 0) {
        if (txns->pin_set && varve_pin_drop(txns->log, txns->pin, NULL) == 0)
            txns->pin_set = false;
    } else if (txns->pin_set) {
        (void)varve_pin_move(txns->log, txns->pin, varve_txns_floor(txns), VARVE_PIN_LATER, NULL);
    }
    pthread_mutex_unlock(&txns->pin_lock);
}

int vv_live_stream(struct vv_live *live)
{
    int rc;

    if (!vv_group_is_begun(&live->group)) {
        rc = vv_group_begin(&live->group);
        if (rc)
            return rc;
        atomic_fetch_add(&live->txns->streamed, 1);
    }
    return live->holds_pin ? 0 : hold(live);
}

/* -- its end -- */

/* Off the list: nobody but the caller knows it any more. */
static void unlist(struct vv_live *live)
{
    struct varve_txns *txns = live->txns;

    pthread_mutex_lock(&txns->list_lock);
    if (live->before)
        live->before->next = live->next;
    else
        txns->first = live->next;
    if (live->next)
        live->next->before = live->before;
    pthread_mutex_unlock(&txns->list_lock);
    atomic_fetch_sub(&txns->open, 1);
}

static void end(struct vv_live *live)
{
    varve_metrics_transaction(live->txns->log, now_us(live->txns) - live->began_us);
    unlist(live);
    /* The timer may have found it before: it is done with it once the lock is free. */
    pthread_mutex_lock(&live->lock);
    pthread_mutex_unlock(&live->lock);
    release(live);
    pthread_mutex_destroy(&live->lock);
}

void vv_live_committed(struct vv_live *live, uint64_t mutations, uint64_t bytes)
{
    struct varve_txns *txns = live->txns;

    assert(live->state == VV_LIVE_OPEN);
    live->state = VV_LIVE_FAILED; /* whatever the timer has noted comes too late */
    pthread_mutex_unlock(&live->lock);
    atomic_fetch_add(&txns->committed, 1);
    atomic_fetch_add(&txns->mutations, mutations);
    atomic_fetch_add(&txns->bytes, bytes);
    end(live);
}

void vv_live_abort(struct vv_live *live)
{
    pthread_mutex_lock(&live->lock);
    if (live->state == VV_LIVE_OPEN) {
        atomic_fetch_add(&live->txns->aborted, 1);
        if (vv_group_is_begun(&live->group))
            (void)vv_group_abort(&live->group, VV_ABORT_ASKED);
        live->forget(live);
    } else if (live->state == VV_LIVE_FAILED) {
        atomic_fetch_add(&live->txns->failed, 1);
        live->forget(live);
    }
    live->state = VV_LIVE_FAILED;
    pthread_mutex_unlock(&live->lock);
    end(live);
}

/* -- the timer's part -- */

/* One that is overdue and that nobody is in a call with, its lock taken; the others get a note. *ret_next:
 * the next deadline of those that are left. */
static struct vv_live *find_overdue(struct varve_txns *txns, uint64_t *ret_next)
{
    struct vv_live *found = NULL;
    uint64_t now = now_us(txns);

    *ret_next = UINT64_MAX;
    pthread_mutex_lock(&txns->list_lock);
    for (struct vv_live *at = txns->first; at && !found; at = at->next) {
        uint64_t deadline = atomic_load(&at->deadline_us);

        if (deadline > now) {
            *ret_next = vv_min_u64(*ret_next, deadline);
            continue;
        }
        /* The note first: who holds the lock reads it after giving that back. */
        atomic_store(&at->overdue, true);
        atomic_store(&at->deadline_us, UINT64_MAX);
        if (pthread_mutex_trylock(&at->lock) == 0)
            found = at;
    }
    txns->timer_wake_us = *ret_next;
    pthread_mutex_unlock(&txns->list_lock);
    return found;
}

uint64_t vv_live_expire(struct varve_txns *txns)
{
    struct vv_live *live;
    uint64_t next;

    while ((live = find_overdue(txns, &next)) != NULL) {
        expire(live);
        pthread_mutex_unlock(&live->lock);
    }
    return next;
}
