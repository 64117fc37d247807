/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that writes, and is stopped and killed: several threads that append, each its own numbers in
 * order; the main thread moves the pin to where the follower has come. Rotation and retention are the log's.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "soak/soak.h"
#include "varve/varve.h"

struct appender {
    struct soak_board *board;
    struct varve_log *log;
    unsigned thread;
    pthread_t id;
};

_Noreturn static void give_up(struct soak_board *board, const char *what, const char *why)
{
    snprintf(board->writer_word, sizeof board->writer_word, "%s: %.300s", what, why);
    _exit(1);
}

static void pause_ms(unsigned ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

static void raise_to(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t seen = atomic_load(word);
    while (seen < value && !atomic_compare_exchange_weak(word, &seen, value)) {
    }
}

/* Goes on behind the last number that was acknowledged. The one that was in hand when the last life ended may
 * be in the log already, and comes once more then. */
static void *append_all(void *arg)
{
    struct appender *a = arg;
    uint8_t bytes[SOAK_RECORD_MAX + 8];
    while (!atomic_load(&a->board->stop)) {
        uint64_t number = atomic_load(&a->board->acked[a->thread]) + 1, lsn = 0;
        size_t len = soak_record_make(a->thread, number, bytes);
        int rc = varve_append(a->log, bytes, len, &lsn);
        if (rc == VARVE_E_LOG_FULL || rc == VARVE_E_NOSPC) {
            /* The follower is behind, and its pin holds what is old. */
            atomic_fetch_add(&a->board->full, 1);
            pause_ms(5);
            continue;
        }
        if (rc != 0) {
            struct varve_error error = {0};
            (void)varve_error_first(a->log, &error);
            give_up(a->board, varve_error_name(rc), error.message);
        }
        atomic_store(&a->board->acked[a->thread], number);
        raise_to(&a->board->acked_lsn, lsn);
    }
    return NULL;
}

static struct varve_log *open_log(struct soak_board *board)
{
    struct varve_options options = {
        .size = sizeof options,
        .segment_bytes = SOAK_SEGMENT,
        .slot_bytes = 32 * 1024,
        .keep_bytes = SOAK_KEPT,
        .max_log_bytes = SOAK_LOG_BYTES,
    };
    struct varve_pin pin = {.size = sizeof pin, .name = SOAK_PIN, .owner = "the soak's reader"};
    struct varve_error error = {0};
    struct varve_log *log;
    if (varve_open(SOAK_LOG, &options, &log, &error) != 0 || varve_pin_set(log, &pin, &error) != 0) {
        give_up(board, "opening", error.message);
    }
    return log;
}

/* What is read may go. The move is durable at once now and then, and mostly later. */
static void move_pin(struct soak_board *board, struct varve_log *log, unsigned turn)
{
    struct varve_error error = {0};
    uint64_t to = atomic_load(&board->followed_lsn) + 1;
    int rc = varve_pin_move(log, SOAK_PIN, to, turn % 16 == 0 ? 0 : VARVE_PIN_LATER, &error);
    if (rc != 0) {
        give_up(board, "moving the pin", error.message);
    }
}

_Noreturn void soak_write(struct soak_board *board)
{
    struct appender appenders[SOAK_THREADS];
    struct varve_stats stats = {.size = sizeof stats};
    struct varve_error error = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct varve_log *log = open_log(board);
    uint64_t segments = atomic_load(&board->segments); /* of the lives before */
    atomic_fetch_add(&board->lives, 1);
    for (unsigned i = 0; i < SOAK_THREADS; i++) {
        appenders[i] = (struct appender){.board = board, .log = log, .thread = i};
        if (pthread_create(&appenders[i].id, NULL, append_all, &appenders[i]) != 0) {
            give_up(board, "a thread", "cannot be started");
        }
    }
    atomic_store(&board->opened, 1);
    for (unsigned turn = 1; !atomic_load(&board->stop); turn++) {
        pause_ms(10);
        move_pin(board, log, turn);
        (void)varve_stats_get(log, &stats);
        atomic_store(&board->segments, segments + stats.segments_opened);
    }
    for (unsigned i = 0; i < SOAK_THREADS; i++) {
        (void)pthread_join(appenders[i].id, NULL);
    }
    if (varve_close(log, &error) != 0) {
        give_up(board, "closing", error.message);
    }
    _exit(0);
}
