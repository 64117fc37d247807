/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open: a directory -> a log.
 *
 * In: a path and options. Out: a log whose end is known, with its threads running. In this order: options,
 * directory, lock, chain, MANIFEST, recovery, slots, the segment to go on in, threads. Only when all of that
 * is there does MANIFEST say that the log is in use.
 *
 * Ways to fail: each step undoes those before it; nothing that a later open could not use is left behind.
 */
#include "log/open.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/thread.h"
#include "base/tooth.h"
#include "base/wait.h"
#include "format/frame.h"
#include "format/record.h"
#include "log/chain.h"
#include "log/codec.h"
#include "log/device.h"
#include "log/export.h"
#include "log/failover.h"
#include "log/lock.h"
#include "log/manifest.h"
#include "log/metrics.h"
#include "log/options.h"
#include "log/pin.h"
#include "log/plain_write.h"
#include "log/prepare.h"
#include "log/recover.h"
#include "log/stages.h"
#include "log/tell.h"
#include "log/watch.h"

static void init_words(struct varve_log *log)
{
    pthread_mutex_init(&log->times_mutex, NULL);
    pthread_mutex_init(&log->sync_mutex, NULL);
    pthread_mutex_init(&log->place_mutex, NULL);
    pthread_mutex_init(&log->write_mutex, NULL);
    log->carriers = 1;
    pthread_mutex_init(&log->segments_mutex, NULL);
    pthread_mutex_init(&log->files_mutex, NULL);
    pthread_mutex_init(&log->pins_mutex, NULL);
    pthread_mutex_init(&log->lost_mutex, NULL);
    pthread_mutex_init(&log->facts_mutex, NULL);
    pthread_mutex_init(&log->error_mutex, NULL);
    log->ready_tail = &log->ready;
    log->retain_begun = UINT64_MAX;
    atomic_store(&log->event_fd, -1);
    atomic_store(&log->ready_wanted, 1);
}

/* The format of others that the caller names; NULL = none. */
static const struct varve_format *named_plain(const struct varve_log *log)
{
    const struct varve_format *format = log->options.format ? varve_format_get(log->options.format) : NULL;

    return format && !(format->traits & VARVE_FORMAT_NATIVE) ? format : NULL;
}

/* In the mode `memory` a log in a format of others touches no file: log->dir stays NULL where there is none.
 */
static int open_dir(struct varve_log *log, struct varve_error *ret_error)
{
    int create = !(log->options.flags & (VARVE_OPEN_READ_ONLY | VARVE_OPEN_MUST_EXIST)), created = 0, rc;
    bool no_file = log->in_memory && named_plain(log);

    if (no_file)
        create = 0;
    rc = log->io->dir_open(log->io, NULL, log->path, create, &log->dir, &created);
    if (rc == -ENOENT && no_file && !(log->options.flags & VARVE_OPEN_MUST_EXIST))
        return 0;
    if (rc == -ENOENT && create)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, ENOENT, "the directory above it does not exist");
    if (rc == -ENOENT)
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "there is no such directory");
    if (rc == -ENOTDIR || rc == -ELOOP)
        return vv_error_set(ret_error, VARVE_E_NOT_REGULAR, 0, "not a directory, or a link");
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "the directory cannot be opened");
    return 0;
}

