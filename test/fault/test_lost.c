/* SPDX-License-Identifier: Apache-2.0 */
/* Setting damage aside in lost/ while the disk fails: whole and durable, or the log does not go on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/fault.h"
#include "lib/sample.h"

enum {
    RECORDS = 28,
    DAMAGED = 3
};

struct damaged {
    struct test_sample sample;
    struct test_sample_frame frame; /* where the damaged record lies */
    struct test_fault fault;
};

static void begin(struct damaged *d)
{
    test_sample_make(&d->sample, TEST_SAMPLE_BIG, RECORDS, false);
    test_sample_map(&d->sample);
    d->frame = *test_sample_frame_of(&d->sample, DAMAGED);
    test_sample_flip(&d->sample, d->frame.segment, d->frame.offset + 200, 3);
    test_fault_init(&d->fault, &d->sample.memory.io);
}

static void end(struct damaged *d)
{
    assert_int_equal(atomic_load(&d->fault.open_files), 0);
    assert_int_equal(atomic_load(&d->fault.open_dirs), 0);
    test_fault_close(&d->fault);
    test_sample_close(&d->sample);
}

/* Opens with the policy skip, and closes. */
static int skip_over(struct damaged *d)
{
    struct varve_options options = d->sample.options;
    struct varve_log *log;
    options.io = &d->fault.pass.io;
    options.policy = VARVE_POLICY_SKIP;
    int rc = varve_open("log", &options, &log, NULL);
    return rc != 0 ? rc : varve_close(log, NULL);
}

/* Once it has gone on, a power cut does not take the acceptance away. */
static void accepted_for_good(struct damaged *d)
{
    struct test_memory cut;
    struct varve_options options = d->sample.options;
    struct varve_error error = {.message = ""};
    struct varve_log *log;
    test_memory_crash(&d->sample.memory, TEST_CRASH_NOTHING, NULL, &cut);
    options.io = &cut.io;
    if (varve_open("log", &options, &log, &error) != 0) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(varve_close(log, NULL), 0);
    test_memory_close(&cut);
}

/* Each step fails once, and the next try finds what that has left. */
static void test_lost__tried_again(void **state)
{
    (void)state;
    static const struct test_fault_rule steps[] = {
        {.op = TEST_OP_DIR_OPEN, .prefix = "lost"},
        {.op = TEST_OP_DIR_SYNC, .prefix = "log"},
        {.op = TEST_OP_CREATE, .prefix = "wal-"},
        {.op = TEST_OP_SYNC, .prefix = "wal-"},
        {.op = TEST_OP_CREATE, .prefix = "index"},
        {.op = TEST_OP_WRITE, .prefix = "index"},
        {.op = TEST_OP_SYNC, .prefix = "index"},
        {.op = TEST_OP_DIR_SYNC, .prefix = "lost"},
        {.op = TEST_OP_DIR_SYNC, .prefix = "lost", .error = ENOSPC},
    };
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct damaged d;
        begin(&d);
        int number = test_fault_arm(&d.fault, &steps[i]);
        assert_int_equal(skip_over(&d), steps[i].error == ENOSPC ? VARVE_E_NOSPC : VARVE_E_IO);
        assert_int_equal(test_fault_hits(&d.fault, number), 1);
        test_fault_disarm(&d.fault);
        assert_int_equal(skip_over(&d), 0);
        accepted_for_good(&d);
        end(&d);
    }
}

/* All of the damaged bytes, also when they come a few at a time, or an error. */
static void test_lost__whole(void **state)
{
    (void)state;
    unsigned kept = 0, refused = 0;
    for (long n = 0;; n++) {
        struct damaged d;
        struct varve_dir *lost;
        char name[64];
        size_t bytes;
        begin(&d);
        const struct test_fault_rule rule = {.op = TEST_OP_PREAD,
                                             .prefix = "wal-",
                                             .after = n,
                                             .action = TEST_FAULT_SHORT,
                                             .bytes = n % 2 ? 7 : 0};
        int number = test_fault_arm(&d.fault, &rule);
        int rc = skip_over(&d);
        bool hit = test_fault_hits(&d.fault, number) > 0;
        assert_true(rc == 0 || rc == VARVE_E_IO);
        kept += rc == 0;
        refused += rc != 0;
        if (rc == 0) {
            struct varve_io *io = &d.sample.memory.io;
            struct varve_dir *dir = test_sample_dir(&d.sample);
            (void)snprintf(name, sizeof name, "wal-0000000000000001-%llu.bin",
                           (unsigned long long)d.frame.offset);
            assert_int_equal(io->dir_open(io, dir, "lost", 0, &lost, NULL), 0);
            unsigned char *aside = test_bytes_io_read(io, lost, name, &bytes);
            unsigned char *segment = test_sample_read(&d.sample, 1, NULL);
            assert_int_equal(bytes, d.frame.bytes);
            assert_memory_equal(aside, segment + d.frame.offset, bytes);
            free(aside);
            free(segment);
            io->dir_close(io, lost);
            io->dir_close(io, dir);
        }
        end(&d);
        if (!hit) {
            break;
        }
    }
    assert_true(kept > 3 && refused > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost__tried_again),
        cmocka_unit_test(test_lost__whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
