/* SPDX-License-Identifier: Apache-2.0 */
/* Which second directory a log has, what opening refuses, and what the others make of both. */
#include "log/failover.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/device.h"
#include "log/manifest.h"
#include "varve/codec.h"
#include "varve/health.h"
#include "varve/inspect.h"
#include "varve/pin.h"
#include "varve/repair.h"

struct scene {
    struct test_bed bed;
    struct test_device device;
};

static void begin(struct scene *s, const char *failover_dir)
{
    const struct varve_options options = {.slot_bytes = 8192,
                                          .failover_dir = failover_dir,
                                          .mark_idle_ms = UINT32_MAX,
                                          .stall_ms = UINT32_MAX,
                                          .breaker_first_ms = 5,
                                          .breaker_max_ms = 10};
    bed_init(&s->bed, BED_MEMORY, &options, 700);
    test_device_init(&s->device, &s->bed.fault.pass.io);
    s->bed.options.io = &s->device.pass.io;
}

static void start(struct scene *s, const char *failover_dir)
{
    begin(s, failover_dir);
    if (bed_open(&s->bed) != 0) {
        fail_msg("%s", s->bed.error.message);
    }
}

static void end(struct scene *s)
{
    if (s->bed.log != NULL) {
        assert_int_equal(bed_shut(&s->bed), 0);
    }
    test_ledger_reopen(&s->bed.ledger, s->bed.path, &s->bed.options);
    bed_end(&s->bed);
}

static void fill(struct scene *s, unsigned count)
{
    assert_int_equal(test_ledger_fill(&s->bed.ledger, s->bed.log, count), 0);
}

/* Ten records here, and ten there; the log is open, and cannot come home. */
static void start_away(struct scene *s)
{
    start(s, "/away");
    fill(s, 10);
    test_device_set(&s->device, 0, TEST_DEVICE_FAILS);
    fill(s, 10);
    assert_true(vv_failover_away(s->bed.log));
}

static void refuse(struct scene *s, int code, const char *word)
{
    int rc = bed_open(&s->bed);
    if (rc == 0) {
        (void)bed_shut(&s->bed);
        fail_msg("opened, and not %s", varve_error_name(code));
    }
    if (rc != code || strstr(s->bed.error.message, word) == NULL) {
        fail_msg("%s, not %s: %s", varve_error_name(rc), varve_error_name(code), s->bed.error.message);
    }
}

/* Moves the second directory out of the way, or back. */
static void move_dir(struct scene *s, const char *from, const char *to)
{
    struct varve_io *io = &s->bed.memory.io;
    struct varve_dir *root;
    assert_int_equal(io->dir_open(io, NULL, "/", 0, &root, NULL), 0);
    assert_int_equal(io->rename(io, root, from, to, 0), 0);
    io->dir_close(io, root);
}

/* -- opening -- */

/* MANIFEST names it, so it is found again without the option, by whoever reads and by whoever writes. */
static void test_failover__found_by_manifest(void **state)
{
    (void)state;
    struct scene s;
    start_away(&s);
    assert_int_equal(bed_shut(&s.bed), 0);
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    s.bed.options.failover_dir = NULL;
    s.bed.options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(bed_open(&s.bed), 0);
    assert_int_equal(test_ledger_check(&s.bed.ledger, s.bed.log), 20);
    assert_int_equal(bed_shut(&s.bed), 0);
    s.bed.options.flags = 0;
    assert_int_equal(bed_open(&s.bed), 0);
    assert_false(vv_failover_away(s.bed.log));
    fill(&s, 10);
    assert_int_equal(test_ledger_check(&s.bed.ledger, s.bed.log), 30);
    end(&s);
}

