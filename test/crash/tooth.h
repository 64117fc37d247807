/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bugs, from outside: a decorator above the trace that makes a sound log behave like one with a well-known
 * mistake in it. That the explorer finds each of them shows that it can find something.
 */
#ifndef TEST_CRASH_TOOTH_H
#define TEST_CRASH_TOOTH_H

#include <stdatomic.h>

#include "lib/pass.h"

enum crash_tooth_kind {
    CRASH_TOOTH_NONE,
    CRASH_TOOTH_ACK_BEFORE_SYNC,    /* durable writes are ordinary ones */
    CRASH_TOOTH_ACK_PAST_A_HOLE,    /* one durable write in eight is an ordinary one */
    CRASH_TOOTH_HEAD_ONLY,          /* of a durable write only the first sector is made durable */
    CRASH_TOOTH_FORGOTTEN_SYNC,     /* sync does nothing */
    CRASH_TOOTH_FORGOTTEN_DIR_SYNC, /* names are never made durable */
    CRASH_TOOTH_FORGOTTEN_PARENT,   /* nor is the log's directory */
    CRASH_TOOTH_SALT_AGAIN,         /* every life of a file has the same salt */
    CRASH_TOOTH_HEADER_LEFT,        /* a spare keeps the header that it had */
    CRASH_TOOTH_ERROR_CLEARED,      /* a durable write or sync that failed counts as done */
    CRASH_TOOTH_SYNC_RETRIED,       /* a sync that failed is tried again, and believed */
    CRASH_TOOTH_COUNT,
};

struct crash_tooth {
    struct test_pass pass; /* first: pass.io is the table */
    enum crash_tooth_kind kind;
    _Atomic unsigned writes;
};

void crash_tooth_init(struct crash_tooth *tooth, struct varve_io *below, enum crash_tooth_kind kind);
/* "ack_before_sync" and so on, and the scenario in which it shows. Static. */
const char *crash_tooth_name(enum crash_tooth_kind kind);
enum crash_tooth_kind crash_tooth_find(const char *name); /* NONE if there is none */
const char *crash_tooth_scenario(enum crash_tooth_kind kind);

#endif
