/* SPDX-License-Identifier: Apache-2.0 */
#include "log/lost.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/fault.h"
#include "lib/memory.h"
#include "log/walk.h"

struct place {
    struct test_memory memory;
    struct test_fault fault;
    struct varve_io *io;
    struct varve_dir *dir;
    struct vv_lost lost;
};

static struct place place;

static int setup(void **state)
{
    struct varve_file *file;
    char content[1000];
    (void)state;
    test_memory_init(&place.memory, 512);
    test_fault_init(&place.fault, &place.memory.io);
    place.io = &place.fault.pass.io;
    assert_int_equal(place.io->dir_open(place.io, NULL, "log", 1, &place.dir, NULL), 0);
    /* A segment to copy from: it need not be one. */
    for (unsigned i = 0; i < sizeof content; i++) {
        content[i] = (char)(i * 7);
    }
    assert_int_equal(place.io->open(place.io, place.dir, "wal-0000000000000003.seg",
                                    VARVE_IO_WRITE | VARVE_IO_CREATE, &file),
                     0);
    place.io->close(place.io, file);
    test_bytes_io_patch(place.io, place.dir, "wal-0000000000000003.seg", 0, content, sizeof content);
    assert_int_equal(vv_lost_load(&place.lost, place.io, place.dir, NULL), 0);
    assert_int_equal(place.lost.count, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vv_lost_free(&place.lost);
    place.io->dir_close(place.io, place.dir);
    assert_int_equal(atomic_load(&place.fault.open_files), 0);
    assert_int_equal(atomic_load(&place.fault.open_dirs), 0);
    test_fault_close(&place.fault);
    test_memory_close(&place.memory);
    return 0;
}

static struct vv_damage damage(uint64_t first, uint64_t last, uint64_t offset, uint64_t end)
{
    return (struct vv_damage){.verdict = VARVE_VERDICT_CORRUPT,
                              .segment = 3,
                              .offset = offset,
                              .end_offset = end,
                              .lsn_first = first,
                              .lsn_last = last};
}

static int add(uint64_t first, uint64_t last, uint64_t offset, uint64_t end, struct varve_error *ret_error)
{
    const struct vv_damage d = damage(first, last, offset, end);
    return vv_lost_add(&place.lost, place.io, place.dir, place.dir, &d, ret_error);
}

static void reload(void)
{
    struct varve_error error = {0};
    vv_lost_free(&place.lost);
    if (vv_lost_load(&place.lost, place.io, place.dir, &error) != 0) {
        fail_msg("%s", error.message);
    }
}

/* A file in lost/, to be freed. */
static char *read_lost(const char *name, size_t *ret_bytes)
{
    struct varve_dir *sub;
    assert_int_equal(place.io->dir_open(place.io, place.dir, "lost", 0, &sub, NULL), 0);
    char *content = test_bytes_io_read(place.io, sub, name, ret_bytes);
    place.io->dir_close(place.io, sub);
    return content;
}

static void write_index(const char *text, size_t len)
{
    struct varve_dir *sub;
    struct varve_file *file;
    assert_int_equal(place.io->dir_open(place.io, place.dir, "lost", 1, &sub, NULL), 0);
    (void)place.io->unlink(place.io, sub, "index");
    assert_int_equal(place.io->open(place.io, sub, "index", VARVE_IO_WRITE | VARVE_IO_CREATE, &file), 0);
    place.io->close(place.io, file);
    test_bytes_io_patch(place.io, sub, "index", 0, text, len);
    place.io->dir_close(place.io, sub);
}

static void test_lost__add(void **state)
{
    (void)state;
    size_t bytes;
    assert_int_equal(add(10, 12, 200, 300, NULL), 0);
    assert_int_equal(add(20, 20, 0, 0, NULL), 0);      /* a whole segment is missing: no bytes */
    assert_int_equal(add(30, 39, 900, 5000, NULL), 0); /* past the end of the file */
    assert_int_equal(add(10, 12, 200, 300, NULL), 0);  /* is there already */
    for (int life = 0; life < 2; life++) {
        assert_int_equal(place.lost.count, 3);
        assert_true(vv_lost_has(&place.lost, 10, 12));
        assert_true(vv_lost_has(&place.lost, 20, 20));
        assert_true(vv_lost_has(&place.lost, 30, 39));
        assert_false(vv_lost_has(&place.lost, 10, 11));
        assert_false(vv_lost_has(&place.lost, 11, 12));
        assert_int_equal(vv_lost_from(&place.lost, 10), 12);
        assert_int_equal(vv_lost_from(&place.lost, 30), 39);
        assert_int_equal(vv_lost_from(&place.lost, 31), 0);
        reload();
    }
    char *copy = read_lost("wal-0000000000000003-200.bin", &bytes);
    assert_int_equal(bytes, 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(copy[i], (char)((200 + i) * 7));
    }
    free(copy);
    copy = read_lost("wal-0000000000000003-900.bin", &bytes);
    assert_int_equal(bytes, 100);
    free(copy);
    /* What the index says, a person reads too. */
    copy = read_lost("index", &bytes);
    assert_non_null(
        strstr(copy, "lsn 10 to 12 segment 3 offset 200 corrupt file wal-0000000000000003-200.bin"));
    free(copy);
}

/* When add has returned, a power cut takes nothing of it. */
static void test_lost__is_durable(void **state)
{
    (void)state;
    struct test_memory cut;
    struct varve_dir *dir;
    struct vv_lost lost;
    assert_int_equal(place.io->dir_sync_parent(place.io, place.dir), 0);
    assert_int_equal(add(10, 12, 200, 300, NULL), 0);
    test_memory_crash(&place.memory, TEST_CRASH_NOTHING, NULL, &cut);
    assert_int_equal(cut.io.dir_open(&cut.io, NULL, "log", 0, &dir, NULL), 0);
    assert_int_equal(vv_lost_load(&lost, &cut.io, dir, NULL), 0);
    assert_true(vv_lost_has(&lost, 10, 12));
    vv_lost_free(&lost);
    cut.io.dir_close(&cut.io, dir);
    test_memory_close(&cut);
}

/* Lines that do not check are no acceptance of anything, and hide none of the others. */
static void test_lost__lines(void **state)
{
    (void)state;
    char text[40 * VV_LOST_LINE_BYTES];
    size_t used = 0;
    for (unsigned i = 0; i < 40; i++) {
        const struct vv_lost_line line = {.id = i + 1,
                                          .first = i + 1,
                                          .last = i + 1,
                                          .segment = 1,
                                          .offset = 4096,
                                          .what = VV_LOST_CORRUPT};
        size_t begin = used;
        used += vv_lost_encode(&line, text + used);
        text[begin + 5] = (char)(text[begin + 5] ^ (i % 4 == 1));
        if (i == 20) {
            memset(text + used, 'x', 5000); /* no line of ours, longer than what is read at once */
            used += 5000;
            text[used++] = '\n';
        }
        if (i == 30) {
            text[used++] = '\n';
            text[used++] = '\0';
            text[used++] = '\n';
        }
    }
    write_index(text, used - 10); /* the last one was cut off */
    reload();
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(vv_lost_has(&place.lost, i + 1, i + 1), i % 4 != 1 && i != 39);
    }
    assert_int_equal(place.lost.count, 29);
    assert_int_equal(place.lost.last_id, 39);
    assert_true(place.lost.unread >= 11);
}