static void test_failover__not_there(void **state)
{
    (void)state;
    struct scene s;
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_error error;
    start_away(&s);
    assert_int_equal(bed_shut(&s.bed), 0);
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    move_dir(&s, "away", "elsewhere");
    for (int i = 0; i < 2; i++) {
        s.bed.options.failover_dir = i == 0 ? NULL : "/away";
        refuse(&s, VARVE_E_IO, "may hold records");
    }
    s.bed.options.flags = VARVE_OPEN_READ_ONLY;
    refuse(&s, VARVE_E_IO, "may hold records");
    s.bed.options.flags = 0;
    assert_int_equal(varve_verify("log", &s.bed.options, NULL, NULL, &result, &error), VARVE_E_IO);
    /* An empty directory in its place, as where a device is not mounted. */
    struct varve_io *io = &s.device.pass.io;
    struct varve_dir *dir;
    assert_int_equal(io->dir_open(io, NULL, "/away", 1, &dir, NULL), 0);
    io->dir_close(io, dir);
    refuse(&s, VARVE_E_IO, "mounted?");
    /* Another one does not do, as long as the first may hold records. */
    s.bed.options.failover_dir = "/third";
    refuse(&s, VARVE_E_IO, "mounted?");
    s.bed.options.failover_dir = "";
    refuse(&s, VARVE_E_IO, "mounted?");
    /* It was moved: that is said by the option, and holds from then on. */
    s.bed.options.failover_dir = "/elsewhere";
    assert_int_equal(bed_open(&s.bed), 0);
    assert_int_equal(test_ledger_check(&s.bed.ledger, s.bed.log), 20);
    assert_int_equal(bed_shut(&s.bed), 0);
    s.bed.options.failover_dir = NULL;
    end(&s);
}

static void test_failover__another_logs(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "/away");
    fill(&s, 5);
    struct varve_options options = s.bed.options;
    struct varve_log *other;
    struct varve_error error;
    /* While it is in use, and after. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(varve_open("other", &options, &other, &error), VARVE_E_INVALID);
        assert_non_null(strstr(error.message, "mounted?"));
        if (i == 0) {
            assert_int_equal(bed_shut(&s.bed), 0);
        }
    }
    options.failover_dir = NULL;
    assert_int_equal(varve_open("other", &options, &other, &error), 0);
    assert_int_equal(varve_close(other, NULL), 0);
    options.failover_dir = "/away";
    assert_int_equal(varve_open("other", &options, &other, &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, "another log"));
    /* Nor another log's own directory, nor this one's. */
    s.bed.options.failover_dir = "/other";
    refuse(&s, VARVE_E_EXISTS, "holds a log");
    s.bed.options.failover_dir = "/log";
    refuse(&s, VARVE_E_EXISTS, "holds a log");
    s.bed.options.failover_dir = NULL;
    end(&s);
}

/* Whoever takes the second directory for the log is told. */
static void test_failover__not_a_log(void **state)
{
    (void)state;
    struct scene s;
    struct varve_log *log;
    struct varve_error error;
    start_away(&s);
    assert_int_equal(varve_open("/away", &s.bed.options, &log, &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, "second directory"));
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    end(&s);
}

static void test_failover__given_up(void **state)
{
    (void)state;
    struct scene s;
    start_away(&s);
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    BED_UNTIL(!vv_failover_away(s.bed.log));
    fill(&s, 1);
    assert_int_equal(bed_shut(&s.bed), 0);
    s.bed.options.failover_dir = "";
    refuse(&s, VARVE_E_INVALID, "still holds segments");
    s.bed.options.failover_dir = "/third";
    refuse(&s, VARVE_E_INVALID, "still holds segments");
    s.bed.options.failover_dir = NULL;
    assert_int_equal(bed_open(&s.bed), 0);
    fill(&s, 1);
    assert_int_equal(varve_trim(s.bed.log, varve_durable_lsn(s.bed.log), NULL), 0);
    assert_int_equal(bed_shut(&s.bed), 0);
    s.bed.options.failover_dir = "/third";
    assert_int_equal(bed_open(&s.bed), 0);
    assert_string_equal(s.bed.log->manifest.failover, "/third");
    fill(&s, 1);
    assert_int_equal(bed_shut(&s.bed), 0);
    s.bed.options.failover_dir = "";
    assert_int_equal(bed_open(&s.bed), 0);
    assert_null(s.bed.log->failover);
    assert_string_equal(s.bed.log->manifest.failover, "");
    fill(&s, 1);
    end(&s);
}

