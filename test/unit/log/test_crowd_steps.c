/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is woken for a frame, in every order of steps: the code of crowd.c itself, over a futex and processors
 * that are this test's, so that nothing depends on what the system makes of threads.
 *
 * A sleeper enters, goes to sleep unless the frame is durable or the word has changed, and leaves once it is
 * awake. One publisher makes the frame durable and wakes; sleepers take steps before each of its wake-ups,
 * too, and before each of those that a sleeper passes on. Whoever sleeps when no step is left was forgotten.
 */
#include "log/stages.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/wait.h"

enum {
    SLEEPERS = 3,
    STEPS_MAX = 64
};

enum state {
    OUTSIDE,
    ENTERED,
    ASLEEP,
    AWAKE, /* and has not left */
    GONE,
};

/* [0, SLEEPERS): a step of that sleeper. */
enum {
    PUBLISHES = SLEEPERS,
    GOES_ON, /* the publisher, in the middle of waking */
};

struct sleeper {
    enum state state;
    unsigned cpu;
    struct vv_crowd *crowd;
    uint32_t seen;
    unsigned since; /* when it went to sleep: who came first is woken first */
};

static struct {
    struct varve_log log;
    struct vv_slot slot;
    struct sleeper sleepers[SLEEPERS];
    bool durable, published;
    unsigned cpu; /* of whoever takes a step */
    unsigned now;
    /* The order that is being tried: at each step which of the possible ones is taken, and how many there
     * were. Those behind `depth` are the first ones. */
    unsigned taken[STEPS_MAX], possible[STEPS_MAX], depth, step;
} hall;

/* -- the system that crowd.c sees -- */

int sched_getcpu(void)
{
    return (int)hall.cpu;
}

static void some_steps(bool waking);

int vv_wait_on(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_us)
{
    (void)word;
    (void)seen;
    (void)timeout_us;
    return -ENOSYS; /* crowd.c wakes; who sleeps is a sleeper's step here */
}

static void wake(_Atomic uint32_t *word, unsigned most)
{
    unsigned cpu = hall.cpu;
    some_steps(true);
    hall.cpu = cpu;
    for (; most > 0; most--) {
        struct sleeper *first = NULL;
        for (unsigned i = 0; i < SLEEPERS; i++) {
            struct sleeper *s = &hall.sleepers[i];
            if (s->state == ASLEEP && &s->crowd->event == word &&
                (first == NULL || s->since < first->since)) {
                first = s;
            }
        }
        if (first == NULL) {
            break;
        }
        first->state = AWAKE;
    }
}

void vv_wake_one(_Atomic uint32_t *word)
{
    wake(word, 1);
}

void vv_wake_all(_Atomic uint32_t *word)
{
    wake(word, SLEEPERS);
}

/* -- steps -- */

static void sleeper_step(struct sleeper *s)
{
    hall.cpu = s->cpu;
    switch (s->state) {
    case OUTSIDE:
        s->crowd = vv_crowd_enter(&hall.log, &hall.slot, &s->seen);
        s->state = ENTERED;
        break;
    case ENTERED:
        if (hall.durable || atomic_load(&s->crowd->event) != s->seen) {
            s->state = AWAKE;
        } else {
            s->state = ASLEEP;
            s->since = hall.now++;
        }
        break;
    default:
        s->state = GONE;
        vv_crowd_leave(s->crowd);
        /* Woken without its frame it comes again, as wait.c does. */
        if (!hall.durable) {
            s->state = OUTSIDE;
        }
    }
}

/* Takes the step that the order names among those that are possible now; false: none was. */
static bool take_step(bool waking, bool *ret_goes_on)
{
    unsigned choices[SLEEPERS + 2], count = 0;
    *ret_goes_on = false;
    if (waking) {
        choices[count++] = GOES_ON;
    }
    for (unsigned i = 0; i < SLEEPERS; i++) {
        enum state state = hall.sleepers[i].state;
        if (state != ASLEEP && state != GONE) {
            choices[count++] = i;
        }
    }
    if (!hall.published) {
        choices[count++] = PUBLISHES;
    }
    if (count == 0) {
        return false;
    }
    assert_true(hall.step < STEPS_MAX);
    if (hall.step >= hall.depth) {
        hall.taken[hall.step] = 0;
        hall.depth = hall.step + 1;
    }
    hall.possible[hall.step] = count;
    unsigned choice = choices[hall.taken[hall.step++]];
    if (choice == GOES_ON) {
        *ret_goes_on = true;
    } else if (choice == PUBLISHES) {
        hall.published = true;
        hall.durable = true;
        hall.cpu = 0;
        vv_crowd_wake(&hall.log, &hall.slot);
    } else {
        sleeper_step(&hall.sleepers[choice]);
    }
    return true;
}

/* Those of others while somebody is in the middle of waking: none, or some. */
static void some_steps(bool waking)
{
    bool goes_on = false;
    while (!goes_on && take_step(waking, &goes_on)) {
    }
}

/* The next order, depth first; false: all were tried. */
static bool next_order(void)
{
    while (hall.depth > 0 && hall.taken[hall.depth - 1] + 1 == hall.possible[hall.depth - 1]) {
        hall.depth--;
    }
    if (hall.depth == 0) {
        return false;
    }
    hall.taken[hall.depth - 1]++;
    return true;
}

static void start(unsigned crowds, unsigned cpus)
{
    memset(&hall.log, 0, sizeof hall.log);
    memset(&hall.slot, 0, sizeof hall.slot);
    memset(hall.sleepers, 0, sizeof hall.sleepers);
    hall.log.crowd_count = crowds;
    for (unsigned i = 0; i < SLEEPERS; i++) {
        hall.sleepers[i].cpu = cpus >> i & 1;
    }
    hall.durable = hall.published = false;
    hall.now = hall.step = 0;
}

/* Every order for sleepers on these processors, bit by bit; the publisher is on the first. */
static uint64_t try_all(unsigned crowds, unsigned cpus)
{
    uint64_t orders = 0;
    hall.depth = 0;
    do {
        start(crowds, cpus);
        some_steps(false);
        for (unsigned i = 0; i < SLEEPERS; i++) {
            if (hall.sleepers[i].state != GONE) {
                fail_msg("a sleeper on processor %u is not woken in order %llu of those for %#x",
                         hall.sleepers[i].cpu, (unsigned long long)orders, cpus);
            }
        }
        assert_int_equal(vv_crowd_count(&hall.log, &hall.slot), 0);
        orders++;
    } while (next_order());
    return orders;
}

static void test_crowd_steps__everybody_is_woken(void **state)
{
    (void)state;
    uint64_t orders = 0;
    /* Which of them are where makes no difference. */
    for (unsigned elsewhere = 0; elsewhere <= SLEEPERS; elsewhere++) {
        orders += try_all(2, (1u << elsewhere) - 1);
    }
    orders += try_all(1, 0);
    print_message("%llu orders\n", (unsigned long long)orders);
    assert_true(orders > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd_steps__everybody_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
