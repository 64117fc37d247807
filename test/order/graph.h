/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether committed transactions and single calls are as if each had happened at one moment between its
 * beginning and its end, in whatever order that may be: the direct serialisation graph (Adya, Weak
 * consistency, 1999) with an edge from each to those that began after it had ended has no cycle. Who read a
 * version comes after who wrote it and before who wrote the next one; versions are ordered by their LSNs.
 *
 * Of transactions that wrote nothing serial.h speaks: they look at the state as of an LSN, which need not be
 * a state that single calls have met.
 *
 * Threads: any; nothing is shared.
 */
#ifndef TEST_ORDER_GRAPH_H
#define TEST_ORDER_GRAPH_H

#include "order/serial.h"

/* True: there is no cycle. Keys are absent at first. */
bool graph_check(const struct serial_deal *deals, size_t count, unsigned keys, char *ret_why, size_t room);

#endif
