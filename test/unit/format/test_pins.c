/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc.h"

static struct vv_pins *sample(size_t count)
{
    struct vv_pins *pins = calloc(1, sizeof *pins);
    assert_non_null(pins);
    pins->count = count;
    for (size_t i = 0; i < count; i++) {
        struct vv_pin *p = &pins->pin[i];
        snprintf(p->name, sizeof p->name, "pin-%03u", (unsigned)i);
        snprintf(p->owner, sizeof p->owner, "%s", i % 2 != 0 ? "somebody with a name" : "");
        p->lsn = i + 1;
        p->since_us = 1700000000000000 + i;
        p->moved_us = i;
        p->max_records = i * 3;
        p->max_bytes = UINT64_MAX - i;
        p->max_age_ms = i * 1000;
    }
    return pins;
}

static int decode(const char *text, size_t len, struct vv_pins *ret)
{
    struct varve_error error = {0};
    int rc = vv_pins_decode(text, len, ret, &error);
    assert_int_equal(error.code, rc);
    assert_true(rc == 0 || error.message[0] != '\0');
    return rc;
}

static int decode_sealed(const char *body, struct vv_pins *ret)
{
    char text[4096];
    int len = snprintf(text, sizeof text, "%s", body);
    len += snprintf(text + len, sizeof text - (size_t)len, "crc32c %08x\n", vv_crc32c(0, text, (size_t)len));
    return decode(text, (size_t)len, ret);
}

/* Also as many as there may be, each as long as it may be. */
static void test_pins__round_trip(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, VV_PINS_MAX};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        struct vv_pins *pins = sample(counts[c]), *back = sample(3);
        char *text = malloc(VV_PINS_BYTES_MAX + 1);
        assert_non_null(text);
        for (size_t i = 0; counts[c] == VV_PINS_MAX && i < pins->count; i++) {
            struct vv_pin *p = &pins->pin[i];
            memset(p->name, 'n', sizeof p->name - 1);
            snprintf(p->name, 4, "%03u", (unsigned)i);
            p->name[3] = 'n';
            memset(p->owner, '~', sizeof p->owner - 1);
            p->lsn = p->since_us = p->moved_us = p->max_records = p->max_bytes = p->max_age_ms = UINT64_MAX;
        }
        size_t len = vv_pins_encode(pins, text);
        text[len] = '\0';
        assert_int_equal(decode(text, len, back), 0);
        assert_int_equal(back->count, pins->count);
        assert_memory_equal(back->pin, pins->pin, pins->count * sizeof *pins->pin);
        free(text);
        free(back);
        free(pins);
    }
}

static void test_pins__text(void **state)
{
    (void)state;
    static const char expected[] =
        "varve pins 1\n"
        "pin pin-000 lsn 1 since_us 1700000000000000 moved_us 0 max_records 0 max_bytes 18446744073709551615 "
        "max_age_ms 0 owner \n"
        "crc32c ";
    char text[VV_PINS_BYTES_MAX];
    struct vv_pins *pins = sample(1);
    size_t len = vv_pins_encode(pins, text);
    assert_int_equal(len, strlen(expected) + 9);
    assert_memory_equal(text, expected, strlen(expected));
    free(pins);
}

/* Any bit changed, any length: never taken for sound. */
static void test_pins__damaged(void **state)
{
    (void)state;
    char whole[4096], text[4096];
    struct vv_pins *pins = sample(2), *back = sample(0);
    size_t len = vv_pins_encode(pins, whole);
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(text, whole, len);
            text[len] = '\0';
            text[i] = (char)(text[i] ^ 1 << bit);
            assert_int_equal(decode(text, len, back), VARVE_E_CORRUPT);
        }
    }
    for (size_t cut = 0; cut < len; cut++) {
        memcpy(text, whole, cut);
        text[cut] = '\0';
        assert_int_equal(decode(text, cut, back), VARVE_E_CORRUPT);
    }
    free(back);
    free(pins);
}

