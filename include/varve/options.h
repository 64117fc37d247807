/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a log. Zero means default everywhere, so `struct varve_options o = {.size = sizeof o};` is a
 * complete set. Fields are only ever added at the end; a caller's struct that is larger than the library's
 * must hold zeros in what the library does not know, else VARVE_E_INVALID.
 */
#ifndef VARVE_OPTIONS_H
#define VARVE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "varve/export.h"
#include "varve/message.h"

#ifdef __cplusplus
extern "C" {
#endif

struct varve_io;
struct varve_keys;

/* When an append returns, and what a power failure can take. Ordered by strength. */
enum varve_durability {
    VARVE_DURABILITY_DEFAULT = 0,
    VARVE_MEMORY =
        1, /* returns with an LSN; nothing is written; a power failure, or an exit, takes everything */
    VARVE_BUFFERED = 2, /* returns once in a slot; synced every sync_bytes, on varve_sync and on close */
    VARVE_INTERVAL = 3, /* returns once in a slot; synced every sync_interval_ms */
    VARVE_GROUP = 4,    /* returns once durable; one sync is shared by all records of a frame (default) */
    VARVE_STRICT = 5,   /* returns once durable; one sync for each record, one at a time */
};

/* How bytes reach the file. */
enum varve_backend {
    VARVE_BACKEND_AUTO = 0,     /* direct where the file system can, else buffered */
    VARVE_BACKEND_DIRECT = 1,   /* O_DIRECT, durable by RWF_DSYNC */
    VARVE_BACKEND_BUFFERED = 2, /* page cache, durable by fdatasync */
    VARVE_BACKEND_MMAP = 3, /* a mapping of the file, durable by fdatasync; only in formats of others whose
                               files have a fixed size */
};

/* What opening (or reading) does with a log that does not end cleanly; see docs/RECOVERY.md. */
enum varve_policy {
    VARVE_POLICY_DEFAULT = 0,  /* truncate; in formats of others what they are used to */
    VARVE_POLICY_TRUNCATE = 1, /* a torn tail is passed over; damage refuses */
    VARVE_POLICY_HALT = 2,     /* anything but a clean end refuses */
    VARVE_POLICY_SKIP = 3,     /* damage is set aside in lost/, reported, and passed over */
};

/* What append does when every slot is in use. */
enum varve_backpressure {
    VARVE_BACKPRESSURE_BLOCK = 0, /* wait as long as it takes */
    VARVE_BACKPRESSURE_WAIT = 1,  /* wait up to backpressure_ms, then VARVE_E_BACKPRESSURE */
    VARVE_BACKPRESSURE_FAIL = 2,  /* VARVE_E_BACKPRESSURE at once */
};

/* How much of the log opening for writing checks. */
enum varve_check {
    VARVE_CHECK_FULL = 0, /* every frame of every segment */
    VARVE_CHECK_TAIL = 1, /* every segment header, and the frames from the last full segment on; the others
                             are checked when they are read */
};

enum varve_open_flags {
    VARVE_OPEN_READ_ONLY = 1 << 0,   /* changes no byte; works beside a live writer */
    VARVE_OPEN_MUST_EXIST = 1 << 1,  /* VARVE_E_NOT_FOUND where there is no log */
    VARVE_OPEN_MUST_CREATE = 1 << 2, /* VARVE_E_EXISTS where there is one */
    VARVE_OPEN_TIMES = 1 << 3,       /* appends may give times (VARVE_RECORD_TIME), as an import or a restore
                                        does; they take their places one after the other */
};

/* Progress of a long read (opening, verifying): bytes done of bytes in all. A non-zero return stops it with
 * VARVE_E_CLOSED. Called from the calling thread, a few times for each segment. */
typedef int (*varve_progress_fn)(void *arg, uint64_t done_bytes, uint64_t total_bytes);

struct varve_options {
    size_t size; /* sizeof(struct varve_options) */

    uint32_t flags;                       /* enum varve_open_flags */
    enum varve_durability durability;     /* default VARVE_GROUP */
    enum varve_backend backend;           /* default auto */
    enum varve_policy policy;             /* default: the format's own */
    enum varve_backpressure backpressure; /* default block */
    enum varve_check check;               /* default full */

    uint64_t segment_bytes; /* size of a new segment file; 1 MiB to 4 GiB, a multiple of 4096; 64 MiB */
    uint64_t record_max;    /* largest payload in bytes; up to 1 GiB; 64 MiB, or what a segment can hold */
    uint32_t slot_bytes;   /* size of a slot = of an ordinary frame at most; 4096 to 64 MiB; 1 MiB, less where
                                  all slots together would not fit into a segment */
    uint32_t slot_count;   /* number of slots; 4 to 256, a power of two; 16 */
    uint32_t sector_bytes; /* frames start at multiples of this; 512 to 4096, a power of two; what the device
                                  needs for direct I/O, 512 at least */
    uint32_t writes_in_flight; /* frames being written at once; 1 to slot_count / 2; 1 on two cores or fewer,
                                  else 2; always 1 in `strict` mode and with backend buffered */
    uint32_t group_wait_us;    /* how long a leader waits for company; up to 1,000,000; 0 */
    uint32_t sync_interval_ms; /* `interval`: time between syncs; 100 */
    uint64_t sync_bytes;       /* `buffered`: at most this much is not synced, or two slots; up to half of all
                                  slots; 4 MiB */
    uint32_t backpressure_ms;  /* VARVE_BACKPRESSURE_WAIT: how long; 1000 */
    uint32_t mark_idle_ms;     /* quiet time after which a mark vouches for the last frames; 50 */
    uint32_t spare_segments;   /* trimmed segments that are kept for reuse; 2; UINT32_MAX = none */
    uint32_t retry_count;      /* tries of a write that fails with a transient error; 8 */
    uint32_t retry_first_ms;   /* wait before the second try, doubled each time; 1 */

    struct varve_io *io;      /* default varve_io_system(); must outlive the log */
    varve_message_fn message; /* where messages go (varve/message.h); default nowhere */
    void *message_arg;
    varve_progress_fn progress; /* progress of opening; default none */
    void *progress_arg;

    /* Retention, applied when a segment was started: retain.h says what each means. Default: all is kept. */
    uint64_t keep_segments;
    uint64_t keep_bytes;
    uint64_t keep_ms;
    uint64_t max_log_bytes; /* what all segment files may take, those ready and spare ones included: at least
                               three segments and two more than the rules keep; default no cap. Near it there
                               is a warning, at it VARVE_E_LOG_FULL */
    const char *metrics_file; /* metrics for other processes go to this file, four times a second: metrics.h;
                                 the string is read during the call only; default none */
    const char *codec; /* of frames that are written, by its name (varve/codec.h): NULL = the one that the log
                          has, "identity" for a new log. A log may change its codec whenever it is opened */
    int codec_level;   /* lz4: 1 to 12; zstd: -7 to 22; 0 = the codec's default: for lz4 1, and faster than
                          that from frames of 64 KiB on; for zstd 3, and 1 for frames below 64 KiB */
    struct varve_keys *keys; /* for logs with encrypted frames (varve/keys.h); must outlive the log */
    const void
        *dictionary; /* for zstd, as varve_train makes them: put into the log's directory, and the log's
                        from then on. NULL = the one that it has; with dictionary_bytes 0: none any more */
    size_t dictionary_bytes;                /* up to 1 MiB */
    enum varve_message_level message_level; /* nothing below it is told; default info */
    uint32_t stall_ms;     /* a write or a sync that has been under way for longer is told of, while it hangs;
                              1000; UINT32_MAX = nobody looks */
    uint32_t slow_sync_ms; /* one that took longer is told of; 500; UINT32_MAX = none is */
    uint32_t breaker_failures; /* so many writes in a row that fail with a transient error, and the log only
                                  probes the disk until it is back; 8; UINT32_MAX = never: then a write is
                                  given up after retry_count tries */
    uint32_t breaker_first_ms; /* until the first probe; twice as long until each next one; 100 */
    uint32_t breaker_max_ms;   /* until any probe; 5000 */
    uint32_t health_recent_ms; /* how long what has passed keeps a log `degraded` (varve/health.h); 10,000 */
    const char *format; /* the log's, by its name (varve/format.h): NULL = what is there tells; one that is in
                           another is refused. The string is read during the call only */
    const char *failover_dir; /* a directory on another device, where the log goes on when its own fails or
                                 hangs for stall_ms: docs/OPERATIONS.md. It belongs to this log alone. NULL =
                                 the one that the log has; "": none any more, refused as long as segments lie
                                 there. The string is read during the call only */
};

/*
 * Sets the options that make up a preset, and leaves the others as they are. Each value can be set by itself
 * as well, before or after. Every preset sets `format` to its own name (a static string), `durability`,
 * `segment_bytes` and `policy`:
 *
 *   varve   group, 64 MiB, truncate, backend auto
 *   stra    strict, 64 MiB, truncate; sync_bytes 4 MiB, for the mode buffered
 *   wlog    buffered, 1 MiB, truncate, backend mmap
 *   aero    strict, halt
 *   dbkv    interval of 100 ms, 1 GiB, skip
 *   lfwal   group, 64 MiB, truncate; an interval of 10 ms, for the mode interval
 *
 * Errors: INVALID (no such preset; options->size is not that of the struct). Any thread.
 */
VARVE_API int varve_options_preset(struct varve_options *options, const char *name);

#ifdef __cplusplus
}
#endif

#endif
