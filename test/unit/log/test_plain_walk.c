/* SPDX-License-Identifier: Apache-2.0 */
#include "log/plain_walk.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_walk__samples_read_as_their_manifests_say),
        cmocka_unit_test(test_plain_walk__torn_tails),
        cmocka_unit_test(test_plain_walk__damage_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