/* Sound, and not what this version writes: not guessed at. */
static void test_pins__newer(void **state)
{
    (void)state;
    static const char good[] =
        "pin a lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n";
    static const char *const lines[] = {
        "pin a lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner\n",
        "pin a lsn 0 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n",
        "pin a lsn 05 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n",
        "pin a lsn -5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n",
        "pin a lsn 18446744073709551616 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 "
        "owner x\n",
        "pin a  lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n",
        "pin a/b lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n",
        "pin -a lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n",
        "pin a lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n"
        "pin a lsn 6 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n",
        "pin b lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n"
        "pin a lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n",
        "pin a lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner \x01\n",
        "nip\n",
        "pin",
    };
    struct vv_pins *back = sample(0);
    char body[2048];
    snprintf(body, sizeof body, "varve pins 1\n%s", good);
    assert_int_equal(decode_sealed(body, back), 0);
    assert_int_equal(back->count, 1);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        snprintf(body, sizeof body, "varve pins 1\n%s", lines[i]);
        if (decode_sealed(body, back) != VARVE_E_VERSION) {
            fail_msg("accepted: %s", lines[i]);
        }
        assert_int_equal(back->count, 0);
    }
    assert_int_equal(decode_sealed("varve pins 2\n", back), VARVE_E_VERSION);
    free(back);
}

static void test_pins__too_many(void **state)
{
    (void)state;
    char *text = malloc(VV_PINS_BYTES_MAX + 2);
    struct vv_pins *pins = sample(VV_PINS_MAX), *back = sample(0);
    assert_non_null(text);
    size_t len = vv_pins_encode(pins, text) - 16;
    len += (size_t)snprintf(
        text + len, 200,
        "pin zzz lsn 5 since_us 1 moved_us 1 max_records 0 max_bytes 0 max_age_ms 0 owner x\n");
    len += (size_t)snprintf(text + len, 32, "crc32c %08x\n", vv_crc32c(0, text, len));
    assert_int_equal(decode(text, len, back), VARVE_E_VERSION);
    memset(text, 'x', VV_PINS_BYTES_MAX + 1);
    text[VV_PINS_BYTES_MAX + 1] = '\0';
    assert_int_equal(decode(text, VV_PINS_BYTES_MAX + 1, back), VARVE_E_CORRUPT);
    free(text);
    free(back);
    free(pins);
}

static void test_pins__names(void **state)
{
    (void)state;
    char name[VV_PIN_TEXT_BYTES + 1];
    memset(name, 'a', sizeof name);
    name[VV_PIN_TEXT_BYTES] = '\0';
    assert_false(vv_pins_name_ok(name));
    assert_false(vv_pins_owner_ok(name));
    name[VV_PIN_TEXT_BYTES - 1] = '\0';
    assert_true(vv_pins_name_ok(name));
    assert_true(vv_pins_owner_ok(name));
    assert_true(vv_pins_name_ok("replica:7.b_C-d"));
    assert_false(vv_pins_name_ok(""));
    assert_false(vv_pins_name_ok("-x"));
    assert_false(vv_pins_name_ok("a b"));
    assert_false(vv_pins_name_ok("a\n"));
    assert_true(vv_pins_owner_ok(""));
    assert_true(vv_pins_owner_ok("a b"));
    assert_false(vv_pins_owner_ok("\xc3\xa9"));
}

static void test_pins__find(void **state)
{
    (void)state;
    struct vv_pins *pins = sample(3);
    bool found = false;
    assert_int_equal(vv_pins_find(pins, "pin-001", &found), 1);
    assert_true(found);
    assert_int_equal(vv_pins_find(pins, "pin-0015", &found), 2);
    assert_false(found);
    assert_int_equal(vv_pins_find(pins, "z", &found), 3);
    assert_false(found);
    free(pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pins__round_trip), cmocka_unit_test(test_pins__text),
        cmocka_unit_test(test_pins__damaged),    cmocka_unit_test(test_pins__newer),
        cmocka_unit_test(test_pins__too_many),   cmocka_unit_test(test_pins__names),
        cmocka_unit_test(test_pins__find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
