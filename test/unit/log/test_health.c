/* SPDX-License-Identifier: Apache-2.0 */
/* Each reason of docs/OPERATIONS.md is brought about alone, seen by every way of asking, and goes away again.
 * The log's threads work beside. */
#include "varve/health.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/child.h"
#include "log/failover.h"
#include "log/log.h"
#include "log/pin.h"
#include "log/stages.h"
#include "varve/metrics.h"
#include "varve/pin.h"

static struct test_gate gate;

static struct varve_health_report health_of(struct test_bed *bed)
{
    struct varve_health_report health = {.size = sizeof health};
    assert_int_equal(varve_health(bed->log, &health), 0);
    return health;
}

static void append_async(struct test_bed *bed, unsigned count)
{
    static const char bytes[8000];
    struct varve_record record = {.data = bytes, .data_bytes = sizeof bytes};
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(varve_append_async(bed->log, &record, NULL), 0);
    }
}

static void shut_gate(struct test_bed *bed, int op)
{
    memset(&gate, 0, sizeof gate);
    gate.op = op;
    test_fault_set_hook(&bed->fault, test_gate_hook, &gate);
    atomic_store(&gate.shut, 1);
}

static void open_gate(struct test_bed *bed)
{
    atomic_store(&gate.shut, 0);
    assert_int_equal(varve_sync(bed->log), 0);
    test_fault_set_hook(&bed->fault, NULL, NULL);
}

static void mend(struct test_bed *bed)
{
    test_fault_disarm(&bed->fault);
    assert_int_equal(varve_sync(bed->log), 0);
}

static void hang_write(struct test_bed *bed)
{
    shut_gate(bed, TEST_OP_WRITE_DSYNC);
    append_async(bed, 1);
    BED_UNTIL(health_of(bed).stalled_us != 0);
}

static void no_space_for_writes(struct test_bed *bed)
{
    test_fault_fail_always(&bed->fault, TEST_OP_WRITE_DSYNC, 0, ENOSPC);
    append_async(bed, 1);
    BED_UNTIL(health_of(bed).breaker_open_us != 0);
}

static void slow_write(struct test_bed *bed)
{
    shut_gate(bed, TEST_OP_WRITE_DSYNC);
    append_async(bed, 1);
    for (unsigned i = 0; i < 100; i++) {
        bed_pause();
    }
    assert_int_equal(health_of(bed).reasons, 0);
    open_gate(bed);
}

static void fail_once(struct test_bed *bed, int error)
{
    test_fault_fail_once(&bed->fault, TEST_OP_WRITE_DSYNC, 0, error);
    append_async(bed, 1);
    assert_int_equal(varve_sync(bed->log), 0);
}

static void retry_once(struct test_bed *bed)
{
    fail_once(bed, EAGAIN);
}

static void move_once(struct test_bed *bed)
{
    fail_once(bed, EIO);
}

static void nothing(struct test_bed *bed)
{
    (void)bed;
}

static void disk_nearly_full(struct test_bed *bed)
{
    test_memory_set_space(&bed->memory, (UINT64_C(2) << 20) + (500 << 10));
    BED_UNTIL(test_ledger_append(&bed->ledger, bed->log, VARVE_DURABILITY_DEFAULT, NULL) != 0 ||
              (health_of(bed).reasons & VARVE_HEALTH_SPACE_LOW) != 0);
    assert_int_equal(atomic_load(&bed->log->space_error), 0);
}

static void disk_full(struct test_bed *bed)
{
    test_memory_set_space(&bed->memory, (UINT64_C(2) << 20) + (500 << 10));
    BED_UNTIL(test_ledger_append(&bed->ledger, bed->log, VARVE_DURABILITY_DEFAULT, NULL) == VARVE_E_NOSPC);
}

static void free_disk(struct test_bed *bed)
{
    test_memory_set_space(&bed->memory, UINT64_MAX);
}

static void fill_ring(struct test_bed *bed)
{
    struct varve_record record = {.data = "12345678", .data_bytes = 8};
    shut_gate(bed, TEST_OP_WRITE_DSYNC);
    BED_UNTIL(varve_append_async(bed->log, &record, NULL) == VARVE_E_BACKPRESSURE);
}

