/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience: a call is handed to a worker and waited for, up to a limit.
 *
 * A worker's life is one word: IDLE -> ASKED -> DONE -> IDLE where all is well; ASKED -> LEFT when whoever
 * asked has gone, and LEFT -> IDLE once the call has come to its end. Who changes ASKED does so by one
 * compare-and-swap, so either the one who asked has the outcome or the worker cleans up after it.
 *
 * Ways to fail: no further thread can be started; then the call is made by who wants it, and waited for. As
 * many hang as there may be threads; then nothing more is tried.
 */
#include "io/patience.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "base/wait.h"

enum {
    WORKERS_MAX = 64
};

/* The low bits of the word; above them stands the number of the call, so that whoever waits for one never
 * takes another for it. */
enum {
    IDLE = 0,
    ASKED,
    DONE,
    LEFT,
    QUIT,
    STATES = 8,
};

struct worker {
    struct vv_patience *of;
    struct worker *next_idle; /* [lock] */
    struct worker *next;      /* [lock] of all */
    pthread_t thread;
    _Atomic uint32_t word;
    uint64_t began_us; /* [who asks, before ASKED] */
    long rc;           /* [worker, before DONE] */
    uint8_t *buffer;
    struct vv_call call; /* [who asks, before ASKED; worker from then to DONE] */
};

struct vv_patience {
    struct varve_io *io;
    uint64_t limit_us;
    size_t buffer_bytes;
    vv_patience_fn fn;
    void *arg;
    int side;
    pthread_mutex_t lock;
    struct worker *idle, *all; /* [lock] */
    unsigned count;            /* [lock] */
    _Atomic uint32_t stop, hung;
};

static void give_back(struct vv_patience *p, struct worker *w)
{
    pthread_mutex_lock(&p->lock);
    w->next_idle = p->idle;
    p->idle = w;
    pthread_mutex_unlock(&p->lock);
}

static uint32_t with(uint32_t word, uint32_t state)
{
    return word / STATES * STATES + state;
}

/* The call was left behind, and this is its end. */
static void clean_up(struct vv_patience *p, struct worker *w)
{
    uint64_t took_us = p->io->monotonic_us(p->io) - w->began_us;
    enum vv_call_op op = w->call.op;

    vv_call_drop(p->io, &w->call);
    if (w->call.held)
        vv_held_release(p->io, w->call.held);
    w->call.held = NULL;
    if (op != VV_CALL_CLOSE)
        p->fn(p->arg, p->side, op, took_us, 1);
    atomic_store(&w->word, with(atomic_load(&w->word), IDLE));
    give_back(p, w);
    /* Last: whoever waits for all to have ended may use the device again from here on. */
    if (op != VV_CALL_CLOSE)
        atomic_fetch_sub(&p->hung, 1);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct vv_patience *p = w->of;

    for (;;) {
        uint32_t word = atomic_load(&w->word), state = word % STATES, asked = with(word, ASKED);

        if (state == QUIT || (state == IDLE && atomic_load(&p->stop)))
            return NULL;
        if (state != ASKED && state != LEFT) {
            (void)vv_wait_on(&w->word, word, VV_WAIT_FOREVER);
            continue;
        }
        w->rc = vv_call_run(p->io, &w->call);
        if (atomic_compare_exchange_strong(&w->word, &asked, with(word, DONE)))
            vv_wake_all(&w->word);
        else
            clean_up(p, w);
    }
}

/* lock is held. */
static struct worker *start_worker(struct vv_patience *p)
{
    struct worker *w;

    if (p->count >= WORKERS_MAX)
        return NULL;
    w = vv_alloc_zero(sizeof *w);
    if (!w)
        return NULL;
    w->of = p;
    w->buffer = vv_alloc_aligned(4096, p->buffer_bytes);
    if (!w->buffer || vv_thread_start(&w->thread, "varve-patience", work, w) != 0) {
        vv_free(w->buffer);
        vv_free(w);
        return NULL;
    }
    p->count++;
    w->next = p->all;
    p->all = w;
    return w;
}

static struct worker *take_worker(struct vv_patience *p)
{
    struct worker *w;

    pthread_mutex_lock(&p->lock);
    w = p->idle;
    if (w)
        p->idle = w->next_idle;
    else
        w = start_worker(p);
    pthread_mutex_unlock(&p->lock);
    return w;
}

int vv_patience_new(struct varve_io *io, uint64_t limit_us, unsigned workers, size_t buffer_bytes,
                    vv_patience_fn fn, void *arg, int side, struct vv_patience **ret_patience)
{
    struct vv_patience *p = vv_alloc_zero(sizeof *p);

    if (!p)
        return -ENOMEM;
    p->io = io;
    p->limit_us = limit_us;
    p->buffer_bytes = buffer_bytes;
    p->fn = fn;
    p->arg = arg;
    p->side = side;
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 0; i < workers; i++) {
        struct worker *w;

        pthread_mutex_lock(&p->lock);
        w = start_worker(p);
        pthread_mutex_unlock(&p->lock);
        if (!w) {
            vv_patience_free(p, 0);
            return -EAGAIN;
        }
        give_back(p, w);
    }
    *ret_patience = p;
    return 0;
}

