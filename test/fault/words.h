/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be said of a fault, and of which nothing need be. */
#ifndef TEST_FAULT_WORDS_H
#define TEST_FAULT_WORDS_H

#include "fault/run.h"

/* Why nobody need be told of this fault; NULL: somebody must. Static. */
const char *fault_words_none(const struct fault_case *fault, const char *scenario);

/* When a call that failed was reported: what was said names the thing, and says what the system said. Ends
 * the process by fault_die where it does not. */
void fault_words_check(struct fault_run *run);

#endif
