/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the library's own. */
#ifndef VV_BASE_THREAD_H
#define VV_BASE_THREAD_H

#include <pthread.h>

/*
 * Starts a joinable thread that runs fn(arg) with every signal blocked, so that a program's handlers never
 * run on a thread it does not know of. `name`: at most 15 bytes, seen in ps and debuggers. 0 or a negative
 * errno (-EAGAIN: no more threads). The caller joins it with pthread_join.
 */
int vv_thread_start(pthread_t *ret_thread, const char *name, void *(*fn)(void *arg), void *arg);

#endif
