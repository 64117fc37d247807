/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare: the log's own thread for segments that are not in use: makes them ahead of need, closes those
 * behind.
 *
 * A segment is made under a temporary name, filled with zeros, synced, renamed to its final name, and the
 * directory synced; then it is ready. In the modes that sync every frame it is zero-written, because
 * overwriting written blocks is twice as fast as writing into blocks that were only allocated; in the others
 * allocating is enough, because their writes are large. A spare, if there is one, only gets a new name.
 *
 * While the current segment has plenty of room the zeros go out in small paced pieces, so that commits beside
 * them keep their latency.
 *
 * Ways to fail: no space, no descriptor, too many segments. Appends then get the reason, and this thread
 * tries again five times a second: the log goes on by itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/wait.h"
#include "io/event.h"
#include "log/codec.h"
#include "log/failover.h"
#include "log/plain_write.h"
#include "log/prepare.h"
#include "log/retain.h"
#include "log/space.h"
#include "log/stages.h"
#include "log/tell.h"
#include "log/watch.h"

enum {
    PIECE_PAUSE_US = 1000,
    RETRY_US = 200 * 1000,
};

void vv_prepare_kick(struct varve_log *log)
{
    atomic_fetch_add(&log->prepare_event, 1);
    vv_wake_one(&log->prepare_event);
}

/* Structs of segments are used again and freed only by varve_close: a leader may look at the one it wrote to
 * after others have moved on. */
struct vv_segment *vv_prepare_segment(struct varve_log *log)
{
    struct vv_segment *segment;

    pthread_mutex_lock(&log->segments_mutex);
    segment = log->pool;
    if (segment)
        log->pool = segment->next;
    pthread_mutex_unlock(&log->segments_mutex);
    if (!segment)
        segment = vv_alloc_zero(sizeof *segment);
    if (segment) {
        segment->next = NULL;
        segment->file = NULL;
        segment->map = NULL;
        segment->side_turn = atomic_load(&log->side_turn);
        atomic_store(&segment->bad, 0);
    }
    return segment;
}

void vv_prepare_discard(struct varve_log *log, struct vv_segment *segment)
{
    if (segment->file)
        log->io->close(log->io, segment->file);
    if (segment->map)
        log->io->unmap(log->io, segment->map, segment->capacity);
    segment->file = NULL;
    segment->map = NULL;
    pthread_mutex_lock(&log->segments_mutex);
    segment->next = log->pool;
    log->pool = segment;
    pthread_mutex_unlock(&log->segments_mutex);
}

void vv_prepare_retire(struct varve_log *log, struct vv_segment *segment)
{
    pthread_mutex_lock(&log->segments_mutex);
    segment->next = log->retired;
    log->retired = segment;
    pthread_mutex_unlock(&log->segments_mutex);
    vv_prepare_kick(log);
}

static void close_retired(struct varve_log *log)
{
    struct vv_segment *list, *next;

    pthread_mutex_lock(&log->segments_mutex);
    list = log->retired;
    log->retired = NULL;
    pthread_mutex_unlock(&log->segments_mutex);
    for (; list; list = next) {
        next = list->next;
        vv_prepare_discard(log, list);
    }
}

int vv_prepare_fact_room(struct varve_log *log, size_t *ret_count)
{
    struct vv_segment_fact *facts;
    size_t room;

    pthread_mutex_lock(&log->segments_mutex);
    room = log->fact_room;
    if (log->fact_count + 64 > room) {
        room = log->fact_count + 256;
        facts = vv_realloc(log->facts, room * sizeof *facts);
        if (facts) {
            log->facts = facts;
            log->fact_room = room;
        }
    }
    *ret_count = log->fact_count;
    room = log->fact_room - log->fact_count;
    pthread_mutex_unlock(&log->segments_mutex);
    return room >= 4 ? 0 : VARVE_E_NOMEM;
}