/* With the policy skip a log does without a second directory that is lost. */
static void test_failover__lost(void **state)
{
    (void)state;
    struct scene s;
    start_away(&s);
    assert_int_equal(bed_shut(&s.bed), 0);
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    move_dir(&s, "away", "gone");
    s.bed.options.failover_dir = "";
    s.bed.options.policy = VARVE_POLICY_SKIP;
    assert_int_equal(bed_open(&s.bed), 0);
    assert_int_equal(varve_last_lsn(s.bed.log), 10);
    assert_int_equal(bed_shut(&s.bed), 0);
    bed_end(&s.bed);
}

static void test_failover__options(void **state)
{
    (void)state;
    struct scene s;
    char path[VV_MANIFEST_PATH_BYTES + 10];
    begin(&s, "a\nb");
    refuse(&s, VARVE_E_INVALID, "failover_dir");
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = 0;
    s.bed.options.failover_dir = path;
    refuse(&s, VARVE_E_INVALID, "failover_dir");
    s.bed.options.failover_dir = "/away";
    s.bed.options.format = "stra";
    s.bed.options.mark_idle_ms = 0;
    refuse(&s, VARVE_E_UNSUPPORTED, "failover_dir");
    bed_end(&s.bed);
}

/* -- going on -- */

/* The next segment cannot be made here, for whatever reason but want of space. */
static void test_failover__no_next_segment(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "/away");
    BED_UNTIL(atomic_load(&s.bed.log->failover->standby) == 1);
    test_fault_arm(&s.bed.fault,
                   &(struct test_fault_rule){.op = TEST_OP_ALLOCATE, .prefix = "new-0", .error = EROFS});
    test_fault_arm(&s.bed.fault, &(struct test_fault_rule){.op = TEST_OP_ANY_CHANGE,
                                                           .prefix = "new-probe",
                                                           .times = TEST_FAULT_FOREVER});
    BED_UNTIL(test_ledger_append(&s.bed.ledger, s.bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0 &&
              vv_failover_away(s.bed.log));
    fill(&s, 10);
    test_fault_disarm(&s.bed.fault);
    BED_UNTIL(!vv_failover_away(s.bed.log));
    fill(&s, 10);
    end(&s);
}

/* A full disk is the operator's, and filling the second one would not help. */
static void test_failover__full_disk_stays(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "/away");
    BED_UNTIL(atomic_load(&s.bed.log->failover->standby) == 1);
    test_device_set(&s.device, 0, TEST_DEVICE_FULL);
    BED_UNTIL(test_ledger_append(&s.bed.ledger, s.bed.log, VARVE_DURABILITY_DEFAULT, NULL) == VARVE_E_NOSPC);
    assert_false(vv_failover_away(s.bed.log));
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    BED_UNTIL(test_ledger_append(&s.bed.ledger, s.bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
    end(&s);
}

static void test_failover__both_fail(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "/away");
    fill(&s, 10);
    test_device_set(&s.device, 0, TEST_DEVICE_FAILS);
    test_device_set(&s.device, 1, TEST_DEVICE_FAILS);
    assert_int_equal(test_ledger_fill(&s.bed.ledger, s.bed.log, 1), VARVE_E_SYNC);
    assert_int_equal(varve_error_first(s.bed.log, NULL), VARVE_E_SYNC);
    assert_int_equal(bed_shut(&s.bed), VARVE_E_SYNC);
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    test_device_set(&s.device, 1, TEST_DEVICE_WELL);
    end(&s);
}

/* The second device fails, and the first one is well. */
static void test_failover__away_fails_alone(void **state)
{
    (void)state;
    struct scene s;
    start(&s, "/away");
    fill(&s, 10);
    test_device_set(&s.device, 1, TEST_DEVICE_DEAD);
    for (int i = 0; i < 3; i++) {
        while (bed_stats(&s.bed).segments_opened < (uint64_t)i + 2) {
            fill(&s, 50);
        }
        assert_int_equal(varve_trim(s.bed.log, varve_durable_lsn(s.bed.log) - 10, NULL), 0);
    }
    test_device_set(&s.device, 1, TEST_DEVICE_WELL);
    end(&s);
}

