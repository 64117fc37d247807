/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that reads what another one writes, from where it had come: every LSN once, in order, each with
 * a record that was appended, and of each thread every number. What is acknowledged and missing, moved or
 * changed is seen here, because its pin keeps everything until it was read.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "soak/soak.h"
#include "varve/varve.h"

__attribute__((format(printf, 2, 3))) _Noreturn static void give_up(struct soak_board *board,
                                                                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(board->follower_word, sizeof board->follower_word, format, args);
    va_end(args);
    _exit(1);
}

static void take(struct soak_board *board, const struct varve_entry *entry)
{
    uint64_t expected = atomic_load(&board->followed_lsn) + 1, number, last;
    unsigned thread;
    if (entry->lsn != expected) {
        give_up(board, "LSN %" PRIu64 " comes where %" PRIu64 " should", entry->lsn, expected);
    }
    if (!soak_record_read(entry->data, entry->data_bytes, &thread, &number)) {
        give_up(board, "LSN %" PRIu64 ": %zu bytes that nobody appended", entry->lsn, entry->data_bytes);
    }
    last = atomic_load(&board->followed[thread]);
    /* Once more: it was in hand when the writer was killed. */
    if (number != last + 1 && (number != last || last == 0)) {
        give_up(board, "LSN %" PRIu64 ": number %" PRIu64 " of thread %u comes behind %" PRIu64, entry->lsn,
                number, thread, last);
    }
    atomic_store(&board->followed[thread], number);
    atomic_store(&board->followed_lsn, entry->lsn); /* last: the pin goes where this says */
}

static bool has_all(struct soak_board *board)
{
    for (unsigned i = 0; i < SOAK_THREADS; i++) {
        if (atomic_load(&board->followed[i]) < atomic_load(&board->acked[i])) {
            return false;
        }
    }
    return atomic_load(&board->followed_lsn) >= atomic_load(&board->acked_lsn);
}

_Noreturn void soak_follow(struct soak_board *board)
{
    struct varve_options options = {.size = sizeof options, .flags = VARVE_OPEN_READ_ONLY};
    struct varve_cursor *cursor;
    struct varve_entry entry;
    struct varve_error error = {0};
    struct varve_log *log;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (varve_open(SOAK_LOG, &options, &log, &error) != 0 ||
        varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error) != 0) {
        give_up(board, "opening: %.300s", error.message);
    }
    if (varve_cursor_seek_lsn(cursor, atomic_load(&board->followed_lsn) + 1) != 0) {
        varve_cursor_error(cursor, &error);
        give_up(board, "seeking: %.300s", error.message);
    }
    for (;;) {
        bool done = atomic_load(&board->done);
        int rc = varve_cursor_follow(cursor, 100, &entry);
        if (rc == 0) {
            take(board, &entry);
        } else if (rc != VARVE_END) {
            varve_cursor_error(cursor, &error);
            give_up(board, "%s: %.300s", varve_error_name(rc), error.message);
        } else if (done) {
            break;
        }
    }
    if (!has_all(board)) {
        give_up(board, "the log ends at LSN %" PRIu64 ", and LSN %" PRIu64 " was acknowledged",
                atomic_load(&board->followed_lsn), atomic_load(&board->acked_lsn));
    }
    varve_cursor_close(cursor);
    (void)varve_close(log, NULL);
    _exit(0);
}
