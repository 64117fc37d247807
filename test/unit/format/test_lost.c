/* SPDX-License-Identifier: Apache-2.0 */
#include "format/lost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc.h"

static struct vv_lost_line full(void)
{
    struct vv_lost_line line = {
        .id = UINT64_MAX,
        .first = UINT64_MAX - 1,
        .last = UINT64_MAX - 1,
        .segment = UINT64_MAX,
        .offset = UINT64_MAX,
        .what = VV_LOST_MISSING_SEGMENT,
        .state = VV_LOST_REQUEUING,
        .from = UINT64_MAX,
        .to = UINT64_MAX,
        .trust = UINT32_MAX,
        .salt = UINT64_MAX,
        .sector_bytes = UINT32_MAX,
        .time_us = UINT64_MAX,
        .repaired = true,
    };
    memset(line.file, 'f', sizeof line.file - 1);
    memset(line.reason, 'r', sizeof line.reason - 1);
    return line;
}

static bool decode(const char *text, struct vv_lost_line *ret)
{
    return vv_lost_decode(text, strlen(text) - 1, ret);
}

static void test_lost__round(void **state)
{
    (void)state;
    char text[VV_LOST_LINE_BYTES], again[VV_LOST_LINE_BYTES];
    const struct vv_lost_line lines[] = {
        full(),
        {.id = 1, .first = 3, .last = 2, .what = VV_LOST_CORRUPT},
        {.id = 2,
         .first = 3,
         .last = 3,
         .what = VV_LOST_SET_ASIDE,
         .file = "record-2.seg",
         .reason = "why - not"},
        {.id = 3,
         .first = 3,
         .last = 3,
         .what = VV_LOST_HOLE,
         .state = VV_LOST_DROPPED,
         .reason = "a crc32c b"},
    };
    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct vv_lost_line got;
        size_t len = vv_lost_encode(&lines[i], text);
        assert_int_equal(len, strlen(text));
        assert_int_equal(text[len - 1], '\n');
        assert_true(decode(text, &got));
        assert_int_equal(got.id, lines[i].id);
        assert_int_equal(got.what, lines[i].what);
        assert_int_equal(got.state, lines[i].state);
        assert_string_equal(got.reason, lines[i].reason);
        assert_string_equal(got.file, lines[i].file);
        (void)vv_lost_encode(&got, again);
        assert_string_equal(text, again);
    }
}

/* No bit of a line can be turned without its being seen, and no beginning of one passes. */
static void test_lost__damaged(void **state)
{
    (void)state;
    const struct vv_lost_line line = full();
    char text[VV_LOST_LINE_BYTES];
    size_t len = vv_lost_encode(&line, text) - 1;
    struct vv_lost_line got;
    for (size_t i = 0; i < len; i++) {
        assert_false(vv_lost_decode(text, i, &got));
        for (unsigned bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ (1 << bit));
            assert_false(vv_lost_decode(text, len, &got));
            text[i] = (char)(text[i] ^ (1 << bit));
        }
    }
    assert_true(vv_lost_decode(text, len, &got));
}

/* With a right checksum, and not what would be written. */
static void test_lost__other_forms(void **state)
{
    (void)state;
#define REST " trust 0 salt 0000000000000000 sector 0 time_us 0 repaired 0 reason -"
    static const char *const bodies[] = {
        "",
        "lsn 1 to 2 segment 1 offset 4096 corrupt file -",
        "lsn 1 to 2 segment 1 offset 4096 corrupt file - id 0 pending from 0 to 0" REST,
        "lsn 1 to 2 segment 1 offset 4096 corrupt file ../x id 1 pending from 0 to 0" REST,
        "lsn 5 to 2 segment 1 offset 4096 corrupt file - id 1 pending from 0 to 0" REST,
        "lsn 1 to 2 segment 1 offset 4096 spoiled file - id 1 pending from 0 to 0" REST,
        "lsn 01 to 2 segment 1 offset 4096 corrupt file - id 1 pending from 0 to 0" REST,
        "lsn 1 to 2 segment 1 offset 4096 corrupt file - id 1 gone from 0 to 0" REST,
    };
    for (unsigned i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char text[VV_LOST_LINE_BYTES];
        struct vv_lost_line got;
        snprintf(text, sizeof text, "%s crc32c %08x\n", bodies[i],
                 vv_crc32c(0, bodies[i], strlen(bodies[i])));
        assert_false(decode(text, &got));
    }
}

static void test_lost__reasons(void **state)
{
    (void)state;
    char text[VV_LOST_REASON_BYTES + 1];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    assert_false(vv_lost_reason_ok(text));
    text[sizeof text - 2] = 0;
    assert_true(vv_lost_reason_ok(text));
    assert_true(vv_lost_reason_ok(""));
    assert_true(vv_lost_reason_ok("gr\xc3\xbc\xc3\x9f"));
    assert_false(vv_lost_reason_ok("two\nlines"));
    assert_false(vv_lost_reason_ok("a tab\t"));
    assert_false(vv_lost_reason_ok("\x7f"));
    assert_false(vv_lost_reason_ok("cut \xc3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost__round),
        cmocka_unit_test(test_lost__damaged),
        cmocka_unit_test(test_lost__other_forms),
        cmocka_unit_test(test_lost__reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
