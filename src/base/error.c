/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of errors as functions, and messages. A message may hold a file name, which is anybody's bytes:
 * what leaves here is safe for a line of a log file or a terminal.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct error_row {
    int code;
    enum varve_severity severity;
    const char *name, *meaning, *remedy;
};

static const struct error_row error_rows[] = {
#define ERROR_ROW(name, code, severity, meaning, remedy) \
    {(code), VARVE_SEVERITY_##severity, #name, (meaning), (remedy)},
    VARVE_ERROR_TABLE(ERROR_ROW)
#undef ERROR_ROW
};

enum {
    ERROR_ROW_COUNT = sizeof error_rows / sizeof error_rows[0]
};

static const struct error_row *error_find(int code)
{
    for (int i = 0; i < ERROR_ROW_COUNT; i++) {
        if (error_rows[i].code == code) {
            return &error_rows[i];
        }
    }
    return NULL;
}

const char *varve_error_name(int code)
{
    if (code == VARVE_OK) {
        return "VARVE_OK";
    }
    if (code == VARVE_END) {
        return "VARVE_END";
    }
    const struct error_row *row = error_find(code);
    return row != NULL ? row->name : "VARVE_E_UNKNOWN";
}

const char *varve_error_meaning(int code)
{
    if (code == VARVE_OK) {
        return "no error";
    }
    if (code == VARVE_END) {
        return "there is nothing more to read at this moment";
    }
    const struct error_row *row = error_find(code);
    return row != NULL ? row->meaning : "not one of the library's error codes";
}

const char *varve_error_remedy(int code)
{
    if (code == VARVE_OK) {
        return "nothing to do";
    }
    if (code == VARVE_END) {
        return "read again when something was appended";
    }
    const struct error_row *row = error_find(code);
    return row != NULL ? row->remedy : "check where the code comes from";
}

enum varve_severity varve_error_severity(int code)
{
    const struct error_row *row = error_find(code);
    if (row != NULL) {
        return row->severity;
    }
    /* An unknown negative code can only come from a newer library: a failed call, as far as anybody here
     * knows. */
    return code < 0 ? VARVE_SEVERITY_ERROR : VARVE_SEVERITY_NONE;
}

int varve_error_at(unsigned index)
{
    return index < ERROR_ROW_COUNT ? error_rows[index].code : 0;
}

/*
 * Number of bytes of the UTF-8 sequence at `at`, or 0 if it is none (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). The text ends with a NUL, which is no continuation byte, so nothing
 * behind it is read.
 */
static size_t error_utf8(const unsigned char *at)
{
    unsigned char lead = at[0];
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return 0;
    }
    size_t bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) || (lead == 0xf0 && at[1] < 0x90) ||
        (lead == 0xf4 && at[1] > 0x8f)) {
        return 0;
    }
    return bytes;
}

/* Cuts a sequence that the end of the text cut in two. Only for a text that was cut. */
static void error_trim(char *text)
{
    size_t end = strlen(text);
    size_t start = end;
    while (start > 0 && end - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
        start--;
    }
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0 &&
        error_utf8((unsigned char *)text + start - 1) == 0) {
        text[start - 1] = '\0';
    }
}

/* Control characters (also those of U+0080 to U+009F, which some terminals obey) and stray bytes become '?'.
 */
static void error_clean(char *text)
{
    unsigned char *to = (unsigned char *)text;
    for (const unsigned char *from = to; *from != '\0';) {
        size_t bytes = error_utf8(from);
        if (bytes == 0 || *from < 0x20 || *from == 0x7f || (*from == 0xc2 && from[1] < 0xa0)) {
            *to++ = '?';
            from += bytes == 0 ? 1 : bytes;
        } else {
            memmove(to, from, bytes);
            to += bytes;
            from += bytes;
        }
    }
    *to = '\0';
}

VARVE_PRINTF(3, 0) static void error_format(char *text, size_t size, const char *fmt, va_list args)
{
    int length = vsnprintf(text, size, fmt, args);
    if (length < 0) {
        snprintf(text, size, "(no message)");
    } else if ((size_t)length >= size) {
        error_trim(text);
    }
}

/* strerror_r comes in two kinds: one returns the text, the other puts it into the buffer. */
static inline const char *error_text_gnu(const char *text, const char *buf)
{
    (void)buf;
    return text;
}

static inline const char *error_text_posix(int rc, const char *buf)
{
    return rc == 0 ? buf : "unknown system error";
}

#define ERROR_STRERROR(number, buf) \
    _Generic(strerror_r(number, buf, sizeof(buf)), char * : error_text_gnu, int : error_text_posix)(         \
        strerror_r(number, buf, sizeof(buf)), buf)

int vv_error_set(struct varve_error *e, int code, int sys_errno, const char *fmt, ...)
{
    if (e == NULL) {
        return code;
    }
    int saved = errno;
    char text[VARVE_ERROR_MESSAGE_BYTES];
    char suffix[128] = "";
    sys_errno = sys_errno < 0 ? -sys_errno : sys_errno;
    if (sys_errno != 0) {
        char buf[96];
        snprintf(suffix, sizeof suffix, ": %s", ERROR_STRERROR(sys_errno, buf));
    }
    /* Built aside: the arguments may point into *e. */
    size_t suffix_length = strlen(suffix);
    va_list args;
    va_start(args, fmt);
    error_format(text, sizeof text - suffix_length, fmt, args);
    va_end(args);
    memcpy(text + strlen(text), suffix, suffix_length + 1);
    error_clean(text);
    e->code = code;
    e->sys_errno = sys_errno;
    memcpy(e->message, text, strlen(text) + 1);
    errno = saved;
    return code;
}

void vv_error_wrap(struct varve_error *e, const char *fmt, ...)
{
    if (e == NULL) {
        return;
    }
    int saved = errno;
    char context[VARVE_ERROR_MESSAGE_BYTES];
    char text[2 * VARVE_ERROR_MESSAGE_BYTES + 2];
    va_list args;
    va_start(args, fmt);
    error_format(context, sizeof context, fmt, args);
    va_end(args);
    error_clean(context);
    size_t length = strlen(context);
    memcpy(text, context, length);
    if (e->message[0] != '\0') {
        memcpy(text + length, ": ", 2);
        length += 2;
    }
    memcpy(text + length, e->message, strnlen(e->message, sizeof e->message - 1));
    text[length + strnlen(e->message, sizeof e->message - 1)] = '\0';
    if (strlen(text) >= sizeof e->message) {
        text[sizeof e->message - 1] = '\0';
        error_trim(text);
    }
    memcpy(e->message, text, strlen(text) + 1);
    errno = saved;
}

void vv_error_copy(struct varve_error *e, const struct varve_error *from)
{
    if (e != NULL && from != NULL && e != from) {
        *e = *from;
    }
}

void vv_error_clear(struct varve_error *e)
{
    if (e != NULL) {
        memset(e, 0, sizeof *e);
    }
}
