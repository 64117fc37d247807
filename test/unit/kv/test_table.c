/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/rng.h"

static const uint64_t secret[2] = {0x1234567, 0x89abcdef};

static struct vv_entry *entry(uint32_t number)
{
    struct vv_entry *e =
        vv_entry_new(&number, sizeof number, VV_ENTRY_VALUE, 0, &number, sizeof number, NULL, 0);
    assert_non_null(e);
    return e;
}

static uint64_t hash(uint32_t number)
{
    return vv_hash(secret, &number, sizeof number);
}

static void insert(struct vv_table *table, uint32_t number)
{
    assert_true(vv_table_reserve(table, 1));
    vv_table_insert(table, hash(number), entry(number));
}

static struct vv_entry *find(const struct vv_table *table, uint32_t number)
{
    return vv_table_find(table, hash(number), &number, sizeof number);
}

static void test_table__against_a_list(void **state)
{
    enum {
        KEYS = 20000
    };
    static bool there[KEYS];
    struct vv_table table;
    struct test_rng rng;
    uint64_t count = 0;
    (void)state;
    test_rng_init(&rng, test_rng_seed());
    vv_table_init(&table, secret);
    assert_null(find(&table, 7));
    for (unsigned i = 0; i < 200000; i++) {
        /* Grows first, shrinks then. */
        uint32_t key = (uint32_t)test_rng_below(&rng, KEYS);
        bool wanted = test_rng_below(&rng, 100) < (i < 100000 ? 80u : 30u);
        struct vv_entry *e = find(&table, key);
        assert_int_equal(e != NULL, there[key]);
        if (!e && wanted) {
            insert(&table, key);
            count++;
        } else if (e && wanted) {
            vv_table_replace(&table, hash(key), e, entry(key));
            vv_free(e);
        } else if (e) {
            vv_table_remove(&table, hash(key), e);
            vv_free(e);
            count--;
        }
        there[key] = wanted;
        assert_int_equal(table.count, count);
    }
    for (uint32_t key = 0; key < KEYS; key++)
        assert_int_equal(find(&table, key) != NULL, there[key]);
    vv_table_free(&table);
    assert_int_equal(table.count, 0);
}

struct visits {
    unsigned char *times;
};

static void visit(void *arg, struct vv_entry *e)
{
    struct visits *v = arg;
    uint32_t number;
    memcpy(&number, vv_entry_key(e), sizeof number);
    v->times[number]++;
}

/* Whatever comes and goes between the steps of a walk, what stays is met just once. */
static void test_table__walk(void **state)
{
    enum {
        STAY = 3000,
        ALL = 40000
    };
    struct test_rng rng;
    (void)state;
    test_rng_init(&rng, test_rng_seed());
    for (unsigned round = 0; round < 20; round++) {
        struct visits v = {calloc(ALL, 1)};
        uint32_t next = STAY;
        struct vv_table table;
        vv_table_init(&table, secret);
        for (uint32_t i = 0; i < STAY; i++)
            insert(&table, i);
        for (uint64_t place = 0; place < VV_PLACE_END;) {
            place = vv_table_walk(&table, place, visit, &v);
            for (uint64_t n = test_rng_below(&rng, 12); n > 0 && next < ALL; n--)
                insert(&table, next++);
            if (next > STAY + 100 && test_rng_once_in(&rng, 2)) {
                uint32_t gone = (uint32_t)test_rng_range(&rng, STAY, next - 1);
                struct vv_entry *e = find(&table, gone);
                if (e) {
                    vv_table_remove(&table, hash(gone), e);
                    vv_free(e);
                }
            }
        }
        for (uint32_t i = 0; i < ALL; i++)
            assert_true(i < STAY ? v.times[i] == 1 : v.times[i] <= 1);
        assert_true(table.count > STAY);
        vv_table_free(&table);
        free(v.times);
    }
}

/* Room for many at once, and no memory for it. */
static void test_table__reserve(void **state)
{
    struct vv_table table;
    (void)state;
    for (long n = 0;; n++) {
        bool good;
        vv_table_init(&table, secret);
        vv_alloc_fail_after(n);
        good = vv_table_reserve(&table, 300);
        if (vv_alloc_fail_left() >= 0) {
            vv_alloc_fail_after(0);
            assert_true(good);
            for (uint32_t i = 0; i < 300; i++) {
                struct vv_entry *e;
                vv_alloc_fail_after(-1);
                e = entry(i);
                vv_alloc_fail_after(0);
                vv_table_insert(&table, hash(i), e);
            }
            vv_alloc_fail_after(-1);
            assert_int_equal(table.count, 300);
            vv_table_free(&table);
            break;
        }
        assert_false(good);
        vv_table_free(&table);
    }
}

/* What was promised is there, also when removals give buckets back meanwhile. */
static void test_table__removals_between(void **state)
{
    enum {
        KEYS = 2000
    };
    struct vv_table table;
    (void)state;
    vv_table_init(&table, secret);
    for (uint32_t key = 0; key < KEYS; key++)
        insert(&table, key);
    for (uint32_t round = 1; round < 10; round++) {
        assert_true(vv_table_reserve(&table, KEYS));
        for (uint32_t key = round * KEYS; key < (round + 1) * KEYS; key++) {
            struct vv_entry *gone = find(&table, key - KEYS);
            vv_table_remove(&table, hash(key - KEYS), gone);
            vv_free(gone);
            vv_table_insert(&table, hash(key), entry(key));
        }
        assert_int_equal(table.count, KEYS);
        assert_int_equal(table.promised, 0);
    }
    vv_table_free(&table);
}

/* Seven slots and an overflow, sixteen bits of a hash: memory for each key stays small. */
static void test_table__memory(void **state)
{
    struct vv_table table;
    (void)state;
    vv_table_init(&table, secret);
    for (uint32_t i = 0; i < 200000; i++)
        insert(&table, i);
    assert_true(table.bytes / 200000 < 24);
    vv_table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table__against_a_list), cmocka_unit_test(test_table__walk),
        cmocka_unit_test(test_table__reserve),        cmocka_unit_test(test_table__removals_between),
        cmocka_unit_test(test_table__memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
