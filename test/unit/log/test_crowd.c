/* SPDX-License-Identifier: Apache-2.0 */
#include "log/stages.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/wait.h"
#include "lib/bed.h"

enum {
    THREADS = 24,
    ROUNDS = 2000
};

/* A log of which only the crowds are used: no other part of it is looked at. */
struct hall {
    struct varve_log log;
    struct vv_slot slot;
    _Atomic uint32_t frame;   /* how many frames are durable */
    _Atomic uint32_t arrived; /* threads that saw the newest */
};

static struct hall *hall_new(unsigned crowds)
{
    struct hall *hall = aligned_alloc(64, (sizeof *hall + 63) / 64 * 64);
    assert_non_null(hall);
    memset(hall, 0, sizeof *hall);
    hall->log.crowd_count = crowds;
    return hall;
}

static void *wait_for_frames(void *arg)
{
    struct hall *hall = arg;
    for (uint32_t frame = 1; frame <= ROUNDS; frame++) {
        while (atomic_load(&hall->frame) < frame) {
            uint32_t seen;
            struct vv_crowd *crowd = vv_crowd_enter(&hall->log, &hall->slot, &seen);
            if (atomic_load(&hall->frame) < frame) {
                /* Twenty seconds are for ever: a wake-up was lost. */
                if (vv_wait_on(&crowd->event, seen, 20 * 1000 * 1000) != 0) {
                    return "a thread was not woken";
                }
            }
            vv_crowd_leave(crowd);
        }
        atomic_fetch_add(&hall->arrived, 1);
    }
    return NULL;
}

/* Every thread is woken for every frame, whatever processor it sleeps on and whoever else is woken. */
static void run_hall(unsigned crowds)
{
    struct hall *hall = hall_new(crowds);
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_frames, hall), 0);
    }
    for (uint32_t frame = 1; frame <= ROUNDS; frame++) {
        /* Every other time while some are still about to go to sleep. */
        if (frame % 2 == 0) {
            BED_UNTIL(vv_crowd_count(&hall->log, &hall->slot) == THREADS);
        }
        atomic_store(&hall->frame, frame);
        vv_crowd_wake(&hall->log, &hall->slot);
        BED_UNTIL(atomic_load(&hall->arrived) == frame * THREADS);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *lost;
        assert_int_equal(pthread_join(threads[i], &lost), 0);
        assert_null(lost);
    }
    assert_int_equal(vv_crowd_count(&hall->log, &hall->slot), 0);
    free(hall);
}

static void test_crowd__nobody_is_forgotten(void **state)
{
    (void)state;
    run_hall(1);
    run_hall(2);
    run_hall(VV_CROWDS);
}

static void test_crowd__the_relay_is_taken_once(void **state)
{
    (void)state;
    struct hall *hall = hall_new(1);
    uint32_t seen[2], after;
    struct vv_crowd *first = vv_crowd_enter(&hall->log, &hall->slot, &seen[0]);
    struct vv_crowd *second = vv_crowd_enter(&hall->log, &hall->slot, &seen[1]);
    assert_int_equal(vv_crowd_count(&hall->log, &hall->slot), 2);
    vv_crowd_wake_all(&hall->log, &hall->slot);
    after = atomic_load(&first->event);
    assert_int_not_equal(after, seen[0]);
    assert_int_equal(vv_wait_on(&second->event, seen[1], VV_WAIT_FOREVER), 0);
    atomic_store(&first->relay, 1);
    vv_crowd_leave(first);
    assert_int_equal(atomic_load(&first->relay), 0);
    vv_crowd_leave(second);
    assert_int_equal(vv_crowd_count(&hall->log, &hall->slot), 0);
    free(hall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd__nobody_is_forgotten),
        cmocka_unit_test(test_crowd__the_relay_is_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
