/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/bed.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/tmp.h"

void bed_init(struct test_bed *bed, int where, const struct varve_options *options, size_t bytes_max)
{
    memset(bed, 0, sizeof *bed);
    bed->on_disk = where == BED_DISK;
    test_memory_init(&bed->memory, 512);
    test_fault_init(&bed->fault, bed->on_disk ? NULL : &bed->memory.io);
    test_ledger_init(&bed->ledger, 1, 8, bytes_max);
    bed->path = bed->on_disk ? test_tmp_new() : strdup("log");
    bed->options = *options;
    bed->options.size = sizeof bed->options;
    bed->options.io = &bed->fault.pass.io;
    if (bed->options.segment_bytes == 0) {
        bed->options.segment_bytes = 1 << 20;
    }
    alarm(60);
}

int bed_open(struct test_bed *bed)
{
    memcpy(bed->error.message, "?", 2);
    return varve_open(bed->path, &bed->options, &bed->log, &bed->error);
}

void bed_start(struct test_bed *bed, int where, const struct varve_options *options, size_t bytes_max)
{
    bed_init(bed, where, options, bytes_max);
    if (bed_open(bed) != 0) {
        fail_msg("%s", bed->error.message);
    }
}

int bed_shut(struct test_bed *bed)
{
    struct varve_log *log = bed->log;
    bed->log = NULL;
    return varve_close(log, &bed->error);
}

void bed_check(struct test_bed *bed)
{
    struct varve_options options = bed->options;
    test_fault_disarm(&bed->fault);
    test_fault_set_hook(&bed->fault, NULL, NULL);
    options.flags = 0;
    if (!bed->on_disk) {
        struct test_memory cut;
        test_memory_crash(&bed->memory, TEST_CRASH_NOTHING, NULL, &cut);
        options.io = &cut.io;
        test_ledger_reopen(&bed->ledger, bed->path, &options);
        test_memory_close(&cut);
    }
    options.io = &bed->fault.pass.io;
    test_ledger_reopen(&bed->ledger, bed->path, &options);
    test_ledger_reopen(&bed->ledger, bed->path, &options);
}

void bed_end(struct test_bed *bed)
{
    alarm(0);
    assert_null(bed->log);
    assert_int_equal(atomic_load(&bed->fault.open_files), 0);
    assert_int_equal(atomic_load(&bed->fault.open_dirs), 0);
    test_ledger_free(&bed->ledger);
    test_fault_close(&bed->fault);
    test_memory_close(&bed->memory);
    if (bed->on_disk) {
        test_tmp_free(bed->path);
    } else {
        free(bed->path);
    }
}

struct varve_stats bed_stats(struct test_bed *bed)
{
    struct varve_stats stats = {.size = sizeof stats};
    assert_int_equal(varve_stats_get(bed->log, &stats), 0);
    return stats;
}

struct crowd {
    struct test_bed *bed;
    unsigned count;
    int rc;
};

static void *crowd_run(void *arg)
{
    struct crowd *crowd = arg;
    crowd->rc = test_ledger_fill(&crowd->bed->ledger, crowd->bed->log, crowd->count);
    return NULL;
}

unsigned bed_crowd(struct test_bed *bed, unsigned threads, unsigned count_each)
{
    struct crowd crowds[64];
    pthread_t ids[64];
    unsigned failed = 0;
    assert_true(threads <= 64);
    for (unsigned i = 0; i < threads; i++) {
        crowds[i] = (struct crowd){bed, count_each, 0};
        assert_int_equal(pthread_create(&ids[i], NULL, crowd_run, &crowds[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++) {
        assert_int_equal(pthread_join(ids[i], NULL), 0);
        failed += crowds[i].rc != 0;
    }
    return failed;
}

void bed_pause(void)
{
    const struct timespec millisecond = {0, 1000000};
    nanosleep(&millisecond, NULL);
}

static bool gate_concerns(const struct test_gate *gate, const struct test_fault_call *call)
{
    bool write = call->op == TEST_OP_WRITE || call->op == TEST_OP_WRITE_DSYNC;
    if (gate->op != TEST_OP_ANY && gate->op != (int)call->op && !(gate->op == TEST_OP_ANY_WRITE && write)) {
        return false;
    }
    return gate->prefix == NULL ||
           (call->name != NULL && strncmp(call->name, gate->prefix, strlen(gate->prefix)) == 0);
}

int test_gate_hook(void *arg, const struct test_fault_call *call)
{
    struct test_gate *gate = arg;
    if (!gate_concerns(gate, call)) {
        return 0;
    }
    atomic_fetch_add(&gate->waiting, 1);
    while (atomic_load(&gate->shut)) {
        bed_pause();
    }
    atomic_fetch_sub(&gate->waiting, 1);
    return -atomic_load(&gate->refuse);
}
