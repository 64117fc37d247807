/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what several threads were told of one key could have come from a key that does one thing at a time:
 * linearisability. The search of Wing and Gong (Testing and verifying concurrent objects, 1993), which
 * remembers with which calls done it has been in which state (Lowe, Testing for linearizability, 2017).
 *
 * Threads: any; nothing is shared.
 */
#ifndef TEST_ORDER_LINEAR_H
#define TEST_ORDER_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linear_kind {
    LINEAR_GET,
    LINEAR_SET,
    LINEAR_SET_ABSENT,  /* only where nothing is */
    LINEAR_SET_VERSION, /* only where this version is */
    LINEAR_DELETE,
    LINEAR_ADD,
    LINEAR_LOCK,
    LINEAR_UNLOCK,
};

enum linear_told {
    LINEAR_DONE,
    LINEAR_NO_KEY,
    LINEAR_CONFLICT,
};

/* A call and what it was told. */
struct linear_call {
    uint64_t from, to; /* when it began and ended, of one clock that never stands still */
    enum linear_kind kind;
    enum linear_told told;
    uint64_t number;  /* set: what it wrote; add: by how much; lock, unlock: the owner */
    uint64_t wanted;  /* SET_VERSION: the version, 0 = absent */
    uint64_t result;  /* get: the value; add: the sum */
    uint64_t version; /* DONE: the version that it read or made */
};

/* True: there is an order. The key is absent at first. Else *ret_why says up to where there is one. */
bool linear_check(const struct linear_call *calls, size_t count, char *ret_why, size_t room);

#endif
