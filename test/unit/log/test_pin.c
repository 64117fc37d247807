/* SPDX-License-Identifier: Apache-2.0 */
#include "log/pin.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"
#include "lib/clock.h"
#include "lib/rng.h"
#include "log/stages.h"
#include "varve/pin.h"

static const struct varve_options small = {
    .slot_bytes = 16384, .slot_count = 16, .mark_idle_ms = 3600000, .spare_segments = 2};

static struct varve_pin pin_named(const char *name, uint64_t lsn)
{
    struct varve_pin pin = {.size = sizeof pin, .lsn = lsn};
    snprintf(pin.name, sizeof pin.name, "%s", name);
    return pin;
}

static int set(struct test_bed *bed, const char *name, uint64_t lsn)
{
    const struct varve_pin pin = pin_named(name, lsn);
    return varve_pin_set(bed->log, &pin, &bed->error);
}

static int move(struct test_bed *bed, const char *name, uint64_t lsn, unsigned flags)
{
    return varve_pin_move(bed->log, name, lsn, flags, &bed->error);
}

struct found {
    const char *name;
    struct varve_pin pin;
    unsigned count;
};

static int find(void *arg, const struct varve_pin *pin)
{
    struct found *found = arg;
    assert_int_equal(pin->size, sizeof *pin);
    found->count++;
    if (found->name != NULL && strcmp(found->name, pin->name) == 0) {
        found->pin = *pin;
    }
    return 0;
}

/* The pin as it is listed; its size is 0 when there is none. */
static struct varve_pin listed(struct varve_log *log, const char *name)
{
    struct found found = {.name = name};
    assert_int_equal(varve_pin_list(log, find, &found, NULL), 0);
    return found.pin;
}

static unsigned count(struct varve_log *log)
{
    struct found found = {.name = NULL};
    assert_int_equal(varve_pin_list(log, find, &found, NULL), 0);
    return found.count;
}

static void reopen(struct test_bed *bed)
{
    assert_int_equal(bed_shut(bed), 0);
    if (bed_open(bed) != 0) {
        fail_msg("%s", bed->error.message);
    }
}

