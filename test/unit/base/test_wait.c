/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wait.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "varve/io.h"

static uint64_t now_us(void)
{
    return varve_io_system()->monotonic_us(varve_io_system());
}

static void test_wait__different_word(void **state)
{
    (void)state;
    _Atomic uint32_t word = 5;
    errno = 77;
    assert_int_equal(vv_wait_on(&word, 4, VV_WAIT_FOREVER), 0);
    assert_int_equal(vv_wait_on(&word, 4, 0), 0);
    assert_int_equal(errno, 77);
}

static void test_wait__timeout(void **state)
{
    (void)state;
    _Atomic uint32_t word = 5;
    assert_int_equal(vv_wait_on(&word, 5, 0), -ETIMEDOUT);
    uint64_t start = now_us();
    int rc;
    /* Waking for no reason is allowed, so the rest of the time is waited for again. */
    do {
        uint64_t past = now_us() - start;
        rc = vv_wait_on(&word, 5, past < 20000 ? (int64_t)(20000 - past) : 0);
    } while (rc == 0);
    assert_int_equal(rc, -ETIMEDOUT);
    assert_true(now_us() - start >= 20000);
}

struct gate {
    _Atomic uint32_t word;
    _Atomic uint32_t passed;
    int content; /* [published by word] */
};

static void *wait_at_gate(void *arg)
{
    struct gate *gate = arg;
    while (atomic_load_explicit(&gate->word, memory_order_acquire) == 0) {
        (void)vv_wait_on(&gate->word, 0, VV_WAIT_FOREVER);
    }
    /* Under ThreadSanitizer this read shows whether the word orders it. */
    if (gate->content == 42) {
        atomic_fetch_add(&gate->passed, 1);
        vv_wake_one(&gate->passed);
    }
    return NULL;
}

static void test_wait__wake_all(void **state)
{
    (void)state;
    enum {
        THREADS = 8
    };
    for (int round = 0; round < 50; round++) {
        struct gate gate = {0};
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, wait_at_gate, &gate), 0);
        }
        if (round % 2 == 0) {
            usleep(500);
        }
        gate.content = 42;
        atomic_store_explicit(&gate.word, 1, memory_order_release);
        vv_wake_all(&gate.word);
        for (uint32_t passed; (passed = atomic_load(&gate.passed)) < THREADS;) {
            (void)vv_wait_on(&gate.passed, passed, VV_WAIT_FOREVER);
        }
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
    }
}

/* Two threads hand a turn to each other: a lost wake-up would hang this. */
struct table_tennis {
    _Atomic uint32_t turn;
    uint64_t strokes; /* [whose turn it is] */
};

enum {
    STROKES = 5000
};

static void play(struct table_tennis *table, uint32_t me)
{
    for (int i = 0; i < STROKES; i++) {
        while (atomic_load_explicit(&table->turn, memory_order_acquire) != me) {
            (void)vv_wait_on(&table->turn, 1 - me, VV_WAIT_FOREVER);
        }
        table->strokes++;
        atomic_store_explicit(&table->turn, 1 - me, memory_order_release);
        vv_wake_one(&table->turn);
    }
}

static void *play_second(void *arg)
{
    play(arg, 1);
    return NULL;
}

static void test_wait__no_wake_is_lost(void **state)
{
    (void)state;
    struct table_tennis table = {0};
    pthread_t second;
    assert_int_equal(pthread_create(&second, NULL, play_second, &table), 0);
    play(&table, 0);
    assert_int_equal(pthread_join(second, NULL), 0);
    assert_int_equal(table.strokes, 2 * STROKES);
}

static void test_wait__wake_of_freed_memory(void **state)
{
    (void)state;
    /* Whoever wakes may come when the word is gone already; an address that was never mapped stands for it.
     */
    errno = 77;
    vv_wake_all((_Atomic uint32_t *)(uintptr_t)4096);
    assert_int_equal(errno, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait__different_word),
        cmocka_unit_test(test_wait__timeout),
        cmocka_unit_test(test_wait__wake_all),
        cmocka_unit_test(test_wait__no_wake_is_lost),
        cmocka_unit_test(test_wait__wake_of_freed_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
