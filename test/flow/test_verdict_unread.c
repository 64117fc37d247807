/* SPDX-License-Identifier: Apache-2.0 */
/* Sectors that cannot be read: an error by every way that needs them, never an end, and nothing before them
 * is lost. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/pass.h"
#include "lib/sample.h"

enum {
    RECORDS = 12
};

/* A disk with a bad place in one file. Calls that touch it end before it, as they do through the page cache,
 * or fail as a whole, as direct ones may. */
struct bad_disk {
    struct test_pass pass; /* first: pass.io is the table */
    struct varve_file *file;
    const char *name;
    uint64_t offset, bytes;
    bool whole;
    unsigned met;
};

static int bad_open(struct varve_io *io, struct varve_dir *dir, const char *name, unsigned flags,
                    struct varve_file **ret_file)
{
    struct bad_disk *disk = io->ctx;
    struct varve_io *below = disk->pass.below;
    int rc = below->open(below, dir, name, flags, ret_file);
    if (rc == 0 && strcmp(name, disk->name) == 0) {
        disk->file = *ret_file;
    }
    return rc;
}

static void bad_close(struct varve_io *io, struct varve_file *file)
{
    struct bad_disk *disk = io->ctx;
    struct varve_io *below = disk->pass.below;
    if (file == disk->file) {
        disk->file = NULL;
    }
    below->close(below, file);
}

static ssize_t bad_pread(struct varve_io *io, struct varve_file *file, void *buf, size_t len, uint64_t offset)
{
    struct bad_disk *disk = io->ctx;
    struct varve_io *below = disk->pass.below;
    if (file == disk->file && offset + len > disk->offset && offset < disk->offset + disk->bytes) {
        disk->met++;
        if (disk->whole || offset >= disk->offset) {
            return -EIO;
        }
        len = (size_t)(disk->offset - offset);
    }
    return below->pread(below, file, buf, len, offset);
}

static void bad_init(struct bad_disk *disk, struct test_sample *s, const char *name, uint64_t offset,
                     uint64_t bytes, bool whole)
{
    *disk = (struct bad_disk){.name = name, .offset = offset, .bytes = bytes, .whole = whole};
    test_pass_init(&disk->pass, &s->memory.io);
    disk->pass.io.ctx = disk;
    disk->pass.io.open = bad_open;
    disk->pass.io.close = bad_close;
    disk->pass.io.pread = bad_pread;
}

static int verify(struct bad_disk *disk)
{
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_options options = {.size = sizeof options, .io = &disk->pass.io};
    return varve_verify("log", &options, NULL, NULL, &result, NULL);
}

static int open_with(struct test_sample *s, struct bad_disk *disk, enum varve_policy policy, unsigned flags,
                     struct varve_log **ret_log)
{
    struct varve_options options = s->options;
    options.io = &disk->pass.io;
    options.policy = policy;
    options.flags = flags;
    return varve_open("log", &options, ret_log, NULL);
}

/* Reads the sound records up to `last`, and then the error. */
static void read_to(struct test_sample *s, struct bad_disk *disk, enum varve_policy policy, uint64_t last)
{
    struct varve_cursor *cursor = NULL;
    struct varve_log *log = NULL;
    struct varve_entry entry;
    uint64_t next = 1;
    int rc = open_with(s, disk, policy, VARVE_OPEN_READ_ONLY, &log);
    /* The end of the log is looked for when it is opened. */
    if (rc == VARVE_E_IO) {
        return;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(varve_cursor_open(log, policy, &cursor, NULL), 0);
    while ((rc = varve_cursor_next(cursor, &entry)) == 0) {
        assert_int_equal(entry.lsn, next++);
        assert_true(test_sample_is(s, entry.lsn, entry.data, entry.data_bytes));
    }
    assert_int_equal(rc, VARVE_E_IO);
    assert_int_equal(next, last + 1);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, NULL), 0);
}

