/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a thread with its signals blocked: a thread inherits the mask of the one that starts it. */
#include "base/thread.h"

#include <signal.h>

int vv_thread_start(pthread_t *ret_thread, const char *name, void *(*fn)(void *arg), void *arg)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc != 0) {
        return -rc;
    }
    pthread_t thread;
    rc = pthread_create(&thread, NULL, fn, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        return -rc;
    }
    (void)pthread_setname_np(thread, name);
    *ret_thread = thread;
    return 0;
}
