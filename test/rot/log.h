/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log whose every byte is known: made by the engine on a file system in memory, in one of several shapes,
 * then closed or left as a kill leaves it. From a seed the same bytes come again: time stands still unless it
 * is moved, and the log's own threads do what they do at moments that the maker waits for.
 */
#ifndef TEST_ROT_LOG_H
#define TEST_ROT_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crash/disk.h"
#include "lib/clock.h"
#include "lib/fault.h"
#include "varve/varve.h"

enum {
    ROT_RECORDS = 2048,
    ROT_LIVES = 4, /* contents that one LSN has had, at most */
    ROT_FRAMES = 1024,
    ROT_SEGMENTS = 16,
    ROT_TEXT = 4096
};

/* What was appended under an LSN. */
struct rot_record {
    unsigned char *data;
    size_t bytes;
    uint8_t type, flags;
    uint64_t txn_id;
    uint8_t origin[VARVE_ORIGIN_BYTES];
    uint64_t time_us; /* as a cursor gives it */
    uint32_t frame;   /* index of the frame that it is in */
};

/* A frame as it lies. */
struct rot_frame {
    uint64_t segment, offset, bytes; /* with padding */
    uint32_t stored_bytes, records;  /* records 0: a mark */
    uint64_t first_lsn, durable_lsn;
    uint32_t segment_index;
    bool part; /* of the log: no later segment supersedes it */
};

struct rot_segment {
    uint64_t number, base_lsn, file_bytes;
    uint64_t end; /* offset behind the last frame that is part of the log, or of the header */
    uint32_t node;
    bool sound; /* else prepared and not used */
    bool reused;
    char name[CRASH_NAME];
};

struct rot_log {
    const char *scenario;
    uint64_t seed;
    bool closed; /* else killed */
    struct crash_fs fs;
    struct crash_fs stale; /* as it was some time before, in the middle of the last life */
    uint32_t dir;          /* node of the log's directory */
    uint32_t manifest;     /* node of MANIFEST */
    uint32_t sector_bytes;
    uint8_t uuid[16];
    char manifest_text[ROT_TEXT];
    size_t manifest_bytes;
    uint64_t first_lsn, last_lsn;
    struct rot_record *records;          /* by LSN: what is there */
    struct rot_record *older[ROT_LIVES]; /* by life and LSN: what was there before; data NULL = nothing */
    unsigned older_count;
    struct rot_frame *frames; /* in the order in which they lie */
    uint32_t frame_count;
    struct rot_segment segments[ROT_SEGMENTS];
    uint32_t segment_count;
};

/* Over the clock: counts how often the log's flusher looks at it. */
struct rot_watch {
    struct test_pass pass; /* first: pass.io is the table */
    atomic_uint looks;
};

/* How a log is made: what a scenario calls. */
struct rot_maker {
    struct rot_log *log;
    struct test_rng rng;
    struct crash_disk disk;
    struct test_fault fault;
    struct test_clock clock;
    struct rot_watch watch;
    struct varve_options options;
    struct varve_log *open;
    uint64_t next_lsn;
    unsigned life;
};

struct rot_scenario {
    const char *name;
    const char *about;
    uint32_t sector_bytes;
    void (*make)(struct rot_maker *maker); /* leaves the log open */
    /* How many cases of the kinds that are drawn by chance, of those drawn in every scenario. Large logs are
     * slow to read. */
    unsigned per_cent;
    bool every_header_bit; /* also of the part of a segment's header that nobody looks at */
};

const struct rot_scenario *rot_scenario_at(unsigned index); /* NULL past the last */
const struct rot_scenario *rot_scenario_find(const char *name);

/* Makes the log, and finds out what lies where. Ends the program when the engine does not do its part. */
void rot_log_make(struct rot_log *log, const struct rot_scenario *scenario, uint64_t seed, bool closed);
void rot_log_free(struct rot_log *log);
/* A number that changes with any byte of it. */
uint64_t rot_log_sum(const struct rot_log *log);

/* For scenarios. */
void rot_open(struct rot_maker *maker);
/* `count` records of `low` to `high` bytes, in one frame; acknowledged in the modes that do so. */
void rot_append(struct rot_maker *maker, unsigned count, size_t low, size_t high);
/* `frames` of those, of 1 to `count` records. */
void rot_append_some(struct rot_maker *maker, unsigned frames, unsigned count, size_t low, size_t high);
void rot_sync(struct rot_maker *maker);
/* Waits for a mark. */
void rot_mark(struct rot_maker *maker);
/* Appends records of `bytes` until the segment after the next one is in use, trims the first away, and waits
 * until it is a spare; and so on until one is in use again. */
void rot_recycle(struct rot_maker *maker, size_t bytes);
/* The process dies. */
void rot_kill(struct rot_maker *maker);
/* What nothing vouches for, from `lsn` on, was torn: the first sector of the frame that holds it is zero. The
 * LSNs from there on are given again. */
void rot_tear(struct rot_maker *maker, uint64_t lsn);
/* The next durable write fails, having done the first `bytes`. */
void rot_fail_write(struct rot_maker *maker, size_t bytes);
/* Keeps the files as they are now. */
void rot_keep_stale(struct rot_maker *maker);

const struct rot_record *rot_record_at(const struct rot_log *log, uint64_t lsn); /* NULL: not of this log */

/* What the harness itself needs to go on. */
#define rot_must(condition)                                \
    do {                                                   \
        if (!(condition)) {                                \
            rot_must_fail(__FILE__, __LINE__, #condition); \
        }                                                  \
    } while (0)
_Noreturn void rot_must_fail(const char *file, int line, const char *condition);

#endif
