/* SPDX-License-Identifier: Apache-2.0 */
#include "when.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "units.h"

#define US_PER_S 1000000u

/* Exactly `count` digits at *text, at most `max`; moves past them. */
static bool when_field(const char **text, int count, int min, int max, int *ret_value)
{
    int value = 0;

    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)(*text)[i]))
            return false;
        value = value * 10 + ((*text)[i] - '0');
    }
    if (value < min || value > max)
        return false;
    *text += count;
    *ret_value = value;
    return true;
}

static bool when_skip(const char **text, char c)
{
    if (**text != c)
        return false;
    (*text)++;
    return true;
}

/* ".25" and the like, down to microseconds; finer digits are dropped. Nothing at all is a fraction of 0. */
static bool when_fraction(const char **text, uint64_t *ret_us)
{
    uint64_t unit = US_PER_S / 10;

    *ret_us = 0;
    if (!when_skip(text, '.'))
        return true;
    if (!isdigit((unsigned char)**text))
        return false;
    for (; isdigit((unsigned char)**text); (*text)++, unit /= 10)
        *ret_us += (uint64_t)(**text - '0') * unit;
    return true;
}

/* "", "Z", "+02:00": seconds that local time is ahead of UTC. */
static bool when_zone(const char **text, int *ret_ahead_s)
{
    int sign = **text == '-' ? -1 : 1;
    int hours, minutes;

    *ret_ahead_s = 0;
    if (!**text || when_skip(text, 'Z'))
        return true;
    if (!when_skip(text, '+') && !when_skip(text, '-'))
        return false;
    if (!when_field(text, 2, 0, 23, &hours) || !when_skip(text, ':') || !when_field(text, 2, 0, 59, &minutes))
        return false;
    *ret_ahead_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool when_clock(const char **text, struct tm *tm, uint64_t *ret_us, int *ret_ahead_s)
{
    if (!when_field(text, 2, 0, 23, &tm->tm_hour) || !when_skip(text, ':') ||
        !when_field(text, 2, 0, 59, &tm->tm_min))
        return false;
    if (when_skip(text, ':')) {
        if (!when_field(text, 2, 0, 60, &tm->tm_sec) || !when_fraction(text, ret_us))
            return false;
    }
    return when_zone(text, ret_ahead_s);
}

static bool when_calendar(const char *text, uint64_t *ret_us)
{
    struct tm tm = {0};
    uint64_t fraction_us = 0;
    int ahead_s = 0, year, month, day;
    time_t seconds;

    if (!when_field(&text, 4, 1970, 9999, &year) || !when_skip(&text, '-') ||
        !when_field(&text, 2, 1, 12, &month) || !when_skip(&text, '-') || !when_field(&text, 2, 1, 31, &day))
        return false;
    if (when_skip(&text, 'T') || when_skip(&text, ' ')) {
        if (!when_clock(&text, &tm, &fraction_us, &ahead_s))
            return false;
    }
    if (*text)
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;
    seconds = timegm(&tm);
    /* timegm makes the 31st of February the 3rd of March; such a day is a mistake here. */
    if (tm.tm_mon != month - 1 || seconds < ahead_s)
        return false;
    *ret_us = (uint64_t)(seconds - ahead_s) * US_PER_S + fraction_us;
    return true;
}

static bool when_digits(const char **text, char *digits, size_t digits_bytes, uint64_t *ret_value)
{
    size_t count = strspn(*text, "0123456789");

    if (count >= digits_bytes)
        return false;
    memcpy(digits, *text, count);
    digits[count] = '\0';
    *text += count;
    return units_number(digits, ret_value);
}

static bool when_epoch(const char *text, uint64_t *ret_us)
{
    char digits[24];
    uint64_t seconds, fraction_us;

    if (!when_digits(&text, digits, sizeof digits, &seconds) || !when_fraction(&text, &fraction_us) || *text)
        return false;
    if (seconds > UINT64_MAX / US_PER_S - 1)
        return false;
    *ret_us = seconds * US_PER_S + fraction_us;
    return true;
}

static bool when_ago(const char *text, uint64_t now_us, uint64_t *ret_us)
{
    static const struct {
        char letter;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char digits[24];
    uint64_t count;

    if (!when_digits(&text, digits, sizeof digits, &count) || !text[0] || text[1])
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        uint64_t unit_us = units[i].seconds * US_PER_S;

        if (units[i].letter != text[0])
            continue;
        /* Before 1970 there is nothing in any log: the same as the beginning. */
        *ret_us = count > now_us / unit_us ? 0 : now_us - count * unit_us;
        return true;
    }
    return false;
}

bool when_parse(const char *text, uint64_t now_us, uint64_t *ret_us)
{
    if (strcmp(text, "now") == 0) {
        *ret_us = now_us;
        return true;
    }
    if (text[0] == '@')
        return when_epoch(text + 1, ret_us);
    if (text[0] == '-')
        return when_ago(text + 1, now_us, ret_us);
    return when_calendar(text, ret_us);
}

const char *when_print(char text[WHEN_TEXT], uint64_t time_us)
{
    time_t seconds = (time_t)(time_us / US_PER_S);
    struct tm tm;

    if (!time_us)
        return "-";
    /* A damaged log may say any time; one without a year that fits is shown as the number it is. */
    if (!gmtime_r(&seconds, &tm) || tm.tm_year > 9999 - 1900) {
        snprintf(text, WHEN_TEXT, "@%" PRIu64 ".%06u", time_us / US_PER_S, (unsigned)(time_us % US_PER_S));
        return text;
    }
    snprintf(text, WHEN_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (unsigned)(tm.tm_year + 1900) % 10000,
             (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned)(time_us % US_PER_S));
    return text;
}

static uint64_t when_read_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

uint64_t when_now_us(void)
{
    return when_read_us(CLOCK_REALTIME);
}

uint64_t when_clock_us(void)
{
    return when_read_us(CLOCK_MONOTONIC);
}
