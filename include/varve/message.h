/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a log tells an operator as it goes: structured messages, each with a level, an event, and what it is
 * about. They go to the function that the options name (`message`, from `message_level` on); the sinks below
 * are such functions, for standard error, a file and the system's log. A fault that repeats is told five
 * times in ten seconds at most, and the next message says how many were held back.
 *
 * A message that is off costs a comparison: no lock, no allocation, nothing is formatted. A library built
 * without them (VARVE_MESSAGES=OFF) tells nothing.
 */
#ifndef VARVE_MESSAGE_H
#define VARVE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "varve/error.h"
#include "varve/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In options: nothing below it is told. */
enum varve_message_level {
    VARVE_MESSAGE_DEFAULT = 0, /* info */
    VARVE_MESSAGE_TRACE = 1,   /* every frame */
    VARVE_MESSAGE_DEBUG = 2,   /* what the log's own threads do */
    VARVE_MESSAGE_INFO = 3,    /* what happens to a sound log now and then */
    VARVE_MESSAGE_WARNING = 4, /* something to look after */
    VARVE_MESSAGE_ERROR = 5,   /* the log cannot go on, or something is lost */
    VARVE_MESSAGE_OFF = 6,     /* nothing at all */
};

/* X(name, "name", level, limited, "what has happened"). limited = 1: repeats are held back. */
#define VARVE_EVENT_TABLE(X)                                                                               \
    X(CREATED, "created", INFO, 0, "a new log was made")                                                   \
    X(OPENED, "opened", INFO, 0, "a log was opened; how it ended, and how long reading it took")           \
    X(CLOSED, "closed", INFO, 0, "the log was closed")                                                     \
    X(TORN_TAIL, "torn_tail", WARNING, 0,                                                                  \
      "the log ended in a torn write, of which nothing was acknowledged")                                  \
    X(DAMAGE_PASSED, "damage_passed", WARNING, 0, "damage was passed over, as the policy skip asks")       \
    X(LOST_UNREAD, "lost_unread", WARNING, 0, "lines of lost/index do not check and count for nothing")    \
    X(MANIFEST_REMADE, "manifest_remade", WARNING, 0, "MANIFEST was made anew from the segments")          \
    X(CLOCK_BEHIND, "clock_behind", WARNING, 0, "the system's clock is behind the log's last record")      \
    X(FRAME_DURABLE, "frame_durable", TRACE, 0, "a frame is durable")                                      \
    X(SEGMENT_READY, "segment_ready", DEBUG, 0, "the next segment was made, and how long that took")       \
    X(SEGMENT_BEGUN, "segment_begun", INFO, 0, "the log goes on in the next segment")                      \
    X(TRIMMED, "trimmed", INFO, 0, "segments were removed from the log's beginning")                       \
    X(NOT_TRIMMED, "not_trimmed", WARNING, 1, "old segments cannot be removed")                            \
    X(PIN_DROPPED, "pin_dropped", WARNING, 0, "a pin was over its limit, and was dropped")                 \
    X(PIN_NOT_DROPPED, "pin_not_dropped", WARNING, 1, "a pin is over its limit and cannot be dropped")     \
    X(PIN_MOVED_BACK, "pin_moved_back", WARNING, 0, "a pin stood past the log's end")                      \
    X(PINS_DAMAGED, "pins_damaged", WARNING, 0, "PINS was damaged; the log goes on without pins")          \
    X(PINS_UNWRITTEN, "pins_unwritten", WARNING, 1, "pins that moved cannot be written")                   \
    X(SPACE_LOW, "space_low", WARNING, 0, "there is no space for the segment after the one that is ready") \
    X(SPACE_ENOUGH, "space_enough", INFO, 0, "there is room for another segment again")                    \
    X(SPACE_FULL, "space_full", WARNING, 0, "the next segment cannot be made; appends are refused then")   \
    X(SPACE_AGAIN, "space_again", INFO, 0, "segments can be made again")                                   \
    X(RETRY, "retry", WARNING, 1, "a write failed and is tried again")                                     \
    X(SLOW_SYNC, "slow_sync", WARNING, 1, "a durable write or a sync took longer than slow_sync_ms")       \
    X(STALL, "stall", WARNING, 1, "a write or a sync hangs, for longer than stall_ms")                     \
    X(STALL_OVER, "stall_over", INFO, 1, "a write or a sync that hung has come to its end")                \
    X(BREAKER_OPEN, "breaker_open", WARNING, 1,                                                            \
      "so many writes failed in a row that the disk is only probed")                                       \
    X(BREAKER_CLOSED, "breaker_closed", INFO, 1, "a probe went through: the log writes again")             \
    X(FRAMES_MOVE, "frames_move", WARNING, 1,                                                              \
      "a segment failed; what is not acknowledged moves to a fresh one")                                   \
    X(FAILOVER, "failover", WARNING, 1,                                                                    \
      "the log's directory failed or hangs; the log goes on in failover_dir")                              \
    X(FAILOVER_OVER, "failover_over", INFO, 1, "segments are made in the log's own directory again")       \
    X(FAILOVER_UNREADY, "failover_unready", WARNING, 1, "no segment can be made ready in failover_dir")    \
    X(REFUSED, "refused", WARNING, 1, "the log's format cannot hold a record, which was not appended")     \
    X(FACTS_UNWRITTEN, "facts_unwritten", WARNING, 1,                                                      \
      "VARVE cannot be written beside a log in another format")                                            \
    X(SNAPSHOT_PASSED, "snapshot_passed", WARNING, 0,                                                      \
      "an engine's snapshot does not check; an older one is taken")                                        \
    X(SNAPSHOT_FAILED, "snapshot_failed", ERROR, 0,                                                        \
      "an engine could not write its snapshot; all stays in the log")                                      \
    X(TXN_ORPHANS, "txn_orphans", WARNING, 0, "streamed transactions that never ended were rolled back")   \
    X(TXN_PARTIAL, "txn_partial", ERROR, 0,                                                                \
      "a streamed transaction is committed, and is left out: a part of it is missing")                     \
    X(READ_ONLY, "read_only", ERROR, 0, "the log is read-only from now on: its first error")