void vv_patience_free(struct vv_patience *p, int forked)
{
    struct worker *w, *next;

    if (!p)
        return;
    atomic_store(&p->stop, 1);
    for (w = p->all; w && !forked; w = w->next) {
        uint32_t idle = with(atomic_load(&w->word), IDLE);

        (void)atomic_compare_exchange_strong(&w->word, &idle, with(idle, QUIT));
        vv_wake_all(&w->word);
        pthread_join(w->thread, NULL);
    }
    for (w = p->all; w; w = next) {
        next = w->next;
        vv_free(w->buffer);
        vv_free(w);
    }
    if (!forked)
        pthread_mutex_destroy(&p->lock);
    vv_free(p);
}

/* A write's bytes are copied: who asked may use its memory again while the call hangs. */
static void copy_bytes(struct vv_patience *p, struct worker *w)
{
    struct vv_call *c = &w->call;
    size_t used = 0;

    for (int i = 0; i < c->iov_count; i++) {
        size_t len = c->iov[i].iov_len;

        if (len > p->buffer_bytes - used)
            len = p->buffer_bytes - used;
        memcpy(w->buffer + used, c->iov[i].iov_base, len);
        used += len;
    }
    c->iov[0] = (struct iovec){w->buffer, used};
    c->iov_count = 1;
}

/* Returns the word of this call. */
static uint32_t hand_over(struct vv_patience *p, struct worker *w, const struct vv_call *call, uint32_t state)
{
    uint32_t word = with(atomic_load(&w->word) + STATES, state);

    w->call = *call;
    if (w->call.held)
        atomic_fetch_add(&w->call.held->holders, 1);
    if (w->call.op == VV_CALL_WRITE)
        copy_bytes(p, w);
    w->began_us = p->io->monotonic_us(p->io);
    atomic_store(&w->word, word);
    vv_wake_all(&w->word);
    return word;
}

/* false: it has come to its end, or somebody has left it already. */
static bool leave(struct vv_patience *p, struct worker *w, uint32_t word)
{
    /* Before: the worker takes it away again. */
    atomic_fetch_add(&p->hung, 1);
    if (word % STATES == ASKED && atomic_compare_exchange_strong(&w->word, &word, with(word, LEFT)))
        return true;
    atomic_fetch_sub(&p->hung, 1);
    return false;
}

static long take_outcome(struct vv_patience *p, struct worker *w, struct vv_call *call)
{
    long rc = w->rc;

    call->ret_file = w->call.ret_file;
    call->ret_stat = w->call.ret_stat;
    call->ret_bytes = w->call.ret_bytes;
    call->names = w->call.names;
    if (w->call.held)
        vv_held_release(p->io, w->call.held);
    w->call.held = NULL;
    w->call.ret_file = NULL;
    w->call.names = (struct vv_call_names){NULL, 0, 0};
    atomic_store(&w->word, with(atomic_load(&w->word), IDLE));
    give_back(p, w);
    return rc;
}

long vv_patience_do(struct vv_patience *p, struct vv_call *call)
{
    struct worker *w = take_worker(p);
    uint64_t began_us, now;
    uint32_t asked, word;

    if (!w)
        return atomic_load(&p->hung) < WORKERS_MAX ? vv_call_run(p->io, call) : -ETIMEDOUT;
    asked = hand_over(p, w, call, ASKED);
    began_us = now = p->io->monotonic_us(p->io);
    while ((word = atomic_load(&w->word)) == asked) {
        if (now - began_us < p->limit_us)
            (void)vv_wait_on(&w->word, asked, (int64_t)(p->limit_us - (now - began_us)));
        else if (leave(p, w, asked)) {
            p->fn(p->arg, p->side, call->op, now - began_us, 0);
            return -ETIMEDOUT;
        }
        now = p->io->monotonic_us(p->io);
    }
    /* Anything else: all who wait here have been called off, and the worker may be on to another call. */
    return word == with(asked, DONE) ? take_outcome(p, w, call) : -ETIMEDOUT;
}

void vv_patience_post(struct vv_patience *p, struct vv_call *call)
{
    struct worker *w = take_worker(p);

    if (!w) {
        (void)vv_call_run(p->io, call);
        return;
    }
    (void)hand_over(p, w, call, LEFT);
}

void vv_patience_leave(struct vv_patience *p)
{
    pthread_mutex_lock(&p->lock);
    for (struct worker *w = p->all; w; w = w->next) {
        if (leave(p, w, atomic_load(&w->word)))
            vv_wake_all(&w->word);
    }
    pthread_mutex_unlock(&p->lock);
}

uint32_t vv_patience_hung(struct vv_patience *p)
{
    return atomic_load(&p->hung);
}
