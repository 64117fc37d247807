/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: one table. Every function that can fail returns 0 (or VARVE_END, which is no error) or one of the
 * negative codes below. A message with the place (file, segment, offset, LSN) is put into the caller's
 * struct varve_error where a function takes one.
 */
#ifndef VARVE_ERROR_H
#define VARVE_ERROR_H

#include "varve/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How bad: ERROR means that this call failed and the log goes on; FATAL means that the log does not accept
 * writes any more (or was not opened) until it is opened again. */
enum varve_severity {
    VARVE_SEVERITY_NONE = 0,
    VARVE_SEVERITY_ERROR = 1,
    VARVE_SEVERITY_FATAL = 2,
};

/* X(name, code, severity, what it means, what to do) */
#define VARVE_ERROR_TABLE(X)                                                                                \
    X(VARVE_E_INVALID, -1, ERROR, "an argument or option is not valid",                                     \
      "correct the call; the message names it")                                                             \
    X(VARVE_E_NOMEM, -2, ERROR, "memory could not be allocated",                                            \
      "free memory or lower slot_bytes and slot_count")                                                     \
    X(VARVE_E_IO, -3, ERROR, "an operation on a file failed", "look at the system error in the message")    \
    X(VARVE_E_NOSPC, -4, ERROR, "there is no space for the next segment",                                   \
      "free space on the file system or trim the log; appends go on by themselves")                         \
    X(VARVE_E_LOCKED, -5, FATAL, "another process has the log open for writing",                            \
      "stop the process that the message names, or open read-only")                                         \
    X(VARVE_E_READONLY, -6, FATAL, "the log accepts no writes",                                             \
      "read the first error with varve_error_first(), mend its cause, open the log again")                  \
    X(VARVE_E_SYNC, -7, FATAL, "the disk failed to make data durable",                                      \
      "check the disk; nothing acknowledged is lost; open the log again")                                   \
    X(VARVE_E_CORRUPT, -8, FATAL, "acknowledged data is damaged",                                           \
      "run varve verify; restore from a copy, or open with the policy skip to go on without it")            \
    X(VARVE_E_TORN, -9, FATAL, "the log ends in a torn write and the policy is halt",                       \
      "open with the policy truncate: nothing acknowledged is lost")                                        \
    X(VARVE_E_HOLE, -10, FATAL, "a segment starts past the LSN that should come next",                      \
      "run varve verify; restore from a copy, or open with the policy skip to go on without it")            \
    X(VARVE_E_MISSING_SEGMENT, -11, FATAL, "a segment is missing",                                          \
      "put the file back, or open with the policy skip to go on without it")                                \
    X(VARVE_E_FOREIGN, -12, FATAL, "a segment belongs to another log",                                      \
      "move the file that the message names out of the directory")                                          \
    X(VARVE_E_VERSION, -13, FATAL, "the log was written by a newer version or uses unknown features",       \
      "use a newer version of varve; no byte was changed")                                                  \
    X(VARVE_E_NOT_FOUND, -14, ERROR, "there is no log",                                                     \
      "check the path, or leave out VARVE_OPEN_MUST_EXIST")                                                 \
    X(VARVE_E_EXISTS, -15, ERROR, "there is a log already",                                                 \
      "check the path, or leave out VARVE_OPEN_MUST_CREATE")                                                \
    X(VARVE_E_TOO_LARGE, -16, ERROR, "the record is larger than record_max or than a segment can hold",     \
      "split the record, or raise record_max and segment_bytes")                                            \
    X(VARVE_E_BACKPRESSURE, -17, ERROR, "every slot is in use", "try again when the disk has caught up")    \
    X(VARVE_E_TIMEOUT, -18, ERROR, "the time limit passed",                                                 \
      "a wait: wait again, the record is in the log all the same; a transaction: nothing of it remains")    \
    X(VARVE_E_CLOSED, -19, ERROR, "the log is being closed", "do not use a log while it is closed")         \
    X(VARVE_E_TRIMMED, -20, ERROR, "the LSN was trimmed away", "start at varve_first_lsn()")                \
    X(VARVE_E_FORKED, -21, FATAL, "the log was opened before a fork and belongs to the parent",             \
      "open the log in the process that uses it")                                                           \
    X(VARVE_E_LIMIT, -22, ERROR, "the log has its largest number of segments, or of pins",                  \
      "trim the log, use larger segments, or drop pins")                                                    \
    X(VARVE_E_UNSUPPORTED, -23, ERROR, "the log in this mode or on this system cannot do that",             \
      "the message names what is needed")                                                                   \
    X(VARVE_E_CODEC, -24, FATAL, "the log uses a codec that is not in this build",                          \
      "use a build with the codec that the message names, or register it")                                  \
    X(VARVE_E_NOT_REGULAR, -25, FATAL, "a link, device, pipe or directory stands where a file should be",   \
      "remove what the message names: somebody put it there")                                               \
    X(VARVE_E_FORMAT, -26, FATAL, "the directory or file is not a varve log", "check the path")             \
    X(VARVE_E_NO_PIN, -27, ERROR, "there is no pin of that name", "varve_pin_list() names those there are") \
    X(VARVE_E_LOG_FULL, -28, ERROR, "the log has reached max_log_bytes",                                    \
      "move the pin that holds it, trim the log, or raise max_log_bytes; appends go on by themselves")      \
    X(VARVE_E_KEY_MISSING, -29, FATAL, "the log is encrypted with a key that was not given",                \
      "give the key that the message names; checksums can be verified without it")                          \
    X(VARVE_E_KEY_WRONG, -30, FATAL, "a key was given under an id that belongs to another key",             \
      "give the key that the log was written with; nothing is damaged")                                     \
    X(VARVE_E_DICTIONARY, -31, FATAL, "a dictionary that frames need is missing or damaged",                \
      "put the file back that the message names, from a copy of the log")                                   \
    X(VARVE_E_INCOMPLETE, -32, FATAL, "the directory holds a copy of a log that was not finished",          \
      "remove the directory, and make the copy again")                                                      \
    X(VARVE_E_CONFLICT, -33, ERROR, "somebody else has changed it, or holds it",                            \
      "look again, and try again if it is still wanted")                                                    \
    X(VARVE_E_NO_KEY, -34, ERROR, "there is no such key", "none is needed where that is an answer")         \
    X(VARVE_E_TYPE, -35, ERROR, "the key holds something of another kind",                                  \
      "use another key; a lock ends by being unlocked, or with its time")                                   \
    X(VARVE_E_RANGE, -36, ERROR, "a number would not fit into 64 bits", "use smaller numbers")              \
    X(VARVE_E_MEMORY, -37, ERROR, "the engine has reached max_memory, and nothing may be evicted",          \
      "delete keys, or raise max_memory")                                                                   \
    X(VARVE_E_SNAPSHOT, -38, FATAL, "no sound snapshot fits the log",                                       \
      "put the snapshot or the segments back that the message names, from a copy of the directory")

