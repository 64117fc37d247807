/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers: RFC 5869, appendix A, the test cases with SHA-256. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#ifdef VARVE_HAVE_OPENSSL

#include "codec/hkdf.h"
#include "lib/hex.h"

static const struct {
    const char *key, *salt, *info, *out;
} answers[] = {
    {
        .key = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        .salt = "000102030405060708090a0b0c",
        .info = "f0f1f2f3f4f5f6f7f8f9",
        .out = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    },
    {
        .key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
               "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
               "404142434445464748494a4b4c4d4e4f",
        .salt = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
                "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
                "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
        .info = "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
                "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        .out = "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
               "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
               "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    },
    {
        .key = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        .salt = "",
        .info = "",
        .out = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    },
};

static void test_hkdf__known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        uint8_t key[96], salt[96], info[96], expected[96], out[96];
        size_t key_bytes = test_hex_within(answers[i].key, key, sizeof key);
        size_t salt_bytes = test_hex_within(answers[i].salt, salt, sizeof salt);
        size_t info_bytes = test_hex_within(answers[i].info, info, sizeof info);
        size_t bytes = test_hex_within(answers[i].out, expected, sizeof expected);
        assert_true(vv_hkdf_sha256(salt, salt_bytes, key, key_bytes, info, info_bytes, out, bytes));
        assert_memory_equal(out, expected, bytes);
    }
}

/* The most that there can be, and one byte more. */
static void test_hkdf__length(void **state)
{
    (void)state;
    static uint8_t out[255 * 32 + 1];
    assert_true(vv_hkdf_sha256("s", 1, "k", 1, "i", 1, out, sizeof out - 1));
    assert_false(vv_hkdf_sha256("s", 1, "k", 1, "i", 1, out, sizeof out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hkdf__known_answers),
        cmocka_unit_test(test_hkdf__length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    puts("built without OpenSSL");
    return 77;
}

#endif