bool vv_prepare_add(struct varve_log *log, struct vv_segment *segment)
{
    bool fits;

    segment->next = NULL;
    pthread_mutex_lock(&log->segments_mutex);
    /* Under the lock: who leaves a directory raises this first, and takes back what is ready then. */
    fits = segment->side_turn == atomic_load(&log->side_turn);
    if (fits) {
        *log->ready_tail = segment;
        log->ready_tail = &segment->next;
        atomic_fetch_add(&log->ready_count, 1);
    }
    pthread_mutex_unlock(&log->segments_mutex);
    return fits;
}

static bool urgent(struct varve_log *log)
{
    return atomic_load(&log->ready_count) == 0 &&
           atomic_load(&log->room_bytes) < log->options.segment_bytes / 4;
}

/* How many should be ready now. A log that has hardly begun its segment does not take the space of another:
 * many logs are small, and many programs short. */
static uint32_t wanted(struct varve_log *log)
{
    if (atomic_load(&log->takers) == 0 && atomic_load(&log->space_short) == 0 &&
        atomic_load(&log->ready_wanted) == 1 && atomic_load(&log->room_bytes) >= vv_prepare_threshold(log))
        return 0;
    return atomic_load(&log->ready_wanted);
}

/* A piece of work is done, and another begins. */
static void show_life(struct varve_log *log)
{
    atomic_store_explicit(&log->preparer_busy_us, log->io->monotonic_us(log->io) | 1, memory_order_relaxed);
}

int vv_prepare_zeros(struct varve_log *log, struct varve_file *file, uint64_t bytes)
{
    uint64_t piece_bytes = VV_PREPARE_ZERO_BYTES, done = 0;

    while (done < bytes) {
        struct iovec iov = {log->zeros, bytes - done < piece_bytes ? bytes - done : piece_bytes};
        ssize_t n;

        vv_watch_begin(log, &log->flights[VV_FLIGHT_MAKE], log->next_number, done, iov.iov_len);
        n = log->io->pwritev(log->io, file, &iov, 1, done, 0);
        vv_watch_end(&log->flights[VV_FLIGHT_MAKE]);
        /* Nothing else is tried again here: this thread tries all of it again, a little later, and can be
         * stopped in between. */
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? -EIO : (int)n;
        done += (uint64_t)n;
        show_life(log);
        if (atomic_load(&log->stop_prepare))
            return -ECANCELED;
        if (!urgent(log)) {
            /* Ends early when somebody kicks: then there is another reason to hurry. */
            uint32_t seen = atomic_load(&log->prepare_event);

            (void)vv_wait_on(&log->prepare_event, seen, PIECE_PAUSE_US);
        }
    }
    return 0;
}

/* Makes the file under its temporary name, complete and synced. */
static int make_file(struct varve_log *log, const char *name, struct varve_file **ret_file)
{
    struct varve_io *io = log->io;
    unsigned flags = VARVE_IO_WRITE | VARVE_IO_CREATE | (log->direct ? VARVE_IO_DIRECT : 0u);
    struct varve_file *file;
    int rc;

    rc = io->unlink(io, log->dir, name);
    if (rc != 0 && rc != -ENOENT)
        return rc;
    rc = io->open(io, log->dir, name, flags, &file);
    if (rc != 0)
        return rc;
    rc = io->allocate(io, file, log->options.segment_bytes);
    if (rc == 0 && log->leads)
        rc = vv_prepare_zeros(log, file, log->options.segment_bytes);
    if (rc == 0) {
        vv_watch_begin(log, &log->flights[VV_FLIGHT_MAKE], log->next_number, 0, 0);
        rc = io->sync(io, file);
        vv_watch_end(&log->flights[VV_FLIGHT_MAKE]);
    }
    if (rc != 0) {
        io->close(io, file);
        (void)io->unlink(io, log->dir, name);
        return rc;
    }
    *ret_file = file;
    return 0;
}

struct find_spare {
    char name[VV_NAME_BYTES];
};

static int match_spare(void *arg, const char *name)
{
    struct find_spare *found = arg;

    if (!vv_prepare_is_spare(name))
        return 0;
    snprintf(found->name, sizeof found->name, "%s", name);
    return 1;
}

bool vv_prepare_is_spare(const char *name)
{
    size_t len = strlen(name);

    return len > 10 && len < VV_NAME_BYTES && strncmp(name, "spare-", 6) == 0 &&
           strcmp(name + len - 4, ".seg") == 0;
}

