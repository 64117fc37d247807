/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failover: from the log's directory to the second one, and back.
 *
 * In: a segment that failed for good, one that could not be made, a call that hangs. Out: the pair stands on
 * the second directory, nothing that was prepared in the first one is used, and whatever is made from now on
 * is made there. move.c does the rest: what is not acknowledged goes to a fresh segment, and that is there.
 *
 * Back: the preparing thread tries the log's directory, each time after twice as long. When it takes writes
 * and nothing hangs there any more, MANIFEST and PINS go home, then segments are made there again. Those in
 * the second directory stay what they are, until they are trimmed.
 *
 * Ways to fail: the second directory fails as well; then the log does what it does without one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "log/failover.h"
#include "log/manifest.h"
#include "log/pin.h"
#include "log/prepare.h"
#include "log/stages.h"
#include "log/tell.h"

#define PROBE_NAME "new-probe.tmp"

enum {
    STANDBY_AGAIN_US = 1000 * 1000,
    QUICK_US = 60 * 1000 * 1000, /* who fails again so soon after coming back is trusted less */
};

/* -- what hangs -- */

static void on_patience(void *arg, int side, enum vv_call_op op, uint64_t took_us, int over)
{
    struct varve_log *log = arg;
    struct vv_failover *fo = log->failover;
    const char *where = side == VV_HOME ? log->path : fo->path;

    if (over) {
        vv_tell(log, STALL_OVER, VV_ABOUT(.duration_us = took_us),
                "%s in %s has come to its end, after %" PRIu64 " ms", vv_call_name(op), where,
                took_us / 1000);
        return;
    }
    VV_COUNT(log, stalls, 1);
    if (side == VV_HOME)
        atomic_store(&fo->stalled, 1);
    vv_tell(log, STALL, VV_ABOUT(.duration_us = took_us),
            "%s in %s hangs, for %" PRIu64 " ms; the log goes on without it", vv_call_name(op), where,
            took_us / 1000);
    vv_prepare_kick(log);
}

int vv_failover_start(struct varve_log *log, struct varve_error *ret_error)
{
    const struct varve_options *o = &log->options;
    uint64_t bytes = VV_SEGMENT_HEADER_BYTES +
                     vv_max_u64(vv_max_u64(log->frame_max, o->slot_bytes), VV_PREPARE_ZERO_BYTES);
    int rc;

    if (!log->failover || log->in_memory || o->stall_ms == UINT32_MAX)
        return 0;
    rc = vv_pair_guard(log->failover->pair, (uint64_t)o->stall_ms * 1000, o->writes_in_flight + 1,
                       (size_t)bytes, on_patience, log);
    return rc == 0 ? 0 : vv_error_set(ret_error, VARVE_E_NOMEM, -rc, "failover_dir: threads for its calls");
}

void vv_failover_end(struct varve_log *log)
{
    struct vv_failover *fo = log->failover;
    bool forked = atomic_load(&log->gate) == VARVE_E_FORKED;

    if (!fo)
        return;
    if (!forked && vv_pair_hung(fo->pair, VV_HOME) > 0)
        vv_tell(log, STALL, VV_ABOUT(.segment = 0),
                "closing waits for a call that hangs in %s: until it ends nobody else may write there",
                log->path);
    vv_pair_unguard(fo->pair, forked);
    if (!forked)
        pthread_mutex_destroy(&fo->mutex);
}

void vv_failover_forked(struct varve_log *log)
{
    if (log->failover)
        vv_pair_forked(log->failover->pair);
}

/* -- there -- */

bool vv_failover_lies_away(struct varve_log *log, uint64_t number)
{
    char name[VV_SEGMENT_NAME_BYTES];

    if (!log->failover)
        return false;
    vv_segment_name(number, name);
    return vv_pair_is_away(log->failover->pair, name) > 0;
}

bool vv_failover_blames(const struct varve_error *error)
{
    static const int others[] = {0, ENOSPC, EDQUOT, EFBIG, ENOMEM, EMFILE, ENFILE, EEXIST, ECANCELED};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (error->sys_errno == others[i])
            return false;
    }
    return error->code == VARVE_E_IO;
}

/* Takes back what is ready: it lies on the side that was left. Which side a segment was made for is told by
 * side_turn, so none comes later. */
static struct vv_segment *take_ready(struct varve_log *log)
{
    struct vv_segment *list;

