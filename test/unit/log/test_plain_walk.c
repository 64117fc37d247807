/* SPDX-License-Identifier: Apache-2.0 */
#include "log/plain_walk.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/fault.h"
#include "lib/plain.h"
#include "lib/render.h"
#include "log/plain_side.h"

/* A log's directory, its files and a walk over them. */
struct place {
    struct varve_io *io;
    struct varve_dir *dir;
    struct vv_plain_files files;
    struct vv_plain_walk walk;
    struct varve_error error;
    struct vv_damage damages[8];
    unsigned told;
};

static int on_damage(void *arg, const struct vv_damage *damage)
{
    struct place *p = arg;

    if (p->told < 8) {
        p->damages[p->told] = *damage;
    }
    p->told++;
    return 0;
}

static void start(struct place *p, const char *format, const char *path, enum varve_policy policy)
{
    memset(p, 0, sizeof *p);
    p->io = varve_io_system();
    assert_int_equal(p->io->dir_open(p->io, NULL, path, 0, &p->dir, NULL), 0);
    assert_int_equal(vv_plain_files_load(&p->files, varve_format_get(format), p->io, p->dir, &p->error), 0);
    vv_plain_walk_init(&p->walk, &p->files, policy);
    p->walk.damaged = on_damage;
    p->walk.damaged_arg = p;
}

static void end(struct place *p)
{
    vv_plain_walk_free(&p->walk);
    vv_plain_files_free(&p->files);
    p->io->dir_close(p->io, p->dir);
}

/* Reads on; returns what ended it. */
static int read_on(struct place *p)
{
    struct vv_plain_record record;
    int rc;

    while ((rc = vv_plain_walk_next(&p->walk, &record, &p->error)) == 0) {
        ;
    }
    return rc;
}

/* The log at hand: what ends a walk under the policy. */
static int read_log(struct place *p, const char *format, enum varve_policy policy)
{
    start(p, format, test_plain_path, policy);
    return read_on(p);
}

static void test_plain_walk__samples_read_as_their_manifests_say(void **state)
{
    (void)state;
    for (const struct test_plain *s = test_plains; s->format; s++) {
        struct vv_plain_record record;
        struct place p;
        char *line, *manifest = test_plain_manifest(s, &line), text[16384];
        unsigned records = 0;

        test_plain_copy(s, test_plain_next());
        start(&p, s->format, test_plain_path, VARVE_POLICY_DEFAULT);
        int rc;
        while ((rc = vv_plain_walk_next(&p.walk, &record, &p.error)) == 0) {
            size_t at = vv_plain_files_find(&p.files, record.number);
            struct test_place place = {p.files.items[at].name, record.number, record.offset, records++};
            char *stop = strchr(line, '\n');

            *stop = 0;
            test_render_record(p.files.format, &place, &record.entry, record.data, text, sizeof text);
            assert_string_equal(text, line);
            assert_int_equal(record.lsn, records);
            line = stop + 1;
        }
        assert_int_equal(rc, VARVE_END);
        assert_int_equal(p.walk.damage.verdict, VARVE_VERDICT_CLEAN_END);
        assert_int_equal(*line, 0);
        assert_int_equal(records, s->records);
        assert_int_equal(p.walk.next_lsn, records + 1);
        assert_int_equal(p.walk.first_lsn, 1);
        assert_int_equal(p.walk.end.torn, 0);
        assert_int_equal(p.told, 0);
        end(&p);
        free(manifest);
    }
}

static void test_plain_walk__torn_tails(void **state)
{
    (void)state;
    struct test_plain_torn torn;
    for (unsigned i = 0; test_plain_torn_at(i, &torn); i++) {
        test_plain_tear(&torn, test_plain_next());
        uint64_t before = test_bytes_dir_sum(test_plain_path);
        for (int policy = VARVE_POLICY_DEFAULT; policy <= VARVE_POLICY_SKIP; policy++) {
            struct place p;
            int rc = read_log(&p, torn.format, (enum varve_policy)policy);
            bool halts = p.walk.policy == VARVE_POLICY_HALT;

            assert_int_equal(halts, policy == VARVE_POLICY_HALT ||
                                        (policy == VARVE_POLICY_DEFAULT && strcmp(torn.format, "aero") == 0));
            assert_int_equal(rc, halts ? VARVE_E_TORN : VARVE_END);
            assert_int_equal(p.walk.damage.verdict, VARVE_VERDICT_TORN);
            assert_int_equal(p.walk.damage.offset, torn.stop);
            assert_int_equal(p.walk.records, torn.records);
            assert_int_equal(p.walk.next_lsn, torn.records + 1);
            assert_int_equal(p.told, 0);
            if (!halts) {
                assert_int_equal(p.walk.end.offset, torn.stop);
                assert_int_equal(p.walk.end.bytes, torn.bytes);
                assert_int_equal(p.walk.end.torn, torn.bytes - torn.stop);
            }
            end(&p);
        }
        assert_int_equal(test_bytes_dir_sum(test_plain_path), before);
    }
}

