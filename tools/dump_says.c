/* SPDX-License-Identifier: Apache-2.0 */
#include "dump_says.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "when.h"

enum {
    SHOWN = 80 /* bytes of a value in text; JSON has all of them */
};

void says_begin(struct says *says, const char *what)
{
    if (!says->json) {
        out_print(&says->dump->out, "      %s", what);
        return;
    }
    json_object(says->json, NULL);
    json_string(says->json, "what", what);
}

static void quote(struct out *out, const uint8_t *data, size_t bytes)
{
    size_t shown = bytes > SHOWN ? SHOWN : bytes;

    out_byte(out, '"');
    for (size_t i = 0; i < shown; i++) {
        if (data[i] == '"' || data[i] == '\\')
            out_byte(out, '\\');
        if (data[i] >= 0x20 && data[i] < 0x7f)
            out_byte(out, data[i]);
        else
            out_print(out, "\\x%02x", data[i]);
    }
    out_byte(out, '"');
    if (shown < bytes)
        out_print(out, "... %zu bytes", bytes);
}

void says_bytes(struct says *says, const char *name, const void *data, size_t bytes)
{
    if (!says->json) {
        out_print(&says->dump->out, "  %s ", name);
        quote(&says->dump->out, data, bytes);
        return;
    }
    json_object(says->json, name);
    json_payload(says->json, data, bytes);
    json_object_end(says->json);
}

void says_number(struct says *says, const char *name, uint64_t value)
{
    if (says->json)
        json_number(says->json, name, value);
    else
        out_print(&says->dump->out, "  %s %" PRIu64, name, value);
}

void says_signed(struct says *says, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    says_word(says, name, text);
}

void says_word(struct says *says, const char *name, const char *word)
{
    if (says->json)
        json_string(says->json, name, word);
    else
        out_print(&says->dump->out, "  %s %s", name, word);
}

void says_time(struct says *says, const char *name, uint64_t time_us)
{
    char when[WHEN_TEXT];

    if (says->json)
        json_time(says->json, name, time_us);
    else
        out_print(&says->dump->out, "  %s %s", name, when_print(when, time_us));
}

void says_hex(struct says *says, const char *name, const void *data, size_t bytes)
{
    const uint8_t *at = data;

    if (says->json) {
        json_hex_bytes(says->json, name, data, bytes);
        return;
    }
    out_print(&says->dump->out, "  %s ", name);
    for (size_t i = 0; i < bytes; i++)
        out_print(&says->dump->out, "%02x", at[i]);
}

void says_end(struct says *says)
{
    if (says->json)
        json_object_end(says->json);
    else
        out_byte(&says->dump->out, '\n');
}

static const struct {
    const char *format;
    const char *(*fn)(struct says *says, const struct varve_record_info *record);
} formats[] = {
    {"aero", says_aero}, {"dbkv", says_dbkv},     {"lfwal", says_lfwal},
    {"wlog", says_wlog}, {"stra", says_writeset},
};

void dump_says(struct dump *dump, struct json *json, const struct varve_record_info *record)
{
    struct says says = {dump, json};
    const char *why = "no operation of the engine";

    if (!record->sound || !record->data)
        return;
    if (json)
        json_array(json, "operations");
    if (dump_is_native(dump))
        why = says_engine(&says, record);
    for (size_t i = 0; !dump_is_native(dump) && i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(dump->format->name, formats[i].format) == 0)
            why = formats[i].fn(&says, record);
    }
    if (json)
        json_array_end(json);
    if (why && json)
        json_string(json, "no_operation", why);
    else if (why)
        out_print(&dump->out, "      no operation: %s\n", why);
}
