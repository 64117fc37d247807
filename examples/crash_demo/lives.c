/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent: starts a writer, watches how far it comes, kills it at a moment that chance has chosen, starts
 * the next. Most kills come when so and so many lines are logged and a random time after that; some a
 * random time after the start, where the writer is still opening the log.
 */
#include "demo.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_US        300u
#define DELAY_US_MAX   3000u  /* after the line count is reached */
#define OPENING_US_MAX 30000u /* after the start */
#define OPENING_ONE_IN 5u
#define PATIENCE_S     20u /* without progress */

struct kill_plan {
    uint64_t lines; /* that the threads are done with; 0 = count from the start of the process */
    uint64_t delay_us;
};

/* splitmix64, by Vigna: enough chance for this, and the same for the same seed. */
static uint64_t draw(uint64_t *state, uint64_t below)
{
    uint64_t x = (*state += UINT64_C(0x9E3779B97F4A7C15));
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) % below;
}

static int compare_lines(const void *a, const void *b)
{
    uint64_t x = ((const struct kill_plan *)a)->lines, y = ((const struct kill_plan *)b)->lines;
    return (x > y) - (x < y);
}

/* The sabotage comes when half of the kills have. */
static unsigned kills_before_sabotage(const struct demo *demo)
{
    return demo->kills > 1 ? demo->kills / 2 : 1;
}

static void plan_kills(const struct demo *demo, struct kill_plan *plan)
{
    uint64_t state = demo->seed;
    for (unsigned i = 0; i < demo->kills; i++) {
        plan[i].lines = 1 + draw(&state, demo->lines - DEMO_HELD_BACK * demo->threads);
        plan[i].delay_us = draw(&state, DELAY_US_MAX);
    }
    qsort(plan, demo->kills, sizeof *plan, compare_lines);
    for (unsigned i = 0; i < demo->kills; i++) {
        uint64_t delay = draw(&state, OPENING_US_MAX);
        if (draw(&state, OPENING_ONE_IN) == 0)
            plan[i] = (struct kill_plan){.delay_us = delay};
    }
    /* More lines than threads: one thread has had a line acknowledged and another one after it, whose frame
     * vouches for the first. */
    struct kill_plan *before = &plan[kills_before_sabotage(demo) - 1];
    if (demo->sabotage != SABOTAGE_NONE && before->lines <= demo->threads)
        before->lines = demo->threads + 1;
}

/* What a writer that has ended by itself has to say. Returns a demo_exit code. */
static int ended(const struct demo *demo, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : DEMO_FAILED;
    if (code == DEMO_FINE)
        return code;
    if (WIFSIGNALED(status))
        demo_complain("the writer was ended by signal %d that we did not send", WTERMSIG(status));
    else if (demo->board->complaint[0] != '\0')
        demo_complain("%s", demo->board->complaint);
    else
        demo_complain("the writer ended with %d and does not say why", code);
    return code == DEMO_LOST ? DEMO_LOST : DEMO_FAILED;
}

/* Lines that the threads are done with: acknowledged, or found in the log after a kill. */
static uint64_t lines_done(const struct demo *demo)
{
    uint64_t done = 0;
    for (unsigned thread = 0; thread < demo->threads; thread++)
        done += atomic_load_explicit(&demo->board->next[thread], memory_order_relaxed);
    return done;
}

/* Whether a writer can be killed now: not before there is something to break, and not one that took the order
 * to do something wrong and is not done with it, because half of it may not be wrong at all. An order that it
 * did not take is taken back. */
static int may_kill(const struct demo *demo)
{
    struct board *board = demo->board;
    if (demo->sabotage != SABOTAGE_NONE && atomic_load(&board->acknowledged) == 0)
        return 0;
    return !demo->ordered || atomic_exchange(&board->sabotage, SABOTAGE_NONE) != SABOTAGE_NONE ||
           atomic_load(&board->sabotaged);
}

enum sight {
    SIGHT_MOMENT = 0, /* now is the time to kill */
    SIGHT_ENDED = 1,  /* the writer has ended by itself, and is gone */
    SIGHT_STUCK = 2   /* it does not come any further */
};

/* Watches the writer until the moment to kill it (`plan`), or with NULL until it ends. *ret_code: with ENDED,
 * a demo_exit code. */