/* A bit of a record's content in the first file, and records behind it. */
struct damage {
    const char *format, *file;
    uint64_t offset; /* of the byte that changes */
    uint64_t record; /* where the record begins that it is in */
    unsigned before; /* records that come first */
    unsigned left;   /* what skip gives */
};

static const struct damage damages[] = {
    {"stra", "WAL/wal-000001.seg", 150, 115, 2, 19},
    {"wlog", "wal/wal_000001.log", 120, 107, 2, 19},
    {"aero", "wal/wal.log", 75, 57, 1, 19},
    {"dbkv", "wal-1795178697.log", 60, 32, 0, 19},
    {"lfwal", "wal.log", 30, 0, 0, 19},
};

static void test_plain_walk__damage_in_the_middle(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const struct damage *d = &damages[i];
        test_plain_copy(test_plain_small(d->format), test_plain_next());
        test_bytes_flip(test_plain_path, d->file, d->offset, 3);
        for (int policy = VARVE_POLICY_DEFAULT; policy <= VARVE_POLICY_SKIP; policy++) {
            struct place p;
            int rc = read_log(&p, d->format, (enum varve_policy)policy);

            print_message("%s, %d: %s\n", d->format, policy, rc < 0 ? p.error.message : p.damages[0].message);
            if (p.walk.policy != VARVE_POLICY_SKIP) {
                assert_int_equal(rc, VARVE_E_CORRUPT);
                assert_int_equal(p.walk.damage.offset, d->record);
                assert_int_equal(p.walk.records, d->before);
                assert_non_null(
                    strstr(p.error.message, strrchr(d->file, '/') ? strrchr(d->file, '/') + 1 : d->file));
            } else {
                assert_int_equal(rc, VARVE_END);
                assert_int_equal(p.walk.damage.verdict, VARVE_VERDICT_CLEAN_END);
                assert_int_equal(p.told, 1);
                assert_int_equal(p.damages[0].offset, d->record);
                assert_int_equal(p.walk.records, d->left);
                assert_int_equal(p.walk.lost, 1);
                assert_int_equal(p.walk.next_lsn, 21);
            }
            end(&p);
        }
    }
}

/* A block of zeros inside a record, and sound ones behind it: where pages are written back in any order that
 * is what a power cut leaves, elsewhere a lost block. */
static void test_plain_walk__blocks_out_of_order(void **state)
{
    (void)state;
    static const struct {
        const char *format, *file;
        uint64_t zeros, record;
        unsigned before;
    } cases[] = {{"wlog", "wal/wal_000002.log", 2560, 2105, 14}, {"lfwal", "wal.log", 1024, 291, 4}};
    for (size_t i = 0; i < 2; i++) {
        bool cut = i == 0;
        struct place p;

        test_plain_copy(test_plain_small(cases[i].format), test_plain_next());
        test_bytes_fill(test_plain_path, cases[i].file, cases[i].zeros, 512, 0);
        int rc = read_log(&p, cases[i].format, VARVE_POLICY_TRUNCATE);
        assert_int_equal(rc, cut ? VARVE_END : VARVE_E_CORRUPT);
        assert_int_equal(p.walk.damage.verdict, cut ? VARVE_VERDICT_TORN : VARVE_VERDICT_CORRUPT);
        assert_int_equal(p.walk.damage.offset, cases[i].record);
        assert_int_equal(p.walk.records, cases[i].before);
        assert_non_null(
            strstr(p.walk.damage.message, cut ? "5 records behind them are given up" : "a block is lost"));
        if (cut) {
            assert_int_equal(p.walk.end.torn, p.walk.end.bytes - cases[i].record);
        }
        end(&p);
        assert_int_equal(read_log(&p, cases[i].format, VARVE_POLICY_HALT),
                         cut ? VARVE_E_TORN : VARVE_E_CORRUPT);
        end(&p);
        assert_int_equal(read_log(&p, cases[i].format, VARVE_POLICY_SKIP), VARVE_END);
        assert_int_equal(p.walk.records, 19);
        assert_int_equal(p.walk.lost, 1);
        end(&p);
    }
}