/* Opens a spare under its own name. Its header was cleared, durably, before it got that. -ENOENT: there is
 * none. */
static int open_spare(struct varve_log *log, char *ret_name, struct varve_file **ret_file)
{
    struct varve_io *io = log->io;
    struct find_spare found = {{0}};
    struct varve_io_stat stat;
    struct varve_file *file;
    int rc;

    if (log->spare_count == 0)
        return -ENOENT;
    rc = io->dir_list(io, log->dir, match_spare, &found);
    if (rc != 1) {
        log->spare_count = 0;
        return rc < 0 ? rc : -ENOENT;
    }
    log->spare_count--;
    rc = io->open(io, log->dir, found.name, VARVE_IO_WRITE | (log->direct ? VARVE_IO_DIRECT : 0u), &file);
    /* Whatever is wrong with it, a new file will do; something that only bears the name is left where it is.
     */
    if (rc != 0)
        return -ENOENT;
    rc = io->stat(io, file, &stat);
    if (rc != 0 || stat.size_bytes != log->options.segment_bytes) {
        (void)io->unlink(io, log->dir, found.name);
        io->close(io, file);
        return -ENOENT;
    }
    snprintf(ret_name, VV_NAME_BYTES, "%s", found.name);
    *ret_file = file;
    VV_COUNT(log, spares_used, 1);
    return 0;
}

static int salt_of(struct varve_log *log, struct vv_segment *segment)
{
    do {
        int rc = log->io->random(log->io, &segment->salt, sizeof segment->salt);

        if (rc != 0)
            return rc;
    } while (segment->salt == 0);
    segment->seed = vv_segment_seed(segment->salt);
    return 0;
}

int vv_prepare_adopt(struct varve_log *log, struct vv_segment *segment, uint64_t number, uint64_t capacity,
                     struct varve_error *ret_error)
{
    int rc = salt_of(log, segment);

    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "no random bytes for the salt of segment %" PRIu64,
                            number);
    segment->number = number;
    segment->capacity = capacity;
    segment->sector_bytes = log->sector_bytes;
    return vv_codec_prepare(log, segment, ret_error);
}

static int make_segment(struct varve_log *log, struct varve_error *ret_error)
{
    char made[VV_NAME_BYTES], name[VV_SEGMENT_NAME_BYTES];
    struct vv_segment *segment = NULL;
    struct varve_io *io = log->io;
    size_t facts;
    uint64_t began_us = log->io->monotonic_us(log->io);
    int rc = vv_prepare_fact_room(log, &facts);

    vv_segment_name(log->next_number, name);
    if (rc == 0 && facts + atomic_load(&log->ready_count) >= VV_SEGMENTS_MAX)
        return vv_error_set(ret_error, VARVE_E_LIMIT, 0, "the log has %u segments", VV_SEGMENTS_MAX);
    if (rc == 0 && log->next_number == UINT64_MAX)
        return vv_error_set(ret_error, VARVE_E_LIMIT, 0,
                            "a file in the directory bears the last number that a segment can have "
                            "(ffffffffffffffff); move it away");
    if (rc == 0)
        segment = vv_prepare_segment(log);
    if (!segment)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "segment %s", name);
    /* The salt first, and with it a key: where none is to be had, no file is made in vain. */
    rc = vv_prepare_adopt(log, segment, log->next_number, log->options.segment_bytes, ret_error);
    if (rc != 0) {
        vv_prepare_discard(log, segment);
        return rc;
    }
    rc = vv_failover_away(log) ? vv_failover_take(log, made, &segment->file)
                               : open_spare(log, made, &segment->file);
    segment->reused = rc == 0;
    if (rc == -ENOENT && vv_space_allow(log, ret_error) != 0) {
        vv_prepare_discard(log, segment);
        return VARVE_E_LOG_FULL;
    }
    if (rc == -ENOENT) {
        snprintf(made, sizeof made, "new-%016" PRIx64 ".tmp", log->next_number);
        rc = make_file(log, made, &segment->file);
    }
    if (rc == 0) {
        rc = io->rename(io, log->dir, made, name, 0);
        /* By an earlier try that was told of a failure and had been done all the same. */
        if (rc == -EEXIST)
            log->next_number = vv_prepare_number_after(log->next_number);
    }
    /* The number is taken, unless the file is gone again: each try that fails must not leave another file. */
    if (rc == 0) {
        rc = io->dir_sync(io, log->dir);
        if (rc == 0 || io->unlink(io, log->dir, name) != 0)
            log->next_number = vv_prepare_number_after(log->next_number);
    }
    if (rc != 0) {
        vv_prepare_discard(log, segment);
        return vv_space_explain(log, rc, name, ret_error);
    }
    vv_space_made(log);
    vv_tell(log, SEGMENT_READY,
            VV_ABOUT(.segment = segment->number, .bytes = segment->capacity,
                     .duration_us = log->io->monotonic_us(log->io) - began_us),
            "segment %" PRIu64 " is ready%s", segment->number, segment->reused ? ", a spare used again" : "");
    if (vv_prepare_add(log, segment))
        return 0;
    vv_prepare_discard(log, segment);
    return vv_error_set(ret_error, VARVE_E_IO, ENODEV, "segment %s was made in a directory that was left",
                        name);
}