    pthread_mutex_lock(&log->segments_mutex);
    list = log->ready;
    log->ready = NULL;
    log->ready_tail = &log->ready;
    atomic_store(&log->ready_count, 0);
    for (struct vv_segment *s = list; s; s = s->next) {
        if (log->failover->left_count < VV_FAILOVER_LEFT)
            log->failover->left[log->failover->left_count++] = s->number;
    }
    pthread_mutex_unlock(&log->segments_mutex);
    return list;
}

/* Until the first try; longer each time when the device fails again soon after it came back. */
static void plan_tries(struct varve_log *log, struct vv_failover *fo, uint64_t now)
{
    uint64_t returned = atomic_load(&fo->returned_us), first = (uint64_t)log->options.breaker_first_ms * 1000;

    if (returned != 0 && now - returned < QUICK_US)
        fo->interval_us = vv_min_u64(fo->interval_us * 2, (uint64_t)log->options.breaker_max_ms * 1000);
    else
        fo->interval_us = first;
    atomic_store(&fo->next_us, now + fo->interval_us);
}

bool vv_failover_switch(struct varve_log *log, const struct varve_error *cause)
{
    struct vv_failover *fo = log->failover;
    struct vv_segment *list, *next;
    uint64_t now;

    if (!fo || vv_failover_away(log))
        return false;
    now = log->io->monotonic_us(log->io);
    pthread_mutex_lock(&fo->mutex);
    if (vv_failover_away(log)) {
        pthread_mutex_unlock(&fo->mutex);
        return false;
    }
    atomic_store(&fo->since_us, now | 1);
    plan_tries(log, fo, now);
    vv_pair_go(fo->pair, VV_AWAY);
    atomic_fetch_add(&log->side_turn, 1);
    pthread_mutex_unlock(&fo->mutex);
    for (list = take_ready(log); list; list = next) {
        next = list->next;
        vv_prepare_retire(log, list);
    }
    VV_COUNT(log, failovers, 1);
    vv_tell(log, FAILOVER, VV_ABOUT(.code = cause->code, .sys_errno = cause->sys_errno),
            "%s; the log goes on in %s: look after the device of the log's directory, which is tried again "
            "from time to time",
            cause->message, fo->path);
    vv_prepare_kick(log);
    return true;
}

void vv_failover_moves(struct varve_log *log, const struct varve_error *cause)
{
    if (log->failover && log->current && !vv_failover_lies_away(log, log->current->number))
        (void)vv_failover_switch(log, cause);
}

int vv_failover_take(struct varve_log *log, char *ret_name, struct varve_file **ret_file)
{
    struct vv_failover *fo = log->failover;
    unsigned flags = VARVE_IO_WRITE | (log->direct ? VARVE_IO_DIRECT : 0u);
    struct varve_io_stat stat;
    struct varve_file *file;
    int rc;

    if (!atomic_exchange(&fo->standby, 0))
        return -ENOENT;
    snprintf(ret_name, VV_NAME_BYTES, "new-%016" PRIx64 ".tmp", log->next_number);
    rc = vv_pair_rename_on(fo->pair, VV_AWAY, VV_FAILOVER_READY, ret_name);
    if (rc == 0)
        rc = vv_pair_open_on(fo->pair, VV_AWAY, ret_name, flags, &file);
    if (rc != 0)
        return -ENOENT;
    rc = log->io->stat(log->io, file, &stat);
    if (rc == 0 && stat.size_bytes == log->options.segment_bytes) {
        *ret_file = file;
        return 0;
    }
    log->io->close(log->io, file);
    (void)vv_pair_unlink_on(fo->pair, VV_AWAY, ret_name);
    return -ENOENT;
}

/* -- what stands ready there -- */

static int fill_standby(struct varve_log *log)
{
    struct vv_pair *pair = log->failover->pair;
    unsigned flags = VARVE_IO_WRITE | VARVE_IO_CREATE | (log->direct ? VARVE_IO_DIRECT : 0u);
    struct varve_io *io = log->io;
    struct varve_file *file;
    int rc = vv_pair_unlink_on(pair, VV_AWAY, VV_FAILOVER_READY_TEMP);

    if (rc != 0 && rc != -ENOENT)
        return rc;
    rc = vv_pair_open_on(pair, VV_AWAY, VV_FAILOVER_READY_TEMP, flags, &file);
    if (rc != 0)
        return rc;
    rc = io->allocate(io, file, log->options.segment_bytes);
    if (rc == 0 && log->leads)
        rc = vv_prepare_zeros(log, file, log->options.segment_bytes);
    if (rc == 0)
        rc = io->sync(io, file);
    io->close(io, file);
    if (rc == 0)
        rc = vv_pair_rename_on(pair, VV_AWAY, VV_FAILOVER_READY_TEMP, VV_FAILOVER_READY);
    else
        (void)vv_pair_unlink_on(pair, VV_AWAY, VV_FAILOVER_READY_TEMP);
    return rc == 0 ? vv_pair_sync_on(pair, VV_AWAY) : rc;
}

