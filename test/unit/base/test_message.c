/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct varve_message full = {
    .size = sizeof full,
    .level = VARVE_MESSAGE_WARNING,
    .event = VARVE_EVENT_RETRY,
    .time_us = UINT64_C(1769860800000001),
    .path = "/srv/a log",
    .text = "hangs: \"x\" and \\",
    .lsn = 7,
    .segment = 3,
    .offset = 4096,
    .bytes = 512,
    .duration_us = 1500000,
    .code = VARVE_E_IO,
    .sys_errno = 5,
    .held_back = 9,
};

static void expect(const struct varve_message *message, enum varve_message_form form, const char *wanted)
{
    char line[VARVE_MESSAGE_LINE_BYTES];
    size_t len = 0;
    assert_int_equal(varve_message_render(message, form, line, sizeof line, &len), 0);
    assert_string_equal(line, wanted);
    assert_int_equal(len, strlen(wanted));
}

static void test_message__forms(void **state)
{
    (void)state;
    expect(&full, VARVE_FORM_TEXT,
           "2026-01-31T12:00:00.000001Z warning retry: /srv/a log: hangs: \"x\" and \\ (9 more of these were "
           "held back)\n");
    expect(&full, VARVE_FORM_LOGFMT,
           "time=2026-01-31T12:00:00.000001Z level=warning event=retry log=\"/srv/a log\" lsn=7 segment=3 "
           "offset=4096 bytes=512 duration_us=1500000 error=VARVE_E_IO errno=5 held_back=9 "
           "msg=\"hangs: \\\"x\\\" and \\\\\"\n");
    expect(&full, VARVE_FORM_JSON,
           "{\"time\":\"2026-01-31T12:00:00.000001Z\",\"level\":\"warning\",\"event\":\"retry\","
           "\"log\":\"/srv/a log\",\"lsn\":7,\"segment\":3,\"offset\":4096,\"bytes\":512,"
           "\"duration_us\":1500000,\"error\":\"VARVE_E_IO\",\"errno\":5,\"held_back\":9,"
           "\"msg\":\"hangs: \\\"x\\\" and \\\\\"}\n");
    const struct varve_message bare = {.size = sizeof bare,
                                       .level = VARVE_MESSAGE_INFO,
                                       .event = VARVE_EVENT_CLOSED,
                                       .path = "log",
                                       .text = "closed"};
    expect(&bare, VARVE_FORM_TEXT, "1970-01-01T00:00:00.000000Z info closed: log: closed\n");
    expect(&bare, VARVE_FORM_LOGFMT,
           "time=1970-01-01T00:00:00.000000Z level=info event=closed log=\"log\" msg=\"closed\"\n");
}

/* A path is anybody's bytes: nothing in it breaks the line, the string, or the terminal. */
static void test_message__hostile(void **state)
{
    (void)state;
    struct varve_message message = full;
    message.path = "a\nb\x1b[2J\x7f\xc2\x9b\xff\xe2\x82\xed\xa0\x80\xf0\x9f\x92\xbe\"";
    message.text = "";
    for (int form = VARVE_FORM_TEXT; form <= VARVE_FORM_JSON; form++) {
        char line[VARVE_MESSAGE_LINE_BYTES];
        size_t len;
        assert_int_equal(
            varve_message_render(&message, (enum varve_message_form)form, line, sizeof line, &len), 0);
        assert_non_null(strstr(line, form == VARVE_FORM_TEXT ? "a?b?[2J?????\?\?\?\?\xf0\x9f\x92\xbe\""
                                                             : "a?b?[2J?????\?\?\?\?\xf0\x9f\x92\xbe\\\""));
        assert_ptr_equal(strchr(line, '\n'), line + len - 1);
    }
}

/* The longest there can be fits, and its numbers and its end are there. */
static void test_message__long(void **state)
{
    (void)state;
    static char path[5000], text[5000];
    memset(path, '"', sizeof path - 1);
    memset(text, '\\', sizeof text - 1);
    struct varve_message message = full;
    message.path = path;
    message.text = text;
    message.time_us = UINT64_C(250000000000000000);
    message.lsn = message.segment = message.offset = message.bytes = message.duration_us = UINT64_MAX;
    message.held_back = UINT64_MAX;
    message.sys_errno = INT32_MAX;
    message.code = VARVE_E_MISSING_SEGMENT;
    for (int form = VARVE_FORM_TEXT; form <= VARVE_FORM_JSON; form++) {
        char line[VARVE_MESSAGE_LINE_BYTES];
        size_t len;
        assert_int_equal(
            varve_message_render(&message, (enum varve_message_form)form, line, sizeof line, &len), 0);
        assert_int_equal(line[len - 1], '\n');
        assert_non_null(strstr(line, "18446744073709551615"));
        assert_non_null(strstr(line, form == VARVE_FORM_JSON     ? "\\\\\"}\n"
                                     : form == VARVE_FORM_LOGFMT ? "\\\\\"\n"
                                                                 : "held back)\n"));
    }
}

static void test_message__invalid(void **state)
{
    (void)state;
    char line[VARVE_MESSAGE_LINE_BYTES];
    assert_int_equal(varve_message_render(NULL, VARVE_FORM_TEXT, line, sizeof line, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_message_render(&full, VARVE_FORM_TEXT, NULL, sizeof line, NULL), VARVE_E_INVALID);
    assert_int_equal(varve_message_render(&full, VARVE_FORM_TEXT, line, sizeof line - 1, NULL),
                     VARVE_E_INVALID);
    assert_int_equal(varve_message_render(&full, (enum varve_message_form)3, line, sizeof line, NULL),
                     VARVE_E_INVALID);
    assert_string_equal(varve_event_name((enum varve_event)9999), "unknown");
    assert_string_equal(varve_message_level_name((enum varve_message_level)9999), "unknown");
}

/* The manual has every event in its table, with its level, in this order, and no other. */
static void test_message__documented(void **state)
{
    (void)state;
    const char *source = getenv("VARVE_SOURCE");
    char path[1024], line[1024], wanted[256];
    unsigned found = 0;
    assert_non_null(source);
    snprintf(path, sizeof path, "%s/docs/OPERATIONS.md", source);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    bool inside = false;
    while (fgets(line, sizeof line, file)) {
        inside = inside || strncmp(line, "| event | level |", 17) == 0;
        if (!inside || line[0] != '|' || strncmp(line, "| `", 3) != 0) {
            inside = inside && line[0] == '|';
            continue;
        }
        assert_true(found < VARVE_EVENT_COUNT);
        enum varve_event event = (enum varve_event)found++;
        snprintf(wanted, sizeof wanted, "| `%s` | %s | %s", varve_event_name(event),
                 varve_message_level_name(varve_event_level(event)), varve_event_meaning(event));
        if (strncmp(line, wanted, strlen(wanted)) != 0) {
            fail_msg("OPERATIONS.md has '%s', not '%s'", line, wanted);
        }
    }
    fclose(file);
    assert_int_equal(found, VARVE_EVENT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message__forms),      cmocka_unit_test(test_message__hostile),
        cmocka_unit_test(test_message__long),       cmocka_unit_test(test_message__invalid),
        cmocka_unit_test(test_message__documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
