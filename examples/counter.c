/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A counter and a lock that live through kill -9. A child takes the lock and counts until it is killed; the
 * parent finds what the child was told, and waits for the lock of the dead to run out.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <varve/kv.h>

static int complain(const char *what, int rc)
{
    fprintf(stderr, "counter: %s: %s\n", what, varve_error_meaning(rc));
    return 1;
}

/* Never returns: it counts, and tells the parent after each step. */
static void count(int to)
{
    struct varve_kv *kv;
    int64_t counted;

    if (varve_kv_open("counter.varve", NULL, &kv, NULL) != 0 ||
        varve_kv_lock(kv, "lock", 4, "child", 5, 300, NULL) != 0)
        _exit(1);
    while (varve_kv_add(kv, "counter", 7, 1, NULL, &counted, NULL) == 0)
        if (write(to, &counted, sizeof counted) != sizeof counted)
            _exit(1);
    _exit(1);
}

int main(void)
{
    int64_t told = 0, counted = 0;
    struct varve_error error = {0};
    uint64_t token = 0;
    struct varve_kv *kv;
    int ends[2], rc;
    pid_t child;

    if (pipe(ends) != 0 || (child = fork()) < 0)
        return complain("fork", VARVE_E_IO);
    if (child == 0)
        count(ends[1]);
    while (told < 100 && read(ends[0], &told, sizeof told) == sizeof told)
        ;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ends[1]);
    while (read(ends[0], &told, sizeof told) == sizeof told)
        ; /* what it was told before it died */
    rc = varve_kv_open("counter.varve", NULL, &kv, &error);
    if (rc != 0)
        return complain(error.message, rc);
    while ((rc = varve_kv_lock(kv, "lock", 4, "parent", 6, 10000, &token)) == VARVE_E_CONFLICT)
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    if (rc == 0)
        rc = varve_kv_add(kv, "counter", 7, 0, NULL, &counted, NULL);
    printf("told %" PRId64 ", found %" PRId64 ", lock token %" PRIu64 "\n", told, counted, token);
    if (varve_kv_close(kv, &error) != 0 || rc != 0)
        return complain("the store", rc);
    return told == 0 || counted < told;
}
