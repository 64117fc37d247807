/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requeue: records of an entry in lost/ -> the log's end, once each.
 *
 * First the index says, durably, that it is under way and from which LSN on; then the records are appended;
 * once they are durable the index says so. A crash at any point leaves an entry that says where its records
 * would be: requeue looks there for them, in their order, and appends those that are missing. Nothing is lost
 * in between, because the entry keeps its bytes until it is dropped.
 *
 * Ways to fail: the log takes no appends; the index cannot be written: then the entry stays as it is, or as
 * one that was cut off.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "log/aside.h"
#include "log/stages.h"

int vv_aside_check(struct varve_log *log, struct varve_error *ret_error)
{
    int gate = atomic_load(&log->gate), rc = 0;

    if (gate == VARVE_E_FORKED)
        rc = gate;
    else if (log->in_memory || log->read_only)
        rc = VARVE_E_UNSUPPORTED;
    else if (gate != 0)
        rc = vv_fail_code(log);
    if (rc == 0)
        return 0;
    return vv_error_set(ret_error, rc, 0, "%s: " VV_LOST_DIR " %s", log->path,
                        rc == VARVE_E_UNSUPPORTED ? "needs a log that is on disk, open for writing"
                                                  : "cannot be changed");
}

/* -- the state of an entry -- */

struct change {
    const struct vv_lost_line *line;
    uint64_t last_id, first_lsn;
};

/* Whether nothing needs the line any more: what was dropped, where it accepts nothing that is still there.
 * The highest id stays, so that it is not given again. */
static bool is_done(const struct change *c, const struct vv_lost_line *line)
{
    return line->state == VV_LOST_DROPPED && line->id != c->last_id &&
           (line->what == VV_LOST_SET_ASIDE || line->last < c->first_lsn);
}

static bool change_line(void *arg, struct vv_lost_line *line)
{
    const struct change *c = arg;

    if (line->id == c->line->id)
        *line = *c->line;
    return !is_done(c, line);
}

static int put_line(struct varve_log *log, struct varve_dir *sub, const struct vv_lost_line *line,
                    uint64_t last_id, struct varve_error *ret_error)
{
    struct change c = {.line = line, .last_id = last_id, .first_lsn = varve_first_lsn(log)};

    return vv_lost_edit(log->io, sub, change_line, &c, ret_error);
}

/* -- appending again -- */

struct requeue {
    struct varve_log *log;
    struct varve_cursor *cursor; /* at what was appended since; NULL: nothing of it is left to look at */
    uint64_t records, first, last;
    struct varve_error *ret_error;
};

static bool same(const struct varve_entry *a, const struct varve_entry *b)
{
    return a->type == b->type && a->flags == b->flags && a->data_bytes == b->data_bytes &&
           a->txn_id == b->txn_id && memcmp(a->origin, b->origin, sizeof a->origin) == 0 &&
           (a->data_bytes == 0 || memcmp(a->data, b->data, a->data_bytes) == 0);
}

/* Whether the record was appended before, behind the last one that was found. */
static int find_again(struct requeue *r, const struct varve_entry *record, uint64_t *ret_lsn)
{
    struct varve_entry entry;
    int rc;

    while (r->cursor) {
        rc = varve_cursor_next(r->cursor, &entry);
        if (rc == 0 && same(&entry, record)) {
            *ret_lsn = entry.lsn;
            return 0;
        }
        if (rc < 0) {
            varve_cursor_error(r->cursor, r->ret_error);
            return rc;
        }
        if (rc == VARVE_END) {
            varve_cursor_close(r->cursor);
            r->cursor = NULL;
        }
    }
    return VARVE_END;
}

static int append_again(void *arg, const struct varve_entry *entry)
{
    struct requeue *r = arg;
    struct varve_record record = {
        .data = entry->data,
        .data_bytes = entry->data_bytes,
        .type = entry->type,
        .flags = entry->flags & VARVE_RECORD_TXN,
        .txn_id = entry->txn_id,
    };
    uint64_t lsn = 0;
    int rc = find_again(r, entry, &lsn);

    memcpy(record.origin, entry->origin, sizeof record.origin);
    if (rc == VARVE_END) {
        rc = varve_append_async(r->log, &record, &lsn);
        if (rc != 0)
            rc = vv_error_set(r->ret_error, rc, 0, "the record that was LSN %" PRIu64 " cannot be appended",
                              entry->lsn);
    }
    if (rc != 0)
        return rc;
    if (r->records++ == 0)
        r->first = lsn;
    r->last = lsn;
    return 0;
}

static int count_one(void *arg, const struct varve_entry *record)
{
    (void)record;
    ++*(uint64_t *)arg;
    return 0;
}

/* A cursor on what was appended since the requeue was begun and cut off. */
static int look_back(struct requeue *r, uint64_t from)
{
    int rc;

    if (from > varve_last_lsn(r->log))
        return 0;
    rc = varve_cursor_open(r->log, VARVE_POLICY_SKIP, &r->cursor, r->ret_error);
    if (rc != 0)
        return rc;
    rc = varve_cursor_seek_lsn(r->cursor, from);
    if (rc == VARVE_E_TRIMMED)
        return vv_error_set(r->ret_error, rc, 0,
                            "appending was cut off at LSN %" PRIu64
                            ", and the log was trimmed past that: what was appended cannot be told",
                            from);
    if (rc != 0)
        varve_cursor_error(r->cursor, r->ret_error);
    return rc;
}