static void late_pin(struct test_bed *bed)
{
    struct varve_pin pin = {.size = sizeof pin, .name = "gone", .max_records = 3};
    assert_int_equal(test_ledger_fill(&bed->ledger, bed->log, 1), 0);
    assert_int_equal(varve_pin_set(bed->log, &pin, NULL), 0);
    /* Before it is over its limit: the preparing thread enforces that, too. */
    const struct test_fault_rule no_pins = {
        .op = TEST_OP_CREATE, .prefix = "PINS", .times = TEST_FAULT_FOREVER};
    (void)test_fault_arm(&bed->fault, &no_pins);
    assert_int_equal(test_ledger_fill(&bed->ledger, bed->log, 5), 0);
    assert_int_equal(health_of(bed).pins, 1);
    vv_pin_enforce(bed->log);
    assert_int_equal(health_of(bed).pins_over, 1);
}

static void drop_pin(struct test_bed *bed)
{
    test_fault_disarm(&bed->fault);
    vv_pin_enforce(bed->log);
    assert_int_equal(health_of(bed).pins_over, 0);
    assert_int_equal(health_of(bed).pins, 0);
}

static void hang_preparer(struct test_bed *bed)
{
    shut_gate(bed, TEST_OP_ALLOCATE);
    /* A quarter of the segment, so that the next one is made, and no append comes to wait for it. */
    do {
        assert_int_equal(test_ledger_append(&bed->ledger, bed->log, VARVE_DURABILITY_DEFAULT, NULL), 0);
    } while (atomic_load(&bed->log->room_bytes) > 600000);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    BED_UNTIL(health_of(bed).preparer == VARVE_THREAD_STUCK);
}

/* The log's directory: the names of its segments are matched, and those of the second one's come later. */
static void fail_home(struct test_bed *bed)
{
    BED_UNTIL(atomic_load(&bed->log->failover->standby) == 1);
    test_fault_arm(&bed->fault, &(struct test_fault_rule){.op = TEST_OP_WRITE_DSYNC, .error = EIO});
    test_fault_arm(&bed->fault, &(struct test_fault_rule){.op = TEST_OP_ANY_CHANGE,
                                                          .prefix = "new-probe",
                                                          .times = TEST_FAULT_FOREVER});
    append_async(bed, 1);
    assert_int_equal(varve_sync(bed->log), 0);
}

static void use_standby_up(struct test_bed *bed)
{
    BED_UNTIL(atomic_load(&bed->log->failover->standby) == 1);
    test_fault_arm(&bed->fault, &(struct test_fault_rule){.op = TEST_OP_CREATE,
                                                          .prefix = "new-standby",
                                                          .times = TEST_FAULT_FOREVER});
    atomic_store(&bed->log->failover->standby, 0);
    assert_int_equal(vv_pair_unlink_on(bed->log->failover->pair, VV_AWAY, VV_FAILOVER_READY), 0);
    vv_prepare_kick(bed->log);
    BED_UNTIL(health_of(bed).reasons == VARVE_HEALTH_FAILOVER_UNREADY);
}

static void make_standby(struct test_bed *bed)
{
    test_fault_disarm(&bed->fault);
    vv_prepare_kick(bed->log);
}

static const struct reason {
    uint32_t bit;
    uint32_t beside; /* what may hold with it */
    void (*bring)(struct test_bed *bed);
    void (*end)(struct test_bed *bed);
    struct varve_options options;
} reasons[] = {
    {VARVE_HEALTH_STALL, 0, hang_write, open_gate, {.stall_ms = 50}},
    {VARVE_HEALTH_BREAKER,
     VARVE_HEALTH_RETRY,
     no_space_for_writes,
     mend,
     {.breaker_failures = 1, .breaker_first_ms = 5, .breaker_max_ms = 5}},
    {VARVE_HEALTH_SLOW_SYNC, 0, slow_write, nothing, {.slow_sync_ms = 50}},
    {VARVE_HEALTH_RETRY, 0, retry_once, nothing, {.slot_count = 16}},
    {VARVE_HEALTH_MOVED, 0, move_once, nothing, {.slot_count = 16}},
    {VARVE_HEALTH_SPACE_LOW, 0, disk_nearly_full, free_disk, {.slot_count = 16}},
    {VARVE_HEALTH_SPACE_FULL, VARVE_HEALTH_BACKPRESSURE, disk_full, free_disk, {.slot_count = 16}},
    {VARVE_HEALTH_BACKPRESSURE, 0, fill_ring, open_gate, {.backpressure = VARVE_BACKPRESSURE_FAIL}},
    {VARVE_HEALTH_PIN_OVER, 0, late_pin, drop_pin, {.slot_count = 16}},
    {VARVE_HEALTH_THREAD, 0, hang_preparer, open_gate, {.stall_ms = 100}},
    {VARVE_HEALTH_FAILOVER,
     VARVE_HEALTH_MOVED,
     fail_home,
     mend,
     {.failover_dir = "/away", .breaker_first_ms = 5, .breaker_max_ms = 5}},
    {VARVE_HEALTH_FAILOVER_UNREADY, 0, use_standby_up, make_standby, {.failover_dir = "/away"}},
};

