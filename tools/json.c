/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "when.h"

static void json_quoted(struct json *json, const uint8_t *text, size_t bytes);

/* Everything that stands before a value. */
static void json_begin(struct json *json, const char *key)
{
    uint64_t bit = UINT64_C(1) << json->depth;

    if (json->depth > 0 && (json->filled & bit))
        out_byte(json->out, ',');
    json->filled |= bit;
    if (key) {
        json_quoted(json, (const uint8_t *)key, strlen(key));
        out_byte(json->out, ':');
    }
}

static void json_open(struct json *json, const char *key, uint8_t bracket)
{
    json_begin(json, key);
    out_byte(json->out, bracket);
    json->depth++;
    assert(json->depth < 64);
    json->filled &= ~(UINT64_C(1) << json->depth);
}

static void json_close(struct json *json, uint8_t bracket)
{
    assert(json->depth > 0);
    out_byte(json->out, bracket);
    json->depth--;
}

void json_object(struct json *json, const char *key)
{
    json_open(json, key, '{');
}

void json_object_end(struct json *json)
{
    json_close(json, '}');
}

void json_array(struct json *json, const char *key)
{
    json_open(json, key, '[');
}

void json_array_end(struct json *json)
{
    json_close(json, ']');
}

void json_line_end(struct json *json)
{
    assert(json->depth == 0);
    out_byte(json->out, '\n');
}

void json_number(struct json *json, const char *key, uint64_t value)
{
    json_begin(json, key);
    out_number(json->out, value);
}

void json_decimal(struct json *json, const char *key, double value)
{
    json_begin(json, key);
    out_print(json->out, "%.3f", value);
}

void json_bool(struct json *json, const char *key, bool value)
{
    json_begin(json, key);
    out_string(json->out, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
    json_begin(json, key);
    out_string(json->out, "null");
}

/*
 * The length of the UTF-8 sequence at `at`, 0 where there is none: overlong forms, surrogates and what lies
 * past U+10FFFF are none either (RFC 3629, section 4).
 */
static size_t json_utf8(const uint8_t *at, size_t left)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t bytes;

    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    bytes = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (left < bytes)
        return 0;
    if (at[0] == 0xe0)
        low = 0xa0;
    else if (at[0] == 0xed)
        high = 0x9f;
    else if (at[0] == 0xf0)
        low = 0x90;
    else if (at[0] == 0xf4)
        high = 0x8f;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < bytes; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return bytes;
}

static bool json_is_utf8(const uint8_t *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        size_t step = json_utf8(text + at, bytes - at);

        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

static void json_escape(struct json *json, uint8_t byte)
{
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char named[] = "\"\\bfnrt";
    const char *at = byte ? strchr(plain, byte) : NULL;

    if (at)
        out_print(json->out, "\\%c", named[at - plain]);
    else
        out_print(json->out, "\\u%04x", byte);
}

static void json_quoted(struct json *json, const uint8_t *text, size_t bytes)
{
    size_t clean = 0; /* from here to `at` nothing needs an escape */

    out_byte(json->out, '"');
    for (size_t at = 0; at < bytes;) {
        size_t step = json_utf8(text + at, bytes - at);
        bool escape = text[at] < 0x20 || text[at] == '"' || text[at] == '\\' || text[at] == 0x7f;

        if (step > 0 && !escape) {
            at += step;
            continue;
        }
        out_bytes(json->out, text + clean, at - clean);
        if (escape)
            json_escape(json, text[at]);
        else
            out_string(json->out, "\\ufffd");
        clean = ++at;
    }
    out_bytes(json->out, text + clean, bytes - clean);
    out_byte(json->out, '"');
}

void json_string(struct json *json, const char *key, const char *text)
{
    json_begin(json, key);
    json_quoted(json, (const uint8_t *)text, strlen(text));
}

void json_time(struct json *json, const char *key, uint64_t time_us)
{
    char text[WHEN_TEXT];

    if (time_us)
        json_string(json, key, when_print(text, time_us));
    else
        json_null(json, key);
}

void json_hex32(struct json *json, const char *key, uint32_t value)
{
    json_begin(json, key);
    out_print(json->out, "\"0x%08" PRIx32 "\"", value);
}

void json_hex64(struct json *json, const char *key, uint64_t value)
{
    json_begin(json, key);
    out_print(json->out, "\"0x%016" PRIx64 "\"", value);
}

void json_hex_bytes(struct json *json, const char *key, const void *data, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = data;

    json_begin(json, key);
    out_byte(json->out, '"');
    for (size_t i = 0; i < bytes; i++) {
        char pair[2] = {digits[from[i] >> 4], digits[from[i] & 15]};

        out_bytes(json->out, pair, sizeof pair);
    }
    out_byte(json->out, '"');
}

static void json_base64(struct json *json, const uint8_t *from, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < bytes; at += 3) {
        size_t left = bytes - at;
        uint32_t bits = (uint32_t)from[at] << 16;
        char group[4] = {0, 0, '=', '='};

        if (left > 1)
            bits |= (uint32_t)from[at + 1] << 8;
        if (left > 2)
            bits |= from[at + 2];
        group[0] = digits[bits >> 18];
        group[1] = digits[bits >> 12 & 63];
        if (left > 1)
            group[2] = digits[bits >> 6 & 63];
        if (left > 2)
            group[3] = digits[bits & 63];
        out_bytes(json->out, group, sizeof group);
    }
}

void json_payload(struct json *json, const void *data, size_t bytes)
{
    const uint8_t *from = bytes ? data : (const void *)"";

    if (json_is_utf8(from, bytes)) {
        json_string(json, "encoding", "utf-8");
        json_begin(json, "data");
        json_quoted(json, from, bytes);
        return;
    }
    json_string(json, "encoding", "base64");
    json_begin(json, "data");
    out_byte(json->out, '"');
    json_base64(json, from, bytes);
    out_byte(json->out, '"');
}
