/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain_trim: what a writer keeps true beside the records: VARVE, the meta file, and files that are removed.
 *
 * VARVE says with which LSN the log begins before the files below go: a crash in between leaves files that do
 * not count. At a rotation it gets a new anchor, and the meta file the newest number; both may lag behind by
 * some files, which readers know, and are written by the preparer, out of a commit's way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "log/plain_side.h"
#include "log/plain_write.h"
#include "log/replace.h"
#include "log/stages.h"
#include "log/tell.h"

/* As of now: without the files that are being removed. facts_mutex is held. */
static struct vv_side new_side(struct varve_log *log)
{
    struct vv_plain_writer *w = log->plain->writer;
    struct vv_side side = w->side;

    snprintf(side.format, sizeof side.format, "%s", log->plain->format->name);
    pthread_mutex_lock(&log->segments_mutex);
    if (w->anchor_lsn != 0) {
        side.anchor = w->anchor;
        side.anchor_lsn = w->anchor_lsn;
    }
    side.first = log->facts[w->going].number;
    side.first_lsn = log->facts[w->going].base_lsn;
    /* The active file will get a number, and must not lie below the log's first then. */
    if (side.first == VARVE_FORMAT_ACTIVE)
        side.first = side.anchor + 1;
    w->facts_due = false;
    pthread_mutex_unlock(&log->segments_mutex);
    return side;
}

static int write_side(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_side side = new_side(log);
    int rc;

    /* Where records carry their numbers nobody asks for it. */
    if (log->plain->format->carries & VARVE_FIELD_LSN)
        return 0;
    rc = vv_plain_side_write(log->io, log->dir, &side, ret_error);
    if (rc == 0)
        log->plain->writer->side = side;
    return rc;
}

int vv_plain_write_meta(struct varve_log *log, const struct varve_format_meta *meta,
                        struct varve_error *ret_error)
{
    const struct varve_format *format = log->plain->format;
    uint8_t bytes[VARVE_FORMAT_META_MAX];
    size_t len = format->meta_put(meta, bytes);

    int rc =
        vv_replace_file(log->io, log->dir, format->meta_temp, format->meta_name, (const char *)bytes, len);

    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOSPC || rc == -EDQUOT ? VARVE_E_NOSPC : VARVE_E_IO, -rc,
                            "%s: cannot be written", format->meta_name);
    return 0;
}

void vv_plain_tell_facts(struct varve_log *log)
{
    struct vv_plain_writer *w = log->plain->writer;
    struct varve_format_meta meta;
    struct varve_error error;
    uint64_t newest;
    bool due;
    int rc;

    pthread_mutex_lock(&log->segments_mutex);
    due = w->facts_due;
    newest = w->anchor + 1;
    pthread_mutex_unlock(&log->segments_mutex);
    if (!due)
        return;
    pthread_mutex_lock(&log->facts_mutex);
    rc = write_side(log, &error);
    meta = w->meta;
    meta.last_segment = newest;
    if (rc == 0 && w->has_meta && meta.last_segment > w->meta.last_segment) {
        rc = vv_plain_write_meta(log, &meta, &error);
        if (rc == 0)
            w->meta = meta;
    }
    pthread_mutex_unlock(&log->facts_mutex);
    if (rc != 0)
        vv_tell(log, FACTS_UNWRITTEN, VV_ABOUT(.code = rc, .sys_errno = error.sys_errno),
                "%s; the next rotation tries again", error.message);
}

int vv_plain_trim(struct varve_log *log, size_t count, const struct vv_segment_fact *next,
                  struct varve_error *ret_error)
{
    struct vv_plain_writer *w = log->plain->writer;
    struct varve_dir *folder = log->plain->files.folder;
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    int rc;

    pthread_mutex_lock(&log->segments_mutex);
    w->going = count;
    pthread_mutex_unlock(&log->segments_mutex);
    pthread_mutex_lock(&log->facts_mutex);
    rc = write_side(log, ret_error);
    pthread_mutex_unlock(&log->facts_mutex);
    /* What was written may be on disk all the same, so `going` stays. */
    if (rc != 0)
        return rc;
    atomic_store(&log->first_lsn, next->base_lsn);
    for (size_t i = 0; i < count; i++) {
        struct vv_segment_fact fact;
        int r;

        pthread_mutex_lock(&log->segments_mutex);
        fact = log->facts[i];
        pthread_mutex_unlock(&log->segments_mutex);
        r = log->io->unlink(log->io, folder, vv_plain_file_name(log, fact.number, name));
        if (r != 0 && r != -ENOENT)
            rc = vv_error_set(ret_error, VARVE_E_IO, -r, "%s was trimmed and cannot be removed", name);
        atomic_fetch_sub(&w->disk_bytes, fact.bytes);
        VV_COUNT(log, segments_trimmed, 1);
    }
    pthread_mutex_lock(&log->segments_mutex);
    memmove(log->facts, log->facts + count, (log->fact_count - count) * sizeof *log->facts);
    log->fact_count -= count;
    w->going = 0;
    pthread_mutex_unlock(&log->segments_mutex);
    if (log->io->dir_sync(log->io, folder) != 0 && rc == 0)
        rc = vv_error_set(ret_error, VARVE_E_IO, 0,
                          "removed files may come back: the directory cannot be synced");
    return rc;
}