static int new_manifest(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_manifest *m = &log->manifest;
    const struct varve_codec *codec;
    int rc;

    memset(m, 0, sizeof *m);
    rc = log->io->random(log->io, m->uuid, sizeof m->uuid);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "no random bytes for the log's UUID");
    m->uuid[6] = (uint8_t)((m->uuid[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
    m->uuid[8] = (uint8_t)((m->uuid[8] & 0x3f) | 0x80);
    m->created_us = log->io->realtime_us(log->io);
    log->created = true;
    m->first_segment = 1;
    m->first_lsn = 1;
    if (log->in_memory)
        return 0;
    rc = vv_codec_choose(log, &codec, ret_error);
    if (rc != 0)
        return rc;
    vv_codec_note(log, codec);
    /* Also for a directory that was there: an earlier try may have made it and got no further. */
    rc = log->io->dir_sync_parent(log->io, log->dir);
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_IO, -rc, "the directory's name cannot be made durable");
    return vv_manifest_write(log->io, log->dir, m, ret_error);
}

/* MANIFEST as it is, or made new in an empty directory, or guessed under the policy skip. */
static int settle_manifest(struct varve_log *log, const struct vv_chain *chain, struct varve_error *ret_error)
{
    bool exists = chain->manifest_rc != VARVE_E_NOT_FOUND || chain->count > 0;

    if (exists && (log->options.flags & VARVE_OPEN_MUST_CREATE))
        return vv_error_set(ret_error, VARVE_E_EXISTS, 0, "there is a log already");
    if (!exists && (log->options.flags & VARVE_OPEN_MUST_EXIST))
        return vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "there is no log in the directory");
    if (!exists)
        return new_manifest(log, ret_error);
    if (chain->manifest_rc == 0) {
        log->manifest = chain->manifest;
        return 0;
    }
    if (log->options.policy != VARVE_POLICY_SKIP || chain->manifest.first_lsn == 0) {
        vv_error_copy(ret_error, &chain->manifest_error);
        return chain->manifest_rc == VARVE_E_NOT_FOUND
                   ? vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "MANIFEST is missing and there are segments")
                   : chain->manifest_rc;
    }
    vv_tell(log, MANIFEST_REMADE, VV_ABOUT(.code = chain->manifest_rc), "%s; made anew from the segments",
            chain->manifest_error.message);
    log->manifest = chain->manifest;
    log->manifest.clean = 0;
    return log->in_memory ? 0 : vv_manifest_write(log->io, log->dir, &log->manifest, ret_error);
}

/* How many slots are in use at once, and how much of each. */
static void size_slots(struct varve_log *log)
{
    const struct varve_options *o = &log->options;
    uint32_t overhead = log->codec ? log->codec->overhead : 0;
    uint64_t room = UINT64_MAX;

    log->ring_limit = o->slot_count;
    /* What is not synced is in slots: in this mode no more of them than sync_bytes. Two at least: one fills
     * while the other is written. */
    if (o->durability == VARVE_BUFFERED && o->sync_bytes / o->slot_bytes < log->ring_limit)
        log->ring_limit = vv_max_u64(o->sync_bytes / o->slot_bytes, 2);
    if (!log->plain) {
        log->body_max = o->slot_bytes - VV_FRAME_HEADER_BYTES - overhead;
        log->frame_max = vv_frame_bytes(log->body_max + overhead, log->sector_bytes);
        return;
    }
    /* Where files are small, a part of each slot is used, so that the next file always takes what is on its
     * way; and a record that is larger than that part has a slot of its own. */
    if (log->plain->format->traits & VARVE_FORMAT_FIXED)
        room = o->segment_bytes - log->plain->format->header_bytes;
    if (room / log->ring_limit < 4096 && log->ring_limit > 4)
        log->ring_limit = 4;
    log->body_max = log->frame_max = vv_min_u64(o->slot_bytes, room / log->ring_limit);
}

int vv_open_slots(struct varve_log *log, uint64_t next_lsn, struct varve_error *ret_error)
{
    const struct varve_options *o = &log->options;
    struct vv_slot *dummy;

    log->slot_mask = o->slot_count - 1;
    log->crowd_count = (unsigned)vv_min_u64((uint64_t)sysconf(_SC_NPROCESSORS_ONLN), VV_CROWDS);
    size_slots(log);
    log->slots = vv_alloc_aligned(64, o->slot_count * sizeof *log->slots);
    log->buffers = vv_alloc_large((size_t)o->slot_count * o->slot_bytes);
    log->header_page = vv_alloc_aligned(4096, VV_SEGMENT_HEADER_BYTES);
    log->zeros = vv_alloc_aligned(4096, VV_PREPARE_ZERO_BYTES);
    log->metrics = vv_metrics_new();
    if (!log->slots || !log->buffers || !log->header_page || !log->zeros || !log->metrics)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%" PRIu32 " slots of %" PRIu32 " bytes",
                            o->slot_count, o->slot_bytes);
    memset(log->slots, 0, o->slot_count * sizeof *log->slots);
    memset(log->zeros, 0, VV_PREPARE_ZERO_BYTES);
    for (uint32_t i = 0; i < o->slot_count; i++) {
        log->slots[i].buffer = log->buffers + (size_t)i * o->slot_bytes;
        atomic_store(&log->slots[i].word, VV_WORD_CLOSED);
        atomic_store(&log->slots[i].seq, UINT64_MAX);
    }
    /* Number 0 was never open: it only says what the first LSN of the next one is. */
    dummy = &log->slots[0];
    atomic_store(&dummy->seq, 0);
    atomic_store(&dummy->first_lsn, VV_TOOTH(LSN_GIVEN_AGAIN) && next_lsn > 1 ? next_lsn - 1 : next_lsn);
    atomic_store(&log->publish_word, 1);
    atomic_store(&log->placed_seq, 1);
    atomic_store(&log->carry_seq, 1);
    return 0;
}

