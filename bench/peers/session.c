/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process for each peer. It is told what to do over a socket, one order at a time, and stands still
 * (SIGSTOP) between orders, so that its background threads do not run into what another peer is measured at.
 * It leads a process group, which holds the server it may start; all of them die with this process.
 */
#include "peers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* An order that takes longer has hung. */
#define ANSWER_MS_MAX (240 * 1000)

struct session {
    const struct peer *peer;
    char dir[BENCH_PATH_BYTES];
    pid_t pid;
    pid_t server;
    int socket;
};

void session_dir(const struct bench *bench, const struct peer *peer, char ret_path[BENCH_PATH_BYTES])
{
    disk_path(bench, peer->name, ret_path);
}

int session_remove(const struct bench *bench, const struct peer *peer)
{
    return disk_remove(bench, peer->name);
}

/* [child] */
static void serve(const struct bench *bench, const struct peer *peer, int socket)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    work_serve(bench, peer, socket);
    _exit(0);
}

int session_start(struct bench *bench, const struct peer *peer, struct session **ret_session)
{
    struct session *session = calloc(1, sizeof *session);
    int ends[2];
    if (session == NULL)
        return bench_fail(ENOMEM, "%s", peer->title);
    session->peer = peer;
    session_dir(bench, peer, session->dir);
    if (mkdir(session->dir, 0700) < 0 && errno != EEXIST) {
        bench_fail(errno, "%s", session->dir);
        goto err;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        bench_fail(errno, "socketpair");
        goto err;
    }
    session->pid = fork();
    if (session->pid == 0) {
        close(ends[0]);
        serve(bench, peer, ends[1]);
    }
    close(ends[1]);
    if (session->pid < 0) {
        bench_fail(errno, "fork");
        close(ends[0]);
        goto err;
    }
    setpgid(session->pid, session->pid); /* here too: whoever comes first */
    session->socket = ends[0];
    *ret_session = session;
    return 0;

err:
    free(session);
    return -1;
}

static int answer(struct session *session, struct reply *reply)
{
    struct pollfd wait = {.fd = session->socket, .events = POLLIN};
    int ready = poll(&wait, 1, ANSWER_MS_MAX);
    if (ready < 0)
        return bench_fail(errno, "poll");
    if (ready == 0)
        return bench_fail(0, "%s: no answer within %d s", session->peer->title, ANSWER_MS_MAX / 1000);
    ssize_t got = recv(session->socket, reply, sizeof *reply, 0);
    if (got != (ssize_t)sizeof *reply)
        return bench_fail(0, "%s: its process has ended", session->peer->title);
    return reply->failed ? -1 : 0;
}

int session_do(struct session *session, const struct order *order, struct figures *ret_figures)
{
    struct reply reply = {0};
    kill(-session->pid, SIGCONT);
    if (send(session->socket, order, sizeof *order, MSG_NOSIGNAL) != (ssize_t)sizeof *order)
        return bench_fail(errno, "%s: its process is gone", session->peer->title);
    if (answer(session, &reply) < 0)
        return bench_fail(0, "%s: failed", session->peer->title);
    if (order->kind != WORK_CLOSE)
        kill(-session->pid, SIGSTOP);
    session->server = reply.server;
    *ret_figures = reply.figures;
    return 0;
}

unsigned session_pids(const struct session *session, pid_t ret_pids[2])
{
    ret_pids[0] = session->pid;
    ret_pids[1] = session->server;
    return session->server != 0 ? 2 : 1;
}

static void wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* A server that outlives its parent by a moment becomes our child; its files are in use until it is gone. */
void session_kill(struct session *session)
{
    if (session == NULL)
        return;
    kill(-session->pid, SIGKILL);
    close(session->socket);
    wait_for(session->pid);
    if (session->server != 0)
        wait_for(session->server);
    free(session);
}

int session_end(struct session *session)
{
    struct order order = {.kind = WORK_CLOSE};
    struct figures figures;
    if (session == NULL)
        return 0;
    int failed = session_do(session, &order, &figures);
    session_kill(session);
    return failed;
}
