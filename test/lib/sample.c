/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sample.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/segment.h"
#include "lib/bytes.h"
#include "lib/rng.h"

static const char log_path[] = "log";

void test_sample_init(struct test_sample *sample, size_t record_bytes)
{
    memset(sample, 0, sizeof *sample);
    test_memory_init(&sample->memory, 512);
    sample->record_bytes = record_bytes;
    sample->lives = 1;
    sample->options = (struct varve_options){
        .size = sizeof sample->options,
        .segment_bytes = 1 << 20,
        .mark_idle_ms = UINT32_MAX,
    };
}

void test_sample_make(struct test_sample *sample, size_t record_bytes, unsigned records, bool clean)
{
    test_sample_init(sample, record_bytes);
    struct varve_log *log = test_sample_open(sample, VARVE_POLICY_TRUNCATE);
    test_sample_append(sample, log, records);
    if (clean) {
        assert_int_equal(varve_close(log, NULL), 0);
    } else {
        test_sample_crash(sample, log);
    }
}

void test_sample_close(struct test_sample *sample)
{
    test_memory_close(&sample->memory);
}

void test_sample_copy(struct test_sample *sample, struct test_sample *ret_copy)
{
    *ret_copy = *sample;
    test_memory_crash(&sample->memory, TEST_CRASH_ALL, NULL, &ret_copy->memory);
}

/* A table holds pointers to the struct that it is in, so the files go there and back by way of a copy. */
void test_sample_crash(struct test_sample *sample, struct varve_log *log)
{
    struct test_memory crashed;
    test_memory_crash(&sample->memory, TEST_CRASH_ALL, NULL, &crashed);
    (void)varve_close(log, NULL);
    test_memory_close(&sample->memory);
    test_memory_crash(&crashed, TEST_CRASH_ALL, NULL, &sample->memory);
    test_memory_close(&crashed);
}

int test_sample_try(struct test_sample *sample, enum varve_policy policy, unsigned flags,
                    struct varve_log **ret_log, struct varve_error *ret_error)
{
    struct varve_options options = sample->options;
    options.io = &sample->memory.io;
    options.policy = policy;
    options.flags |= flags;
    return varve_open(log_path, &options, ret_log, ret_error);
}

struct varve_log *test_sample_open(struct test_sample *sample, enum varve_policy policy)
{
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    if (test_sample_try(sample, policy, 0, &log, &error) != 0) {
        fail_msg("open: %s", error.message);
    }
    return log;
}

void test_sample_fill(const struct test_sample *sample, uint64_t lsn, void *buf, size_t len)
{
    unsigned char *bytes = buf;
    unsigned life = 0;
    while (life + 1 < sample->lives && sample->life_from[life + 1] <= lsn) {
        life++;
    }
    struct test_rng rng;
    test_rng_init(&rng, lsn << 8 | life);
    test_rng_fill(&rng, bytes, len < TEST_SAMPLE_PATTERN ? len : TEST_SAMPLE_PATTERN);
    for (size_t at = TEST_SAMPLE_PATTERN; at < len; at += TEST_SAMPLE_PATTERN) {
        memcpy(bytes + at, bytes, len - at < TEST_SAMPLE_PATTERN ? len - at : TEST_SAMPLE_PATTERN);
    }
}

bool test_sample_is(const struct test_sample *sample, uint64_t lsn, const void *data, size_t bytes)
{
    if (bytes != sample->record_bytes) {
        return false;
    }
    unsigned char *expected = malloc(bytes + 1);
    assert_non_null(expected);
    test_sample_fill(sample, lsn, expected, bytes);
    bool same = memcmp(expected, data, bytes) == 0;
    free(expected);
    return same;
}

void test_sample_append(struct test_sample *sample, struct varve_log *log, unsigned records)
{
    unsigned char *bytes = malloc(sample->record_bytes + 1);
    assert_non_null(bytes);
    for (unsigned i = 0; i < records; i++) {
        uint64_t next = varve_last_lsn(log) + 1, lsn = 0;
        test_sample_fill(sample, next, bytes, sample->record_bytes);
        assert_int_equal(varve_append(log, bytes, sample->record_bytes, &lsn), 0);
        assert_int_equal(lsn, next);
    }
    free(bytes);
}

