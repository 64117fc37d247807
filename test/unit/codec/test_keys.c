/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/keys.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"

#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX_B "FFEEDDCCBBAA99887766554433221100ffeeddccbbaa99887766554433221100"

static struct varve_keys *fresh(void)
{
    struct varve_keys *keys = NULL;
    assert_int_equal(varve_keys_new(&keys, NULL), 0);
    return keys;
}

static int add_text(struct varve_keys *keys, const char *text, struct varve_error *ret_error)
{
    /* In memory that ends with the text. */
    size_t length = strlen(text);
    char *copy = malloc(length + (length == 0));
    assert_non_null(copy);
    memcpy(copy, text, length);
    int rc = varve_keys_add_text(keys, copy, length, ret_error);
    free(copy);
    return rc;
}

static void expect_key(struct varve_keys *keys, uint32_t id, uint8_t first)
{
    uint8_t key[VARVE_KEY_BYTES];
    assert_int_equal(vv_keys_find(keys, id, key, NULL), 0);
    assert_int_equal(key[0], first);
}

static void test_keys__add_and_find(void **state)
{
    (void)state;
    struct varve_keys *keys = fresh();
    struct varve_error error = {0};
    uint8_t key[VARVE_KEY_BYTES] = {7}, got[VARVE_KEY_BYTES];
    uint32_t id = 0;
    assert_int_equal(vv_keys_newest(keys, &id, got, &error), VARVE_E_KEY_MISSING);
    assert_int_equal(vv_keys_newest(NULL, &id, got, &error), VARVE_E_KEY_MISSING);
    assert_int_equal(vv_keys_find(NULL, 1, got, &error), VARVE_E_KEY_MISSING);
    assert_int_equal(varve_keys_add(keys, 0, key, &error), VARVE_E_INVALID);
    assert_int_equal(varve_keys_add(keys, 9, key, &error), 0);
    key[0] = 8;
    assert_int_equal(varve_keys_add(keys, 3, key, &error), 0);
    assert_int_equal(varve_keys_add(keys, 3, key, &error), 0);
    assert_int_equal(varve_keys_add(keys, 9, key, &error), VARVE_E_EXISTS);
    assert_non_null(strstr(error.message, "9"));
    expect_key(keys, 9, 7);
    expect_key(keys, 3, 8);
    assert_int_equal(vv_keys_find(keys, 4, got, &error), VARVE_E_KEY_MISSING);
    assert_non_null(strstr(error.message, "key 4"));
    /* The newest is the one with the highest id, whenever it was added. */
    assert_int_equal(vv_keys_newest(keys, &id, got, &error), 0);
    assert_int_equal(id, 9);
    assert_int_equal(got[0], 7);
    varve_keys_free(keys);
    varve_keys_free(NULL);
}

static void test_keys__limit(void **state)
{
    (void)state;
    struct varve_keys *keys = fresh();
    const uint8_t key[VARVE_KEY_BYTES] = {1};
    for (uint32_t id = 1; id <= VARVE_KEYS_MAX; id++) {
        assert_int_equal(varve_keys_add(keys, id, key, NULL), 0);
    }
    assert_int_equal(varve_keys_add(keys, UINT32_MAX, key, NULL), VARVE_E_LIMIT);
    assert_int_equal(varve_keys_add(keys, 1, key, NULL), 0);
    varve_keys_free(keys);
}

static void test_keys__text(void **state)
{
    (void)state;
    static const char *const good[] = {
        "key 1 " HEX_A "\nkey 2 " HEX_B "\n",
        "# two keys\n\n  \nkey 1 " HEX_A "\r\nkey 2 " HEX_B "  \t",
        "key 0000000001 " HEX_A "\nkey 2 " HEX_B "\n# end",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct varve_keys *keys = fresh();
        struct varve_error error = {.message = "?"};
        if (add_text(keys, good[i], &error) != 0) {
            fail_msg("%zu: %s", i, error.message);
        }
        expect_key(keys, 1, 0x00);
        expect_key(keys, 2, 0xff);
        varve_keys_free(keys);
    }
    static const char *const bare[] = {HEX_B, HEX_B "\n", HEX_B "\r\n \n"};
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        struct varve_keys *keys = fresh();
        assert_int_equal(add_text(keys, bare[i], NULL), 0);
        expect_key(keys, 1, 0xff);
        varve_keys_free(keys);
    }
    struct varve_keys *keys = fresh();
    assert_int_equal(add_text(keys, "key 4294967295 " HEX_A, NULL), 0);
    expect_key(keys, UINT32_MAX, 0);
    varve_keys_free(keys);
}

