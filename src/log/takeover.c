/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover: the files of a log that was recovered -> the segments that writing goes on in.
 *
 * What a crash left half done is finished or removed here: segments that were trimmed and not removed, files
 * under temporary names. What was read in recovery is made durable before anything is built on it: a process
 * that was killed may have left frames that only the page cache knows.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/tooth.h"
#include "log/codec.h"
#include "log/failover.h"
#include "log/lock.h"
#include "log/manifest.h"
#include "log/open.h"
#include "log/pin.h"
#include "log/prepare.h"

enum {
    AGAIN_BYTES = 64 * 1024
};

struct tidy {
    char (*names)[VV_NAME_BYTES];
    size_t count, room;
    uint64_t first_segment;
    uint32_t spares;
    uint64_t spare_number; /* the highest that a spare had */
};

static bool is_temporary(const char *name)
{
    size_t len = strlen(name);

    return strcmp(name, VV_MANIFEST_TEMP) == 0 || strcmp(name, VV_PIN_TEMP) == 0 ||
           (len > 8 && strncmp(name, "new-", 4) == 0 && strcmp(name + len - 4, ".tmp") == 0);
}

static int see_name(void *arg, const char *name)
{
    struct tidy *t = arg;
    uint64_t number;

    if (vv_prepare_is_spare(name)) {
        char was[VV_NAME_BYTES];

        snprintf(was, sizeof was, "wal-%s", name + strlen("spare-"));
        if (vv_segment_name_parse(was, &number) && number > t->spare_number)
            t->spare_number = number;
    }
    if (strlen(name) >= VV_NAME_BYTES ||
        (!is_temporary(name) && !vv_prepare_is_spare(name) &&
         !(vv_segment_name_parse(name, &number) && number < t->first_segment)))
        return 0;
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 16;
        char(*names)[VV_NAME_BYTES] = vv_realloc(t->names, room * sizeof *names);

        if (!names)
            return -ENOMEM;
        t->names = names;
        t->room = room;
    }
    memcpy(t->names[t->count++], name, strlen(name) + 1);
    return 0;
}

/* Whether it stays: a spare of the size that is wanted now, counted, or something that only bears the name.
 * One of another size would never be used, and takes space that the cap does not know of. */
static bool keep_spare(struct varve_log *log, const char *name, struct tidy *t)
{
    struct varve_io_stat stat;

    if (!vv_prepare_is_spare(name))
        return false;
    if (log->io->stat_name(log->io, log->dir, name, &stat) != 0 || stat.kind != VARVE_IO_KIND_FILE)
        return true;
    if (stat.size_bytes != log->options.segment_bytes)
        return false;
    t->spares++;
    return true;
}

/* Removes what is not part of the log any more, or not yet. */
static int tidy_up(struct varve_log *log, struct varve_error *ret_error)
{
    struct tidy t = {.first_segment = log->manifest.first_segment};
    struct varve_io *io = log->io;
    int rc = io->dir_list(io, log->dir, see_name, &t);

    for (size_t i = 0; rc == 0 && i < t.count; i++) {
        rc = keep_spare(log, t.names[i], &t) ? 0 : io->unlink(io, log->dir, t.names[i]);
        if (rc != 0) {
            rc = vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be removed", t.names[i]);
            vv_free(t.names);
            return rc;
        }
    }
    /* Also when nothing was removed: whoever was here before may have given a segment its name and been
     * killed before that was durable, and from now on it is built upon. */
    if (rc == 0)
        rc = io->dir_sync(io, log->dir);
    vv_free(t.names);
    log->spare_count = t.spares;
    /* A file never gets the number again that it had: what is left in it would look like its own. */
    if (t.spare_number >= log->next_number)
        log->next_number = vv_prepare_number_after(t.spare_number);
    if (rc != 0)
        return vv_error_set(ret_error, rc == -ENOMEM ? VARVE_E_NOMEM : VARVE_E_IO, -rc,
                            "tidying up the directory");
    return 0;
}

static unsigned write_flags(const struct varve_log *log)
{
    return VARVE_IO_WRITE | (log->direct ? VARVE_IO_DIRECT : 0u);
}

int vv_open_write_again(struct varve_io *io, struct varve_dir *dir, const char *name, uint64_t offset,
                        uint64_t end)
{
    struct varve_io_stat stat;
    struct varve_file *file;
    uint8_t *bytes = vv_alloc(AGAIN_BYTES);
    int rc = bytes ? io->open(io, dir, name, VARVE_IO_WRITE, &file) : -ENOMEM;

    if (rc != 0) {
        vv_free(bytes);
        return rc;
    }
    rc = io->stat(io, file, &stat);
    if (rc == 0)
        end = vv_min_u64(end, stat.size_bytes);
    while (rc == 0 && offset < end) {
        ssize_t n = io->pread(io, file, bytes, vv_min_u64(end - offset, AGAIN_BYTES), offset);

        if (n > 0) {
            struct iovec iov = {bytes, (size_t)n};

            n = io->pwritev(io, file, &iov, 1, offset, 0);
        }
        if (n > 0)
            offset += (uint64_t)n;
        else if (n != -EINTR)
            rc = n == 0 ? -EIO : (int)n;
    }
    if (rc == 0)
        rc = io->sync(io, file);
    io->close(io, file);
    vv_free(bytes);
    return rc;
}

