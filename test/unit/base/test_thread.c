/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    sigset_t mask;
    char name[16];
};

static void *look_around(void *arg)
{
    struct seen *seen = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->mask);
    return seen;
}

static void test_thread__signals_are_blocked_there_only(void **state)
{
    (void)state;
    struct seen seen;
    sigset_t mine;
    pthread_t thread;
    void *result;
    assert_int_equal(vv_thread_start(&thread, "varve-test", look_around, &seen), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &seen);
    assert_int_equal(sigismember(&seen.mask, SIGTERM), 1);
    assert_int_equal(sigismember(&seen.mask, SIGPROF), 1);
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_int_equal(sigismember(&mine, SIGTERM), 0);
}

static void *wait_for_name(void *arg)
{
    pthread_mutex_t *lock = arg;
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

static void test_thread__name(void **state)
{
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    char name[16];
    pthread_mutex_lock(&lock);
    assert_int_equal(vv_thread_start(&thread, "varve-test", wait_for_name, &lock), 0);
    assert_int_equal(pthread_getname_np(thread, name, sizeof name), 0);
    pthread_mutex_unlock(&lock);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(name, "varve-test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread__signals_are_blocked_there_only),
        cmocka_unit_test(test_thread__name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
