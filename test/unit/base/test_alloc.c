/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_alloc__content(void **state)
{
    (void)state;
    unsigned char *p = vv_alloc_zero(1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(p[i], 0);
    }
    memset(p, 7, 1000);
    p = vv_realloc(p, 100000);
    assert_int_equal(p[999], 7);
    vv_free(p);
    uint32_t *words = vv_alloc_array(100, sizeof *words);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(words[i], 0);
    }
    vv_free(words);
    vv_free(NULL);
}

static void test_alloc__nothing_is_not_a_failure(void **state)
{
    (void)state;
    void *p[] = {vv_alloc(0), vv_alloc_zero(0), vv_alloc_aligned(64, 0), vv_alloc_array(0, 8),
                 vv_realloc(NULL, 0)};
    for (size_t i = 0; i < sizeof p / sizeof p[0]; i++) {
        assert_non_null(p[i]);
        vv_free(p[i]);
    }
}

static void test_alloc__aligned(void **state)
{
    (void)state;
    for (size_t align = sizeof(void *); align <= 1 << 16; align *= 2) {
        unsigned char *p = vv_alloc_aligned(align, align + 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % align, 0);
        memset(p, 1, align + 1);
        vv_free(p);
    }
}

static void test_alloc__product_overflows(void **state)
{
    (void)state;
    /* Through a volatile, for a compiler that sees the number warns of it. */
    volatile size_t count = SIZE_MAX / 2;
    assert_null(vv_alloc_array(count, 3));
    assert_null(vv_alloc_array(3, count));
}

static void *alloc_nth(int n)
{
    switch (n % 5) {
    case 0:
        return vv_alloc(10);
    case 1:
        return vv_alloc_zero(10);
    case 2:
        return vv_alloc_array(2, 5);
    case 3:
        return vv_alloc_aligned(64, 10);
    default:
        return vv_realloc(NULL, 10);
    }
}

static void test_alloc__countdown_fails_once(void **state)
{
    (void)state;
    for (int after = 0; after < 20; after++) {
        vv_alloc_fail_after(after);
        for (int i = 0; i < 20; i++) {
            assert_int_equal(vv_alloc_fail_left(), i <= after ? after - i : -1);
            void *p = alloc_nth(i);
            assert_true((p == NULL) == (i == after));
            vv_free(p);
        }
        assert_true(vv_alloc_fail_left() < 0);
    }
    vv_alloc_fail_after(1);
    vv_alloc_fail_after(-1);
    for (int i = 0; i < 5; i++) {
        void *p = alloc_nth(i);
        assert_non_null(p);
        vv_free(p);
    }
}

static void test_alloc__failed_realloc_keeps_the_old(void **state)
{
    (void)state;
    char *p = vv_alloc(5);
    memcpy(p, "kept", 5);
    vv_alloc_fail_after(0);
    assert_null(vv_realloc(p, 1 << 20));
    assert_string_equal(p, "kept");
    vv_free(p);
}

static _Atomic int failures;

static void *allocate_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        void *p = vv_alloc(8);
        if (p == NULL) {
            atomic_fetch_add(&failures, 1);
        }
        vv_free(p);
    }
    return NULL;
}

static void test_alloc__threads_meet_one_failure(void **state)
{
    (void)state;
    pthread_t threads[4];
    vv_alloc_fail_after(1500);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_often, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(failures, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc__content),
        cmocka_unit_test(test_alloc__nothing_is_not_a_failure),
        cmocka_unit_test(test_alloc__aligned),
        cmocka_unit_test(test_alloc__product_overflows),
        cmocka_unit_test(test_alloc__countdown_fails_once),
        cmocka_unit_test(test_alloc__failed_realloc_keeps_the_old),
        cmocka_unit_test(test_alloc__threads_meet_one_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
