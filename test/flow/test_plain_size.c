/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a fixed size that have another one: of a log that was made with it, which must not be mixed, or
 * left by a crash while the file was made, which must not keep the log from being opened.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/tmp.h"
#include "varve/varve.h"

enum {
    SMALL = 4096,
    LARGE = 8192,
    HEADER = 89,
    RECORD = 500,
};

static int open_log(const char *dir, uint64_t segment_bytes, struct varve_log **ret_log,
                    struct varve_error *ret_error)
{
    struct varve_options options = {
        .size = sizeof options, .format = "wlog", .segment_bytes = segment_bytes, .durability = VARVE_GROUP};

    return varve_open(dir, &options, ret_log, ret_error);
}

static void fill(const char *dir, unsigned records)
{
    unsigned char payload[RECORD] = {1};
    struct varve_error error = {0};
    struct varve_log *log;

    assert_int_equal(open_log(dir, SMALL, &log, &error), 0);
    for (unsigned i = 0; i < records; i++)
        assert_int_equal(varve_append(log, payload, sizeof payload, NULL), 0);
    assert_int_equal(varve_close(log, &error), 0);
}

/* The file of that number gets `bytes`, all of them zero behind what it keeps. */
static void resize(const char *dir, unsigned number, uint64_t keep, uint64_t bytes)
{
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/wal/wal_%06u.log", dir, number);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)keep), 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
}

static uint64_t size_of(const char *dir, unsigned number)
{
    char path[4096];
    struct stat st;

    snprintf(path, sizeof path, "%s/wal/wal_%06u.log", dir, number);
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

/* Opens, appends one more and reads all: as many as there should be. */
static void goes_on(const char *dir, uint64_t segment_bytes, uint64_t records)
{
    unsigned char payload[RECORD] = {2};
    struct varve_error error = {0};
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct varve_log *log;
    uint64_t lsn = 0;
    int rc = open_log(dir, segment_bytes, &log, &error);

    if (rc != 0)
        fail_msg("%s", error.message);
    assert_int_equal(varve_append(log, payload, sizeof payload, &lsn), 0);
    assert_int_equal(lsn, records + 1);
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_DEFAULT, &cursor, NULL), 0);
    for (uint64_t i = 1; i <= lsn; i++) {
        assert_int_equal(varve_cursor_next(cursor, &entry), 0);
        assert_int_equal(entry.lsn, i);
    }
    assert_int_equal(varve_cursor_next(cursor, &entry), VARVE_END);
    varve_cursor_close(cursor);
    assert_int_equal(varve_close(log, &error), 0);
}

static void test_plain_size__mismatch_is_refused(void **state)
{
    (void)state;
    char *dir = test_tmp_new();
    struct varve_error error = {0};
    struct varve_log *log;

    fill(dir, 3);
    assert_int_equal(open_log(dir, LARGE, &log, &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, "segment size mismatch: wal_000001.log has 4096 bytes"));
    goes_on(dir, 0, 3);
    test_tmp_free(dir);
}

/* A crash between the header and the sync behind it, at any size. */
static void test_plain_size__unfinished_first_file(void **state)
{
    static const uint64_t sizes[] = {HEADER, HEADER + 1, 1024, SMALL - 1};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *dir = test_tmp_new();

        fill(dir, 1);
        resize(dir, 1, HEADER, sizes[i]);
        goes_on(dir, SMALL, 0);
        assert_int_equal(size_of(dir, 1), SMALL);
        test_tmp_free(dir);
    }
}

static void test_plain_size__unfinished_next_file(void **state)
{
    static const uint64_t sizes[] = {HEADER, 2000, SMALL - 1};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        char *dir = test_tmp_new();

        fill(dir, 8); /* seven in the first file */
        resize(dir, 2, HEADER, sizes[i / 2]);
        goes_on(dir, i % 2 ? SMALL : 0, 7);
        assert_int_equal(size_of(dir, 2), SMALL);
        test_tmp_free(dir);
    }
}

/* What has records, or anything else, is no unfinished file. */
static void test_plain_size__short_with_records(void **state)
{
    (void)state;
    char *dir = test_tmp_new();
    struct varve_error error = {0};
    struct varve_log *log;

    fill(dir, 8);
    resize(dir, 2, HEADER + 8 + RECORD, 2000);
    assert_int_equal(open_log(dir, SMALL, &log, &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, "segment size mismatch: wal_000002.log has 2000 bytes"));
    test_tmp_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_size__mismatch_is_refused),
        cmocka_unit_test(test_plain_size__unfinished_first_file),
        cmocka_unit_test(test_plain_size__unfinished_next_file),
        cmocka_unit_test(test_plain_size__short_with_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