/* Trimming and pins while the log is there, and what the next life finds of them. */
static void test_failover__trims_and_pins(void **state)
{
    (void)state;
    struct scene s;
    const struct varve_pin pin = {.size = sizeof pin, .name = "reader"};
    start(&s, "/away");
    assert_int_equal(varve_pin_set(s.bed.log, &pin, NULL), 0);
    fill(&s, 10);
    test_device_set(&s.device, 0, TEST_DEVICE_FAILS);
    while (bed_stats(&s.bed).segments_opened < 4) {
        fill(&s, 50);
    }
    uint64_t durable = varve_durable_lsn(s.bed.log), first;
    assert_int_equal(varve_pin_move(s.bed.log, "reader", durable, 0, NULL), 0);
    assert_int_equal(varve_trim(s.bed.log, durable, &first), 0);
    assert_true(first > 11);
    assert_int_equal(bed_shut(&s.bed), 0);
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    assert_int_equal(bed_open(&s.bed), 0);
    assert_int_equal(varve_first_lsn(s.bed.log), first);
    assert_int_equal(s.bed.log->pins->count, 1);
    assert_int_equal(s.bed.log->pins->pin[0].lsn, durable);
    end(&s);
}

/* -- what others make of it -- */

static void test_failover__tools(void **state)
{
    (void)state;
    struct scene s;
    struct varve_verify_result result = {.size = sizeof result};
    struct varve_info info = {.size = sizeof info};
    struct varve_repair_result repaired = {.size = sizeof repaired};
    struct varve_rekey_result rekeyed = {.size = sizeof rekeyed};
    struct varve_error error;
    start_away(&s);
    s.bed.options.failover_dir = NULL;
    /* Beside the writer, while it is there. */
    assert_int_equal(varve_info_read("log", &s.bed.options, &info, &error), 0);
    assert_true(info.writer_alive);
    assert_int_equal(info.last_lsn, 20);
    assert_int_equal(bed_shut(&s.bed), 0);
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    assert_int_equal(varve_verify("log", &s.bed.options, NULL, NULL, &result, &error), 0);
    assert_int_equal(result.found.records, 20);
    assert_int_equal(result.damages, 0);
    assert_true(result.clean_shutdown);
    /* A copy holds everything, and goes nowhere. */
    if (varve_rekey("log", "copy", &s.bed.options, &rekeyed, &error) != 0) {
        fail_msg("%s", error.message);
    }
    struct varve_options options = s.bed.options;
    struct varve_log *log;
    options.failover_dir = NULL;
    assert_int_equal(varve_open("copy", &options, &log, &error), 0);
    assert_null(log->failover);
    assert_int_equal(test_ledger_check(&s.bed.ledger, log), 20);
    assert_int_equal(varve_close(log, NULL), 0);
    assert_int_equal(varve_repair("log", NULL, &s.bed.options, 0, NULL, NULL, NULL, &repaired, &error), 0);
    assert_int_equal(repaired.damages, 0);
    assert_int_equal(varve_repair("log", "mended", &s.bed.options, 0, NULL, NULL, NULL, &repaired, &error),
                     0);
    assert_int_equal(varve_open("mended", &options, &log, &error), 0);
    assert_null(log->failover);
    assert_int_equal(test_ledger_check(&s.bed.ledger, log), 20);
    assert_int_equal(varve_close(log, NULL), 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failover__found_by_manifest),
        cmocka_unit_test(test_failover__not_there),
        cmocka_unit_test(test_failover__another_logs),
        cmocka_unit_test(test_failover__not_a_log),
        cmocka_unit_test(test_failover__given_up),
        cmocka_unit_test(test_failover__lost),
        cmocka_unit_test(test_failover__options),
        cmocka_unit_test(test_failover__no_next_segment),
        cmocka_unit_test(test_failover__full_disk_stays),
        cmocka_unit_test(test_failover__both_fail),
        cmocka_unit_test(test_failover__away_fails_alone),
        cmocka_unit_test(test_failover__trims_and_pins),
        cmocka_unit_test(test_failover__tools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
