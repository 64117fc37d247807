/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading logs in formats of others while somebody writes them, another program or this library, and what
 * VARVE says of the LSNs that a log begins with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "lib/bytes.h"
#include "lib/plain.h"
#include "log/plain_side.h"
#include "varve/varve.h"

static void append_raw(const char *file, const void *bytes, size_t len)
{
    test_bytes_patch(test_plain_path, file, test_bytes_size(test_plain_path, file), bytes, len);
}

/* A record of the sample, to be appended again. */
static uint8_t *record_at(const char *file, uint64_t offset, size_t len)
{
    uint8_t *bytes = malloc(len);

    assert_non_null(bytes);
    test_bytes_read_at(test_plain_path, file, offset, bytes, len);
    return bytes;
}

static void next_is(struct test_plain_reader *r, uint64_t lsn)
{
    struct varve_entry entry;
    int rc = varve_cursor_next(r->cursor, &entry);

    if (lsn == 0) {
        assert_int_equal(rc, VARVE_END);
    } else {
        assert_int_equal(rc, 0);
        assert_int_equal(entry.lsn, lsn);
    }
}

static void test_plain_beside__a_writer(void **state)
{
    (void)state;
    struct varve_entry entry;
    struct test_plain_reader r;
    unsigned records;
    uint8_t *record;

    /* A record comes in two pieces. */
    test_plain_fresh("stra");
    record = record_at("WAL/wal-000001.seg", 115, 184);
    assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT), 0);
    assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
    append_raw("WAL/wal-000003.seg", record, 100);
    next_is(&r, 0);
    assert_int_equal(varve_cursor_verdict(r.cursor), VARVE_VERDICT_TORN);
    append_raw("WAL/wal-000003.seg", record + 100, 84);
    assert_int_equal(varve_cursor_follow(r.cursor, 1000, &entry), 0);
    assert_int_equal(entry.lsn, 21);
    assert_int_equal(varve_last_lsn(r.log), 21);
    /* A new file, first without its header. */
    test_bytes_write(test_plain_path, "WAL/wal-000004.seg", "STRA", 4);
    next_is(&r, 0);
    uint8_t header[32];
    test_bytes_read_at(test_plain_path, "WAL/wal-000003.seg", 0, header, sizeof header);
    header[8] = 4;
    test_bytes_write(test_plain_path, "WAL/wal-000004.seg", header, sizeof header);
    next_is(&r, 0);
    append_raw("WAL/wal-000004.seg", record, 184);
    next_is(&r, 22);
    next_is(&r, 0);
    free(record);
    test_plain_shut(&r);
}

static void rename_in(const char *from, const char *to)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;

    assert_int_equal(io->dir_open(io, NULL, test_plain_path, 0, &dir, NULL), 0);
    assert_int_equal(io->rename(io, dir, from, to, 0), 0);
    io->dir_close(io, dir);
}

static void test_plain_beside__a_rotation(void **state)
{
    (void)state;
    uint8_t header[32], *record;
    struct test_plain_reader r;
    unsigned records;

    test_plain_fresh("dbkv");
    record = record_at("wal-current.log", 32, 44);
    test_bytes_read_at(test_plain_path, "wal-current.log", 0, header, sizeof header);
    size_t len = 4 + vv_get_u32_be(record);
    free(record);
    record = record_at("wal-current.log", 32, len);
    assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_DEFAULT, VARVE_POLICY_DEFAULT), 0);
    assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
    /* Each step of a rotation, and records on both sides of it. */
    append_raw("wal-current.log", record, len);
    test_bytes_write(test_plain_path, "wal-current-new.log", header, sizeof header);
    next_is(&r, 21);
    rename_in("wal-current.log", "wal-1795178800.log");
    next_is(&r, 0);
    append_raw("wal-current-new.log", record, len);
    next_is(&r, 22);
    rename_in("wal-current-new.log", "wal-current.log");
    append_raw("wal-current.log", record, len);
    next_is(&r, 23);
    /* Two at once. */
    append_raw("wal-current.log", record, len);
    rename_in("wal-current.log", "wal-1795178801.log");
    test_bytes_write(test_plain_path, "wal-1795178802.log", header, sizeof header);
    append_raw("wal-1795178802.log", record, len);
    test_bytes_write(test_plain_path, "wal-current.log", header, sizeof header);
    append_raw("wal-current.log", record, len);
    for (unsigned lsn = 24; lsn <= 26; lsn++) {
        next_is(&r, lsn);
    }
    next_is(&r, 0);
    test_plain_shut(&r);
    /* A next file that holds records, beside the active one: which is the log's? */
    test_bytes_write(test_plain_path, "wal-current-new.log", header, sizeof header);
    assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_TRUNCATE, VARVE_POLICY_TRUNCATE), 0);
    test_plain_shut(&r);
    append_raw("wal-current-new.log", record, len);
    assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_TRUNCATE, VARVE_POLICY_TRUNCATE),
                     VARVE_E_CORRUPT);
    assert_non_null(strstr(r.error.message, "wal-current-new.log holds records"));
    free(record);
}

