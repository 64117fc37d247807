/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping on a 32-bit word until somebody changes it (futex, private to the process). The word carries the
 * meaning, and the ordering too: whoever changes it stores with release before waking, whoever wakes loads
 * with acquire. These calls order nothing by themselves.
 *
 * Source: futex(2), FUTEX_WAIT and FUTEX_WAKE.
 */
#ifndef VV_BASE_WAIT_H
#define VV_BASE_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

#define VV_WAIT_FOREVER INT64_C(-1)

/*
 * Sleeps while *word == seen, at most `timeout_us` microseconds (negative: no limit). 0: woken, or the word
 * was different, or a signal came, or for no reason: the caller looks at the word again. -ETIMEDOUT: the time
 * is over (at once with 0, unless the word is different). Does not allocate, keeps errno.
 */
int vv_wait_on(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_us);

/* Wakes who sleeps on the word at this moment. Costs a system call also when nobody does. */
void vv_wake_one(_Atomic uint32_t *word);
void vv_wake_all(_Atomic uint32_t *word);

#endif
