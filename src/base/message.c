/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message -> a line. The path is anybody's bytes and the text may hold a file's name: what leaves here is
 * one line of valid UTF-8, and a string in it ends where its form says that it does.
 *
 * A string gives way when it is too long: then the line still has all its numbers.
 */
#include "varve/message.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/metrics.h"
#include "base/utf8.h"

/* Quoted, each takes twice this at most; with everything else that stays below VARVE_MESSAGE_LINE_BYTES. */
#define STRING_MAX 800u

static const struct {
    const char *name;
    enum varve_message_level level;
    const char *meaning;
} events[] = {
#define EVENT_ROW(name, text, level, limited, meaning) {text, VARVE_MESSAGE_##level, meaning},
    VARVE_EVENT_TABLE(EVENT_ROW)
#undef EVENT_ROW
};

const char *varve_event_name(enum varve_event event)
{
    return (unsigned)event < VARVE_EVENT_COUNT ? events[event].name : "unknown";
}

enum varve_message_level varve_event_level(enum varve_event event)
{
    return (unsigned)event < VARVE_EVENT_COUNT ? events[event].level : VARVE_MESSAGE_ERROR;
}

const char *varve_event_meaning(enum varve_event event)
{
    return (unsigned)event < VARVE_EVENT_COUNT ? events[event].meaning : "an event of a newer library";
}

const char *varve_message_level_name(enum varve_message_level level)
{
    static const char *const names[] = {"default", "trace", "debug", "info", "warning", "error", "off"};

    return (size_t)level < sizeof names / sizeof *names ? names[level] : "unknown";
}

/* Bytes of the character at `at`; 0 if it is none, or one that a terminal or a reader of lines obeys. */
static size_t character(const char *at)
{
    unsigned char lead = (unsigned char)*at;
    size_t bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    struct vv_utf8 state = {0};

    if (strnlen(at, bytes) < bytes || !vv_utf8_feed(&state, at, bytes) || !vv_utf8_whole(&state))
        return 0;
    if (lead < 0x20 || lead == 0x7f || (lead == 0xc2 && (unsigned char)at[1] < 0xa0))
        return 0;
    return bytes;
}

static void put_string(struct vv_text *text, const char *from, bool quoted)
{
    char copy[2 * STRING_MAX + 1];
    size_t left = STRING_MAX, used = 0;

    while (*from) {
        size_t bytes = character(from), taken = bytes ? bytes : 1;

        if (taken > left)
            break;
        if (quoted && (*from == '"' || *from == '\\'))
            copy[used++] = '\\';
        if (bytes == 0)
            copy[used++] = '?';
        else
            memcpy(copy + used, from, bytes);
        used += bytes;
        from += taken;
        left -= taken;
    }
    copy[used] = '\0';
    vv_text_print(text, "%s", copy);
}

static void put_time(struct vv_text *text, uint64_t time_us)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;

    if (!gmtime_r(&seconds, &tm))
        memset(&tm, 0, sizeof tm);
    vv_text_print(text, "%04d-%02d-%02dT%02d:%02d:%02d.%06" PRIu64 "Z", tm.tm_year + 1900, tm.tm_mon + 1,
                  tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, time_us % 1000000);
}

struct fields {
    struct vv_text *text;
    bool json;
};

/* The form of a key, with what stands before and behind it. */
static void put_key(const struct fields *f, const char *key)
{
    bool first = f->text->len <= (f->json ? 1u : 0u);

    if (f->json)
        vv_text_print(f->text, "%s\"%s\":", first ? "" : ",", key);
    else
        vv_text_print(f->text, "%s%s=", first ? "" : " ", key);
}

static void put_number(const struct fields *f, const char *key, uint64_t value)
{
    if (value == 0)
        return;
    put_key(f, key);
    vv_text_print(f->text, "%" PRIu64, value);
}

static void put_quoted(const struct fields *f, const char *key, const char *value)
{
    put_key(f, key);
    vv_text_print(f->text, "\"");
    put_string(f->text, value, true);
    vv_text_print(f->text, "\"");
}

/* A word of our own, which needs quotes in JSON only. */
static void put_word(const struct fields *f, const char *key, const char *value)
{
    put_key(f, key);
    vv_text_print(f->text, f->json ? "\"%s\"" : "%s", value);
}

static void put_fields(struct vv_text *text, const struct varve_message *m, bool json)
{
    const struct fields f = {.text = text, .json = json};

    if (json)
        vv_text_print(text, "{");
    put_key(&f, "time");
    if (json)
        vv_text_print(text, "\"");
    put_time(text, m->time_us);
    if (json)
        vv_text_print(text, "\"");
    put_word(&f, "level", varve_message_level_name(m->level));
    put_word(&f, "event", varve_event_name(m->event));
    put_quoted(&f, "log", m->path ? m->path : "");
    put_number(&f, "lsn", m->lsn);
    put_number(&f, "segment", m->segment);
    put_number(&f, "offset", m->offset);
    put_number(&f, "bytes", m->bytes);
    put_number(&f, "duration_us", m->duration_us);
    if (m->code != 0)
        put_word(&f, "error", varve_error_name(m->code));
    put_number(&f, "errno", m->sys_errno > 0 ? (uint64_t)m->sys_errno : 0);
    put_number(&f, "held_back", m->held_back);
    put_quoted(&f, "msg", m->text ? m->text : "");
    vv_text_print(text, json ? "}\n" : "\n");
}

static void put_text(struct vv_text *text, const struct varve_message *m)
{
    put_time(text, m->time_us);
    vv_text_print(text, " %s %s: ", varve_message_level_name(m->level), varve_event_name(m->event));
    put_string(text, m->path ? m->path : "", false);
    vv_text_print(text, ": ");
    put_string(text, m->text ? m->text : "", false);
    if (m->held_back != 0)
        vv_text_print(text, " (%" PRIu64 " more of these were held back)", m->held_back);
    vv_text_print(text, "\n");
}

int varve_message_render(const struct varve_message *message, enum varve_message_form form, char *line,
                         size_t room, size_t *ret_bytes)
{
    struct vv_text text = {.buf = line, .room = room};

    if (!message || !line || room < VARVE_MESSAGE_LINE_BYTES || (unsigned)form > VARVE_FORM_JSON)
        return VARVE_E_INVALID;
    if (form == VARVE_FORM_TEXT)
        put_text(&text, message);
    else
        put_fields(&text, message, form == VARVE_FORM_JSON);
    if (ret_bytes)
        *ret_bytes = text.len;
    return 0;
}