/* The same, and where the device is to blame in the second directory. */
static int make_somewhere(struct varve_log *log, struct varve_error *ret_error)
{
    uint32_t turn = atomic_load(&log->side_turn);
    int rc = make_segment(log, ret_error);

    if (rc == 0 || !log->failover || !vv_failover_blames(ret_error))
        return rc;
    if (!vv_failover_switch(log, ret_error) && turn == atomic_load(&log->side_turn))
        return rc;
    /* Under a number of its own: what failed, or hangs, may have been given this one all the same. */
    log->next_number = vv_prepare_number_after(log->next_number);
    return make_segment(log, ret_error);
}

/* Returns what stood there before. */
static int note_outcome(struct varve_log *log, int rc, const struct varve_error *error)
{
    int before;

    pthread_mutex_lock(&log->error_mutex);
    if (rc != 0)
        log->space_detail = *error;
    before = atomic_exchange(&log->space_error, rc);
    pthread_mutex_unlock(&log->error_mutex);
    if (rc != 0)
        atomic_store(&log->space_near, 0); /* past that: the next time it is near is told again */
    return before;
}

static void report(struct varve_log *log, int rc, int before, bool was_short, const struct varve_error *error)
{
    if (rc != 0 && before != rc)
        vv_tell(log, SPACE_FULL,
                VV_ABOUT(.bytes = log->options.segment_bytes, .code = rc, .sys_errno = error->sys_errno),
                "%s", error->message);
    else if (rc == 0 && before != 0)
        vv_tell(log, SPACE_AGAIN, VV_ABOUT(.bytes = log->options.segment_bytes),
                "segments can be made again");
    atomic_fetch_add(&log->ready_event, 1);
    vv_wake_all(&log->ready_event);
    vv_reserve_wake(log);
    /* An event loop whose appends were refused for want of this segment has nothing else to wait for. */
    if (rc == 0 && (was_short || before != 0) && atomic_load(&log->event_fd) >= 0)
        vv_event_signal(atomic_load(&log->event_fd));
}

/* Logs in formats of others, whose files grow, want to know that there is space; the others want segments. */
static bool due(struct varve_log *log)
{
    if (log->plain && !vv_plain_fixed(log))
        return vv_plain_wants(log);
    return atomic_load(&log->ready_count) < wanted(log);
}

static int make(struct varve_log *log, struct varve_error *ret_error)
{
    if (!log->plain)
        return make_somewhere(log, ret_error);
    return vv_plain_fixed(log) ? vv_plain_make(log, ret_error) : vv_plain_lease(log, ret_error);
}

