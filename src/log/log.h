/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's own struct, shared by the stages in this folder. The stages, in the order of a record's way:
 *
 *   append -> reserve -> encode -> seal -> place -> write -> publish -> ack (wait)
 *
 * Lock order: times_mutex, lost_mutex, files_mutex, pins_mutex, sync_mutex, place_mutex, write_mutex,
 * segments_mutex, facts_mutex, error_mutex. No thread takes one to the left of one that it holds. None is in
 * the way of a single writer: place_mutex is taken by leaders that have their write permit, and is contended
 * only where several writes are in flight.
 */
#ifndef VV_LOG_LOG_H
#define VV_LOG_LOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "format/manifest.h"
#include "format/pins.h"
#include "format/segment.h"
#include "log/slot.h"
#include "varve/cursor.h"
#include "varve/io.h"
#include "varve/log.h"
#include "varve/message.h"

#define VV_PATIENCE     8u
#define VV_CARRIERS_MAX 2u
#define VV_SEGMENTS_MAX 10000u
#define VV_FLIGHT_SYNC  0u /* the flusher's syncs */
#define VV_FLIGHT_MAKE  1u /* what makes the next segment */
#define VV_FLIGHTS      2u
#define VV_NAME_BYTES   64u /* every name that the log gives a file is shorter */

/* A segment that is, or will be, written to. Those that are only read are known by struct vv_segment_fact. */
struct vv_segment {
    struct vv_segment *next; /* in the list of the ready, or of the retired */
    struct varve_file *file;
    uint64_t number;
    uint64_t capacity;
    uint64_t salt;
    uint64_t base_lsn; /* [place] set when the first frame is placed */
    uint8_t *map;      /* [const while it is written] backend mmap: the file's bytes; else NULL */
    uint32_t sector_bytes;
    uint32_t seed;        /* checksum state after the salt */
    uint32_t side_turn;   /* of the log, when this was begun to be made */
    bool reused;          /* bytes of an earlier life may lie in it */
    void *key;            /* of a codec that seals; secret; made with the salt */
    _Atomic uint32_t bad; /* [atomic: whoever saw a sync fail] nothing is ever synced through it again */
};

/* What is known of a segment with a header, for readers and trimming. */
struct vv_segment_fact {
    uint64_t number;
    uint64_t base_lsn;
    uint64_t bytes;
    bool bad; /* a sync failed in it: the file is not used again */
    uint64_t created_us;
};

struct vv_codec;
struct vv_failover;
struct vv_plain;

struct varve_log {
    /* -- settings [const after open] -- */
    struct varve_io *io;
    struct varve_options options; /* every default filled in */
    struct varve_options asked;   /* as the caller gave them */
    char *path;
    struct varve_dir *dir;
    struct varve_file *lock_file;
    uint64_t slot_mask;    /* slot_count - 1 */
    uint64_t ring_limit;   /* slots in use at once: all, or in `buffered` mode as many as may be lost */
    uint64_t body_max;     /* bytes of body that an ordinary slot holds */
    uint64_t frame_max;    /* bytes that its frame takes at most */
    uint32_t log_seed;     /* checksum state after the UUID */
    uint32_t sector_bytes; /* of new segments */
    bool direct;
    unsigned crowd_count; /* processors told apart by those who wait */
    bool leads;           /* the mode's appenders lead: `group` and `strict` */
    bool in_memory;       /* the mode is `memory` */
    bool timed;           /* VARVE_OPEN_TIMES, in the native format */
    bool read_only;
    bool created;                 /* there was no log before */
    int tell_depth;               /* how many levels are told, from the gravest on; 0 where nobody listens */
    struct vv_codec *codec;       /* NULL: frames are stored as they are */
    struct vv_failover *failover; /* NULL: there is no second directory */
    struct vv_plain *plain;       /* a log in a format of others: plain.h; NULL: in the native one */