/* A writer of this library holds LOCK: what does not decode at the end is a write under way, not damage. */
static void test_plain_beside__a_lock(void **state)
{
    (void)state;
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;
    struct varve_file *lock;
    struct test_plain_reader r;
    unsigned records;

    test_plain_fresh("lfwal");
    test_bytes_write(test_plain_path, "LOCK", "", 0);
    assert_int_equal(io->dir_open(io, NULL, test_plain_path, 0, &dir, NULL), 0);
    assert_int_equal(io->open(io, dir, "LOCK", VARVE_IO_WRITE, &lock), 0);
    assert_int_equal(io->lock(io, lock, 1), 0);
    test_bytes_flip(test_plain_path, "wal.log", 70, 1); /* of record 2 */
    assert_int_equal(test_plain_open(&r, NULL, VARVE_POLICY_HALT, VARVE_POLICY_HALT), 0);
    assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
    assert_int_equal(records, 1);
    test_bytes_flip(test_plain_path, "wal.log", 70, 1);
    next_is(&r, 2);
    assert_int_equal(test_plain_read_on(&r, &records), VARVE_END);
    assert_int_equal(records, 18);
    /* The writer is gone: now it is judged. */
    test_bytes_flip(test_plain_path, "wal.log", 70, 1);
    assert_int_equal(varve_cursor_seek_lsn(r.cursor, 1), 0);
    next_is(&r, 1);
    next_is(&r, 0);
    io->close(io, lock);
    assert_int_equal(test_plain_read_on(&r, &records), VARVE_E_CORRUPT);
    test_plain_shut(&r);
    io->dir_close(io, dir);
}

/* -- VARVE -- */

static void gone(const char *name)
{
    struct varve_io *io = varve_io_system();
    char folder[64];
    struct varve_dir *dir;

    snprintf(folder, sizeof folder, "%s/WAL", test_plain_path);
    assert_int_equal(io->dir_open(io, NULL, folder, 0, &dir, NULL), 0);
    assert_int_equal(io->unlink(io, dir, name), 0);
    io->dir_close(io, dir);
}

static void put_side(const struct vv_side *side)
{
    struct varve_io *io = varve_io_system();
    struct varve_dir *dir;

    assert_int_equal(io->dir_open(io, NULL, test_plain_path, 0, &dir, NULL), 0);
    assert_int_equal(vv_plain_side_write(io, dir, side, NULL), 0);
    io->dir_close(io, dir);
}

/* The first and the last LSN that there are; or what refuses. */
static int bounds(uint64_t *ret_first, uint64_t *ret_last)
{
    struct test_plain_reader r;
    unsigned records;
    int rc = test_plain_open(&r, NULL, VARVE_POLICY_TRUNCATE, VARVE_POLICY_TRUNCATE);

    assert_int_equal(rc, 0);
    *ret_first = varve_first_lsn(r.log);
    *ret_last = varve_last_lsn(r.log);
    rc = test_plain_read_on(&r, &records);
    if (rc == VARVE_END) {
        assert_int_equal(records, *ret_last - *ret_first + 1);
        assert_int_equal(varve_cursor_seek_lsn(r.cursor, *ret_first), 0);
        next_is(&r, *ret_first);
        if (*ret_first > 1) {
            assert_int_equal(varve_cursor_seek_lsn(r.cursor, *ret_first - 1), VARVE_E_TRIMMED);
        }
    }
    test_plain_shut(&r);
    return rc;
}

static void test_plain_beside__lsns_over_trims(void **state)
{
    (void)state;
    struct vv_side side = {.format = "stra", .first = 1, .first_lsn = 101};
    uint64_t first, last, second;

    /* The records of each file: LSNs 1 to 20 in three. */
    test_plain_fresh("stra");
    gone("wal-000001.seg");
    assert_int_equal(bounds(&first, &last), VARVE_END);
    assert_int_equal(first, 1); /* nothing tells more */
    second = 20 - last + 1;
    test_plain_fresh("stra");
    put_side(&side);
    assert_int_equal(bounds(&first, &last), VARVE_END);
    assert_int_equal(first, 101);
    assert_int_equal(last, 120);
    /* Trimmed, and the file not removed yet. */
    side = (struct vv_side){.format = "stra", .first = 2, .first_lsn = 100 + second};
    put_side(&side);
    assert_int_equal(bounds(&first, &last), VARVE_END);
    assert_int_equal(first, 100 + second);
    assert_int_equal(last, 120);
    gone("wal-000001.seg");
    assert_int_equal(bounds(&first, &last), VARVE_END);
    assert_int_equal(first, 100 + second);
    /* Another program removes files: counted back from the anchor. */
    test_plain_fresh("stra");
    side = (struct vv_side){.format = "stra", .first = 1, .first_lsn = 101, .anchor = 3, .anchor_lsn = 121};
    put_side(&side);
    assert_int_equal(bounds(&first, &last), VARVE_END);
    assert_int_equal(first, 101);
    gone("wal-000001.seg");
    assert_int_equal(bounds(&first, &last), VARVE_END);
    assert_int_equal(first, 100 + second);
    assert_int_equal(last, 120);
    /* The anchor is the file before the first that is left. */
    side.anchor = 1;
    side.anchor_lsn = 150;
    put_side(&side);
    assert_int_equal(bounds(&first, &last), VARVE_END);
    assert_int_equal(first, 150);
    /* And where it is none of these, nothing is guessed. */
    gone("wal-000002.seg");
    assert_int_equal(bounds(&first, &last), VARVE_E_MISSING_SEGMENT);
    side.anchor_lsn = 0;
    put_side(&side);
    assert_int_equal(bounds(&first, &last), VARVE_E_MISSING_SEGMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_beside__a_writer),
        cmocka_unit_test(test_plain_beside__a_rotation),
        cmocka_unit_test(test_plain_beside__a_lock),
        cmocka_unit_test(test_plain_beside__lsns_over_trims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
