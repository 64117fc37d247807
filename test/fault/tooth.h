/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bugs, from outside: a decorator between the log and the faults that makes a sound log behave like one that
 * handles its errors badly. That each is found shows that the instrument can find something.
 */
#ifndef TEST_FAULT_TOOTH_H
#define TEST_FAULT_TOOTH_H

#include <stdbool.h>

#include "lib/pass.h"

enum fault_tooth_kind {
    FAULT_TOOTH_NONE,
    FAULT_TOOTH_READ_ERROR_IS_END,   /* what cannot be read is taken for zeros */
    FAULT_TOOTH_SYNC_ERROR_CLEARED,  /* a sync that failed counts as done */
    FAULT_TOOTH_SYNC_RETRIED,        /* a sync that failed is tried again, and believed */
    FAULT_TOOTH_SHORT_WRITE_IGNORED, /* a write that came short counts as whole */
    FAULT_TOOTH_DIR_ERROR_IGNORED,   /* so does a sync of names that failed */
    FAULT_TOOTH_RENAME_ERROR_HIDDEN, /* a name that could not be given counts as given */
    FAULT_TOOTH_LOCK_ERROR_IGNORED,  /* a lock that could not be had counts as had */
    FAULT_TOOTH_FILE_NOT_CLOSED,     /* after an error the file stays open */
    FAULT_TOOTH_RETRIED_FOR_EVER,    /* a write that fails is tried until it goes */
    FAULT_TOOTH_COUNT,
};

struct fault_tooth {
    struct test_pass pass; /* first: pass.io is the table */
    enum fault_tooth_kind kind;
    _Atomic bool leaks; /* a read has failed: the next file is not closed */
};

void fault_tooth_init(struct fault_tooth *tooth, struct varve_io *below, enum fault_tooth_kind kind);
/* "read_error_is_end" and so on, and the scenario in which it shows. Static. */
const char *fault_tooth_name(enum fault_tooth_kind kind);
enum fault_tooth_kind fault_tooth_find(const char *name); /* NONE if there is none */
const char *fault_tooth_scenario(enum fault_tooth_kind kind);
/* A part of what is said of it. Static. */
const char *fault_tooth_expected(enum fault_tooth_kind kind);

#endif