    /* -- the ring -- */
    struct vv_slot *slots;
    uint8_t *buffers;                       /* [const after open] of all slots, one behind the other */
    _Alignas(64) _Atomic uint64_t open_seq; /* [atomic: whoever opens a slot] only grows */
    _Atomic int gate;                       /* [atomic] 0, or the error that every append gets */
    _Atomic uint64_t clock_ahead_us;        /* [atomic: only grows] realtime = monotonic + this */

    _Alignas(64) _Atomic uint64_t publish_word; /* [atomic: publish, mover] see vv_published */
    _Atomic uint64_t durable_lsn;               /* [atomic: release by publish] only grows */
    _Atomic uint64_t acked_lsn;                 /* [atomic: publish] waiters up to here were woken */
    _Atomic uint64_t vouched_lsn;               /* [atomic: publish] a durable frame says so on disk */
    _Atomic uint32_t
        returning; /* [atomic: publish] waiters released by the last frame, and before the next: a hint */
    _Atomic uint32_t patience;      /* [leader] how long the log still waits for them in vain: a hint */
    _Atomic uint32_t write_us;      /* [leader] how long a durable write takes: a hint */
    _Atomic uint32_t durable_event; /* those who wait for an LSN that is in no slot sleep here */
    _Atomic uint32_t durable_waiters;
    _Atomic uint32_t
        ahead_waiters;           /* of these, who must hear that their LSN was given, to ask for its sync */
    _Atomic uint32_t ring_event; /* a slot became free, or space was found */
    _Atomic uint32_t ring_waiters;
    _Atomic int event_fd; /* -1: nobody asked for one */
    _Atomic(struct vv_observer *) observer;
    _Atomic uint32_t observer_calls; /* callbacks that are running */

    /* -- how the disk does: looked at with each write -- */
    _Alignas(64) _Atomic uint32_t watch_sleeps; /* [watcher] it wants to be woken by a write */
    _Atomic uint64_t synced_us,
        sync_took_us; /* [whoever synced] the last durable write or sync: when, how long */
    struct vv_breaker {
        _Atomic uint32_t open;              /* [breaker.c] writes wait, but for one that probes */
        _Atomic uint32_t failures;          /* [atomic] of writes, in a row */
        _Atomic uint32_t probing;           /* [atomic: CAS] somebody does, or waits for the time to */
        _Atomic uint32_t event;             /* it was closed, or a probe has ended */
        _Atomic uint64_t since_us, next_us; /* when it was opened, and when the next probe is due */
        uint64_t interval_us;               /* [error_mutex] */
    } breaker;
    struct vv_flight flights[VV_FLIGHTS]; /* [whose they are; read by the watcher] */
    /* When it was last so, monotonic; 0 = never. [atomic: whoever meets it] */
    _Atomic uint64_t retried_us, slow_us, moved_us, pressed_us;
    _Atomic uint64_t free_bytes,
        free_looked_us; /* [preparer] of the file system; when it looked, monotonic */
    /* Since when a thread is in one piece of work, monotonic; 0 = it sleeps. [the thread] */
    _Atomic uint64_t preparer_busy_us, flusher_busy_us;
    _Atomic uint32_t pins_count, pins_over; /* [pins_mutex; preparer] for who does not take the mutex */
    _Atomic uint32_t stop_watch, watch_event;
    _Atomic uint32_t closing; /* [close] nobody waits for a disk any more that may come back */

    /* -- syncing what was written before [sync_mutex] -- */
    pthread_mutex_t
        sync_mutex; /* in the buffered modes: whoever syncs, and marks and publishes what it synced */

    pthread_mutex_t write_mutex; /* of carriers: one of them writes or syncs at a time */

    /* -- placing [place_mutex] -- */
    _Alignas(64) pthread_mutex_t place_mutex;
    struct vv_segment *current;      /* NULL: the next frame starts a segment */
    uint64_t number_before;          /* of the segment that was in use last; 0 = none was */
    _Atomic uint64_t room_bytes;     /* bytes left in current; read without the mutex by reserve */
    _Atomic uint64_t placed_seq;     /* every slot below has its place */
    _Atomic uint32_t large_unplaced; /* large records that are reserved and not placed */
    uint8_t *header_page;            /* VV_SEGMENT_HEADER_BYTES, aligned: the header that goes out next */

