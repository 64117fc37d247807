/* SPDX-License-Identifier: Apache-2.0 */
#include "log/stages.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bed.h"

struct watcher {
    struct test_bed *bed;
    _Atomic int stop;
    unsigned looks;
    const char *broken;
};

/* reserved >= encoded >= written >= durable >= acked, and none goes back. */
static void *watch(void *arg)
{
    struct watcher *watcher = arg;
    struct varve_stats before = {.size = sizeof before};
    while (!atomic_load(&watcher->stop) && watcher->broken == NULL) {
        struct varve_stats s = {.size = sizeof s};
        if (varve_stats_get(watcher->bed->log, &s) != 0) {
            watcher->broken = "the call";
        } else if (s.reserved_lsn < s.encoded_lsn) {
            watcher->broken = "reserved < encoded";
        } else if (s.encoded_lsn < s.written_lsn) {
            watcher->broken = "encoded < written";
        } else if (s.written_lsn < s.durable_lsn) {
            watcher->broken = "written < durable";
        } else if (s.durable_lsn < s.acked_lsn) {
            watcher->broken = "durable < acked";
        } else if (s.reserved_lsn < before.reserved_lsn || s.durable_lsn < before.durable_lsn ||
                   s.acked_lsn < before.acked_lsn || s.frames < before.frames || s.writes < before.writes) {
            watcher->broken = "something shrank";
        }
        before = s;
        watcher->looks++;
    }
    return NULL;
}

static void test_stats__positions_under_load(void **state)
{
    (void)state;
    static const enum varve_durability modes[] = {VARVE_MEMORY, VARVE_BUFFERED, VARVE_INTERVAL, VARVE_GROUP,
                                                  VARVE_STRICT};
    for (unsigned i = 0; i < 5; i++) {
        struct test_bed bed;
        pthread_t thread;
        bed_start(&bed, BED_MEMORY,
                  &(struct varve_options){.durability = modes[i],
                                          .slot_bytes = 4096,
                                          .slot_count = 8,
                                          .writes_in_flight = 4,
                                          .sync_interval_ms = 1},
                  400);
        struct watcher watcher = {.bed = &bed};
        assert_int_equal(pthread_create(&thread, NULL, watch, &watcher), 0);
        assert_int_equal(bed_crowd(&bed, 6, 600), 0);
        atomic_store(&watcher.stop, 1);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (watcher.broken != NULL) {
            fail_msg("mode %d: %s", modes[i], watcher.broken);
        }
        assert_true(watcher.looks > 0);
        if (modes[i] != VARVE_MEMORY) {
            assert_int_equal(varve_sync(bed.log), 0);
            struct varve_stats s = bed_stats(&bed);
            assert_int_equal(s.reserved_lsn, 3600);
            assert_int_equal(s.encoded_lsn, 3600);
            assert_int_equal(s.written_lsn, 3600);
            assert_int_equal(s.durable_lsn, 3600);
            assert_int_equal(s.records, 3600);
            BED_UNTIL(bed_stats(&bed).acked_lsn == 3600);
        }
        assert_int_equal(bed_shut(&bed), 0);
        bed_end(&bed);
    }
}

static void test_stats__size(void **state)
{
    (void)state;
    struct test_bed bed;
    bed_start(&bed, BED_MEMORY, &(struct varve_options){.durability = VARVE_GROUP}, 100);
    assert_int_equal(test_ledger_fill(&bed.ledger, bed.log, 3), 0);
    struct varve_stats s;
    memset(&s, 0x77, sizeof s);
    s.size = 0;
    assert_int_equal(varve_stats_get(bed.log, &s), VARVE_E_INVALID);
    /* An older caller's struct: no byte past its end. */
    s.size = offsetof(struct varve_stats, encoded_lsn);
    assert_int_equal(varve_stats_get(bed.log, &s), 0);
    assert_int_equal(s.first_lsn, 1);
    assert_int_equal(s.reserved_lsn, 3);
    assert_true(s.encoded_lsn == UINT64_C(0x7777777777777777));
    s = bed_stats(&bed);
    assert_int_equal(s.durability, VARVE_GROUP);
    assert_int_equal(s.backend, VARVE_BACKEND_DIRECT);
    assert_int_equal(s.sector_bytes, 512);
    assert_int_equal(s.segment_bytes, 1 << 20);
    assert_int_equal(s.frames, 3);
    assert_int_equal(s.written_bytes, 4096 + 3 * 512);
    assert_int_equal(bed_shut(&bed), 0);
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats__positions_under_load),
        cmocka_unit_test(test_stats__size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
