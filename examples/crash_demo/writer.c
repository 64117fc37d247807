/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that is killed. It does what any program does that keeps a log: opens it, which recovers it;
 * reads it, to see how far it had come; goes on. It is not told by the parent how far that was.
 */
#include "demo.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct logger {
    struct demo *demo;
    struct varve_log *log;
    unsigned thread;
    pthread_t id;
};

/* Leaves word on the board and ends the process. */
_Noreturn static void give_up(struct demo *demo, int code, const char *message)
{
    snprintf(demo->board->complaint, sizeof demo->board->complaint, "%s", message);
    _exit(code);
}

static int append_line(const struct logger *me, uint32_t number, const char *line, size_t bytes,
                       uint64_t *ret_lsn)
{
    char head[32];
    int head_bytes = snprintf(head, sizeof head, "%u %u ", me->thread, number);
    struct iovec pieces[] = {{head, (size_t)head_bytes}, {(void *)(uintptr_t)line, bytes}};
    struct varve_record record = {.iov = pieces, .iov_count = 2};
    return varve_append_record(me->log, &record, VARVE_DURABILITY_DEFAULT, ret_lsn);
}

/* From here on the line must never be lost. The first acknowledgement stays: if a line had to be logged
 * again, its first LSN does not come true, and that must show. */
static void acknowledge(struct demo *demo, uint32_t number, uint64_t lsn, uint64_t wait_ns)
{
    uint64_t none = 0;
    uint32_t wait = wait_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)wait_ns;
    atomic_store_explicit(&demo->waits_ns[number], wait, memory_order_relaxed);
    if (atomic_compare_exchange_strong(&demo->lsns[number], &none, lsn))
        atomic_fetch_add(&demo->board->acknowledged, 1);
}

static void log_line(struct logger *me, uint32_t number, int changed)
{
    size_t bytes;
    uint64_t lsn = 0;
    const char *line = board_line(me->demo, number, &bytes);
    uint64_t began = demo_now_ns();
    int code = changed ? append_line(me, number, "something else", 14, &lsn)
                       : append_line(me, number, line, bytes, &lsn);
    uint64_t ended = demo_now_ns();
    if (code != VARVE_OK) {
        struct varve_error error = {0};
        varve_error_first(me->log, &error);
        char message[DEMO_COMPLAINT_BYTES];
        snprintf(message, sizeof message, "append failed: %s: %s", varve_error_name(code),
                 error.message[0] != '\0' ? error.message : varve_error_meaning(code));
        give_up(me->demo, DEMO_FAILED, message);
    }
    acknowledge(me->demo, number, lsn, ended - began);
}

/* Takes the order to do something wrong, if there is one and nobody else took it. */
static enum sabotage take_sabotage(struct board *board)
{
    if (atomic_load_explicit(&board->sabotage, memory_order_relaxed) == SABOTAGE_NONE)
        return SABOTAGE_NONE;
    return (enum sabotage)atomic_exchange(&board->sabotage, SABOTAGE_NONE);
}

/* Logs the line at place `index` of the thread's share; returns the place to go on with. */
static uint32_t log_next(struct logger *me, uint32_t index, uint32_t share)
{
    struct demo *demo = me->demo;
    uint32_t number = (uint32_t)board_line_of(demo, me->thread, index);
    enum sabotage wrong = index + 2 < share ? take_sabotage(demo->board) : SABOTAGE_NONE;
    if (wrong == SABOTAGE_REORDER) {
        log_line(me, number + demo->threads, 0);
        index++;
    }
    log_line(me, number, wrong == SABOTAGE_CHANGE);
    if (wrong == SABOTAGE_DUPLICATE)
        log_line(me, number, 0);
    if (wrong != SABOTAGE_NONE) /* the parent has waited for this before it kills */
        atomic_store(&demo->board->sabotaged, 1);
    return index + 1;
}

static void *logger_main(void *arg)
{
    struct logger *me = arg;
    struct demo *demo = me->demo;
    uint32_t share = (demo->lines - me->thread + demo->threads - 1) / demo->threads;
    uint32_t index = atomic_load(&demo->board->next[me->thread]);
    while (index < share) {
        while (index + DEMO_HELD_BACK >= share && !atomic_load(&demo->board->may_finish))
            demo_sleep_us(1000);
        index = log_next(me, index, share);
        atomic_store(&demo->board->next[me->thread], index);
    }
    return NULL;
}

static void log_everything(struct demo *demo, struct varve_log *log)
{
    struct logger loggers[DEMO_THREADS_MAX];
    for (unsigned i = 0; i < demo->threads; i++) {
        loggers[i] = (struct logger){.demo = demo, .log = log, .thread = i};
        if (pthread_create(&loggers[i].id, NULL, logger_main, &loggers[i]) != 0)
            give_up(demo, DEMO_FAILED, "a thread could not be started");
    }
    for (unsigned i = 0; i < demo->threads; i++)
        pthread_join(loggers[i].id, NULL);
}

/* Whether what Varve says means that the log is not what it was, rather than that it could not be opened now.
 */
static int means_loss(int code)
{
    return code == VARVE_E_CORRUPT || code == VARVE_E_TORN || code == VARVE_E_HOLE ||
           code == VARVE_E_MISSING_SEGMENT || code == VARVE_E_FOREIGN || code == VARVE_E_FORMAT;
}

static struct varve_log *open_log(struct demo *demo)
{
    struct varve_options options = {
        .size = sizeof options,
        .durability = VARVE_GROUP,
        .segment_bytes = DEMO_SEGMENT_BYTES,
    };
    struct varve_error error = {0};
    struct varve_log *log = NULL;
    int code = varve_open(demo->log_path, &options, &log, &error);
    if (code != VARVE_OK) {
        char message[DEMO_COMPLAINT_BYTES];
        snprintf(message, sizeof message, "Varve does not open the log: %s: %s", varve_error_name(code),
                 error.message);
        give_up(demo, means_loss(code) ? DEMO_LOST : DEMO_FAILED, message);
    }
    return log;
}

/* Where each thread goes on, and whether the log still holds what was acknowledged before the kill: a record
 * that is lost now would be covered up by logging the line again. */
static void take_stock(struct demo *demo, struct varve_log *log)
{
    struct findings *findings = &demo->board->findings;
    struct varve_error error = {0};
    int code = verify_log(demo, log, findings, &error);
    if (code != VARVE_OK)
        give_up(demo, means_loss(code) ? DEMO_LOST : DEMO_FAILED, error.message);
    if (findings->first[0] != '\0')
        give_up(demo, DEMO_LOST, findings->first);
    for (unsigned i = 0; i < demo->threads; i++)
        atomic_store(&demo->board->next[i], findings->next[i]);
}

_Noreturn void writer_main(struct demo *demo)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct varve_log *log = open_log(demo);
    take_stock(demo, log);
    atomic_store(&demo->board->logging_since_ns, demo_now_ns());
    atomic_store(&demo->board->phase, PHASE_LOGGING);
    log_everything(demo, log);
    atomic_store(&demo->board->logging_until_ns, demo_now_ns());
    atomic_store(&demo->board->phase, PHASE_CLOSING);
    struct varve_error error = {0};
    if (varve_close(log, &error) != VARVE_OK)
        give_up(demo, DEMO_FAILED, error.message);
    _exit(DEMO_FINE);
}