/* The segment that holds the log's end: durable, and current if it can be gone on with. */
static int take_last(struct varve_log *log, const struct vv_link *link, const struct vv_recovered *recovered,
                     struct varve_error *ret_error)
{
    char name[VV_SEGMENT_NAME_BYTES];
    struct varve_io *io = log->io;
    struct vv_segment *segment = vv_prepare_segment(log);
    int rc;

    vv_segment_name(link->number, name);
    if (!segment)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", name);
    rc = log->manifest.clean || VV_TOOTH(NOT_WRITTEN_AGAIN)
             ? 0
             : vv_open_write_again(io, log->dir, name, recovered->unvouched_offset, recovered->end_offset);
    if (rc == 0)
        rc = io->open(io, log->dir, name, write_flags(log), &segment->file);
    if (rc != 0) {
        vv_prepare_discard(log, segment);
        return vv_error_set(ret_error, rc == -ENOMEM ? VARVE_E_NOMEM : VARVE_E_IO, -rc,
                            "%s: cannot be opened and made durable", name);
    }
    segment->number = link->number;
    segment->capacity = link->header.capacity;
    segment->salt = link->header.salt;
    segment->seed = vv_segment_seed(segment->salt);
    segment->base_lsn = link->header.base_lsn;
    segment->sector_bytes = link->header.sector_bytes;
    rc = vv_codec_prepare(log, segment, ret_error);
    if (rc != 0) {
        vv_prepare_discard(log, segment);
        return rc;
    }
    /* Nor where it lies in the second directory: at the start the log's own takes writes. */
    if (vv_failover_lies_away(log, link->number) || !recovered->go_on ||
        link->file_bytes < link->header.capacity || segment->sector_bytes != log->sector_bytes) {
        vv_prepare_discard(log, segment);
        return 0;
    }
    log->current = segment;
    atomic_store(&log->room_bytes, segment->capacity - recovered->end_offset);
    return 0;
}

/* After a crash a segment without a header may all the same hold parts of its first frames: under its number
 * they would look like broken ones. As a spare it gets another. */
static int make_spare(struct varve_log *log, uint64_t number, const char *name)
{
    char spare[VV_NAME_BYTES];
    int rc;

    snprintf(spare, sizeof spare, "spare-%016" PRIx64 ".seg", number);
    rc = log->io->rename(log->io, log->dir, name, spare, 0);
    if (rc == 0)
        log->spare_count++;
    return rc;
}

/* A segment that was prepared and not used: ready, if it has the size that is wanted now; else it goes. */
static int take_blank(struct varve_log *log, const struct vv_link *link, struct varve_error *ret_error)
{
    char name[VV_SEGMENT_NAME_BYTES];
    struct varve_io *io = log->io;
    struct vv_segment *segment;
    int rc;

    vv_segment_name(link->number, name);
    if (vv_prepare_number_after(link->number) == link->number)
        return 0; /* the last number is never given: not ours, and nothing could come behind it */
    /* MANIFEST says that the log begins here. The file vouches for that until a later one says so itself and
     * is trimmed to; it is not used, for it may hold parts of frames. */
    if (link->number == log->manifest.first_segment && log->manifest.first_lsn > 1)
        return 0;
    if (vv_failover_lies_away(log, link->number) || link->file_bytes != log->options.segment_bytes ||
        atomic_load(&log->ready_count) >= 2) {
        rc = io->unlink(io, log->dir, name);
        if (rc != 0)
            return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be removed", name);
        return 0;
    }
    if (!log->manifest.clean) {
        rc = make_spare(log, link->number, name);
        if (rc != 0)
            return vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be renamed", name);
        return 0;
    }
    segment = vv_prepare_segment(log);
    if (!segment)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", name);
    segment->reused = true; /* for all that is known here */
    rc = io->open(io, log->dir, name, write_flags(log), &segment->file);
    if (rc != 0)
        rc = vv_error_set(ret_error, VARVE_E_IO, -rc, "%s: cannot be opened", name);
    else
        rc = vv_prepare_adopt(log, segment, link->number, link->file_bytes, ret_error);
    if (rc != 0) {
        vv_prepare_discard(log, segment);
        return rc;
    }
    (void)vv_prepare_add(log, segment); /* nobody goes anywhere yet */
    return 0;
}

