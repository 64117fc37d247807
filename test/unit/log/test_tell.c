/* SPDX-License-Identifier: Apache-2.0 */
#include "log/tell.h"

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
#include "lib/clock.h"
#include "log/stages.h"

struct ear {
    _Atomic unsigned count[VARVE_EVENT_COUNT];
    _Atomic uint64_t held[VARVE_EVENT_COUNT];
    struct varve_message last[VARVE_EVENT_COUNT]; /* one thread at a time has something to say of each */
    char text[VARVE_EVENT_COUNT][700];
};

static void on_message(void *arg, const struct varve_message *message)
{
    struct ear *ear = arg;
    if (message->size != sizeof *message || message->level != varve_event_level(message->event) ||
        strcmp(message->path, "log") != 0 || strchr(message->text, '\n') != NULL || !*message->text) {
        abort();
    }
    ear->last[message->event] = *message;
    snprintf(ear->text[message->event], sizeof ear->text[0], "%s", message->text);
    atomic_fetch_add(&ear->held[message->event], message->held_back);
    atomic_fetch_add(&ear->count[message->event], 1);
}

static struct ear *listen(struct varve_options *options, enum varve_message_level level)
{
    struct ear *ear = calloc(1, sizeof *ear);
    assert_non_null(ear);
    options->message = on_message;
    options->message_arg = ear;
    options->message_level = level;
    return ear;
}

static unsigned heard(struct ear *ear, enum varve_event event)
{
    return atomic_load(&ear->count[event]);
}

/* A life from its beginning to its end, and what is told of it. */
static void test_tell__life(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_options options = {.slot_bytes = 16384, .mark_idle_ms = 3600000};
    struct ear *ear = listen(&options, VARVE_MESSAGE_TRACE);
    bed_start(&bed, BED_MEMORY, &options, 12000);
    assert_int_equal(heard(ear, VARVE_EVENT_CREATED), 1);
    assert_int_equal(heard(ear, VARVE_EVENT_OPENED), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 300), 0);
    struct varve_stats stats = bed_stats(&bed);
    assert_true(stats.segments_opened > 1);
    assert_int_equal(heard(ear, VARVE_EVENT_FRAME_DURABLE), stats.frames + stats.marks);
    BED_UNTIL(heard(ear, VARVE_EVENT_SEGMENT_BEGUN) == stats.segments_opened);
    assert_true(heard(ear, VARVE_EVENT_SEGMENT_READY) >= stats.segments_opened);
    assert_int_equal(ear->last[VARVE_EVENT_SEGMENT_BEGUN].segment, stats.segments_opened);
    assert_true(ear->last[VARVE_EVENT_SEGMENT_BEGUN].lsn > 1);
    assert_int_equal(ear->last[VARVE_EVENT_SEGMENT_BEGUN].bytes, 1 << 20);
    assert_int_equal(varve_trim(bed.log, 300, NULL), 0);
    assert_int_equal(heard(ear, VARVE_EVENT_TRIMMED), 1);
    assert_int_equal(ear->last[VARVE_EVENT_TRIMMED].lsn, varve_first_lsn(bed.log));
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(heard(ear, VARVE_EVENT_CLOSED), 1);
    assert_int_equal(ear->last[VARVE_EVENT_CLOSED].lsn, 300);

    bed.options.message_level = VARVE_MESSAGE_INFO;
    unsigned frames = heard(ear, VARVE_EVENT_FRAME_DURABLE), ready = heard(ear, VARVE_EVENT_SEGMENT_READY);
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(heard(ear, VARVE_EVENT_OPENED), 1);
    assert_int_equal(ear->last[VARVE_EVENT_OPENED].lsn, 300);
    assert_non_null(strstr(ear->text[VARVE_EVENT_OPENED], "clean end"));
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(heard(ear, VARVE_EVENT_FRAME_DURABLE), frames);
    assert_int_equal(heard(ear, VARVE_EVENT_SEGMENT_READY), ready);

    bed.options.message_level = VARVE_MESSAGE_OFF;
    unsigned opened = heard(ear, VARVE_EVENT_OPENED);
    assert_int_equal(bed_open(&bed), 0);
    vv_fail_log(bed.log, &(struct varve_error){.code = VARVE_E_IO, .message = "gone"});
    assert_true(bed_shut(&bed) != 0);
    assert_int_equal(heard(ear, VARVE_EVENT_OPENED), opened);
    assert_int_equal(heard(ear, VARVE_EVENT_READ_ONLY), 0);
    bed.options.message = NULL;
    bed_check(&bed);
    bed_end(&bed);
    free(ear);
}