/* Notes that it is under way, or finds that it was. */
static int begin(struct requeue *r, struct varve_dir *sub, struct vv_lost_line *line, uint64_t last_id,
                 unsigned flags)
{
    struct varve_log *log = r->log;
    uint64_t records = 0;
    int rc;

    if (line->state == VV_LOST_REQUEUED && !(flags & VARVE_REQUEUE_AGAIN))
        return vv_error_set(r->ret_error, VARVE_E_INVALID, 0,
                            "entry %" PRIu64 " was appended again, as LSN %" PRIu64 " to %" PRIu64, line->id,
                            line->from, line->to);
    rc = vv_aside_records(log->io, log->dir, sub, log->options.keys, line, count_one, &records, r->ret_error);
    if (rc != 0)
        return rc;
    if (records == 0)
        return vv_error_set(r->ret_error, VARVE_E_CORRUPT, 0,
                            "entry %" PRIu64 ": no record in it can be read", line->id);
    /* What this process appended and did not wait for may be what is looked for. */
    rc = varve_sync(log);
    if (rc != 0)
        return vv_error_set(r->ret_error, rc, 0, "%s", log->path);
    if (line->state == VV_LOST_REQUEUING && !(flags & VARVE_REQUEUE_AGAIN))
        return look_back(r, line->from);
    line->state = VV_LOST_REQUEUING;
    line->from = varve_last_lsn(log) + 1;
    line->to = 0;
    return put_line(log, sub, line, last_id, r->ret_error);
}

/* lost_mutex is held. */
static int requeue(struct requeue *r, struct varve_dir *sub, uint64_t id, unsigned flags)
{
    struct varve_log *log = r->log;
    struct vv_lost_line line;
    uint64_t last_id;
    int rc = vv_aside_find(log->io, sub, id, &line, &last_id, r->ret_error);

    if (rc == 0 && line.state == VV_LOST_DROPPED)
        rc = vv_error_set(r->ret_error, VARVE_E_INVALID, 0, "entry %" PRIu64 " was dropped", id);
    if (rc == 0)
        rc = begin(r, sub, &line, last_id, flags);
    if (rc == 0)
        rc =
            vv_aside_records(log->io, log->dir, sub, log->options.keys, &line, append_again, r, r->ret_error);
    varve_cursor_close(r->cursor);
    if (rc != 0)
        return rc;
    rc = varve_wait(log, r->last, VARVE_WAIT_FOREVER);
    if (rc != 0)
        return vv_error_set(r->ret_error, rc, 0, "%s: LSN %" PRIu64 " is not durable", log->path, r->last);
    line.state = VV_LOST_REQUEUED;
    line.from = r->first;
    line.to = r->last;
    return put_line(log, sub, &line, last_id, r->ret_error);
}

int varve_lost_requeue(struct varve_log *log, uint64_t id, unsigned flags, uint64_t *ret_first,
                       uint64_t *ret_last, struct varve_error *ret_error)
{
    struct varve_error error;
    struct requeue r = {.log = log, .ret_error = &error};
    struct varve_dir *sub;
    int rc = vv_aside_check(log, ret_error);

    if (rc != 0)
        return rc;
    if (flags & ~(unsigned)VARVE_REQUEUE_AGAIN)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "unknown flags %#x", flags);
    vv_error_clear(&error);
    rc = vv_lost_open(log->io, log->dir, false, &sub, &error);
    if (rc == VARVE_E_NOT_FOUND)
        rc = vv_error_set(&error, VARVE_E_INVALID, 0, "nothing is set aside under %" PRIu64, id);
    if (rc == 0) {
        pthread_mutex_lock(&log->lost_mutex);
        rc = requeue(&r, sub, id, flags);
        pthread_mutex_unlock(&log->lost_mutex);
        log->io->dir_close(log->io, sub);
    }
    if (rc != 0) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    if (ret_first)
        *ret_first = r.first;
    if (ret_last)
        *ret_last = r.last;
    return 0;
}

/* Only once the index says so: an entry that is not dropped keeps its bytes. What a crash in between leaves
 * is removed by dropping it once more. */
static int remove_bytes(struct varve_log *log, struct varve_dir *sub, const struct vv_lost_line *line,
                        struct varve_error *ret_error)
{
    int rc = line->file[0] ? log->io->unlink(log->io, sub, line->file) : 0;

    if (rc == 0 || rc == -ENOENT)
        rc = log->io->dir_sync(log->io, sub);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, VV_LOST_DIR "/%s: cannot be removed", line->file);
    return 0;
}

/* lost_mutex is held. */
static int drop(struct varve_log *log, struct varve_dir *sub, uint64_t id, struct varve_error *ret_error)
{
    struct vv_lost_line line;
    uint64_t last_id;
    int rc = vv_aside_find(log->io, sub, id, &line, &last_id, ret_error);

    if (rc != 0)
        return rc;
    line.state = VV_LOST_DROPPED;
    rc = put_line(log, sub, &line, last_id, ret_error);
    return rc != 0 ? rc : remove_bytes(log, sub, &line, ret_error);
}

int varve_lost_drop(struct varve_log *log, uint64_t id, struct varve_error *ret_error)
{
    struct varve_error error;
    struct varve_dir *sub;
    int rc = vv_aside_check(log, ret_error);

    if (rc != 0)
        return rc;
    rc = vv_lost_open(log->io, log->dir, false, &sub, &error);
    if (rc == VARVE_E_NOT_FOUND)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "nothing is set aside under %" PRIu64, id);
    if (rc == 0) {
        pthread_mutex_lock(&log->lost_mutex);
        rc = drop(log, sub, id, &error);
        pthread_mutex_unlock(&log->lost_mutex);
        log->io->dir_close(log->io, sub);
    }
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    return rc;
}