static void test_pin__life(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &small, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    struct varve_pin pin = pin_named("backup", 4);
    snprintf(pin.owner, sizeof pin.owner, "the nightly job");
    pin.max_records = 1000;
    assert_int_equal(varve_pin_set(bed.log, &pin, NULL), 0);
    assert_int_equal(set(&bed, "archive", 0), 0);
    assert_int_equal(count(bed.log), 2);
    struct varve_pin back = listed(bed.log, "backup");
    assert_int_equal(back.lsn, 4);
    assert_string_equal(back.owner, "the nightly job");
    assert_int_equal(back.max_records, 1000);
    assert_int_equal(back.lag_records, 7);
    assert_true(back.lag_bytes >= 7 * 512);
    assert_true(back.since_us > 0 && back.since_us == back.moved_us);
    assert_int_equal(listed(bed.log, "archive").lsn, 1);
    assert_true(listed(bed.log, "archive").lag_bytes > back.lag_bytes);

    assert_int_equal(move(&bed, "backup", 11, 0), 0);
    reopen(&bed);
    struct varve_pin after = listed(bed.log, "backup");
    assert_int_equal(after.lsn, 11);
    assert_int_equal(after.lag_records, 0);
    assert_int_equal(after.lag_bytes, 0);
    assert_int_equal(after.lag_us, 0);
    assert_int_equal(after.since_us, back.since_us);
    assert_true(after.moved_us > back.moved_us);
    assert_string_equal(after.owner, "the nightly job");
    /* Setting it again changes what it says of itself and leaves it where it is. */
    assert_int_equal(set(&bed, "backup", 0), 0);
    after = listed(bed.log, "backup");
    assert_int_equal(after.lsn, 11);
    assert_int_equal(after.max_records, 0);
    assert_string_equal(after.owner, "");
    assert_int_equal(varve_pin_drop(bed.log, "backup", NULL), 0);
    assert_int_equal(count(bed.log), 1);
    reopen(&bed);
    assert_int_equal(count(bed.log), 1);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void test_pin__refused(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_pin pin = pin_named("a", 3);
    bed_start(&bed, BED_MEMORY, &small, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    assert_int_equal(varve_pin_set(bed.log, &pin, NULL), 0);
    assert_int_equal(set(&bed, "a", 2), VARVE_E_INVALID);
    assert_non_null(strstr(bed.error.message, "move back"));
    assert_int_equal(move(&bed, "a", 2, 0), VARVE_E_INVALID);
    assert_int_equal(move(&bed, "a", 12, 0), VARVE_E_INVALID);
    assert_int_equal(move(&bed, "a", 5, 2), VARVE_E_INVALID);
    assert_int_equal(move(&bed, "b", 5, 0), VARVE_E_NO_PIN);
    assert_int_equal(varve_pin_drop(bed.log, "b", &bed.error), VARVE_E_NO_PIN);
    assert_int_equal(varve_pin_drop(bed.log, NULL, &bed.error), VARVE_E_NO_PIN);
    assert_int_equal(set(&bed, "", 3), VARVE_E_INVALID);
    assert_int_equal(set(&bed, "a b", 3), VARVE_E_INVALID);
    assert_int_equal(varve_pin_set(bed.log, NULL, NULL), VARVE_E_INVALID);
    pin.size--;
    assert_int_equal(varve_pin_set(bed.log, &pin, NULL), VARVE_E_INVALID);
    assert_int_equal(listed(bed.log, "a").lsn, 3);
    /* All but one by hand: each by itself would be written 255 times. */
    pthread_mutex_lock(&bed.log->pins_mutex);
    for (unsigned i = 1; i < VARVE_PINS_MAX - 1; i++) {
        struct vv_pin *p = &bed.log->pins->pin[bed.log->pins->count++];
        *p = bed.log->pins->pin[0];
        snprintf(p->name, sizeof p->name, "p%03u", i);
    }
    pthread_mutex_unlock(&bed.log->pins_mutex);
    assert_int_equal(set(&bed, "q", 5), 0);
    assert_int_equal(set(&bed, "one-more", 5), VARVE_E_LIMIT);
    assert_int_equal(count(bed.log), VARVE_PINS_MAX);
    assert_int_equal(bed_shut(&bed), 0);

    bed.options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(set(&bed, "c", 3), VARVE_E_UNSUPPORTED);
    assert_int_equal(move(&bed, "a", 5, 0), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_pin_drop(bed.log, "a", &bed.error), VARVE_E_UNSUPPORTED);
    assert_int_equal(count(bed.log), VARVE_PINS_MAX);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.flags = 0;
    bed.options.durability = VARVE_MEMORY;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(set(&bed, "c", 3), VARVE_E_UNSUPPORTED);
    assert_int_equal(varve_pin_list(bed.log, find, NULL, NULL), VARVE_E_UNSUPPORTED);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.durability = VARVE_DURABILITY_DEFAULT;
    bed_check(&bed);
    bed_end(&bed);
}

/* What a pin holds is not trimmed, and what it lets go is. */
static void test_pin__holds(void **state)
{
    (void)state;
    struct test_bed bed;
    uint64_t first = 0;
    bed_start(&bed, BED_MEMORY, &small, 100000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    assert_int_equal(set(&bed, "replica", 0), 0);
    assert_int_equal(set(&bed, "other", 60), 0);
    assert_int_equal(varve_trim(bed.log, 101, &first), 0);
    assert_int_equal(first, 1);
    assert_int_equal(move(&bed, "replica", 40, VARVE_PIN_LATER), 0);
    assert_int_equal(varve_trim(bed.log, 101, &first), 0);
    assert_true(first > 1 && first <= 40);
    assert_int_equal(set(&bed, "late", first - 1), VARVE_E_TRIMMED);
    assert_int_equal(set(&bed, "late", first), 0);
    assert_int_equal(varve_pin_drop(bed.log, "late", NULL), 0);
    assert_int_equal(varve_pin_drop(bed.log, "replica", NULL), 0);
    assert_int_equal(varve_trim(bed.log, 101, &first), 0);
    assert_true(first > 40 && first <= 60);
    assert_int_equal(test_ledger_check(&bed.ledger, bed.log), 100);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* Opens what a power cut leaves at this moment, and tells where the pin stands there; 0: nowhere. `rng` NULL:
 * only what was made durable is left, else more by chance. */
static uint64_t after_power_cut(struct test_bed *bed, const char *name, struct test_rng *rng,
                                uint64_t *ret_first)
{
    struct varve_options options = bed->options;
    struct varve_log *log;
    struct test_memory cut;
    test_memory_crash(&bed->memory, rng != NULL ? TEST_CRASH_CHANCE : TEST_CRASH_NOTHING, rng, &cut);
    options.io = &cut.io;
    options.flags = VARVE_OPEN_READ_ONLY; /* quick: what a writer makes of it is looked at in the end */
    if (varve_open("log", &options, &log, &bed->error) != 0) {
        fail_msg("%s", bed->error.message);
    }
    uint64_t lsn = listed(log, name).lsn;
    *ret_first = varve_first_lsn(log);
    assert_int_equal(varve_close(log, NULL), 0);
    test_memory_close(&cut);
    return lsn;
}

/* Whichever call fails, and then the power: each change is there or not, memory says what the caller was
 * told, and a pin never stands before the log's first record. */
static void test_pin__crashes(void **state)
{
    (void)state;
    unsigned failed = 0;
    struct test_rng rng;
    test_rng_init(&rng, 20261125);
    for (long n = 0;; n++) {
        struct test_bed bed;
        uint64_t first;
        bool over = true;
        bed_start(&bed, BED_MEMORY, &small, 100000);
        assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 30), 0);
        BED_UNTIL(atomic_load(&bed.log->ready_count) >= 1);
        assert_int_equal(set(&bed, "p", 5), 0);
        for (int step = 0; step < 4; step++) {
            uint64_t before = listed(bed.log, "p").lsn;
            int rc = 0;
            test_fault_fail_after(&bed.fault, n, EIO);
            if (step == 0) {
                rc = move(&bed, "p", 20, 0);
            } else if (step == 1) {
                rc = move(&bed, "p", 28, VARVE_PIN_LATER);
            } else if (step == 2) {
                rc = varve_trim(bed.log, 31, NULL);
            } else {
                rc = varve_pin_drop(bed.log, "p", &bed.error);
            }
            over = over && test_fault_left(&bed.fault) >= 0;
            test_fault_disarm(&bed.fault);
            failed += rc != 0;
            uint64_t after = listed(bed.log, "p").lsn;
            assert_true(rc == 0 || step == 2 || after == before);
            for (int chance = 0; chance < 2; chance++) {
                uint64_t cut = after_power_cut(&bed, "p", chance != 0 ? &rng : NULL, &first);
                if (rc == 0 && (step == 0 || step == 3)) {
                    assert_int_equal(cut, after);
                } else {
                    assert_true(cut == 0 ? step == 3 : cut >= first && cut >= 5);
                }
            }
        }
        assert_int_equal(bed_shut(&bed), 0);
        bed_check(&bed);
        bed_end(&bed);
        if (over) {
            break;
        }
    }
    assert_true(failed >= 10);
}

/* A move that does not wait is on disk soon, by itself; and at the end in any case. */
static void test_pin__later(void **state)
{
    (void)state;
    struct test_bed bed;
    uint64_t first;
    bed_start(&bed, BED_MEMORY, &small, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    assert_int_equal(set(&bed, "p", 5), 0);
    uint64_t creates = test_fault_calls(&bed.fault, TEST_OP_CREATE);
    assert_int_equal(move(&bed, "p", 6, VARVE_PIN_LATER), 0);
    assert_int_equal(move(&bed, "p", 7, VARVE_PIN_LATER), 0);
    assert_int_equal(listed(bed.log, "p").lsn, 7);
    /* However often it moves, one write. */
    BED_UNTIL(after_power_cut(&bed, "p", NULL, &first) == 7);
    assert_true(test_fault_calls(&bed.fault, TEST_OP_CREATE) - creates <= 2);
    assert_int_equal(move(&bed, "p", 8, VARVE_PIN_LATER), 0);
    reopen(&bed);
    assert_int_equal(listed(bed.log, "p").lsn, 8);
    /* It cannot be written: said, and tried again. */
    test_fault_arm(&bed.fault, &(struct test_fault_rule){.op = TEST_OP_CREATE, .prefix = "PINS"});
    assert_int_equal(move(&bed, "p", 9, VARVE_PIN_LATER), 0);
    BED_UNTIL(after_power_cut(&bed, "p", NULL, &first) == 9);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static _Atomic unsigned warned;

static void on_message(void *arg, const struct varve_message *message)
{
    if (message->level == VARVE_MESSAGE_WARNING && strstr(message->text, arg) != NULL) {
        atomic_fetch_add(&warned, 1);
    }
}

static void test_pin__limits(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_clock clock;
    struct varve_options options = small;
    char text[] = "is dropped: over its limit";
    options.message = on_message;
    options.message_arg = text;
    atomic_store(&warned, 0);
    bed_init(&bed, BED_MEMORY, &options, 100000);
    test_clock_init(&clock, &bed.fault.pass.io, UINT64_C(1700000000000000), 1, 7);
    bed.options.io = &clock.pass.io;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    struct varve_pin records = pin_named("records", 1), bytes = pin_named("bytes", 1),
                     age = pin_named("age", 1);
    records.max_records = 30;
    bytes.max_bytes = 1 << 20;
    age.max_age_ms = 3600 * 1000;
    assert_int_equal(varve_pin_set(bed.log, &records, NULL), 0);
    assert_int_equal(varve_pin_set(bed.log, &bytes, NULL), 0);
    assert_int_equal(varve_pin_set(bed.log, &age, NULL), 0);
    assert_int_equal(set(&bed, "none", 1), 0);
    /* Within them nothing happens. */
    vv_pin_enforce(bed.log);
    assert_int_equal(count(bed.log), 4);
    assert_int_equal(atomic_load(&warned), 0);
    /* By the log's own thread, when a segment is started. */
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 100), 0);
    BED_UNTIL(count(bed.log) == 2);
    assert_int_equal(listed(bed.log, "records").size, 0);
    assert_int_equal(listed(bed.log, "bytes").size, 0);
    BED_UNTIL(atomic_load(&warned) == 2);
    test_clock_advance(&clock, UINT64_C(3599) * 1000000);
    vv_pin_enforce(bed.log);
    assert_int_equal(count(bed.log), 2);
    test_clock_advance(&clock, UINT64_C(60) * 1000000);
    vv_pin_enforce(bed.log);
    assert_int_equal(count(bed.log), 1);
    assert_int_equal(listed(bed.log, "none").lsn, 1);
    assert_int_equal(bed_shut(&bed), 0);
    test_clock_close(&clock);
    bed.options.io = &bed.fault.pass.io;
    bed.options.message = NULL;
    bed_check(&bed);
    bed_end(&bed);
}

/* While a pin is measured its owner gives it another limit. */
static int raise_hook(void *arg, const struct test_fault_call *call)
{
    struct test_bed *bed = arg;
    const struct varve_pin higher = {.size = sizeof higher, .name = "p", .max_records = 1000};
    if (call->op == TEST_OP_PREAD) {
        test_fault_set_hook(&bed->fault, NULL, NULL);
        (void)varve_pin_set(bed->log, &higher, NULL);
    }
    return 0;
}

static void test_pin__limit_changes_while_measured(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &small, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    struct varve_pin pin = pin_named("p", 2);
    pin.max_bytes = 512;
    test_fault_set_hook(&bed.fault, raise_hook, &bed);
    assert_int_equal(varve_pin_set(bed.log, &pin, NULL), 0);
    vv_pin_enforce(bed.log);
    assert_int_equal(listed(bed.log, "p").lsn, 2);
    assert_int_equal(listed(bed.log, "p").max_records, 1000);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

/* A pin stood at the next record; a crash took records that were not durable. It must hold those that come in
 * their place. */
static void test_pin__not_past_the_end(void **state)
{
    (void)state;
    struct test_bed bed;
    struct test_memory cut, again;
    struct varve_options options = small;
    options.durability = VARVE_BUFFERED;
    bed_start(&bed, BED_MEMORY, &options, 1000);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL), 0);
    }
    assert_int_equal(varve_sync(bed.log), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(test_ledger_append(&bed.ledger, bed.log, VARVE_DURABILITY_DEFAULT, NULL), 0);
    }
    assert_int_equal(varve_last_lsn(bed.log), 10);
    assert_int_equal(set(&bed, "end", 11), 0);
    assert_int_equal(set(&bed, "low", 3), 0);
    test_memory_crash(&bed.memory, TEST_CRASH_NOTHING, NULL, &cut);
    assert_int_equal(bed_shut(&bed), 0);
    options = bed.options;
    options.io = &cut.io;
    struct varve_log *log;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    uint64_t last = varve_last_lsn(log);
    assert_true(last >= 5 && last < 10);
    assert_int_equal(listed(log, "end").lsn, last + 1);
    assert_int_equal(listed(log, "low").lsn, 3);
    /* And on disk, before a record can come. */
    test_memory_crash(&cut, TEST_CRASH_NOTHING, NULL, &again);
    assert_int_equal(varve_close(log, NULL), 0);
    options.io = &again.io;
    options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    assert_int_equal(listed(log, "end").lsn, last + 1);
    assert_int_equal(varve_close(log, NULL), 0);
    test_memory_close(&again);
    test_memory_close(&cut);
    bed_check(&bed);
    bed_end(&bed);
}