void test_sample_append_batch(struct test_sample *sample, struct varve_log *log, unsigned records)
{
    struct varve_record batch[16];
    unsigned char *bytes = malloc(16 * (sample->record_bytes + 1));
    uint64_t next = varve_last_lsn(log) + 1, lsn = 0;
    assert_true(bytes != NULL && records <= 16);
    memset(batch, 0, sizeof batch);
    for (unsigned i = 0; i < records; i++) {
        batch[i].data = bytes + i * sample->record_bytes;
        batch[i].data_bytes = sample->record_bytes;
        test_sample_fill(sample, next + i, bytes + i * sample->record_bytes, sample->record_bytes);
    }
    assert_int_equal(varve_append_batch(log, batch, records, VARVE_DURABILITY_DEFAULT, 1, &lsn), 0);
    assert_int_equal(lsn, next);
    free(bytes);
}

void test_sample_next_life(struct test_sample *sample, uint64_t lsn)
{
    assert_true(sample->lives < TEST_SAMPLE_LIVES);
    sample->life_from[sample->lives++] = lsn;
}

/* -- what lies where -- */

static int map_frame(void *arg, const struct varve_frame_info *info)
{
    struct test_sample *sample = arg;
    assert_true(sample->frame_count < TEST_SAMPLE_FRAMES);
    sample->frames[sample->frame_count++] = (struct test_sample_frame){
        .segment = info->segment,
        .offset = info->offset,
        .bytes = info->frame_bytes,
        .first_lsn = info->first_lsn,
        .durable_lsn = info->durable_lsn,
        .records = info->records,
        .stored_bytes = info->stored_bytes,
        .state = info->state,
    };
    return 0;
}

static int map_record(void *arg, const struct varve_record_info *info)
{
    struct test_sample *sample = arg;
    const struct test_sample_frame *frame = &sample->frames[sample->frame_count - 1];
    /* A superseded frame holds what was appended in an earlier life. */
    if (info->sound && frame->state != VARVE_FRAME_SUPERSEDED) {
        bool same = test_sample_is(sample, info->lsn, info->data, info->data_bytes);
        for (unsigned lives = sample->lives; !same && lives > 1; lives--) {
            struct test_sample before = {.record_bytes = sample->record_bytes, .lives = lives - 1};
            memcpy(before.life_from, sample->life_from, sizeof before.life_from);
            same = test_sample_is(&before, info->lsn, info->data, info->data_bytes);
        }
        assert_true(same);
    }
    return 0;
}

void test_sample_map(struct test_sample *sample)
{
    const struct varve_visitor visitor = {
        .size = sizeof visitor,
        .arg = sample,
        .frame = map_frame,
        .record = map_record,
        .keys = sample->options.keys,
    };
    struct varve_error error = {0};
    sample->frame_count = 0;
    if (varve_inspect(log_path, &sample->memory.io, &visitor, &error) != 0) {
        fail_msg("inspect: %s", error.message);
    }
}

const struct test_sample_frame *test_sample_frame_of(const struct test_sample *sample, uint64_t lsn)
{
    for (unsigned i = 0; i < sample->frame_count; i++) {
        const struct test_sample_frame *frame = &sample->frames[i];
        if (lsn >= frame->first_lsn && lsn - frame->first_lsn < frame->records) {
            return frame;
        }
    }
    fail_msg("no frame holds LSN %" PRIu64, lsn);
    return NULL;
}

/* -- files -- */

struct varve_dir *test_sample_dir(struct test_sample *sample)
{
    struct varve_io *io = &sample->memory.io;
    struct varve_dir *dir = NULL;
    int created;
    assert_int_equal(io->dir_open(io, NULL, log_path, 0, &dir, &created), 0);
    return dir;
}

static struct varve_file *open_segment(struct test_sample *sample, uint64_t segment)
{
    struct varve_io *io = &sample->memory.io;
    struct varve_dir *dir = test_sample_dir(sample);
    struct varve_file *file = NULL;
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(segment, name);
    assert_int_equal(io->open(io, dir, name, VARVE_IO_WRITE, &file), 0);
    io->dir_close(io, dir);
    return file;
}

void *test_sample_read(struct test_sample *sample, uint64_t segment, size_t *ret_bytes)
{
    struct varve_dir *dir = test_sample_dir(sample);
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(segment, name);
    void *content = test_bytes_io_read(&sample->memory.io, dir, name, ret_bytes);
    sample->memory.io.dir_close(&sample->memory.io, dir);
    return content;
}

void test_sample_patch(struct test_sample *sample, uint64_t segment, uint64_t offset, const void *buf,
                       size_t len)
{
    struct varve_dir *dir = test_sample_dir(sample);
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(segment, name);
    test_bytes_io_patch(&sample->memory.io, dir, name, offset, buf, len);
    sample->memory.io.dir_close(&sample->memory.io, dir);
}

