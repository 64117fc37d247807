/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_verify: a whole log in a format of others read, nothing changed, for varve_verify and varve_info_get.
 *
 * Both go on behind damage whatever the policy, so that one does not hide the next; a torn tail is told from
 * damage as the format's own policy would have it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "log/inspect.h"
#include "log/lock.h"
#include "log/plain.h"

struct survey {
    struct vv_plain_files files;
    struct vv_plain_walk walk;
    const struct varve_options *options;
    varve_damage_fn damage;
    void *damage_arg;
    struct varve_verify_result result;
    uint64_t told_bytes;
    int64_t writer_pid;
    uint64_t record_bytes; /* of sound ones */
    uint64_t first_time_us, last_time_us;
};

static void tell(struct survey *s, const struct vv_damage *d)
{
    struct varve_recovery *f = &s->result.found;

    if (f->verdict <= VARVE_VERDICT_TORN || d->verdict == VARVE_VERDICT_FOREIGN) {
        f->verdict = d->verdict;
        f->segment = d->segment;
        f->offset = d->offset;
    }
    if (d->lsn_last >= d->lsn_first) {
        if (f->lost_records == 0)
            f->lost_first = d->lsn_first;
        f->lost_last = d->lsn_last;
    }
    if (d->verdict != VARVE_VERDICT_TORN)
        s->result.damages++;
    if (s->damage)
        s->damage(s->damage_arg, d->verdict, d->segment, d->offset, d->lsn_first, d->lsn_last, d->message);
}

static int on_damage(void *arg, const struct vv_damage *damage)
{
    tell(arg, damage);
    return 0;
}

/* What the directory itself shows. */
static int check_facts(struct survey *s, struct varve_error *ret_error)
{
    struct vv_damage d = {.verdict = VARVE_VERDICT_CORRUPT, .lsn_first = 1};
    struct varve_error error;
    int rc = vv_plain_files_refuse(&s->files, &error);

    if (rc == VARVE_E_CODEC) {
        s->result.unread_code = rc;
        snprintf(s->result.unread_why, sizeof s->result.unread_why, "%.*s",
                 (int)sizeof s->result.unread_why - 1, error.message);
    } else if (rc != 0 && rc != VARVE_E_FOREIGN) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    rc = vv_plain_files_facts(&s->files, &error);
    if (rc == VARVE_E_CORRUPT) {
        snprintf(d.message, sizeof d.message, "%.*s", (int)sizeof d.message - 1, error.message);
        tell(s, &d);
    } else if (rc != 0 && rc != VARVE_E_CODEC) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    return 0;
}

static int progress(struct survey *s, struct varve_error *ret_error)
{
    const struct varve_options *o = s->options;
    uint64_t done = s->walk.reader.bytes_read;

    if (!o || !o->progress || done - s->told_bytes < (UINT64_C(8) << 20))
        return 0;
    s->told_bytes = done;
    if (o->progress(o->progress_arg, vv_min_u64(done, s->files.disk_bytes), s->files.disk_bytes) == 0)
        return 0;
    return vv_error_set(ret_error, VARVE_E_CLOSED, 0, "stopped by the caller");
}

static void fill_found(struct survey *s)
{
    struct vv_plain_walk *walk = &s->walk;
    struct varve_recovery *f = &s->result.found;

    if (walk->damage.verdict == VARVE_VERDICT_TORN)
        tell(s, &walk->damage);
    f->segments = walk->segments;
    f->records = walk->records;
    f->bytes = walk->reader.bytes_read;
    f->first_lsn = walk->first_lsn ? walk->first_lsn : 1;
    f->last_lsn = walk->next_lsn > f->first_lsn ? walk->next_lsn - 1 : 0;
    f->lost_records = walk->lost;
    s->result.writer_alive = walk->live;
    if (s->result.unread_code)
        s->result.unread_records = walk->records;
    snprintf(s->result.format, sizeof s->result.format, "%s", s->files.format->name);
}