static enum sight watch(const struct demo *demo, pid_t writer, const struct kill_plan *plan, unsigned kills,
                        int *ret_code)
{
    uint64_t best = 0, progress_ns = demo_now_ns();
    for (unsigned polls = 0;; polls++) {
        int status = 0;
        if (waitpid(writer, &status, WNOHANG) == writer) {
            *ret_code = ended(demo, status);
            return SIGHT_ENDED;
        }
        uint64_t done = lines_done(demo);
        if (plan != NULL && done >= plan->lines) {
            demo_sleep_us(plan->delay_us);
            if (may_kill(demo))
                return SIGHT_MOMENT;
        }
        uint64_t now = demo_now_ns();
        if (done > best) {
            best = done;
            progress_ns = now;
        }
        if (now - progress_ns > PATIENCE_S * UINT64_C(1000000000))
            return SIGHT_STUCK;
        if (polls % 256 == 0)
            report_progress(demo, kills);
        demo_sleep_us(POLL_US);
    }
}

/* Marks the lines that may be in the log without an acknowledgement: the one each thread was about to log. */
static void note_in_hand(struct demo *demo)
{
    for (unsigned thread = 0; thread < demo->threads; thread++) {
        uint64_t number = board_line_of(demo, thread, atomic_load(&demo->board->next[thread]));
        if (number < demo->lines)
            demo->in_hand[number] = 1;
    }
}

/* Adds up the time this writer spent logging, and takes the board back. */
static void settle(struct demo *demo, struct course *course, int killed)
{
    struct board *board = demo->board;
    uint64_t until = atomic_load(&board->logging_until_ns);
    int phase = atomic_load(&board->phase);
    if (phase != PHASE_OPENING) {
        uint64_t end = until != 0 ? until : demo_now_ns();
        course->logging_s += (double)(end - atomic_load(&board->logging_since_ns)) / 1e9;
    }
    if (killed) {
        course->kills++;
        course->kills_opening += phase == PHASE_OPENING;
    }
    atomic_store(&board->phase, PHASE_OPENING);
    atomic_store(&board->logging_until_ns, 0);
}

/* One writer, from its start to its end. Returns -1 when it was killed as planned, else a demo_exit code. */
static int live(struct demo *demo, const struct kill_plan *plan, struct course *course)
{
    pid_t writer = fork();
    if (writer < 0) {
        demo_complain("fork: %s", strerror(errno));
        return DEMO_FAILED;
    }
    if (writer == 0)
        writer_main(demo);
    int code = -1;
    enum sight sight = watch(demo, writer, plan, course->kills, &code);
    if (sight != SIGHT_ENDED) {
        kill(writer, SIGKILL);
        while (waitpid(writer, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    settle(demo, course, sight == SIGHT_MOMENT);
    if (sight == SIGHT_STUCK) {
        demo_complain("the writer has made no progress for %u seconds", PATIENCE_S);
        code = DEMO_LOST;
    }
    return code;
}

/* Does, or orders, what --sabotage asks for, once half of the kills have come. */
static int sabotage(struct demo *demo, unsigned kills)
{
    struct board *board = demo->board;
    if (demo->sabotage == SABOTAGE_NONE || atomic_load(&board->sabotaged) ||
        kills < kills_before_sabotage(demo))
        return 0;
    if (demo->sabotage != SABOTAGE_DROP && demo->sabotage != SABOTAGE_DAMAGE) {
        demo->ordered = 1;
        atomic_store(&board->sabotage, (int)demo->sabotage);
        return 0;
    }
    atomic_store(&board->sabotaged, 1);
    return sabotage_files(demo);
}

int lives_run(struct demo *demo, struct course *ret_course)
{
    static struct kill_plan plan[DEMO_KILLS_MAX];
    plan_kills(demo, plan);
    memset(ret_course, 0, sizeof *ret_course);
    for (unsigned i = 0; i < demo->kills; i++) {
        int code = live(demo, &plan[i], ret_course);
        if (code != -1)
            return code;
        note_in_hand(demo);
        if (sabotage(demo, i + 1) < 0)
            return DEMO_FAILED;
    }
    atomic_store(&demo->board->may_finish, 1);
    return live(demo, NULL, ret_course);
}