/* No message tells anything of what stood there. */
static void test_keys__bad_text(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "\n# nothing\n",
        "key 1",
        "key 1 ",
        "key  1 " HEX_A,
        "key 1  " HEX_A,
        "key 0 " HEX_A,
        "key -1 " HEX_A,
        "key 4294967296 " HEX_A,
        "key 99999999999999999999 " HEX_A,
        "key x " HEX_A,
        "key 1 " HEX_A "0",
        "key 1 0" HEX_A,
        "key 1 0001020304",
        "key 1 g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "KEY 1 " HEX_A,
        " key 1 " HEX_A,
        HEX_A "\nkey 2 " HEX_B,
        HEX_A HEX_A,
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct varve_keys *keys = fresh();
        struct varve_error error = {0};
        int rc = add_text(keys, bad[i], &error);
        if (rc != VARVE_E_INVALID) {
            fail_msg("'%s': %d", bad[i], rc);
        }
        assert_null(strstr(error.message, "0001"));
        assert_null(strstr(error.message, "1e1f"));
        varve_keys_free(keys);
    }
    struct varve_keys *keys = fresh();
    struct varve_error error = {0};
    assert_int_equal(add_text(keys, "key 1 " HEX_A "\nkey 1 " HEX_B "\n", &error), VARVE_E_EXISTS);
    assert_int_equal(add_text(keys, "key 2 " HEX_A "\n\nkee 3 " HEX_B "\n", &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, "line 3"));
    char *large = calloc(1, VV_KEYS_TEXT_MAX + 1);
    assert_non_null(large);
    memset(large, '\n', VV_KEYS_TEXT_MAX + 1);
    assert_int_equal(varve_keys_add_text(keys, large, VV_KEYS_TEXT_MAX + 1, &error), VARVE_E_INVALID);
    free(large);
    varve_keys_free(keys);
}

/* -- a source -- */

struct source {
    unsigned asked, asked_newest;
    uint32_t newest;
    int fails;
};

static int give(void *arg, uint32_t id, uint32_t *ret_id, void *ret_key)
{
    struct source *source = arg;
    source->asked += id != 0;
    source->asked_newest += id == 0;
    if (source->fails || (id == 0 && source->newest == 0) || id > 20) {
        return -1;
    }
    *ret_id = id == 0 ? source->newest : id;
    memset(ret_key, (int)*ret_id, VARVE_KEY_BYTES);
    return 0;
}

static void test_keys__source(void **state)
{
    (void)state;
    struct varve_keys *keys = fresh();
    struct source source = {.newest = 5};
    struct varve_error error = {0};
    uint8_t key[VARVE_KEY_BYTES];
    uint32_t id = 0;
    varve_keys_set_source(keys, give, &source);
    assert_int_equal(vv_keys_newest(keys, &id, key, &error), 0);
    assert_int_equal(id, 5);
    assert_int_equal(key[31], 5);
    expect_key(keys, 5, 5); /* kept */
    assert_int_equal(source.asked, 0);
    expect_key(keys, 2, 2);
    expect_key(keys, 2, 2);
    assert_int_equal(source.asked, 1);
    /* It knows of a newer one by now. */
    source.newest = 6;
    assert_int_equal(vv_keys_newest(keys, &id, key, &error), 0);
    assert_int_equal(id, 6);
    /* When it has nothing to say, what there is counts. */
    source.fails = 1;
    assert_int_equal(vv_keys_newest(keys, &id, key, &error), 0);
    assert_int_equal(id, 6);
    assert_int_equal(vv_keys_find(keys, 7, key, &error), VARVE_E_KEY_MISSING);
    source.fails = 0;
    assert_int_equal(vv_keys_find(keys, 21, key, &error), VARVE_E_KEY_MISSING);
    varve_keys_free(keys);
}

/* Adding while others look. */
static void *add_many(void *arg)
{
    struct varve_keys *keys = arg;
    for (uint32_t id = 1; id <= VARVE_KEYS_MAX; id++) {
        uint8_t key[VARVE_KEY_BYTES], got[VARVE_KEY_BYTES];
        uint32_t newest;
        memset(key, (int)id, sizeof key);
        if (varve_keys_add(keys, id, key, NULL) != 0 || vv_keys_find(keys, id, got, NULL) != 0 ||
            memcmp(key, got, sizeof key) != 0 || vv_keys_newest(keys, &newest, got, NULL) != 0 ||
            newest < id || got[7] != newest) {
            return keys;
        }
    }
    return NULL;
}

static void test_keys__threads(void **state)
{
    (void)state;
    struct varve_keys *keys = fresh();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, keys), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    varve_keys_free(keys);
}

static void test_keys__no_memory(void **state)
{
    (void)state;
    for (long n = 0; n < 2; n++) {
        struct varve_keys *keys = NULL;
        vv_alloc_fail_after(n);
        assert_int_equal(varve_keys_new(&keys, NULL), VARVE_E_NOMEM);
        vv_alloc_fail_after(-1);
        assert_null(keys);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys__add_and_find), cmocka_unit_test(test_keys__limit),
        cmocka_unit_test(test_keys__text),         cmocka_unit_test(test_keys__bad_text),
        cmocka_unit_test(test_keys__source),       cmocka_unit_test(test_keys__threads),
        cmocka_unit_test(test_keys__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