/* In formats without numbers two records that are damaged side by side count two, and a stretch without a
 * length that helps counts one. */
static void test_plain_walk__skipped_regions_are_counted(void **state)
{
    (void)state;
    static const uint8_t length[4] = {0, 0, 0, 1}; /* below any */
    struct place p;

    test_plain_copy(test_plain_small("dbkv"), test_plain_next());
    test_bytes_flip(test_plain_path, "wal-1795178697.log", 60, 0);
    test_bytes_flip(test_plain_path, "wal-1795178697.log", 100, 0);
    test_bytes_patch(test_plain_path, "wal-1795178697.log", 121, length, sizeof length);
    assert_int_equal(read_log(&p, "dbkv", VARVE_POLICY_DEFAULT), VARVE_END);
    assert_int_equal(p.told, 3);
    assert_int_equal(p.walk.records, 17);
    assert_int_equal(p.walk.lost, 3);
    assert_int_equal(p.damages[1].offset, 76);
    assert_int_equal(p.damages[2].offset, 121);
    assert_int_equal(p.damages[2].end_offset, 277);
    end(&p);
    /* aero's numbers say how many are gone. */
    test_plain_copy(test_plain_small("aero"), test_plain_next());
    test_bytes_patch(test_plain_path, "wal/wal.log", 57, length, sizeof length);
    test_bytes_flip(test_plain_path, "wal/wal.log", 130, 0);
    assert_int_equal(read_log(&p, "aero", VARVE_POLICY_SKIP), VARVE_END);
    assert_int_equal(p.walk.records, 18);
    assert_int_equal(p.walk.lost, 2);
    assert_int_equal(p.walk.next_lsn, 21);
    end(&p);
}

/* A read that fails is an error under every policy, at whatever call. */
static void test_plain_walk__read_errors(void **state)
{
    (void)state;
    bool failed = true;

    test_plain_copy(test_plain_small("stra"), test_plain_next());
    test_bytes_flip(test_plain_path, "WAL/wal-000001.seg", 150, 3);
    for (long n = 0; failed; n++) {
        struct vv_plain_files files;
        struct vv_plain_walk walk;
        struct vv_plain_record record;
        struct varve_error error;
        struct test_fault fault;
        struct varve_dir *dir;

        assert_true(n < 300);
        test_fault_init(&fault, varve_io_system());
        assert_int_equal(fault.pass.io.dir_open(&fault.pass.io, NULL, test_plain_path, 0, &dir, NULL), 0);
        test_fault_fail_after(&fault, n, EIO);
        int rc = vv_plain_files_load(&files, varve_format_get("stra"), &fault.pass.io, dir, &error);
        bool facts = rc == 0 && (files.meta_rc == VARVE_E_IO || files.side_rc == VARVE_E_IO);
        if (rc == 0) {
            vv_plain_walk_init(&walk, &files, VARVE_POLICY_SKIP);
            while ((rc = vv_plain_walk_next(&walk, &record, &error)) == 0) {
                ;
            }
            assert_true(rc != VARVE_END || walk.records == 19);
            vv_plain_walk_free(&walk);
            vv_plain_files_free(&files);
        }
        failed = test_fault_left(&fault) < 0;
        test_fault_disarm(&fault);
        fault.pass.io.dir_close(&fault.pass.io, dir);
        test_fault_close(&fault);
        assert_true(facts || rc == (failed ? VARVE_E_IO : VARVE_END));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_walk__samples_read_as_their_manifests_say),
        cmocka_unit_test(test_plain_walk__torn_tails),
        cmocka_unit_test(test_plain_walk__damage_in_the_middle),
        cmocka_unit_test(test_plain_walk__blocks_out_of_order),
        cmocka_unit_test(test_plain_walk__skipped_regions_are_counted),
        cmocka_unit_test(test_plain_walk__read_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
