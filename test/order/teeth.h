/* SPDX-License-Identifier: Apache-2.0 */
/* Histories whose verdict is known, for the checkers themselves. */
#ifndef TEST_ORDER_TEETH_H
#define TEST_ORDER_TEETH_H

#include <stdbool.h>

/* Prints a line for each. False: a checker was wrong about one. */
bool teeth_show(void);

#endif
