/* SPDX-License-Identifier: Apache-2.0 */
#include "log/space.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "varve/pin.h"
#include "varve/retain.h"

static const struct varve_options small = {
    .slot_bytes = 16384, .slot_count = 16, .mark_idle_ms = 3600000, .spare_segments = 2};

struct ear {
    bool late; /* the log is past its cap when it is opened: then there is no segment left to be told of in
                  time */
    _Atomic unsigned near, again;
};

static void on_message(void *arg, const struct varve_message *message)
{
    struct ear *ear = arg;
    unsigned long long room;
    if (message->event == VARVE_EVENT_SPACE_LOW) {
        /* Told as long as a segment is left. */
        const char *number = strstr(message->text, "there is room for ");
        if (number == NULL || sscanf(number, "there is room for %llu", &room) != 1 ||
            (room < (1 << 20) && !ear->late)) {
            abort();
        }
        atomic_fetch_add(&ear->near, 1);
    } else if (message->event == VARVE_EVENT_SPACE_AGAIN) {
        atomic_fetch_add(&ear->again, 1);
    }
}

static void start(struct test_bed *bed, struct ear *ear, uint64_t max_log_bytes)
{
    struct varve_options options = small;
    options.max_log_bytes = max_log_bytes;
    options.keep_segments = max_log_bytes ? 2 : 0;
    options.message = on_message;
    options.message_arg = ear;
    bed_start(bed, BED_MEMORY, &options, 100000);
}

static void finish(struct test_bed *bed)
{
    bed->options.message = NULL;
    bed->options.max_log_bytes = bed->options.keep_segments = 0;
    assert_int_equal(bed_shut(bed), 0);
    bed_check(bed);
    bed_end(bed);
}

static void append_until(struct test_bed *bed, int expect)
{
    int rc;
    unsigned count = 0;
    do {
        rc = test_ledger_append(&bed->ledger, bed->log, VARVE_DURABILITY_DEFAULT, NULL);
    } while (rc == 0 && ++count < 10000);
    assert_int_equal(rc, expect);
}

/* Warned while there is room, then refused when there is none, by whom; and it goes on when the pin moves. */
static void test_space__cap(void **state)
{
    (void)state;
    struct test_bed bed;
    struct ear ear = {0};
    struct varve_pin pin = {.size = sizeof pin, .name = "slow-replica"};
    start(&bed, &ear, 6 << 20);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 1), 0);
    assert_int_equal(varve_pin_set(bed.log, &pin, NULL), 0);
    for (unsigned round = 1; round <= 3; round++) {
        append_until(&bed, VARVE_E_LOG_FULL);
        assert_int_equal(atomic_load(&ear.near), round);
        assert_int_equal(varve_error_space(bed.log, &bed.error), VARVE_E_LOG_FULL);
        assert_non_null(strstr(bed.error.message, "slow-replica"));
        assert_non_null(strstr(bed.error.message, "6291456"));
        assert_int_equal(bed.log->fact_count + atomic_load(&bed.log->ready_count) + bed.log->spare_count, 6);
        assert_int_equal(varve_pin_move(bed.log, pin.name, varve_last_lsn(bed.log) + 1,
                                        round == 2 ? VARVE_PIN_LATER : 0, NULL),
                         0);
        BED_UNTIL(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
        BED_UNTIL(atomic_load(&ear.again) == round);
        assert_int_equal(varve_error_space(bed.log, NULL), 0);
    }
    assert_int_equal(varve_error_first(bed.log, NULL), 0);
    test_ledger_check(&bed.ledger, bed.log);
    finish(&bed);
}

/* The same with a disk that fills and is freed. */
static void test_space__disk(void **state)
{
    (void)state;
    struct test_bed bed;
    struct ear ear = {0};
    start(&bed, &ear, 0);
    test_memory_set_space(&bed.memory, (UINT64_C(5) << 20) + (500 << 10));
    for (unsigned round = 1; round <= 3; round++) {
        append_until(&bed, VARVE_E_NOSPC);
        assert_true(atomic_load(&ear.near) >= round);
        assert_int_equal(varve_error_space(bed.log, &bed.error), VARVE_E_NOSPC);
        assert_non_null(strstr(bed.error.message, "it needs 1048576 bytes, and "));
        assert_int_equal(varve_trim(bed.log, varve_last_lsn(bed.log) + 1, NULL), 0);
        BED_UNTIL(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
        BED_UNTIL(atomic_load(&ear.again) == round);
    }
    assert_int_equal(varve_error_first(bed.log, NULL), 0);
    test_memory_set_space(&bed.memory, UINT64_MAX);
    finish(&bed);
}

/* A log that is over its cap opens, can be trimmed, and then goes on. */
static void test_space__over_at_opening(void **state)
{
    (void)state;
    struct test_bed bed;
    struct ear ear = {.late = true};
    start(&bed, &ear, 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 120), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.max_log_bytes = 3 << 20;
    assert_int_equal(bed_open(&bed), 0);
    append_until(&bed, VARVE_E_LOG_FULL);
    assert_int_equal(varve_trim(bed.log, varve_last_lsn(bed.log) + 1, NULL), 0);
    BED_UNTIL(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL) == 0);
    finish(&bed);
}

/* Spares of another size are of no use and count for the cap: with smaller segments than before they go. */
static void test_space__smaller_segments(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_options options = small;
    options.segment_bytes = 4 << 20;
    options.spare_segments = 4;
    bed_start(&bed, BED_MEMORY, &options, 12000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3500), 0);
    assert_int_equal(varve_trim(bed.log, varve_last_lsn(bed.log), NULL), 0);
    assert_true(bed.log->spare_count >= 3);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.segment_bytes = 1 << 20;
    bed.options.max_log_bytes = 12 << 20;
    assert_int_equal(bed_open(&bed), 0);
    append_until(&bed, VARVE_E_LOG_FULL);
    pthread_mutex_lock(&bed.memory.lock);
    uint64_t used = bed.memory.used_bytes;
    pthread_mutex_unlock(&bed.memory.lock);
    /* And the small files: LOCK, MANIFEST. */
    assert_true(used <= (12 << 20) + 65536);
    assert_true(used > 8 << 20);
    finish(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_space__smaller_segments),
        cmocka_unit_test(test_space__cap),
        cmocka_unit_test(test_space__disk),
        cmocka_unit_test(test_space__over_at_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