/* What is not told is not formatted: the arguments are not looked at. */
static void test_tell__off(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_options options = {.slot_bytes = 16384};
    struct ear *ear = listen(&options, VARVE_MESSAGE_ERROR);
    unsigned looked = 0;
    bed_start(&bed, BED_MEMORY, &options, 100);
    vv_tell(bed.log, RETRY, VV_ABOUT(.lsn = looked++), "not said");
    vv_tell(bed.log, RETRY, VV_ABOUT(.lsn = 1), "%u", looked++);
    assert_int_equal(looked, 0);
    vv_fail_log(bed.log,
                &(struct varve_error){.code = VARVE_E_SYNC, .sys_errno = EIO, .message = "the disk is gone"});
    assert_int_equal(heard(ear, VARVE_EVENT_READ_ONLY), 1);
    assert_int_equal(ear->last[VARVE_EVENT_READ_ONLY].code, VARVE_E_SYNC);
    assert_int_equal(ear->last[VARVE_EVENT_READ_ONLY].sys_errno, EIO);
    assert_non_null(strstr(ear->text[VARVE_EVENT_READ_ONLY], "the disk is gone"));
    for (unsigned i = 0; i < VARVE_EVENT_COUNT; i++) {
        assert_true(i == VARVE_EVENT_READ_ONLY || heard(ear, (enum varve_event)i) == 0);
    }
    assert_true(bed_shut(&bed) != 0);
    bed_end(&bed);
    free(ear);
}

/* Five in ten seconds; then the number of the rest, with the next one or alone. */
static void test_tell__held_back(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_clock clock;
    struct varve_options options = {.slot_bytes = 16384, .mark_idle_ms = UINT32_MAX};
    struct ear *ear = listen(&options, VARVE_MESSAGE_INFO);
    bed_init(&bed, BED_MEMORY, &options, 100);
    test_clock_init(&clock, bed.options.io, UINT64_C(1700000000000000), 0, 1);
    bed.options.io = &clock.pass.io;
    assert_int_equal(bed_open(&bed), 0);
    for (unsigned i = 0; i < 20; i++) {
        vv_tell(bed.log, NOT_TRIMMED, VV_ABOUT(.sys_errno = -ENOSPC), "number %u", i);
    }
    assert_int_equal(heard(ear, VARVE_EVENT_NOT_TRIMMED), 5);
    assert_int_equal(ear->last[VARVE_EVENT_NOT_TRIMMED].sys_errno, ENOSPC);
    vv_tell_held(bed.log, false);
    assert_int_equal(heard(ear, VARVE_EVENT_NOT_TRIMMED), 5);
    /* Another event has a window of its own. */
    vv_tell(bed.log, PIN_NOT_DROPPED, VV_ABOUT(.lsn = 1), "once");
    assert_int_equal(heard(ear, VARVE_EVENT_PIN_NOT_DROPPED), 1);
    test_clock_advance(&clock, 10 * 1000000);
    vv_tell(bed.log, NOT_TRIMMED, VV_ABOUT(.lsn = 0), "again");
    assert_int_equal(heard(ear, VARVE_EVENT_NOT_TRIMMED), 6);
    assert_int_equal(ear->last[VARVE_EVENT_NOT_TRIMMED].held_back, 15);
    for (unsigned i = 0; i < 6; i++) {
        vv_tell(bed.log, NOT_TRIMMED, VV_ABOUT(.lsn = 0), "and again");
    }
    assert_int_equal(heard(ear, VARVE_EVENT_NOT_TRIMMED), 10);
    test_clock_advance(&clock, 10 * 1000000);
    vv_tell_held(bed.log, false);
    assert_int_equal(heard(ear, VARVE_EVENT_NOT_TRIMMED), 11);
    assert_int_equal(atomic_load(&ear->held[VARVE_EVENT_NOT_TRIMMED]), 15 + 2);
    assert_non_null(strstr(ear->text[VARVE_EVENT_NOT_TRIMMED], "repeated 2 more times"));
    vv_tell_held(bed.log, false);
    assert_int_equal(heard(ear, VARVE_EVENT_NOT_TRIMMED), 11);
    /* Each of these is another fact: none is held back. */
    for (unsigned i = 0; i < 20; i++) {
        vv_tell(bed.log, DAMAGE_PASSED, VV_ABOUT(.lsn = i), "number %u", i);
    }
    assert_int_equal(heard(ear, VARVE_EVENT_DAMAGE_PASSED), 20);
    /* What is held back when the log is closed is told then. */
    for (unsigned i = 0; i < 8; i++) {
        vv_tell(bed.log, NOT_TRIMMED, VV_ABOUT(.lsn = 0), "at the end");
    }
    assert_int_equal(bed_shut(&bed), 0);
    assert_int_equal(heard(ear, VARVE_EVENT_NOT_TRIMMED), 17);
    assert_int_equal(atomic_load(&ear->held[VARVE_EVENT_NOT_TRIMMED]), 15 + 2 + 3);
    bed_end(&bed);
    test_clock_close(&clock);
    free(ear);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tell__life),
        cmocka_unit_test(test_tell__off),
        cmocka_unit_test(test_tell__held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