    /* -- segments [segments_mutex] -- */
    pthread_mutex_t segments_mutex;
    struct vv_segment_fact *facts; /* in the order of their numbers */
    size_t fact_count, fact_room;  /* prepare keeps room ahead, so that placing never allocates */
    struct vv_segment *ready, **ready_tail;
    uint32_t taken_count; /* taken from the ready, and not in facts yet */
    _Atomic uint32_t ready_count;
    _Atomic uint32_t ready_wanted;
    _Atomic uint32_t takers; /* threads that need one now */
    _Atomic uint32_t
        space_short; /* [reserve sets, prepare clears] a slot could not be opened for want of one */
    struct vv_segment *retired; /* to be closed by prepare */
    struct vv_segment *pool;    /* structs to be used again */
    pthread_mutex_t
        files_mutex; /* making and removing files; taken before segments_mutex, by prepare and trim */
    _Atomic uint32_t side_turn; /* [atomic: failover] how often the log went from one directory to another */
    uint64_t next_number;       /* [files_mutex] of the next segment file to be made */
    _Atomic uint32_t spare_count; /* [files_mutex] read without it by metrics */
    uint8_t *zeros;               /* [const after open] aligned */
    _Atomic int space_error;      /* why the next segment could not be made: 0, NOSPC, LOG_FULL, LIMIT, IO */
    _Atomic uint32_t space_near;  /* [preparer] told that the segment after the next could not be made */
    _Atomic uint32_t ready_event; /* the list of the ready, or space_error, has changed */

    /* -- times that are given: `timed` -- */
    pthread_mutex_t times_mutex; /* held while a record takes its place, never while it waits for one */
    uint64_t newest_us;          /* [times_mutex] of the last record that has its place; only grows */
    _Atomic uint64_t reach_us; /* [times_mutex; read by who opens a slot] no record has a later time, nor one
                                  that is about to take its place; only grows */

    /* -- MANIFEST and what it says -- */
    pthread_mutex_t facts_mutex;
    struct vv_manifest manifest;
    _Atomic uint64_t first_lsn; /* only grows */

    /* -- pins [pins_mutex] -- */
    pthread_mutex_t pins_mutex; /* also held while PINS is written */
    struct vv_pins *pins;       /* in force; NULL read-only and in `memory` mode */
    struct vv_pins *pins_next;  /* a change is made here, and takes the place of `pins` once it is on disk */
    uint64_t trim_lsn;          /* records below are being removed, or are gone: nothing can pin them */
    int untrimmed_code;         /* [files_mutex] why trimming failed, as it was told; 0 = it did not */
    int untrimmed_errno;        /* [files_mutex] */
    _Atomic uint64_t pins_dirty_us;  /* since when moves are not on disk; 0 = all are */
    _Atomic uint64_t segments_begun; /* [atomic: publish] segments whose first frame is durable */
    uint64_t retain_begun;           /* [preparer] segments_opened and segments_begun when it looked last */
    uint64_t retain_looked_us;       /* [preparer] when that was */

    /* -- what is set aside -- */
    pthread_mutex_t lost_mutex; /* [caller] taken before all others, by those who change lost/ */

    /* -- the first error -- */
    pthread_mutex_t error_mutex;
    struct varve_error first_error;  /* code 0: none; never changed after */
    struct varve_error space_detail; /* what space_error was about */
    _Atomic int failed;              /* its code, for those without the mutex */

    /* -- threads -- */
    pthread_t flusher, preparer;              /* [open, close] */
    _Atomic bool flusher_runs, preparer_runs; /* [atomic: open, close] read by health while either goes on */
    _Atomic uint32_t stop;                    /* for the flusher */
    _Atomic uint32_t stop_prepare; /* set once the flusher has ended: until then it may need a segment */
    _Atomic uint32_t flush_event;  /* work for the flusher */
    _Atomic uint32_t flush_sleeps; /* VV_FLUSH_*: how a kick reaches it */
    _Atomic uint64_t sync_wanted;  /* highest LSN that somebody waits for in the buffered modes */
    _Atomic uint32_t prepare_event;