static int list_facts(struct varve_log *log, const struct vv_chain *chain, struct varve_error *ret_error)
{
    log->fact_room = chain->count + 256;
    log->facts = vv_alloc_array(log->fact_room, sizeof *log->facts);
    if (!log->facts)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%zu segments", chain->count);
    for (size_t i = 0; i < chain->count; i++) {
        const struct vv_link *link = &chain->links[i];

        if (link->state == VV_LINK_SOUND)
            log->facts[log->fact_count++] = (struct vv_segment_fact){.number = link->number,
                                                                     .base_lsn = link->header.base_lsn,
                                                                     .bytes = link->file_bytes,
                                                                     .created_us = link->header.created_us};
    }
    return 0;
}

int vv_open_segments(struct varve_log *log, const struct vv_chain *chain,
                     const struct vv_recovered *recovered, struct varve_error *ret_error)
{
    uint64_t last_used = recovered->damaged_segment; /* not to be written over, though it looks unused */
    int rc = list_facts(log, chain, ret_error);

    log->told_segment = log->fact_count > 0 ? log->facts[log->fact_count - 1].number : 0;
    log->next_number = log->manifest.first_segment;
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->links[i].number >= log->next_number)
            log->next_number = vv_prepare_number_after(chain->links[i].number);
        if (chain->links[i].state != VV_LINK_BLANK && chain->links[i].number > last_used)
            last_used = chain->links[i].number;
    }
    if (last_used >= log->next_number)
        log->next_number = last_used + 1;
    /* A file with a damaged header in which nothing was acknowledged is not one that was in use. */
    log->number_before = vv_max_u64(recovered->end_segment, recovered->damaged_segment);
    if (rc != 0 || log->in_memory)
        return rc;
    rc = tidy_up(log, ret_error);
    for (size_t i = 0; rc == 0 && i < chain->count; i++) {
        const struct vv_link *link = &chain->links[i];

        if (link->state == VV_LINK_SOUND && link->number == recovered->end_segment)
            rc = take_last(log, link, recovered, ret_error);
        else if (link->state == VV_LINK_BLANK && link->number > last_used)
            rc = take_blank(log, link, ret_error);
    }
    return rc;
}

int vv_open_look(struct varve_log *log, struct vv_chain *chain, struct varve_error *ret_error)
{
    uint64_t last_lsn;
    struct vv_scan_frame frame;
    struct vv_walk walk;
    struct vv_lost lost;
    struct varve_error error;
    int rc = vv_lost_load(&lost, log->io, log->dir, ret_error);

    if (rc != 0)
        return rc;
    rc = vv_walk_init(&walk, chain, UINT64_MAX, VARVE_POLICY_TRUNCATE);
    if (rc != 0) {
        vv_lost_free(&lost);
        return vv_error_set(ret_error, rc, 0, "reading the log");
    }
    walk.accepted = &lost; /* a cursor goes on behind that, too */
    rc = vv_lock_held(log->io, log->dir, &walk.live, NULL, ret_error);
    if (rc != 0) {
        vv_walk_free(&walk);
        vv_lost_free(&lost);
        return rc;
    }
    /* The last segment may hold a header and nothing else: what comes before its base is there all the same.
     */
    last_lsn = walk.expected > log->recovery.first_lsn ? walk.expected - 1 : 0;
    while ((rc = vv_walk_next(&walk, &frame, &error)) == 0)
        last_lsn = walk.expected - 1;
    /* Asked again: a writer may have come since, and what was read be its. */
    if (!walk.live) {
        int held_rc = vv_lock_held(log->io, log->dir, &walk.live, NULL, ret_error);

        if (held_rc != 0) {
            vv_walk_free(&walk);
            vv_lost_free(&lost);
            return held_rc;
        }
    }
    if (walk.live)
        last_lsn = walk.vouched < last_lsn ? walk.vouched : last_lsn;
    atomic_store(&log->durable_lsn, last_lsn);
    log->recovery.last_lsn = last_lsn;
    log->look_end_bytes = walk.end_offset;
    log->recovery.verdict = walk.damage.verdict;
    log->recovery.segment = walk.damage.verdict == VARVE_VERDICT_CLEAN_END ? 0 : walk.damage.segment;
    log->recovery.offset = walk.damage.verdict == VARVE_VERDICT_CLEAN_END ? 0 : walk.damage.offset;
    vv_walk_free(&walk);
    vv_lost_free(&lost);
    /* Damage is for the cursors to tell, and what was trimmed meanwhile they find out too. */
    if (rc != VARVE_END && rc != VARVE_E_TRIMMED && rc != vv_walk_code(walk.damage.verdict)) {
        vv_error_copy(ret_error, &error);
        return rc;
    }
    return 0;
}