/* Whether the last process left one of the size that is wanted now. */
static bool find_standby(struct varve_log *log)
{
    struct vv_pair *pair = log->failover->pair;
    struct varve_io_stat stat;
    struct varve_file *file;
    bool fits;

    if (vv_pair_open_on(pair, VV_AWAY, VV_FAILOVER_READY, VARVE_IO_WRITE, &file) != 0)
        return false;
    fits = log->io->stat(log->io, file, &stat) == 0 && stat.size_bytes == log->options.segment_bytes;
    log->io->close(log->io, file);
    if (!fits)
        (void)vv_pair_unlink_on(pair, VV_AWAY, VV_FAILOVER_READY);
    return fits;
}

static void keep_standby(struct varve_log *log)
{
    struct vv_failover *fo = log->failover;
    uint64_t now = log->io->monotonic_us(log->io);
    int rc = 0;

    if (atomic_load(&fo->standby) || now < fo->standby_us || vv_pair_hung(fo->pair, VV_AWAY) > 0)
        return;
    if (!find_standby(log))
        rc = fill_standby(log);
    if (rc == -ECANCELED)
        return;
    fo->standby_us = rc == 0 ? 0 : log->io->monotonic_us(log->io) + STANDBY_AGAIN_US;
    atomic_store(&fo->unready, rc != 0);
    if (rc == 0)
        atomic_store(&fo->standby, 1);
    else
        vv_tell(log, FAILOVER_UNREADY, VV_ABOUT(.code = VARVE_E_IO, .sys_errno = -rc),
                "no segment can be made ready in %s, so the log could not go on there: %s", fo->path,
                strerror(-rc));
}

/* -- and back -- */

struct tidy {
    struct varve_log *log;
    uint64_t numbers[VV_FAILOVER_LEFT + 64];
    size_t count;
};

/* What was prepared and given up, or trimmed while nothing could be removed. */
static int see_home(void *arg, const char *name)
{
    struct tidy *t = arg;
    struct varve_log *log = t->log;
    uint64_t number;
    bool goes;

    if (!vv_segment_name_parse(name, &number))
        return 0;
    goes = number < log->manifest.first_segment;
    for (unsigned i = 0; i < log->failover->left_count; i++)
        goes = goes || log->failover->left[i] == number;
    if (goes)
        t->numbers[t->count++] = number;
    return t->count == sizeof t->numbers / sizeof *t->numbers;
}

/* Whatever stays is removed by the next open: it is in nobody's way. files_mutex is held. */
static void tidy_home(struct varve_log *log)
{
    struct tidy t = {.log = log};
    char name[VV_SEGMENT_NAME_BYTES];

    (void)vv_pair_list_on(log->failover->pair, VV_HOME, see_home, &t);
    for (size_t i = 0; i < t.count; i++) {
        vv_segment_name(t.numbers[i], name);
        (void)vv_pair_unlink_on(log->failover->pair, VV_HOME, name);
    }
    log->failover->left_count = 0;
}

/* Segments that were made there and hold nothing. files_mutex is held. */
static void drop_away(struct varve_log *log)
{
    char name[VV_SEGMENT_NAME_BYTES];
    struct vv_segment *list, *next;

    for (list = take_ready(log); list; list = next) {
        next = list->next;
        vv_segment_name(list->number, name);
        vv_prepare_discard(log, list);
        (void)vv_pair_unlink_on(log->failover->pair, VV_AWAY, name);
    }
}