/* Reads everything. The caller closes, also on failure. */
static int run(struct survey *s, struct varve_io *io, struct varve_dir *dir,
               const struct varve_format *format, struct varve_error *ret_error)
{
    struct vv_plain_record record;
    int rc = vv_plain_files_load(&s->files, format, io, dir, ret_error);

    vv_plain_walk_init(&s->walk, &s->files, s->options ? s->options->policy : VARVE_POLICY_DEFAULT);
    if (rc != 0)
        return rc;
    if (!vv_plain_files_exist(&s->files))
        return vv_error_set(ret_error, VARVE_E_FORMAT, 0, "there is no log in the directory");
    s->walk.survey = true;
    s->walk.damaged = on_damage;
    s->walk.damaged_arg = s;
    rc = vv_lock_held(io, dir, &s->walk.live, &s->writer_pid, ret_error);
    if (rc == 0)
        rc = check_facts(s, ret_error);
    while (rc == 0 && (rc = vv_plain_walk_next(&s->walk, &record, ret_error)) == 0) {
        uint64_t time_us = varve_format_time_us(format, record.entry.time);

        if (s->walk.records == 1)
            s->first_time_us = time_us;
        s->last_time_us = time_us;
        s->record_bytes += record.entry.bytes;
        rc = progress(s, ret_error);
    }
    if (rc == VARVE_END)
        fill_found(s);
    return rc == VARVE_END ? 0 : rc;
}

static void end(struct survey *s)
{
    vv_plain_walk_free(&s->walk);
    vv_plain_files_free(&s->files);
}

int vv_plain_verify(struct varve_io *io, struct varve_dir *dir, const struct varve_format *format,
                    const struct varve_options *options, varve_damage_fn damage, void *damage_arg,
                    struct varve_verify_result *ret_result, struct varve_error *ret_error)
{
    struct survey s = {.options = options, .damage = damage, .damage_arg = damage_arg};
    uint64_t start_us = io->monotonic_us(io);
    int rc = run(&s, io, dir, format, ret_error);

    end(&s);
    if (rc != 0)
        return rc;
    s.result.found.duration_us = io->monotonic_us(io) - start_us;
    s.result.size = sizeof s.result;
    *ret_result = s.result;
    return 0;
}

/* -- info -- */

static void info_files(const struct survey *s, struct varve_info *info)
{
    const struct vv_plain_files *files = &s->files;
    size_t made = vv_plain_files_made(files);

    info->segments = made;
    info->segments_ready = files->count - made;
    info->disk_bytes = files->disk_bytes;
    if (made == 0)
        return;
    info->first_segment = files->items[0].number;
    info->last_segment = files->items[made - 1].number;
    info->created_us = files->items[0].header.created_us;
    if (files->format->traits & VARVE_FORMAT_FIXED)
        info->segment_bytes = files->items[made - 1].bytes;
    memcpy(info->uuid, files->meta_rc == 0 ? files->meta.uuid : files->items[0].header.uuid,
           sizeof info->uuid);
}

int vv_plain_info(struct varve_io *io, struct varve_dir *dir, const struct varve_format *format,
                  struct varve_info *ret_info, struct varve_error *ret_error)
{
    struct survey s = {.options = NULL};
    struct varve_info info = {.size = sizeof info};
    int rc = run(&s, io, dir, format, ret_error);

    if (rc == 0) {
        const struct varve_recovery *found = &s.result.found;

        info_files(&s, &info);
        info.first_lsn = found->first_lsn;
        info.last_lsn = found->records > 0 ? found->last_lsn : 0;
        info.durable_lsn = info.last_lsn;
        info.records = found->records;
        info.body_bytes = info.stored_bytes = s.record_bytes;
        info.used_bytes = s.record_bytes + info.segments * format->header_bytes;
        info.first_time_us = s.first_time_us;
        info.last_time_us = s.last_time_us;
        if ((format->traits & VARVE_FORMAT_FIXED) && !s.walk.end.none)
            info.tail_free_bytes = s.walk.end.bytes - s.walk.end.offset;
        info.verdict = found->verdict;
        info.writer_alive = s.walk.live;
        info.writer_pid = s.writer_pid;
        snprintf(info.codec_name, sizeof info.codec_name, "%.*s", (int)sizeof info.codec_name - 1,
                 s.files.meta.codec[0] ? s.files.meta.codec : varve_codec_name(0));
        snprintf(info.format, sizeof info.format, "%s", format->name);
        *ret_info = info;
    }
    end(&s);
    return rc;
}