void vv_open_clock(struct varve_log *log, uint64_t last_us)
{
    uint64_t real = log->io->realtime_us(log->io);

    if (real < last_us)
        vv_tell(log, CLOCK_BEHIND, VV_ABOUT(.duration_us = last_us - real),
                "the clock is %" PRIu64 " s behind the log's last record; times go on from there",
                (last_us - real) / 1000000);
    atomic_store(&log->clock_ahead_us, (real < last_us ? last_us : real) - log->io->monotonic_us(log->io));
    log->newest_us = last_us;
    atomic_store(&log->reach_us, last_us);
    log->timed = (log->options.flags & VARVE_OPEN_TIMES) && !log->plain;
}

static int start_threads(struct varve_log *log, struct varve_error *ret_error)
{
    int rc;

    rc = vv_export_start(log, ret_error);
    if (rc != 0 || log->in_memory)
        return rc;
    rc = vv_watch_start(log, ret_error);
    if (rc == 0)
        rc = vv_failover_start(log, ret_error);
    if (rc != 0)
        return rc;
    rc = vv_thread_start(&log->preparer, "varve-prepare", vv_prepare_run, log);
    log->preparer_runs = rc == 0;
    if (rc == 0) {
        rc = vv_thread_start(&log->flusher, "varve-flush", vv_flush_run, log);
        log->flusher_runs = rc == 0;
    }
    if (rc == 0 && log->carriers > 1) {
        rc = vv_thread_start(&log->helper, "varve-flush-2", vv_carry_run, log);
        log->helper_runs = rc == 0;
    }
    if (rc != 0)
        return vv_error_set(ret_error, VARVE_E_NOMEM, -rc, "a thread cannot be started");
    return 0;
}

/* The first append must not be the one to find out that there is no space. */
static int wait_ready(struct varve_log *log, struct varve_error *ret_error)
{
    if (log->in_memory)
        return 0;
    for (;;) {
        /* Read before everything that it announces: what comes after that changes it, and nobody sleeps. */
        uint32_t seen = atomic_load(&log->ready_event);
        int rc = atomic_load(&log->space_error);

        if (atomic_load(&log->ready_count) != 0 || atomic_load(&log->room_bytes) >= log->frame_max)
            break;
        /* A log that is there can be read and trimmed, and trimming may be what makes space. */
        if (rc != 0 && log->fact_count > 0)
            break;
        if (rc != 0) {
            pthread_mutex_lock(&log->error_mutex);
            vv_error_copy(ret_error, &log->space_detail);
            pthread_mutex_unlock(&log->error_mutex);
            return rc;
        }
        (void)vv_wait_on(&log->ready_event, seen, VV_WAIT_FOREVER);
    }
    return 0;
}

int vv_open_running(struct varve_log *log, struct varve_error *ret_error)
{
    int rc = start_threads(log, ret_error);

    return rc == 0 ? wait_ready(log, ret_error) : rc;
}

static int mark_in_use(struct varve_log *log, struct varve_error *ret_error)
{
    uint64_t durable_lsn = atomic_load(&log->durable_lsn);
    const struct vv_manifest before = log->manifest;
    int rc = 0;

    if (log->in_memory)
        return 0;
    /* What is there has been synced by now. That it says so here vouches for the last frames, which otherwise
     * nothing would until a mark comes. A codec stands here before the first frame that has it. */
    vv_codec_note(log, log->codec ? log->codec->codec : NULL);
    rc = vv_failover_note(log, ret_error);
    if (rc != 0)
        return rc;
    if (log->manifest.clean || log->manifest.last_lsn != durable_lsn || log->manifest.codec != before.codec ||
        log->manifest.dictionary != before.dictionary ||
        strcmp(log->manifest.failover, before.failover) != 0) {
        log->manifest.clean = 0;
        log->manifest.last_lsn = durable_lsn;
        rc = vv_manifest_write(log->io, log->dir, &log->manifest, ret_error);
    }
    atomic_store(&log->vouched_lsn, durable_lsn);
    return rc;
}

