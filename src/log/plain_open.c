/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_open: a directory with a log in a format of others -> a log that can be read.
 *
 * In: the format. Out: where the log begins and ends. Open read-only, damage is left to the cursors, as in
 * the native format; but under the policy halt, which is what aero is used to, such a log does not open.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "log/lock.h"
#include "log/lost.h"
#include "log/plain_write.h"
#include "log/stages.h"
#include "log/tell.h"

/* -- recovery -- */

struct recovering {
    struct varve_log *log;
    struct vv_plain_walk *walk;
    struct vv_lost lost;
    struct varve_error *ret_error;
    uint64_t told_bytes;
};

static void note_verdict(struct varve_log *log, const struct vv_damage *damage)
{
    if (log->recovery.verdict > VARVE_VERDICT_TORN || damage->verdict == VARVE_VERDICT_CLEAN_END)
        return;
    log->recovery.verdict = damage->verdict;
    log->recovery.segment = damage->segment;
    log->recovery.offset = damage->offset;
}

static int on_damage(void *arg, const struct vv_damage *damage)
{
    struct recovering *r = arg;
    struct varve_log *log = r->log;
    bool known = vv_lost_holds(&r->lost, damage);

    note_verdict(log, damage);
    if (log->recovery.lost_records == 0)
        log->recovery.lost_first = damage->lsn_first;
    log->recovery.lost_records += damage->lsn_last + 1 - damage->lsn_first;
    log->recovery.lost_last = damage->lsn_last;
    if (log->read_only)
        return 0;
    vv_tell(log, DAMAGE_PASSED,
            VV_ABOUT(.segment = damage->segment, .offset = damage->offset, .lsn = damage->lsn_first), "%s%s",
            damage->message, known ? " (set aside before, in lost/)" : "; passed over");
    if (log->in_memory)
        return 0;
    /* From now on the log is built on that line. */
    if (known)
        return vv_lost_keep(log->io, log->dir, r->ret_error);
    return vv_lost_add(&r->lost, log->io, log->dir, log->plain->files.folder, damage, r->ret_error);
}

static int progress(struct recovering *r)
{
    const struct varve_options *o = &r->log->options;
    uint64_t done = r->walk->reader.bytes_read, total = r->log->plain->files.disk_bytes;

    if (!o->progress || done - r->told_bytes < (UINT64_C(16) << 20))
        return 0;
    r->told_bytes = done;
    if (o->progress(o->progress_arg, vv_min_u64(done, total), total) == 0)
        return 0;
    return vv_error_set(r->ret_error, VARVE_E_CLOSED, 0, "stopped by the caller while reading the log");
}

/* Files of facts that are damaged refuse, but under the policy skip. */
static int check_facts(struct varve_log *log, enum varve_policy policy, struct varve_error *ret_error)
{
    struct varve_error error;
    int rc = vv_plain_files_refuse(&log->plain->files, ret_error);

    if (rc != 0)
        return rc;
    rc = vv_plain_files_facts(&log->plain->files, &error);
    if (rc == VARVE_E_CORRUPT && policy == VARVE_POLICY_SKIP) {
        vv_tell(log, DAMAGE_PASSED, VV_ABOUT(.code = rc), "%s; passed over", error.message);
        return 0;
    }
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    return rc;
}

static void fill_stats(struct varve_log *log, const struct vv_plain_walk *walk)
{
    struct varve_recovery *s = &log->recovery;

    s->segments = walk->segments;
    s->records = walk->records;
    s->bytes = walk->reader.bytes_read;
    s->first_lsn = walk->first_lsn ? walk->first_lsn : 1;
    s->last_lsn = walk->next_lsn > s->first_lsn ? walk->next_lsn - 1 : 0;
    note_verdict(log, &walk->damage);
}

int vv_plain_recover(struct varve_log *log, struct vv_plain_walk *walk, uint64_t *ret_last_us,
                     struct varve_error *ret_error)
{
    struct recovering r = {.log = log, .walk = walk, .ret_error = ret_error};
    uint64_t start_us = log->io->monotonic_us(log->io);
    struct vv_plain_record record;
    int rc = check_facts(log, walk->policy, ret_error);

    *ret_last_us = 0;
    if (rc == 0)
        rc = vv_lost_load(&r.lost, log->io, log->dir, ret_error);
    if (rc != 0)
        return rc;
    walk->accepted = &r.lost;
    walk->damaged = on_damage;
    walk->damaged_arg = &r;
    while (rc == 0 && (rc = vv_plain_walk_next(walk, &record, ret_error)) == 0) {
        *ret_last_us = vv_max_u64(*ret_last_us, varve_format_time_us(log->plain->format, record.entry.time));
        rc = progress(&r);
    }
    walk->damaged = NULL;
    walk->accepted = NULL;
    vv_lost_free(&r.lost);
    fill_stats(log, walk);
    log->recovery.duration_us = log->io->monotonic_us(log->io) - start_us;
    return rc == VARVE_END ? 0 : rc;
}

/* -- opening -- */

static bool is_damage(int code)
{
    return code == VARVE_E_CORRUPT || code == VARVE_E_TORN || code == VARVE_E_MISSING_SEGMENT;
}

/* Read-only: how far it goes. */
static int look(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_plain_walk walk;
    struct varve_error error;
    uint64_t last_us, first_lsn;
    int rc;

    vv_error_clear(&error);
    vv_plain_walk_init(&walk, &log->plain->files, log->asked.policy);
    rc = vv_lock_held(log->io, log->dir, &walk.live, NULL, &error);
    if (rc == 0)
        rc = vv_plain_recover(log, &walk, &last_us, &error);
    /* What comes before the damage can be read. */
    if (is_damage(rc) && walk.policy != VARVE_POLICY_HALT && walk.damage.verdict != VARVE_VERDICT_CLEAN_END)
        rc = 0;
    first_lsn = log->recovery.first_lsn;
    atomic_store(&log->first_lsn, first_lsn);
    atomic_store(&log->durable_lsn, vv_max_u64(walk.next_lsn, first_lsn) - 1);
    log->look_end_bytes = walk.end.offset;
    vv_plain_walk_free(&walk);
    if (rc != 0)
        vv_error_copy(ret_error, &error);
    return rc;
}

static int open_reader(struct varve_log *log, struct varve_error *ret_error)
{
    const struct vv_plain_files *files = &log->plain->files;
    char name[VARVE_FORMAT_FILE_NAME_BYTES];

    atomic_store(&log->gate, VARVE_E_READONLY);
    if (!vv_plain_files_exist(files))
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "there is no log in the directory");
    if (files->count > 0 || files->format->layout != VARVE_LAYOUT_ONE_FILE)
        return look(log, ret_error);
    files->format->name_put(1, name);
    return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "%s is missing", name);
}

int vv_plain_open(struct varve_log *log, const struct varve_format *format, struct varve_error *ret_error)
{
    int rc;

    log->plain = vv_alloc_zero(sizeof *log->plain);
    if (!log->plain)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "opening the log");
    log->plain->format = format;
    if (!log->read_only)
        return vv_plain_start(log, ret_error);
    rc = vv_plain_files_load(&log->plain->files, format, log->io, log->dir, ret_error);
    return rc != 0 ? rc : open_reader(log, ret_error);
}

const struct varve_format *varve_log_format(const struct varve_log *log)
{
    return log->plain ? log->plain->format : varve_format_at(0);
}

void vv_plain_free(struct varve_log *log)
{
    if (!log->plain)
        return;
    vv_plain_files_free(&log->plain->files);
    vv_free(log->plain->writer);
    vv_free(log->plain);
    log->plain = NULL;
}