/* A power cut left half a line: the next one is a line of its own all the same. */
static void test_lost__torn_line(void **state)
{
    (void)state;
    write_index("lsn 1 to 2 segm", 15);
    reload();
    assert_int_equal(place.lost.count, 0);
    assert_int_equal(add(10, 12, 200, 300, NULL), 0);
    assert_int_equal(add(20, 22, 300, 400, NULL), 0);
    reload();
    assert_int_equal(place.lost.count, 2);
    assert_true(vv_lost_has(&place.lost, 10, 12));
    assert_true(vv_lost_has(&place.lost, 20, 22));
}

/* Whatever fails, nothing is accepted, no half of a line stays, and a later try succeeds. */
static void test_lost__faults(void **state)
{
    (void)state;
    static const struct {
        struct test_fault_rule rule;
        int rc;
    } faults[] = {
        {{.op = TEST_OP_DIR_OPEN, .prefix = "lost"}, VARVE_E_IO},
        {{.op = TEST_OP_CREATE, .prefix = "wal-"}, VARVE_E_IO},
        {{.op = TEST_OP_PREAD, .prefix = "wal-"}, VARVE_E_IO},
        {{.op = TEST_OP_WRITE, .prefix = "wal-", .error = ENOSPC}, VARVE_E_NOSPC},
        {{.op = TEST_OP_SYNC, .prefix = "wal-"}, VARVE_E_IO},
        {{.op = TEST_OP_WRITE, .prefix = "index", .action = TEST_FAULT_SHORT, .bytes = 20}, VARVE_E_IO},
        {{.op = TEST_OP_WRITE, .prefix = "index", .action = TEST_FAULT_PARTIAL, .bytes = 20, .error = ENOSPC},
         VARVE_E_NOSPC},
        {{.op = TEST_OP_SYNC, .prefix = "index"}, VARVE_E_IO},
        {{.op = TEST_OP_STAT, .prefix = "index"}, VARVE_E_IO},
        {{.op = TEST_OP_PREAD, .prefix = "index"}, VARVE_E_IO},
        {{.op = TEST_OP_DIR_SYNC, .prefix = "lost"}, VARVE_E_IO},
    };
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct varve_error error = {0};
        uint64_t first = 100 * (i + 1);
        int rule = test_fault_arm(&place.fault, &faults[i].rule);
        assert_int_equal(add(first, first + 5, 100, 200, &error), faults[i].rc);
        assert_int_equal(test_fault_hits(&place.fault, rule), 1);
        assert_int_equal(error.code, faults[i].rc);
        assert_false(vv_lost_has(&place.lost, first, first + 5));
        test_fault_disarm(&place.fault);
        assert_int_equal(add(first, first + 5, 100, 200, &error), 0);
    }
    reload();
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++) {
        assert_true(vv_lost_has(&place.lost, 100 * (i + 1), 100 * (i + 1) + 5));
    }
    test_fault_fail_once(&place.fault, TEST_OP_PREAD, 0, EIO);
    vv_lost_free(&place.lost);
    assert_int_equal(vv_lost_load(&place.lost, place.io, place.dir, NULL), VARVE_E_IO);
    test_fault_disarm(&place.fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lost__add, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost__is_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost__lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost__torn_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost__faults, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