void test_sample_zero(struct test_sample *sample, uint64_t segment, uint64_t offset, uint64_t len)
{
    void *zeros = calloc(1, len + 1);
    assert_non_null(zeros);
    test_sample_patch(sample, segment, offset, zeros, len);
    free(zeros);
}

void test_sample_flip(struct test_sample *sample, uint64_t segment, uint64_t offset, unsigned bit)
{
    struct varve_dir *dir = test_sample_dir(sample);
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(segment, name);
    test_bytes_io_flip(&sample->memory.io, dir, name, offset, bit);
    sample->memory.io.dir_close(&sample->memory.io, dir);
}

void test_sample_truncate(struct test_sample *sample, uint64_t segment, uint64_t bytes)
{
    struct varve_io *io = &sample->memory.io;
    struct varve_file *file = open_segment(sample, segment);
    assert_int_equal(io->truncate(io, file, bytes), 0);
    assert_int_equal(io->sync(io, file), 0);
    io->close(io, file);
}

void test_sample_unlink(struct test_sample *sample, const char *name)
{
    struct varve_io *io = &sample->memory.io;
    struct varve_dir *dir = test_sample_dir(sample);
    assert_int_equal(io->unlink(io, dir, name), 0);
    io->dir_close(io, dir);
}

void test_sample_unlink_segment(struct test_sample *sample, uint64_t segment)
{
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(segment, name);
    test_sample_unlink(sample, name);
}

void test_sample_write(struct test_sample *sample, const char *name, const void *buf, size_t len)
{
    struct varve_io *io = &sample->memory.io;
    struct varve_dir *dir = test_sample_dir(sample);
    struct varve_file *file = NULL;
    int rc = io->unlink(io, dir, name);
    assert_true(rc == 0 || rc == -ENOENT);
    assert_int_equal(io->open(io, dir, name, VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    io->close(io, file);
    test_bytes_io_patch(io, dir, name, 0, buf, len);
    assert_int_equal(io->dir_sync(io, dir), 0);
    io->dir_close(io, dir);
}

void test_sample_write_segment(struct test_sample *sample, uint64_t segment, const void *buf, size_t len)
{
    char name[VV_SEGMENT_NAME_BYTES];
    vv_segment_name(segment, name);
    test_sample_write(sample, name, buf, len);
}

bool test_sample_has(struct test_sample *sample, const char *name)
{
    struct varve_io *io = &sample->memory.io;
    struct varve_dir *dir = test_sample_dir(sample);
    struct varve_io_stat st;
    bool has = io->stat_name(io, dir, name, &st) == 0;
    io->dir_close(io, dir);
    return has;
}

struct summing {
    struct varve_io *io;
    struct varve_dir *dir;
    uint64_t sum;
};

static int sum_name(void *arg, const char *name)
{
    struct summing *s = arg;
    struct varve_io_stat st;
    uint64_t sum = 7;
    if (strcmp(name, "LOCK") == 0) {
        return 0;
    }
    for (const char *c = name; *c != '\0'; c++) {
        sum = test_rng_mix(sum ^ (unsigned char)*c);
    }
    assert_int_equal(s->io->stat_name(s->io, s->dir, name, &st), 0);
    if (st.kind == VARVE_IO_KIND_FILE) {
        size_t bytes;
        unsigned char *content = test_bytes_io_read(s->io, s->dir, name, &bytes);
        sum = test_rng_mix(sum ^ bytes);
        for (size_t at = 0; at < bytes; at += 8) {
            uint64_t word = 0;
            memcpy(&word, content + at, bytes - at < 8 ? bytes - at : 8);
            /* Nearly all words are zero, and their number is in the sum. */
            sum = word != 0 ? test_rng_mix(sum ^ word ^ at << 32) : sum;
        }
        free(content);
    } else {
        struct summing below = {.io = s->io};
        int created;
        assert_int_equal(s->io->dir_open(s->io, s->dir, name, 0, &below.dir, &created), 0);
        assert_int_equal(s->io->dir_list(s->io, below.dir, sum_name, &below), 0);
        s->io->dir_close(s->io, below.dir);
        sum = test_rng_mix(sum ^ below.sum);
    }
    s->sum += test_rng_mix(sum); /* the order of names does not matter */
    return 0;
}

uint64_t test_sample_sum(struct test_sample *sample)
{
    struct summing s = {.io = &sample->memory.io, .dir = test_sample_dir(sample)};
    assert_int_equal(s.io->dir_list(s.io, s.dir, sum_name, &s), 0);
    s.io->dir_close(s.io, s.dir);
    return s.sum;
}
