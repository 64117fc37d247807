/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/keys.h"
#include "lib/bytes.h"
#include "lib/tmp.h"

#define HEX      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_FILE "# a key\nkey 5 " HEX "\n"

static struct varve_keys *fresh(void)
{
    struct varve_keys *keys = NULL;
    assert_int_equal(varve_keys_new(&keys, NULL), 0);
    return keys;
}

static void expect_key(struct varve_keys *keys, uint32_t id)
{
    uint8_t key[VARVE_KEY_BYTES];
    assert_int_equal(vv_keys_find(keys, id, key, NULL), 0);
    assert_int_equal(key[31], 0x1f);
    varve_keys_free(keys);
}

static void test_keyfile__file(void **state)
{
    (void)state;
    char *dir = test_tmp_new(), *path = test_tmp_join(dir, "keys");
    struct varve_error error = {0};
    struct varve_keys *keys = fresh();
    assert_int_equal(varve_keys_add_file(keys, path, &error), VARVE_E_NOT_FOUND);
    assert_int_equal(varve_keys_add_file(keys, dir, &error), VARVE_E_NOT_REGULAR);
    assert_int_equal(varve_keys_add_file(keys, "", &error), VARVE_E_INVALID);
    assert_int_equal(varve_keys_add_file(NULL, path, &error), VARVE_E_INVALID);
    test_bytes_write(dir, "keys", KEY_FILE, strlen(KEY_FILE));
    /* Refused when others can read it, or could put another key there. */
    static const mode_t open_modes[] = {0644, 0640, 0604, 0620, 0602};
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        assert_int_equal(chmod(path, open_modes[i]), 0);
        assert_int_equal(varve_keys_add_file(keys, path, &error), VARVE_E_INVALID);
        assert_non_null(strstr(error.message, path));
        assert_non_null(strstr(error.message, "0600"));
    }
    if (geteuid() == 0) {
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(chown(path, 12345, 0), 0);
        assert_int_equal(varve_keys_add_file(keys, path, &error), VARVE_E_INVALID);
        assert_non_null(strstr(error.message, "another user"));
        assert_int_equal(chown(path, 0, 0), 0);
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(varve_keys_add_file(keys, path, &error), 0);
    expect_key(keys, 5);
    assert_int_equal(chmod(path, 0600), 0);
    /* What is wrong in it is said with its name, and without what stands there. */
    keys = fresh();
    test_bytes_write(dir, "keys", "key 5 0001020304\n", 17);
    assert_int_equal(varve_keys_add_file(keys, path, &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, path));
    assert_non_null(strstr(error.message, "line 1"));
    assert_null(strstr(error.message, "0001"));
    char *large = calloc(1, VV_KEYS_TEXT_MAX + 1);
    assert_non_null(large);
    test_bytes_write(dir, "keys", large, VV_KEYS_TEXT_MAX + 1);
    assert_int_equal(varve_keys_add_file(keys, path, &error), VARVE_E_INVALID);
    free(large);
    varve_keys_free(keys);
    free(path);
    test_tmp_free(dir);
}

static void test_keyfile__fd(void **state)
{
    (void)state;
    int fds[2];
    struct varve_error error = {0};
    struct varve_keys *keys = fresh();
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], HEX "\n", 65), 65);
    close(fds[1]);
    assert_int_equal(varve_keys_add_fd(keys, fds[0], &error), 0);
    close(fds[0]);
    assert_int_equal(varve_keys_add_fd(keys, -1, &error), VARVE_E_IO);
    assert_int_equal(varve_keys_add_fd(NULL, 0, &error), VARVE_E_INVALID);
    expect_key(keys, 1);
}

static void test_keyfile__env(void **state)
{
    (void)state;
    struct varve_error error = {0};
    struct varve_keys *keys = fresh();
    unsetenv("VARVE_TEST_KEYS");
    assert_int_equal(varve_keys_add_env(keys, "VARVE_TEST_KEYS", &error), VARVE_E_NOT_FOUND);
    assert_int_equal(varve_keys_add_env(keys, NULL, &error), VARVE_E_INVALID);
    setenv("VARVE_TEST_KEYS", "0001", 1);
    assert_int_equal(varve_keys_add_env(keys, "VARVE_TEST_KEYS", &error), VARVE_E_INVALID);
    assert_non_null(strstr(error.message, "VARVE_TEST_KEYS"));
    setenv("VARVE_TEST_KEYS", KEY_FILE, 1);
    assert_int_equal(varve_keys_add_env(keys, "VARVE_TEST_KEYS", &error), 0);
    expect_key(keys, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyfile__file),
        cmocka_unit_test(test_keyfile__fd),
        cmocka_unit_test(test_keyfile__env),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
