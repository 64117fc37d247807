/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.json of the format aero: which records of the log a snapshot covers. Only what the log needs is
 * read; the rest must be JSON and is passed over. Source: RFC 8259.
 */
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "format/builtin.h"

enum {
    DEPTH_MAX = 32
};

/* A bounded cursor with a sticky error; 0 is read past the end. */
struct json {
    const uint8_t *at, *end;
    const char *error;
};

static void fail(struct json *j, const char *error)
{
    if (!j->error)
        j->error = error;
    j->at = j->end;
}

static uint8_t peek(struct json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
        j->at++;
    return j->at < j->end ? *j->at : 0;
}

static bool take(struct json *j, uint8_t c)
{
    if (peek(j) != c)
        return false;
    j->at++;
    return true;
}

static void want(struct json *j, uint8_t c)
{
    if (!take(j, c))
        fail(j, "it is not JSON");
}

/* A string; where it is, without the quotes. Escapes are passed over and stay as they are. */
static const uint8_t *string(struct json *j, size_t *ret_len)
{
    const uint8_t *start;

    want(j, '"');
    start = j->at;
    while (j->at < j->end && *j->at != '"') {
        if (*j->at < 0x20)
            fail(j, "a control character in a string");
        else
            j->at += *j->at == '\\' && j->at + 1 < j->end ? 2 : 1;
    }
    *ret_len = (size_t)(j->at - start);
    if (j->at < j->end)
        j->at++;
    else
        fail(j, "a string without an end");
    return start;
}

static void word(struct json *j, const char *text)
{
    size_t len = strlen(text);

    if ((size_t)(j->end - j->at) < len || memcmp(j->at, text, len) != 0)
        fail(j, "it is not JSON");
    else
        j->at += len;
}

static void digits(struct json *j)
{
    if (j->at == j->end || *j->at < '0' || *j->at > '9')
        fail(j, "a number without digits");
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
}

static void number(struct json *j)
{
    if (j->at < j->end && *j->at == '-')
        j->at++;
    digits(j);
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        digits(j);
    }
    if (j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
            j->at++;
        digits(j);
    }
}

/* Passes over a value that holds no others, or says that one opens: '{' or '['. */
static uint8_t scalar(struct json *j)
{
    uint8_t c = peek(j);
    size_t len;

    switch (c) {
    case '{':
    case '[':
        j->at++;
        return c;
    case '"':
        string(j, &len);
        break;
    case 't':
        word(j, "true");
        break;
    case 'f':
        word(j, "false");
        break;
    case 'n':
        word(j, "null");
        break;
    default:
        number(j);
    }
    return 0;
}

static void key(struct json *j)
{
    size_t len;

    string(j, &len);
    want(j, ':');
}

/* Passes over any value. */
static void value(struct json *j)
{
    uint8_t open[DEPTH_MAX];
    unsigned depth = 0;
    bool first = true;

    do {
        if (depth > 0) {
            uint8_t in = open[depth - 1];

            if (take(j, in == '{' ? '}' : ']')) {
                depth--;
                first = false;
                continue;
            }
            if (!first)
                want(j, ',');
            if (in == '{')
                key(j);
        }
        first = false;
        open[depth] = scalar(j);
        if (open[depth] != 0) {
            first = true;
            if (++depth == DEPTH_MAX)
                fail(j, "it is nested too deep");
        }
    } while (depth > 0 && !j->error);
}

/* A whole number that fits. */
static uint64_t whole(struct json *j)
{
    uint64_t v = 0;

    if (peek(j) < '0' || peek(j) > '9')
        fail(j, "last_sequence is not a number");
    for (; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++) {
        uint64_t digit = *j->at - (uint64_t)'0';

        if (v > (UINT64_MAX - digit) / 10) {
            fail(j, "last_sequence is too large");
            break;
        }
        v = v * 10 + digit;
    }
    return v;
}

static void members(struct json *j, struct varve_format_meta *meta)
{
    static const char covered[] = "last_sequence";

    want(j, '{');
    if (take(j, '}'))
        return;
    do {
        size_t len;
        const uint8_t *name = string(j, &len);

        want(j, ':');
        if (!j->error && len == sizeof covered - 1 && memcmp(name, covered, len) == 0)
            meta->covered_lsn = whole(j);
        else if (!j->error)
            value(j);
    } while (take(j, ','));
    want(j, '}');
}

int vv_aero_checkpoint_get(const uint8_t *bytes, size_t len, struct varve_format_meta *ret_meta,
                           struct varve_error *ret_error)
{
    struct json j = {.at = bytes, .end = bytes + len};
    struct varve_format_meta meta = {.covered_lsn = 0};
    struct vv_utf8 text = {0};

    if (!vv_utf8_feed(&text, bytes, len) || !vv_utf8_whole(&text))
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "checkpoint.json: not UTF-8");
    members(&j, &meta);
    if (!j.error && (peek(&j) != 0 || j.at != j.end))
        fail(&j, "something follows the object");
    if (j.error)
        return vv_error_set(ret_error, VARVE_E_CORRUPT, 0, "checkpoint.json: %s", j.error);
    *ret_meta = meta;
    return 0;
}