/* A change that failed may be on disk all the same; the pins in force are written again by themselves. */
static void test_pin__failed_change_is_undone(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &small, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    BED_UNTIL(atomic_load(&bed.log->ready_count) >= 1 || atomic_load(&bed.log->room_bytes) > 300000);
    assert_int_equal(set(&bed, "p", 5), 0);
    test_fault_fail_once(&bed.fault, TEST_OP_DIR_SYNC, 0, EIO);
    assert_int_equal(move(&bed, "p", 8, 0), VARVE_E_IO);
    assert_int_equal(listed(bed.log, "p").lsn, 5);
    BED_UNTIL(atomic_load(&bed.log->pins_dirty_us) == 0);
    struct test_memory cut;
    struct varve_options options = bed.options;
    struct varve_log *log;
    test_memory_crash(&bed.memory, TEST_CRASH_ALL, NULL, &cut);
    options.io = &cut.io;
    options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(varve_open("log", &options, &log, NULL), 0);
    assert_int_equal(listed(log, "p").lsn, 5);
    assert_int_equal(varve_close(log, NULL), 0);
    test_memory_close(&cut);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

static void spoil(struct test_bed *bed, uint64_t offset)
{
    struct varve_io *io = &bed->memory.io;
    struct varve_dir *dir;
    struct varve_file *file;
    char byte = '!';
    assert_int_equal(io->dir_open(io, NULL, "log", 0, &dir, NULL), 0);
    assert_int_equal(io->open(io, dir, VV_PIN_FILE, VARVE_IO_WRITE, &file), 0);
    assert_int_equal(io->pwritev(io, file, &(struct iovec){&byte, 1}, 1, offset, 0), 1);
    io->close(io, file);
    io->dir_close(io, dir);
}

static void test_pin__damaged_file(void **state)
{
    (void)state;
    struct test_bed bed;
    struct varve_io_stat stat;
    struct varve_dir *dir;
    bed_start(&bed, BED_MEMORY, &small, 1000);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 10), 0);
    assert_int_equal(set(&bed, "p", 5), 0);
    assert_int_equal(bed_shut(&bed), 0);
    spoil(&bed, 20);
    assert_int_equal(bed_open(&bed), VARVE_E_CORRUPT);
    assert_non_null(strstr(bed.error.message, VV_PIN_FILE));
    bed.options.flags = VARVE_OPEN_READ_ONLY;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(varve_pin_list(bed.log, find, NULL, &bed.error), VARVE_E_CORRUPT);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.flags = 0;
    bed.options.policy = VARVE_POLICY_SKIP;
    assert_int_equal(bed_open(&bed), 0);
    assert_int_equal(count(bed.log), 0);
    assert_int_equal(bed_shut(&bed), 0);
    bed.options.policy = VARVE_POLICY_TRUNCATE;
    assert_int_equal(bed.memory.io.dir_open(&bed.memory.io, NULL, "log", 0, &dir, NULL), 0);
    assert_int_equal(bed.memory.io.stat_name(&bed.memory.io, dir, VV_PIN_BAD, &stat), 0);
    bed.memory.io.dir_close(&bed.memory.io, dir);
    bed_check(&bed);
    bed_end(&bed);
}