static int open_content(struct varve_log *log, struct vv_chain *chain, struct varve_error *ret_error)
{
    struct vv_recovered recovered;
    int rc = vv_chain_refuse(chain, ret_error); /* before anything is changed */

    if (rc == 0)
        rc = vv_chain_codecs(chain, ret_error);
    if (rc == 0)
        rc = vv_failover_settle(log, chain->manifest_rc, ret_error);
    if (rc == 0)
        rc = settle_manifest(log, chain, ret_error);
    if (rc == 0)
        rc = vv_pin_load(log, ret_error);
    if (rc != 0)
        return rc;
    chain->manifest.first_lsn = log->manifest.first_lsn;
    if (rc == 0)
        rc = vv_recover_chain(log, chain, &recovered, ret_error);
    if (rc != 0)
        return rc;
    log->recovery = recovered.stats;
    log->tail_torn = recovered.torn;
    log->log_seed = vv_record_log_seed(log->manifest.uuid);
    atomic_store(&log->first_lsn, log->manifest.first_lsn);
    atomic_store(&log->durable_lsn, recovered.next_lsn - 1);
    atomic_store(&log->acked_lsn, recovered.next_lsn - 1);
    log->opened_lsn = recovered.next_lsn - 1;
    atomic_store(&log->vouched_lsn, recovered.vouched_lsn);
    vv_open_clock(log, recovered.last_time_us);
    rc = vv_device_choose(log, ret_error);
    if (rc == 0)
        rc = vv_codec_open(log, ret_error);
    if (rc == 0)
        rc = vv_open_slots(log, recovered.next_lsn, ret_error);
    if (rc == 0)
        rc = vv_open_segments(log, chain, &recovered, ret_error);
    if (rc == 0)
        vv_pin_fit(log, recovered.next_lsn);
    if (rc == 0)
        rc = mark_in_use(log, ret_error);
    return rc;
}

/* Where the caller did not choose, a log keeps the size that its segments have. */
static void keep_segment_bytes(struct varve_log *log, const struct vv_chain *chain)
{
    struct varve_options again = log->asked;

    if (again.segment_bytes != 0)
        return;
    for (size_t i = 0; i < chain->count; i++) {
        if (chain->links[i].state == VV_LINK_SOUND)
            again.segment_bytes = chain->links[i].header.capacity;
    }
    if (again.segment_bytes == 0 || again.segment_bytes == log->options.segment_bytes)
        return;
    /* Other options may not fit that size; then they decide. */
    if (vv_options_fill(&again, &again, NULL) == 0)
        log->options = again;
}

static int load_chain(struct varve_log *log, struct vv_chain *chain, struct varve_error *ret_error)
{
    int rc;

    /* Looked at before the lock is taken: where there must be a log and is none, nothing is left behind. */
    if (log->options.flags & VARVE_OPEN_MUST_EXIST) {
        rc = vv_chain_load(chain, log->io, log->dir, ret_error);
        if (rc == 0 && chain->manifest_rc == VARVE_E_NOT_FOUND && chain->count == 0)
            rc = vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "there is no log in the directory");
        vv_chain_free(chain);
        if (rc != 0)
            return rc;
    }
    rc = vv_lock_enter(log, ret_error);
    if (rc == 0)
        rc = vv_chain_load(chain, log->io, log->dir, ret_error);
    if (rc == 0)
        chain->keys = log->options.keys;
    return rc;
}

static int open_writer(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_chain chain;
    int rc = load_chain(log, &chain, ret_error);

    if (rc != 0)
        return rc;
    keep_segment_bytes(log, &chain);
    rc = open_content(log, &chain, ret_error);
    vv_chain_free(&chain);
    return rc == 0 ? vv_open_running(log, ret_error) : rc;
}

/* Read-only: says how far the log goes, and leaves judging to the cursors. */
static int open_reader(struct varve_log *log, struct varve_error *ret_error)
{
    struct vv_chain chain;
    int rc = vv_chain_load(&chain, log->io, log->dir, ret_error);

    if (rc != 0)
        return rc;
    if (chain.manifest_rc == VARVE_E_NOT_FOUND && chain.count == 0)
        rc = vv_error_set(ret_error, VARVE_E_NOT_FOUND, 0, "there is no log in the directory");
    if (rc == 0)
        rc = vv_chain_refuse(&chain, ret_error);
    if (rc == 0)
        rc = vv_chain_codecs(&chain, ret_error);
    if (rc == 0) {
        log->manifest = chain.manifest;
        atomic_store(&log->gate, VARVE_E_READONLY);
        log->recovery.first_lsn = chain.manifest.first_lsn ? chain.manifest.first_lsn : 1;
        atomic_store(&log->first_lsn, log->recovery.first_lsn);
        rc = vv_open_look(log, &chain, ret_error);
    }
    vv_chain_free(&chain);
    return rc;
}

