/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tell: something happened -> a message for the operator.
 *
 * A fault that repeats would fill a disk with its messages. So each event has a window of ten seconds in
 * which it is told five times; the rest is counted, and the count goes out with the next message, or in one
 * of its own when the window is over. Events that cannot repeat by themselves, or of which each is another
 * loss, are never held back.
 */
#include "log/tell.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define BURST     5u
#define WINDOW_US (UINT64_C(10) * 1000000)

static const bool limited[] = {
#define TELL_LIMITED(name, text, level, limit, meaning) limit,
    VARVE_EVENT_TABLE(TELL_LIMITED)
#undef TELL_LIMITED
};

_Static_assert(sizeof limited / sizeof *limited == VARVE_EVENT_COUNT, "struct vv_told is for each event");

/* Whether this one goes out. Two threads that meet in here may let one more or one less pass. */
static bool may_go(struct varve_log *log, enum varve_event event)
{
    struct vv_told *told = &log->told[event];
    uint64_t now = log->io->monotonic_us(log->io) | 1, began = atomic_load(&told->began_us);

    if (!limited[event])
        return true;
    if ((began == 0 || now - began >= WINDOW_US) &&
        atomic_compare_exchange_strong(&told->began_us, &began, now))
        atomic_store(&told->count, 0);
    if (atomic_fetch_add(&told->count, 1) < BURST)
        return true;
    atomic_fetch_add(&told->held, 1);
    VV_COUNT(log, messages_held, 1);
    return false;
}

static void send(struct varve_log *log, enum varve_event event, const struct vv_about *about,
                 const char *text, uint64_t held)
{
    const struct varve_message message = {
        .size = sizeof message,
        .level = varve_event_level(event),
        .event = event,
        .time_us = log->io->realtime_us(log->io),
        .path = log->path,
        .text = text,
        .lsn = about->lsn,
        .segment = about->segment,
        .offset = about->offset,
        .bytes = about->bytes,
        .duration_us = about->duration_us,
        .code = about->code,
        .sys_errno = about->sys_errno < 0 ? -about->sys_errno : about->sys_errno,
        .held_back = held,
    };

    VV_COUNT(log, messages, 1);
    log->options.message(log->options.message_arg, &message);
}

void vv_tell_now(struct varve_log *log, enum varve_event event, const struct vv_about *about, const char *fmt,
                 ...)
{
    char text[VARVE_ERROR_MESSAGE_BYTES + 128];
    va_list args;

    if (!may_go(log, event))
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    send(log, event, about, text, atomic_exchange(&log->told[event].held, 0));
}

bool vv_tell_held(struct varve_log *log, bool all)
{
    const struct vv_about nothing = {0};
    uint64_t now = log->io->monotonic_us(log->io);
    bool left = false;
    char text[160];

    if (log->tell_depth == 0)
        return false;
    for (unsigned i = 0; i < VARVE_EVENT_COUNT; i++) {
        struct vv_told *told = &log->told[i];
        uint32_t held;

        if (atomic_load(&told->held) == 0)
            continue;
        if (!all && now - atomic_load(&told->began_us) < WINDOW_US) {
            left = true;
            continue;
        }
        held = atomic_exchange(&told->held, 0);
        if (held == 0)
            continue;
        snprintf(text, sizeof text, "repeated %" PRIu32 " more times: %s", held,
                 varve_event_meaning((enum varve_event)i));
        send(log, (enum varve_event)i, &nothing, text, held);
    }
    return left;
}
