/* SPDX-License-Identifier: Apache-2.0 */
#include "redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* One program, which looks at the name it is called by. The second one is there without the package that
 * would also start a server for the whole machine. */
static const char *const programs[] = {"redis-server", "redis-check-rdb"};
#define NAME "redis-server"

/* [child] */
static void become(char **argv)
{
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        execvp(programs[i], argv);
    _exit(127);
}

/* [child] */
static void say_version(int out)
{
    char *argv[] = {NAME, "--version", NULL};
    dup2(out, STDOUT_FILENO);
    become(argv);
}

/* "Redis server v=7.0.15 sha=..." */
int redis_server_version(char version[PEER_VERSION_BYTES])
{
    char text[256] = "";
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t child = fork();
    if (child == 0)
        say_version(ends[1]);
    close(ends[1]);
    size_t used = 0;
    ssize_t got = 0;
    while (child > 0 && used < sizeof text - 1 &&
           (got = read(ends[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)got;
    close(ends[0]);
    if (child < 0 || waitpid(child, NULL, 0) < 0)
        return -1;
    const char *at = strstr(text, "v=");
    if (at == NULL)
        return -1;
    snprintf(version, PEER_VERSION_BYTES, "%.*s", (int)strcspn(at + 2, " "), at + 2);
    return 0;
}

/* The counters stand in memory that both processes have; the server's are loaded before the C library. */
static int share_counters(struct redis_server *server, int *ret_fd)
{
    int fd = memfd_create("varve-bench-syncs", 0); /* inherited */
    if (fd < 0 || ftruncate(fd, sizeof *server->syncs) < 0)
        return bench_fail(errno, "memfd_create");
    void *shared = mmap(NULL, sizeof *server->syncs, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) {
        close(fd);
        return bench_fail(errno, "mmap");
    }
    server->syncs = shared;
    *ret_fd = fd;
    return 0;
}

/* [child] */
static void become_server(const struct peer_setup *setup, int counters)
{
    char preload[BENCH_PATH_BYTES], fd[16];
    char *argv[] = {
        NAME,
        "--port",
        "0",
        "--unixsocket",
        "redis.sock",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        setup->mode == PEER_DURABLE ? "always" : "everysec",
        "--auto-aof-rewrite-percentage",
        "0",
        "--logfile",
        "redis.log",
        "--maxclients",
        "2000",
        NULL,
    };
    if (shelter_program_dir(preload) < 0)
        _exit(127);
    strncat(preload, "/varve-bench-syncs.so", sizeof preload - strlen(preload) - 1);
    snprintf(fd, sizeof fd, "%d", counters);
    setenv("LD_PRELOAD", preload, 1);
    setenv(SYNCS_FD_VARIABLE, fd, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(setup->dir) == 0)
        become(argv);
    _exit(127);
}

int redis_server_start(const struct peer_setup *setup, struct redis_server *ret_server)
{
    struct redis_server server = {0};
    int counters = -1;
    server.dir = open(setup->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (server.dir < 0)
        return bench_fail(errno, "%s", setup->dir);
    unlinkat(server.dir, "redis.sock", 0); /* of a server that was killed */
    if (share_counters(&server, &counters) < 0) {
        close(server.dir);
        return -1;
    }
    server.pid = fork();
    if (server.pid == 0)
        become_server(setup, counters);
    close(counters);
    if (server.pid < 0)
        return bench_fail(errno, "fork");
    *ret_server = server;
    return 0;
}

void redis_server_socket(const struct redis_server *server, char ret_path[64])
{
    snprintf(ret_path, 64, "/proc/self/fd/%d/redis.sock", server->dir);
}

int redis_server_alive(const struct redis_server *server)
{
    return waitpid(server->pid, NULL, WNOHANG) == 0;
}

int redis_server_end(struct redis_server *server)
{
    int status = 0;
    kill(server->pid, SIGTERM);
    while (waitpid(server->pid, &status, 0) < 0 && errno == EINTR) {
    }
    munmap(server->syncs, sizeof *server->syncs);
    close(server->dir);
    return status == 0 ? 0 : bench_fail(0, "redis-server did not end in order (status %d)", status);
}