struct mover {
    struct test_bed *bed;
    pthread_t thread;
    char name[16];
    int rc;
};

static void *mover_run(void *arg)
{
    struct mover *m = arg;
    for (unsigned i = 0; i < 60 && m->rc == 0; i++) {
        m->rc = varve_pin_move(m->bed->log, m->name, varve_durable_lsn(m->bed->log) + 1,
                               i % 4 != 0 ? VARVE_PIN_LATER : 0, NULL);
        if (m->rc == 0) {
            m->rc = varve_trim(m->bed->log, varve_durable_lsn(m->bed->log) + 1, NULL);
        }
        bed_pause();
    }
    return NULL;
}

/* Threads append, move pins and trim at once. */
static void test_pin__beside_appenders(void **state)
{
    (void)state;
    struct test_bed bed;
    struct mover movers[3];
    bed_start(&bed, BED_MEMORY, &small, 20000);
    for (unsigned i = 0; i < 3; i++) {
        movers[i] = (struct mover){.bed = &bed};
        snprintf(movers[i].name, sizeof movers[i].name, "m%u", i);
        assert_int_equal(set(&bed, movers[i].name, 1), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&movers[i].thread, NULL, mover_run, &movers[i]), 0);
    }
    assert_int_equal(bed_crowd(&bed, 3, 300), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(movers[i].thread, NULL), 0);
        assert_int_equal(movers[i].rc, 0);
        assert_true(listed(bed.log, movers[i].name).lsn >= varve_first_lsn(bed.log));
    }
    assert_int_equal(test_ledger_check(&bed.ledger, bed.log), 900);
    assert_int_equal(bed_shut(&bed), 0);
    bed_check(&bed);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pin__life),
        cmocka_unit_test(test_pin__refused),
        cmocka_unit_test(test_pin__holds),
        cmocka_unit_test(test_pin__crashes),
        cmocka_unit_test(test_pin__later),
        cmocka_unit_test(test_pin__limits),
        cmocka_unit_test(test_pin__limit_changes_while_measured),
        cmocka_unit_test(test_pin__not_past_the_end),
        cmocka_unit_test(test_pin__failed_change_is_undone),
        cmocka_unit_test(test_pin__damaged_file),
        cmocka_unit_test(test_pin__beside_appenders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