/* Makes one and says how that went. */
static int make_next(struct varve_log *log)
{
    struct varve_error error;
    bool was_short = false;
    int before = 0, rc;

    /* Noted under the same lock: whoever has removed files knows that no outcome of before is to come. */
    pthread_mutex_lock(&log->files_mutex);
    rc = make(log, &error);
    if (rc == 0)
        was_short = atomic_exchange(&log->space_short, 0);
    if (!atomic_load(&log->stop_prepare))
        before = note_outcome(log, rc, &error);
    pthread_mutex_unlock(&log->files_mutex);
    if (!atomic_load(&log->stop_prepare))
        report(log, rc, before, was_short, &error);
    return rc;
}

/* Here, as whoever begins a segment has appends behind it that wait. */
static void tell_begun(struct varve_log *log)
{
    struct vv_segment_fact fact = {.number = 0};
    uint64_t before = log->told_segment;

    if (!vv_tells(log, SEGMENT_BEGUN))
        return;
    do {
        uint64_t told = log->told_segment;

        pthread_mutex_lock(&log->segments_mutex);
        for (size_t i = log->fact_count; i-- > 0 && log->facts[i].number > told;)
            fact = log->facts[i];
        pthread_mutex_unlock(&log->segments_mutex);
        if (fact.number <= told)
            break;
        log->told_segment = fact.number;
        vv_tell(log, SEGMENT_BEGUN,
                VV_ABOUT(.lsn = fact.base_lsn, .segment = fact.number, .bytes = fact.bytes),
                "segment %" PRIu64 " begins with LSN %" PRIu64, fact.number, fact.base_lsn);
    } while (log->told_segment != before);
}

void *vv_prepare_run(void *arg)
{
    struct varve_log *log = arg;

    while (!atomic_load(&log->stop_prepare)) {
        uint32_t seen = atomic_load(&log->prepare_event);
        int rc = 0;

        /* Before each one, for writers that take them as fast as they are made leave no other moment. */
        for (;;) {
            show_life(log);
            close_retired(log);
            tell_begun(log);
            vv_retain_tick(log);
            if (log->plain)
                vv_plain_tell_facts(log);
            if (rc != 0 || atomic_load(&log->stop_prepare) || atomic_load(&log->failed) || !due(log))
                break;
            rc = make_next(log);
        }
        vv_failover_tick(log);
        if (!atomic_load(&log->stop_prepare) && (!log->plain || vv_plain_fixed(log)))
            vv_space_look(log);
        atomic_store(&log->preparer_busy_us, 0);
        if (!atomic_load(&log->stop_prepare))
            (void)vv_wait_on(&log->prepare_event, seen,
                             vv_failover_sleep_us(log, rc != 0 ? RETRY_US : vv_retain_sleep_us(log)));
    }
    close_retired(log);
    return NULL;
}

static int take(struct varve_log *log, struct vv_segment **ret_segment, struct varve_error *ret_error)
{
    /* Why the last try failed is no answer: it may be long ago. One that ends from now on is. */
    uint32_t begun = atomic_load(&log->ready_event);

    for (;;) {
        uint32_t seen = atomic_load(&log->ready_event);
        struct vv_segment *segment;
        int rc;

        pthread_mutex_lock(&log->segments_mutex);
        segment = log->ready;
        if (segment) {
            log->ready = segment->next;
            if (!log->ready)
                log->ready_tail = &log->ready;
            atomic_fetch_sub(&log->ready_count, 1);
            log->taken_count++;
        }
        pthread_mutex_unlock(&log->segments_mutex);
        if (segment) {
            segment->next = NULL;
            *ret_segment = segment;
            return 0;
        }
        vv_prepare_kick(log);
        rc = atomic_load(&log->space_error);
        if ((rc != 0 && seen != begun) || atomic_load(&log->failed) || atomic_load(&log->stop_prepare))
            return vv_error_set(ret_error, rc != 0 ? rc : VARVE_E_READONLY, 0,
                                "there is no segment to go on in");
        (void)vv_wait_on(&log->ready_event, seen, VV_WAIT_FOREVER);
    }
}

int vv_prepare_take(struct varve_log *log, struct vv_segment **ret_segment, struct varve_error *ret_error)
{
    int rc;

    atomic_fetch_add(&log->takers, 1);
    rc = take(log, ret_segment, ret_error);
    atomic_fetch_sub(&log->takers, 1);
    return rc;
}
