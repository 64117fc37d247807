/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/hex.h"

const struct test_plain test_plains[] = {
    {"stra", "a-small", 20},  {"stra", "a-snapshot", 40}, {"wlog", "a-small", 20}, {"wlog", "a-exactfit", 4},
    {"wlog", "a-txn", 3},     {"aero", "a-small", 20},    {"dbkv", "a-small", 20}, {"dbkv", "a-snapshot", 5},
    {"dbkv", "a-decimal", 3}, {"lfwal", "a-small", 20},   {NULL, NULL, 0},
};

static char *data_path(const char *format, const char *rest)
{
    static char path[1024];

    snprintf(path, sizeof path, "%s/test/golden/data/samples/%s/%s", getenv("VARVE_SOURCE"), format, rest);
    return path;
}

static char *data_read(const char *format, const char *rest)
{
    char name[512];

    snprintf(name, sizeof name, "test/golden/data/samples/%s/%s", format, rest);
    return test_bytes_read(getenv("VARVE_SOURCE"), name, NULL);
}

void test_plain_copy(const struct test_plain *plain, const char *to)
{
    char rest[256];

    snprintf(rest, sizeof rest, "%s/db", plain->name);
    test_bytes_copy_dir(data_path(plain->format, rest), to);
}

char *test_plain_manifest(const struct test_plain *plain, char **ret_lines)
{
    char rest[256], *text, *end;

    snprintf(rest, sizeof rest, "%s/manifest.jsonl", plain->name);
    text = data_read(plain->format, rest);
    end = strchr(text, '\n');
    *ret_lines = end + 1;
    return text;
}

const struct test_plain *test_plain_small(const char *format)
{
    for (const struct test_plain *p = test_plains; p->format; p++) {
        if (strcmp(p->format, format) == 0 && strcmp(p->name, "a-small") == 0) {
            return p;
        }
    }
    abort();
}

int test_plain_torn_at(unsigned index, struct test_plain_torn *ret_torn)
{
    for (const struct test_plain *p = test_plains; p->format; p++) {
        if (strcmp(p->name, "a-small") != 0) {
            continue;
        }
        char *text = data_read(p->format, "c-torn.txt"), *line = text, *end;
        for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = 0;
            if (index-- > 0) {
                continue;
            }
            ret_torn->format = p->format;
            int fields =
                sscanf(line, "%31s %u %63s %lu %lu %*s %255[^\n]", ret_torn->name, &ret_torn->records,
                       ret_torn->file, &ret_torn->stop, &ret_torn->bytes, ret_torn->edit);
            free(text);
            return fields == 6 ? 1 : (abort(), 0);
        }
        free(text);
    }
    return 0;
}

void test_plain_tear(const struct test_plain_torn *torn, const char *to)
{
    unsigned long at, len;
    unsigned char bytes[256];
    char hex[256];

    test_plain_copy(test_plain_small(torn->format), to);
    if (sscanf(torn->edit, "cut %lu", &len) == 1) {
        test_bytes_truncate(to, torn->file, len);
    } else if (sscanf(torn->edit, "put %lu zeros %lu", &at, &len) == 2) {
        test_bytes_fill(to, torn->file, at, len, 0);
    } else if (sscanf(torn->edit, "put %lu %255s", &at, hex) == 2) {
        test_bytes_patch(to, torn->file, at, bytes, test_hex(hex, bytes));
    }
}

char test_plain_path[32];

const char *test_plain_next(void)
{
    static unsigned count;

    snprintf(test_plain_path, sizeof test_plain_path, "log-%u", count++);
    return test_plain_path;
}

void test_plain_fresh(const char *format)
{
    test_plain_copy(test_plain_small(format), test_plain_next());
}

static void on_message(void *arg, const struct varve_message *message)
{
    struct test_plain_reader *r = arg;

    if (message->level < VARVE_MESSAGE_WARNING)
        return;
    assert_int_equal(message->level, VARVE_MESSAGE_WARNING);
    r->warnings++;
    snprintf(r->warning, sizeof r->warning, "%s", message->text);
}

int test_plain_open(struct test_plain_reader *r, const char *format, enum varve_policy at_open,
                    enum varve_policy policy)
{
    struct varve_options options = {.size = sizeof options, .flags = VARVE_OPEN_READ_ONLY};

    memset(r, 0, sizeof *r);
    options.format = format;
    options.policy = at_open;
    options.message = on_message;
    options.message_arg = r;
    int rc = varve_open(test_plain_path, &options, &r->log, &r->error);
    if (rc == 0) {
        rc = varve_cursor_open(r->log, policy, &r->cursor, &r->error);
    }
    return rc;
}

void test_plain_shut(struct test_plain_reader *r)
{
    varve_cursor_close(r->cursor);
    assert_int_equal(varve_close(r->log, NULL), 0);
    memset(r, 0, sizeof *r);
}

int test_plain_read_on(struct test_plain_reader *r, unsigned *ret_records)
{
    struct varve_entry entry;
    unsigned records = 0;
    int rc;

    while ((rc = varve_cursor_next(r->cursor, &entry)) == 0) {
        records++;
    }
    if (rc < 0) {
        varve_cursor_error(r->cursor, &r->error);
        assert_int_equal(varve_cursor_next(r->cursor, &entry), rc);
    }
    *ret_records = records;
    return rc;
}
