/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs to be damaged: made in memory, with records whose bytes follow from their LSN, so that whatever is
 * read back can be told from what was appended. Failing here fails the test.
 *
 * In these logs every append is a frame, nothing writes marks unless asked, and segments hold 1 MiB.
 */
#ifndef TEST_LIB_SAMPLE_H
#define TEST_LIB_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/memory.h"
#include "varve/varve.h"

enum {
    TEST_SAMPLE_FRAMES = 1024,
    TEST_SAMPLE_LIVES = 4,
    TEST_SAMPLE_SMALL = 100,   /* bytes: a frame of one sector */
    TEST_SAMPLE_BIG = 200000,  /* bytes: five to a segment */
    TEST_SAMPLE_PATTERN = 4096 /* bytes after which a record's content comes again */
};

/* A frame as it lies. */
struct test_sample_frame {
    uint64_t segment, offset, bytes;
    uint64_t first_lsn, durable_lsn;
    uint32_t records, stored_bytes;
    enum varve_frame_state state;
};

struct test_sample {
    struct test_memory memory;
    struct varve_options options; /* for opening; a test may change them before */
    size_t record_bytes;
    uint64_t life_from[TEST_SAMPLE_LIVES]; /* from this LSN on, records have another content */
    unsigned lives;
    struct test_sample_frame frames[TEST_SAMPLE_FRAMES]; /* set by test_sample_map */
    unsigned frame_count;
};

/* An empty file system. */
void test_sample_init(struct test_sample *sample, size_t record_bytes);
/* A log of `records` records, each in its frame; closed, or as a crash would leave it. */
void test_sample_make(struct test_sample *sample, size_t record_bytes, unsigned records, bool clean);
void test_sample_close(struct test_sample *sample);
/* The same files once more, as a crash at this moment leaves them. To be closed. */
void test_sample_copy(struct test_sample *sample, struct test_sample *ret_copy);
/* Forgets the files and takes a crash's: `sample` may be open, and the log in it is closed by this. */
void test_sample_crash(struct test_sample *sample, struct varve_log *log);

/* Opens under a policy. */
int test_sample_try(struct test_sample *sample, enum varve_policy policy, unsigned flags,
                    struct varve_log **ret_log, struct varve_error *ret_error);
struct varve_log *test_sample_open(struct test_sample *sample, enum varve_policy policy);
void test_sample_append(struct test_sample *sample, struct varve_log *log, unsigned records);
/* The same records in one frame. */
void test_sample_append_batch(struct test_sample *sample, struct varve_log *log, unsigned records);
/* Records from this LSN on are another's. */
void test_sample_next_life(struct test_sample *sample, uint64_t lsn);
/* The content of a record: the first bytes of it, record_bytes at most, repeated after TEST_SAMPLE_PATTERN.
 */
void test_sample_fill(const struct test_sample *sample, uint64_t lsn, void *buf, size_t len);
/* Whether these are the bytes that were appended under this LSN. */
bool test_sample_is(const struct test_sample *sample, uint64_t lsn, const void *data, size_t bytes);

/* Lists the frames, and checks on the way that no sound record is one that was not appended. */
void test_sample_map(struct test_sample *sample);
/* The frame that holds the LSN. */
const struct test_sample_frame *test_sample_frame_of(const struct test_sample *sample, uint64_t lsn);

/* Files. A segment is named by its number. */
struct varve_dir *test_sample_dir(struct test_sample *sample);
void *test_sample_read(struct test_sample *sample, uint64_t segment, size_t *ret_bytes);
void test_sample_patch(struct test_sample *sample, uint64_t segment, uint64_t offset, const void *buf,
                       size_t len);
void test_sample_zero(struct test_sample *sample, uint64_t segment, uint64_t offset, uint64_t len);
void test_sample_flip(struct test_sample *sample, uint64_t segment, uint64_t offset, unsigned bit);
void test_sample_truncate(struct test_sample *sample, uint64_t segment, uint64_t bytes);
void test_sample_unlink(struct test_sample *sample, const char *name);
void test_sample_unlink_segment(struct test_sample *sample, uint64_t segment);
/* Makes the file, or replaces it. */
void test_sample_write(struct test_sample *sample, const char *name, const void *buf, size_t len);
void test_sample_write_segment(struct test_sample *sample, uint64_t segment, const void *buf, size_t len);
bool test_sample_has(struct test_sample *sample, const char *name);
/* A number that changes with any name, size or byte of the log, but for LOCK. */
uint64_t test_sample_sum(struct test_sample *sample);

#endif
