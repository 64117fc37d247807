/* SPDX-License-Identifier: Apache-2.0 */
#include "term.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "units.h"
#include "when.h"

#define TERM_QUIET_US  500000u
#define TERM_REDRAW_US 100000u

/* Whether a bar stands on the last line of the terminal. */
static atomic_bool term_bar_drawn;

static bool term_is_dumb(void)
{
    const char *term = getenv("TERM");

    return !term || !*term || strcmp(term, "dumb") == 0;
}

const char *term_colour(enum term_colour colour)
{
    static const char *const sequences[] = {
        [TERM_PLAIN] = "\033[0m",   [TERM_RED] = "\033[31m", [TERM_GREEN] = "\033[32m",
        [TERM_YELLOW] = "\033[33m", [TERM_BOLD] = "\033[1m", [TERM_DIM] = "\033[2m",
    };
    const char *no_color = getenv("NO_COLOR");

    if (!isatty(STDOUT_FILENO) || term_is_dumb() || (no_color && *no_color))
        return "";
    return sequences[colour];
}

static unsigned term_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static void term_draw(const struct term_progress *progress, uint64_t now_us, uint64_t done, uint64_t total)
{
    uint64_t elapsed_us = now_us - progress->started_us;
    double rate = units_ratio(done, elapsed_us) * 1e6;
    uint64_t left_s = rate > 0 ? (uint64_t)((double)(total - done) / rate) : 0;
    char speed[UNITS_TEXT], tail[96], bar[64];
    size_t room, filled;
    int tail_chars;

    tail_chars = snprintf(tail, sizeof tail, " %3u %%  %s/s  %" PRIu64 ":%02u left",
                          (unsigned)(units_ratio(done, total) * 100), units_bytes(speed, (uint64_t)rate),
                          left_s / 60, (unsigned)(left_s % 60));
    room = term_columns();
    room = room > strlen(progress->what) + (size_t)tail_chars + 4
               ? room - strlen(progress->what) - (size_t)tail_chars - 4
               : 0;
    if (room > sizeof bar - 1)
        room = sizeof bar - 1;
    filled = (size_t)(units_ratio(done, total) * (double)room);
    memset(bar, '-', room);
    memset(bar, '#', filled < room ? filled : room);
    bar[room] = '\0';
    atomic_store(&term_bar_drawn, true);
    fprintf(stderr, "\r\033[K%s [%s]%s", progress->what, bar, tail);
    fflush(stderr);
}

int term_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct term_progress *progress = arg;
    uint64_t now_us;

    if (progress->off || total_bytes == 0)
        return 0;
    now_us = when_clock_us();
    if (!progress->started_us) {
        progress->started_us = now_us;
        progress->off = !isatty(STDERR_FILENO) || term_is_dumb();
        return 0;
    }
    if (now_us - progress->started_us < TERM_QUIET_US || now_us - progress->drawn_us < TERM_REDRAW_US)
        return 0;
    progress->drawn_us = now_us;
    term_draw(progress, now_us, done_bytes < total_bytes ? done_bytes : total_bytes, total_bytes);
    return 0;
}

void term_progress_clear(void)
{
    if (atomic_exchange(&term_bar_drawn, false)) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
