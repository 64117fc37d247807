/* SPDX-License-Identifier: Apache-2.0 */
/* Structs that begin with their size, as callers of another age may give them. */
#ifndef VV_TXN_TAKE_H
#define VV_TXN_TAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

/* Copies what both know; the rest of *ret is zero. False: the size is none, or `from` says something that
 * this library does not know. `from` NULL: all zero. */
static inline bool vv_take(void *ret, size_t room, const void *from)
{
    size_t size = room;

    memset(ret, 0, room);
    if (from) {
        memcpy(&size, from, sizeof size);
        if (size < sizeof size)
            return false;
        if (size > room && !vv_is_zero((const uint8_t *)from + room, size - room))
            return false;
        memcpy(ret, from, size < room ? size : room);
    }
    return true;
}

/* Fills a struct that the caller made, which says in its first field how much of it there is. */
static inline bool vv_give(void *to, const void *from, size_t room)
{
    size_t size;

    memcpy(&size, to, sizeof size);
    if (size < sizeof size)
        return false;
    if (size > room)
        size = room;
    if (size > sizeof size)
        memcpy((uint8_t *)to + sizeof size, (const uint8_t *)from + sizeof size, size - sizeof size);
    return true;
}

#endif
