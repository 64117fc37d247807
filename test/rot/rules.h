/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of what check.c saw. */
#ifndef TEST_ROT_RULES_H
#define TEST_ROT_RULES_H

#include "rot/check.h"

/* false: one does not. Sets k->outcome. */
bool rot_rules(struct rot_check *k);

#endif