/* What the metrics say must be what varve_health says. */
static void expect_metrics(struct test_bed *bed, enum varve_health_state state, uint32_t bits)
{
#ifndef VARVE_NO_METRICS
    static char text[VARVE_METRICS_BYTES];
    char line[100];
    assert_int_equal(varve_metrics_text(bed->log, NULL, text, sizeof text, NULL), 0);
    snprintf(line, sizeof line, "\nwal_health_state %d\n", (int)state);
    assert_non_null(strstr(text, line));
    for (unsigned bit = 0; varve_health_reason_name(bit) != NULL; bit++) {
        snprintf(line, sizeof line, "\nwal_health_reason{reason=\"%s\"} %u\n", varve_health_reason_name(bit),
                 (bits >> bit) & 1);
        /* One that may hold beside may have come or gone meanwhile. */
        if ((bits >> bit) & 1) {
            assert_non_null(strstr(text, line));
        }
    }
#else
    (void)bed;
    (void)state;
    (void)bits;
#endif
}

static void walk(const struct reason *reason)
{
    struct test_bed bed;
    struct varve_options options = reason->options;
    struct varve_health_report health;
    options.slot_bytes = 16384;
    options.slot_count = options.slot_count ? options.slot_count : 8;
    options.mark_idle_ms = UINT32_MAX;
    options.spare_segments = UINT32_MAX;
    options.stall_ms = options.stall_ms ? options.stall_ms : 60000;
    options.slow_sync_ms = options.slow_sync_ms ? options.slow_sync_ms : UINT32_MAX;
    options.health_recent_ms = 200;
    bed_start(&bed, BED_MEMORY, &options, 10000);
    health = health_of(&bed);
    assert_int_equal(health.state, VARVE_HEALTH_OK);
    assert_int_equal(health.reasons, 0);
    expect_metrics(&bed, VARVE_HEALTH_OK, 0);

    reason->bring(&bed);
    health = health_of(&bed);
    if (health.state != VARVE_HEALTH_DEGRADED || (health.reasons & ~reason->beside) != reason->bit) {
        fail_msg("state %d, reasons %#x, not %#x", (int)health.state, (unsigned)health.reasons,
                 (unsigned)reason->bit);
    }
    expect_metrics(&bed, VARVE_HEALTH_DEGRADED, reason->bit);
    assert_int_equal(health.first_error.code, 0);

    reason->end(&bed);
    BED_UNTIL(health_of(&bed).state == VARVE_HEALTH_OK);
    expect_metrics(&bed, VARVE_HEALTH_OK, 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static void test_health__reasons(void **state)
{
    (void)state;
    uint32_t all = 0;
    for (unsigned i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        walk(&reasons[i]);
        all |= reasons[i].bit;
    }
    assert_int_equal(all, (1u << VARVE_HEALTH_BIT_COUNT) - 1);
}

static void test_health__read_only(void **state)
{
    (void)state;
    struct test_bed bed;
    const struct varve_options options = {.slot_bytes = 16384, .mark_idle_ms = UINT32_MAX};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    test_fault_fail_always(&bed.fault, TEST_OP_ANY_WRITE, 0, EIO);
    assert_int_equal(varve_append(bed.log, "12345678", 8, NULL), VARVE_E_SYNC);
    struct varve_health_report health = health_of(&bed);
    assert_int_equal(health.state, VARVE_HEALTH_READ_ONLY);
    assert_true(health.reasons & VARVE_HEALTH_MOVED);
    assert_int_equal(health.first_error.code, VARVE_E_SYNC);
    assert_int_equal(health.first_error.sys_errno, EIO);
    expect_metrics(&bed, VARVE_HEALTH_READ_ONLY, VARVE_HEALTH_MOVED);
    test_fault_disarm(&bed.fault);
    /* A later success does not clear it. */
    assert_int_equal(health_of(&bed).state, VARVE_HEALTH_READ_ONLY);
    assert_int_equal(bed_shut(&bed), VARVE_E_SYNC);
    bed_end(&bed);
}

/* What it is made of. */
static void test_health__parts(void **state)
{
    (void)state;
    struct test_bed bed;
    const struct varve_options options = {
        .slot_bytes = 16384, .slot_count = 8, .mark_idle_ms = UINT32_MAX, .stall_ms = 60000};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    test_memory_set_space(&bed.memory, UINT64_C(50) << 20);
    struct varve_health_report health = health_of(&bed);
    assert_int_equal(health.slots, 8);
    assert_int_equal(health.slots_used, 0);
    assert_int_equal(health.last_sync_us, 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    health = health_of(&bed);
    /* The log's clock never goes back; the system's may. */
    uint64_t now = vv_log_now_us(bed.log);
    assert_true(health.last_sync_us <= now && health.last_sync_us + 60000000 > now);
    assert_true(health.last_sync_took_us < 60000000);
    shut_gate(&bed, TEST_OP_WRITE_DSYNC);
    append_async(&bed, 5);
    BED_UNTIL(atomic_load(&gate.waiting) == 1);
    assert_true(health_of(&bed).slots_used >= 2);
    assert_int_equal(health_of(&bed).flusher, VARVE_THREAD_BUSY);
    open_gate(&bed);
    BED_UNTIL(health_of(&bed).slots_used == 0 && health_of(&bed).flusher == VARVE_THREAD_IDLE &&
              health_of(&bed).preparer == VARVE_THREAD_IDLE);
    /* Looked at anew by the log's own thread, when somebody asks. */
    BED_UNTIL(health_of(&bed).disk_free_bytes != 0 && health_of(&bed).disk_free_bytes < UINT64_C(50) << 20 &&
              health_of(&bed).disk_looked_us < 1000000);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);

    const struct varve_options memory = {.durability = VARVE_MEMORY};
    bed_start(&bed, BED_MEMORY, &memory, 1000);
    health = health_of(&bed);
    assert_int_equal(health.state, VARVE_HEALTH_OK);
    assert_int_equal(health.preparer, VARVE_THREAD_NONE);
    assert_int_equal(health.flusher, VARVE_THREAD_NONE);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

static int ask_in_child(void *arg)
{
    struct varve_health_report health = {.size = sizeof health};
    TEST_CHILD_CHECK(varve_health(arg, &health) == VARVE_E_FORKED);
    return 0;
}

static void test_health__refused(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_health_report health = {.size = sizeof health - 1};
    const struct varve_options options = {.slot_bytes = 16384};
    bed_start(&bed, BED_MEMORY, &options, 1000);
    assert_int_equal(varve_health(bed.log, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_health(bed.log, &health), VARVE_E_INVALID);
    assert_int_equal(test_child_run(ask_in_child, bed.log), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(bed_open(&bed), 0);
    health.size = sizeof health;
    assert_int_equal(varve_health(bed.log, &health), VARVE_E_UNSUPPORTED);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
    assert_string_equal(varve_health_state_name((enum varve_health_state)9), "unknown");
    assert_null(varve_health_reason_name(VARVE_HEALTH_BIT_COUNT));
    assert_null(varve_health_reason_meaning(VARVE_HEALTH_BIT_COUNT));
    assert_string_equal(varve_thread_state_name((enum varve_thread_state)9), "unknown");
}

/* The manual has every reason, in this order, and no other. */
static void test_health__documented(void **state)
{
    (void)state;
    const char *source = getenv("VARVE_SOURCE");
    char path[1024], line[1024], wanted[300];
    unsigned found = 0, inside = 0;
    assert_non_null(source);
    snprintf(path, sizeof path, "%s/docs/OPERATIONS.md", source);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "| reason | holds when |", 23) == 0) {
            inside = 1;
        } else if (inside && line[0] != '|') {
            break;
        } else if (inside && strncmp(line, "| `", 3) == 0) {
            assert_non_null(varve_health_reason_name(found));
            snprintf(wanted, sizeof wanted, "| `%s` | %s |\n", varve_health_reason_name(found),
                     varve_health_reason_meaning(found));
            assert_string_equal(line, wanted);
            found++;
        }
    }
    fclose(file);
    assert_int_equal(found, VARVE_HEALTH_BIT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health__reasons),    cmocka_unit_test(test_health__read_only),
        cmocka_unit_test(test_health__parts),      cmocka_unit_test(test_health__refused),
        cmocka_unit_test(test_health__documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