/* MANIFEST and PINS are not written meanwhile. Negative errno. */
static int bring_facts(struct varve_log *log)
{
    struct vv_pair *pair = log->failover->pair;
    int rc;

    pthread_mutex_lock(&log->pins_mutex);
    pthread_mutex_lock(&log->facts_mutex);
    rc = vv_pair_bring_home(pair, VV_MANIFEST_TEMP, VV_MANIFEST_NAME, VV_MANIFEST_BYTES_MAX);
    if (rc == 0)
        rc = vv_pair_bring_home(pair, VV_PIN_TEMP, VV_PIN_FILE, VV_PINS_BYTES_MAX);
    if (rc == 0) {
        pthread_mutex_lock(&log->failover->mutex);
        atomic_store(&log->failover->stalled, 0);
        vv_pair_go(pair, VV_HOME);
        atomic_fetch_add(&log->side_turn, 1);
        atomic_store(&log->failover->returned_us, log->io->monotonic_us(log->io) | 1);
        pthread_mutex_unlock(&log->failover->mutex);
    }
    pthread_mutex_unlock(&log->facts_mutex);
    pthread_mutex_unlock(&log->pins_mutex);
    return rc;
}

static void try_home(struct varve_log *log)
{
    struct vv_failover *fo = log->failover;
    uint64_t now = log->io->monotonic_us(log->io), away_us;
    int rc;

    if (now < atomic_load(&fo->next_us))
        return;
    /* What hangs there may still be written: nothing else is until that has ended. */
    rc = vv_pair_hung(fo->pair, VV_HOME) > 0 ? -EBUSY : vv_pair_probe(fo->pair, PROBE_NAME);
    if (rc == 0) {
        pthread_mutex_lock(&log->files_mutex);
        rc = bring_facts(log);
        if (rc == 0) {
            drop_away(log);
            tidy_home(log);
        }
        pthread_mutex_unlock(&log->files_mutex);
    }
    now = log->io->monotonic_us(log->io);
    if (rc != 0) {
        fo->interval_us = vv_min_u64(fo->interval_us * 2, (uint64_t)log->options.breaker_max_ms * 1000);
        atomic_store(&fo->next_us, now + fo->interval_us);
        return;
    }
    away_us = now - atomic_load(&fo->since_us);
    atomic_store(&fo->rotate, 1);
    vv_tell(log, FAILOVER_OVER, VV_ABOUT(.duration_us = away_us),
            "the log's directory takes writes again after %" PRIu64
            " ms: segments are made there; those in %s stay part of the log until they are trimmed",
            away_us / 1000, fo->path);
}

/* The current segment is left as well, once the next one is there: what comes is no longer at the mercy of
 * the second device. */
static void leave_current(struct varve_log *log)
{
    struct vv_failover *fo = log->failover;

    /* Who holds it may be waiting for a segment that this thread has to make. */
    if (pthread_mutex_trylock(&log->place_mutex) != 0)
        return;
    if (!log->current || !vv_failover_lies_away(log, log->current->number)) {
        atomic_store(&fo->rotate, 0);
    } else if (atomic_load(&log->ready_count) > 0 && atomic_load(&log->large_unplaced) == 0 &&
               vv_published(log) == atomic_load(&log->placed_seq) && !atomic_load(&log->current->bad)) {
        vv_prepare_retire(log, log->current);
        log->current = NULL;
        atomic_store(&log->room_bytes, 0);
        atomic_store(&fo->rotate, 0);
    }
    pthread_mutex_unlock(&log->place_mutex);
}

void vv_failover_tick(struct varve_log *log)
{
    struct vv_failover *fo = log->failover;

    if (!fo || atomic_load(&log->failed) || atomic_load(&log->stop_prepare))
        return;
    if (atomic_exchange(&fo->stalled, 0) && !vv_failover_away(log)) {
        struct varve_error cause;

        (void)vv_error_set(&cause, VARVE_E_IO, ETIMEDOUT, "a call hangs in %s", log->path);
        (void)vv_failover_switch(log, &cause);
    }
    if (vv_failover_away(log))
        try_home(log);
    else
        keep_standby(log);
    if (atomic_load(&fo->rotate) && !vv_failover_away(log))
        leave_current(log);
}

int64_t vv_failover_sleep_us(struct varve_log *log, int64_t us)
{
    struct vv_failover *fo = log->failover;
    uint64_t now, due;

    if (!fo || atomic_load(&log->failed))
        return us;
    if (atomic_load(&fo->rotate) && !vv_failover_away(log))
        return 1000;
    due = vv_failover_away(log) ? atomic_load(&fo->next_us) : atomic_load(&fo->standby) ? 0 : fo->standby_us;
    if (due == 0 && (vv_failover_away(log) || atomic_load(&fo->standby)))
        return us;
    now = log->io->monotonic_us(log->io);
    if (due <= now)
        return vv_failover_away(log) ? 1000 : 1000 * 1000;
    return us < 0 || (uint64_t)us > due - now ? (int64_t)(due - now) : us;
}