enum varve_error_code {
#define VARVE_ERROR_ENUM(name, code, severity, meaning, remedy) name = (code),
    VARVE_ERROR_TABLE(VARVE_ERROR_ENUM)
#undef VARVE_ERROR_ENUM
    VARVE_OK = 0,
    VARVE_END = 1, /* not an error: there is nothing more to read at this moment */
};

#define VARVE_ERROR_MESSAGE_BYTES 512

/* Filled by a function that fails, untouched by one that succeeds. Owned by the caller. */
struct varve_error {
    int code;                                /* one of enum varve_error_code */
    int sys_errno;                           /* the system's errno behind it, or 0 */
    char message[VARVE_ERROR_MESSAGE_BYTES]; /* one line, NUL-terminated, never cut inside a UTF-8 sequence */
};

/* The name of a code ("VARVE_E_IO"), what it means in a sentence, what to do. Any int may be given; an
 * unknown one is named as such. The strings are static. Any thread. */
VARVE_API const char *varve_error_name(int code);
VARVE_API const char *varve_error_meaning(int code);
VARVE_API const char *varve_error_remedy(int code);
VARVE_API enum varve_severity varve_error_severity(int code);

/* Walks the table: the code at index 0, 1, 2 ... in the order above; 0 past its end. Any thread. */
VARVE_API int varve_error_at(unsigned index);

#ifdef __cplusplus
}
#endif

#endif