enum varve_event {
#define VARVE_EVENT_ENUM(name, text, level, limited, meaning) VARVE_EVENT_##name,
    VARVE_EVENT_TABLE(VARVE_EVENT_ENUM)
#undef VARVE_EVENT_ENUM
    VARVE_EVENT_COUNT, /* not an event */
};

/* "opened" and so on; its level; what it says in a sentence. Static. */
VARVE_API const char *varve_event_name(enum varve_event event);
VARVE_API enum varve_message_level varve_event_level(enum varve_event event);
VARVE_API const char *varve_event_meaning(enum varve_event event);

/* "trace" "debug" "info" "warning" "error" "off". Static. */
VARVE_API const char *varve_message_level_name(enum varve_message_level level);

/* A number that is 0 does not apply. Everything is valid during the call only, but for names. */
struct varve_message {
    size_t size; /* sizeof(struct varve_message), of the library */
    enum varve_message_level level;
    enum varve_event event;
    uint64_t time_us; /* microseconds since 1970 UTC */
    const char *path; /* of the log, as it was opened */
    const char *text; /* one line for a person, without a newline: the whole story, but for path and event */
    uint64_t lsn;
    uint64_t segment;
    uint64_t offset; /* byte in the segment */
    uint64_t bytes;
    uint64_t duration_us;
    int code;           /* enum varve_error_code */
    int sys_errno;      /* the system's errno */
    uint64_t held_back; /* so many more of this event were not told since the last one that was */
};

/* Called from any thread, also from the log's own and by several at once; must not call back into the log,
 * and is waited for by the thread that has something to tell. */
typedef void (*varve_message_fn)(void *arg, const struct varve_message *message);

/* How a message is written. */
enum varve_message_form {
    VARVE_FORM_TEXT = 0,   /* 2026-01-31T12:00:00.000001Z warning retry: /srv/log: text */
    VARVE_FORM_LOGFMT = 1, /* time=... level=warning event=retry log=/srv/log segment=3 ... msg="text" */
    VARVE_FORM_JSON = 2,   /* the same as one JSON object */
};

/* No rendered message is longer, its newline and NUL included. */
#define VARVE_MESSAGE_LINE_BYTES 4096

/*
 * Writes the message as one line of valid UTF-8 with a newline and a NUL behind it; what is too long, and
 * characters that would break the line, are left out or replaced. *ret_bytes (may be NULL): its length
 * without the NUL. Errors: INVALID (the form; `room` is less than VARVE_MESSAGE_LINE_BYTES). Any thread.
 * Source of the forms: RFC 3339, RFC 8259, logfmt as Heroku's and Go's libraries write it.
 */
VARVE_API int varve_message_render(const struct varve_message *message, enum varve_message_form form,
                                   char *line, size_t room, size_t *ret_bytes);

/* Where messages may go. */
enum varve_sink_kind {
    VARVE_SINK_STDERR = 0,
    VARVE_SINK_FILE = 1,   /* at the end of a file, which is made where there is none */
    VARVE_SINK_SYSLOG = 2, /* syslog(3), with the program's own openlog, without time and level in the text */
};

struct varve_sink;

/*
 * Opens a place for messages. `path`: of the file, read during the call and remembered; else NULL. One sink
 * may serve any number of logs, and must outlive them; a child that was forked uses one of its own. To be
 * freed by varve_sink_close. Errors: INVALID NOMEM IO NOT_REGULAR (a link, a pipe).
 */
VARVE_API int varve_sink_open(enum varve_sink_kind kind, enum varve_message_form form, const char *path,
                              struct varve_sink **ret_sink, struct varve_error *ret_error);

/* A varve_message_fn: `sink` is a struct varve_sink. One line, by one call to the system. Any thread. */
VARVE_API void varve_sink_message(void *sink, const struct varve_message *message);

/* The file is opened anew, by its path, before the next message: call it when the file was renamed. Until the
 * new one can be opened the old one is gone on with. May be called in a signal handler. */
VARVE_API void varve_sink_reopen(struct varve_sink *sink);

/* Lines that could not be written. */
VARVE_API uint64_t varve_sink_lost(struct varve_sink *sink);

/* NULL is allowed. */
VARVE_API void varve_sink_close(struct varve_sink *sink);

#ifdef __cplusplus
}
#endif

#endif