    /* -- carrying, in the buffered modes: carry.c -- */
    uint32_t carriers; /* [const after open] threads that take slots to disk: the flusher; its helper */
    pthread_t helper;  /* [open, close] */
    bool helper_runs;  /* [open, close] */
    _Atomic uint64_t carry_seq;      /* [atomic: CAS] the next slot that nobody has taken; only grows */
    _Atomic uint64_t unsynced_bytes; /* [atomic: carriers, mover] of slots that are WRITTEN */
    _Atomic uint32_t help_event, help_sleeps;        /* work for the helper; it wants to be woken */
    _Atomic uint32_t carried_event, carried_waiters; /* a carrier is through with a slot */

    /* -- fork -- */
    struct varve_log *registry_prev, *registry_next; /* [registry mutex of lock.c] */
    bool registered;

    /* -- for an operator -- */
    struct vv_metrics *metrics;   /* [const after open] NULL read-only */
    struct vv_exporter *exporter; /* [open, close] */
    struct vv_watch *watch;       /* [open, close] NULL: nobody looks */
    uint64_t opened_lsn;          /* [const after open] the last LSN when it was opened */
    uint64_t told_segment;        /* [preparer] of those that were begun, the last that was told */
    struct vv_told {
        _Atomic uint64_t began_us;    /* of the window, monotonic; 0 = none yet */
        _Atomic uint32_t count, held; /* in it */
    } told[VARVE_EVENT_COUNT];        /* [atomic] by event: what was told of it, and what was held back */

    /* -- what was found and what was done -- */
    struct varve_recovery recovery;
    uint64_t look_end_bytes; /* [const after open] read-only: where the last segment's frames end */
    bool tail_torn;          /* [const after open] until a segment is opened, a torn write is the log's end */
    struct vv_counters {
        _Atomic uint64_t frames, marks, records, payload_bytes, written_bytes, writes, syncs, retries, moves;
        _Atomic uint64_t backpressure, segments_opened, segments_trimmed, spares_used;
        _Atomic uint64_t messages, messages_held, stalls, slow_syncs, breaker_opened;
        _Atomic uint64_t failovers;
    } counters;
};

/* While frames move to a fresh segment nobody else publishes: this bit makes every other compare-and-swap
 * fail. */
#define VV_PUBLISH_HELD (UINT64_C(1) << 63)

/* Every slot with a lower sequence number is durable and free. Only grows. */
static inline uint64_t vv_published(struct varve_log *log)
{
    return atomic_load(&log->publish_word) & ~VV_PUBLISH_HELD;
}

static inline struct vv_slot *vv_slot_at(struct varve_log *log, uint64_t seq)
{
    return &log->slots[seq & log->slot_mask];
}

/* The log's clock: the system's time at opening, going on as the monotonic clock does, and following the
 * system's when that jumps ahead. So it never goes back. */
static inline uint64_t vv_log_now_us(struct varve_log *log)
{
    return log->io->monotonic_us(log->io) + atomic_load_explicit(&log->clock_ahead_us, memory_order_relaxed);
}

/* What flush_sleeps says: awake; asleep until a set time; asleep until somebody kicks it. */
#define VV_FLUSH_AWAKE  0u
#define VV_FLUSH_DOZES  1u
#define VV_FLUSH_ASLEEP 2u

/* The time of a record. Where nothing waits for a disk the precise clock would be a quarter of an append's
 * cost. */
static inline uint64_t vv_log_record_us(struct varve_log *log)
{
    if (log->leads || !log->io->monotonic_coarse_us)
        return vv_log_now_us(log);
    return log->io->monotonic_coarse_us(log->io) +
           atomic_load_explicit(&log->clock_ahead_us, memory_order_relaxed);
}

#define VV_COUNT(log, field, n) \
    atomic_fetch_add_explicit(&(log)->counters.field, (uint64_t)(n), memory_order_relaxed)

#endif