/* In a segment that is not the last, a reader gets to just before it, whatever is read ahead. */
static void test_verdict_unread__prefix(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        for (uint64_t lsn = 2; lsn <= 5; lsn++) {
            struct test_sample s;
            struct bad_disk disk;
            struct varve_log *log = NULL;
            test_sample_make(&s, TEST_SAMPLE_BIG, RECORDS, true);
            test_sample_map(&s);
            const struct test_sample_frame *frame = test_sample_frame_of(&s, lsn);
            assert_int_equal(frame->segment, 1);
            bad_init(&disk, &s, "wal-0000000000000001.seg", frame->offset, 512, whole != 0);
            for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
                read_to(&s, &disk, (enum varve_policy)policy, lsn - 1);
                assert_int_equal(open_with(&s, &disk, (enum varve_policy)policy, 0, &log), VARVE_E_IO);
            }
            assert_int_equal(verify(&disk), VARVE_E_IO);
            assert_true(disk.met > 0);
            test_sample_close(&s);
        }
    }
}

/* What is read ahead and not needed is no reason to fail: here, what lies behind the end of a closed log. */
static void test_verdict_unread__behind_the_end(void **state)
{
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct test_sample s;
        struct bad_disk disk;
        struct varve_log *log = NULL;
        test_sample_make(&s, TEST_SAMPLE_SMALL, RECORDS, true);
        test_sample_map(&s);
        const struct test_sample_frame *last = test_sample_frame_of(&s, RECORDS);
        bad_init(&disk, &s, "wal-0000000000000001.seg", last->offset + last->bytes + 512, 512, whole != 0);
        assert_int_equal(verify(&disk), 0);
        assert_int_equal(open_with(&s, &disk, VARVE_POLICY_HALT, VARVE_OPEN_READ_ONLY, &log), 0);
        assert_int_equal(varve_last_lsn(log), RECORDS);
        assert_int_equal(varve_close(log, NULL), 0);
        assert_true(disk.met > 0);
        test_sample_close(&s);
    }
}

/* The last segment's header is damaged, and of its frames, which would show that it was in use, the first
 * cannot be read: that is no evidence that it was not. */
static void test_verdict_unread__evidence(void **state)
{
    (void)state;
    struct test_sample s;
    struct bad_disk disk;
    struct varve_log *log = NULL;
    test_sample_make(&s, TEST_SAMPLE_BIG, RECORDS, false);
    test_sample_map(&s);
    const struct test_sample_frame *frame = test_sample_frame_of(&s, RECORDS);
    assert_int_equal(frame->segment, 3);
    test_sample_flip(&s, 3, 64, 0);
    bad_init(&disk, &s, "wal-0000000000000003.seg", 4096, 512, false);
    for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
        assert_int_equal(open_with(&s, &disk, (enum varve_policy)policy, 0, &log), VARVE_E_IO);
    }
    assert_int_equal(verify(&disk), VARVE_E_IO);
    test_sample_close(&s);
}

/* verify counts the frames of a segment that a later one supersedes as a whole: it must read them for that.
 */
static void test_verdict_unread__superseded(void **state)
{
    (void)state;
    struct test_sample s;
    struct bad_disk disk;
    test_sample_make(&s, 3000, 1, false);
    test_sample_flip(&s, 1, 4096 + 100, 0);
    test_sample_next_life(&s, 1);
    struct varve_log *log = test_sample_open(&s, VARVE_POLICY_TRUNCATE);
    test_sample_append(&s, log, 2);
    assert_int_equal(varve_close(log, NULL), 0);
    test_sample_map(&s);
    assert_int_equal(test_sample_frame_of(&s, 2)->segment, 2);
    bad_init(&disk, &s, "wal-0000000000000001.seg", 4096, 512, false);
    assert_int_equal(verify(&disk), VARVE_E_IO);
    assert_true(disk.met > 0);
    test_sample_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict_unread__prefix),
        cmocka_unit_test(test_verdict_unread__behind_the_end),
        cmocka_unit_test(test_verdict_unread__evidence),
        cmocka_unit_test(test_verdict_unread__superseded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
