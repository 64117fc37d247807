/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for an operator: who has something to say calls vv_tell. */
#ifndef VV_LOG_TELL_H
#define VV_LOG_TELL_H

#include "log/log.h"
#include "varve/message.h"

/* What a message is about; see struct varve_message. */
struct vv_about {
    uint64_t lsn, segment, offset, bytes, duration_us;
    int code, sys_errno;
};

enum {
#define VV_TELL_LEVEL(name, text, level, limited, meaning) VV_TELL_LEVEL_##name = VARVE_MESSAGE_##level,
    VARVE_EVENT_TABLE(VV_TELL_LEVEL)
#undef VV_TELL_LEVEL
};

#ifdef VARVE_NO_MESSAGES
#define vv_tells(log, event) ((void)(log), false)
#else
/* Whether anybody wants to hear of it: one comparison. */
#define vv_tells(log, event) ((int)VV_TELL_LEVEL_##event + (log)->tell_depth >= (int)VARVE_MESSAGE_OFF)
#endif

/*
 * vv_tell(log, STALL, VV_ABOUT(.segment = 3, .bytes = 512), "text %d", ...): does not evaluate what follows
 * the event when nobody wants to hear of it. Calls the program's function: not while a lock is held that an
 * append waits for.
 */
#define VV_ABOUT(...) (&(const struct vv_about){__VA_ARGS__})
#define vv_tell(log, event, about, ...)                                \
    do {                                                               \
        if (vv_tells(log, event))                                      \
            vv_tell_now(log, VARVE_EVENT_##event, about, __VA_ARGS__); \
    } while (0)

VARVE_PRINTF(4, 5)
void vv_tell_now(struct varve_log *log, enum varve_event event, const struct vv_about *about, const char *fmt,
                 ...);

/* Says how many messages were held back of faults that have ended since; `all`: also of those that have not.
 * Whether there are some still. */
bool vv_tell_held(struct varve_log *log, bool all);

#endif
