/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a changed log is read through: sectors that cannot be read, and a note of whoever changes something
 * though it was only to read.
 */
#ifndef TEST_ROT_GLASS_H
#define TEST_ROT_GLASS_H

#include "lib/pass.h"
#include "rot/change.h"
#include "rot/tooth.h"

struct rot_glass {
    struct test_pass pass; /* first: pass.io is the table */
    const struct rot_case *c;
    enum rot_tooth tooth;
    bool raised;      /* a read met a sector that cannot be read */
    unsigned changes; /* of anything but LOCK */
};

void rot_glass_init(struct rot_glass *glass, struct varve_io *below, const struct rot_case *c,
                    enum rot_tooth tooth);

#endif