static void tell_opened(struct varve_log *log)
{
    const struct varve_recovery *r = &log->recovery;

    if (log->created)
        vv_tell(log, CREATED, VV_ABOUT(.bytes = log->options.segment_bytes),
                "a new log, with segments of %" PRIu64 " bytes", log->options.segment_bytes);
    else if (r->last_lsn == 0)
        vv_tell(log, OPENED, VV_ABOUT(.duration_us = r->duration_us), "opened%s: no records; %s",
                log->read_only ? " to read" : "", varve_verdict_name(r->verdict));
    else
        vv_tell(log, OPENED,
                VV_ABOUT(.lsn = r->last_lsn, .segment = r->segment, .offset = r->offset, .bytes = r->bytes,
                         .duration_us = r->duration_us),
                "opened%s: LSN %" PRIu64 " to %" PRIu64 "; %s; %" PRIu64 " segments read in %" PRIu64 " ms",
                log->read_only ? " to read" : "", r->first_lsn, r->last_lsn, varve_verdict_name(r->verdict),
                r->segments, r->duration_us / 1000);
}

/* Here the native format and those of others part. */
static int open_format(struct varve_log *log, struct varve_error *ret_error)
{
    const struct varve_format *format = named_plain(log);
    int rc = log->dir ? vv_plain_find(log->io, log->dir, log->options.format, &format, ret_error) : 0;

    if (rc != 0)
        return rc;
    if (format && log->options.failover_dir && *log->options.failover_dir)
        return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0,
                            "option failover_dir: the format %s has nothing of the kind", format->name);
    if (format)
        return vv_plain_open(log, format, ret_error);
    if (!log->read_only && log->options.backend == VARVE_BACKEND_MMAP)
        return vv_error_set(ret_error, VARVE_E_UNSUPPORTED, 0,
                            "option backend: mmap is for formats of others with files of a fixed size");
    rc = vv_failover_attach(log, ret_error);
    if (rc != 0)
        return rc;
    return log->read_only ? open_reader(log, ret_error) : open_writer(log, ret_error);
}

int varve_open(const char *path, const struct varve_options *options, struct varve_log **ret_log,
               struct varve_error *ret_error)
{
    struct varve_options filled;
    struct varve_log *log;
    int rc;

    if (!path || !*path || !ret_log)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a path and a place for the log are needed");
    rc = vv_options_fill(options, &filled, ret_error);
    if (rc != 0) {
        vv_error_wrap(ret_error, "%s", path);
        return rc;
    }
    log = vv_alloc_aligned(64, sizeof *log);
    if (!log)
        return vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", path);
    memset(log, 0, sizeof *log);
    init_words(log);
    log->options = filled;
    vv_options_copy(options, &log->asked);
    log->io = filled.io;
    log->read_only = filled.flags & VARVE_OPEN_READ_ONLY;
    log->leads = filled.durability >= VARVE_GROUP;
    log->in_memory = filled.durability == VARVE_MEMORY;
    log->tell_depth = filled.message ? VARVE_MESSAGE_OFF - (int)filled.message_level : 0;
    log->path = vv_alloc(strlen(path) + 1);
    if (!log->path)
        rc = vv_error_set(ret_error, VARVE_E_NOMEM, 0, "%s", path);
    else
        memcpy(log->path, path, strlen(path) + 1);
    if (rc == 0)
        rc = vv_codec_try(log, ret_error);
    if (rc == 0)
        rc = open_dir(log, ret_error);
    if (rc == 0)
        rc = open_format(log, ret_error);
    if (rc != 0) {
        vv_error_wrap(ret_error, "%s", path);
        vv_close_free(log);
        return rc;
    }
    tell_opened(log);
    log->options.format = log->asked.format = NULL; /* the caller's */
    log->options.failover_dir = log->asked.failover_dir = NULL;
    *ret_log = log;
    return 0;
}
