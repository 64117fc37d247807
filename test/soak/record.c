/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/rng.h"
#include "soak/soak.h"

static size_t length_of(unsigned thread, uint64_t number)
{
    uint64_t chance = test_rng_mix(number * SOAK_THREADS + thread);
    /* Mostly small ones; some that fill several sectors. */
    return 24 + (chance % 64 == 0 ? (chance >> 8) % (SOAK_RECORD_MAX - 24) : (chance >> 8) % 400);
}

size_t soak_record_make(unsigned thread, uint64_t number, uint8_t *out)
{
    size_t len = length_of(thread, number);
    uint64_t head[2] = {thread, number};
    memcpy(out, head, sizeof head);
    for (size_t at = sizeof head; at < len; at += 8) {
        uint64_t bytes = test_rng_mix(number + at * 31 + thread);
        memcpy(out + at, &bytes, len - at < 8 ? len - at : 8);
    }
    return len;
}

bool soak_record_read(const uint8_t *bytes, size_t len, unsigned *ret_thread, uint64_t *ret_number)
{
    static uint8_t expected[SOAK_RECORD_MAX + 8];
    uint64_t head[2];
    if (len < sizeof head || len > SOAK_RECORD_MAX) {
        return false;
    }
    memcpy(head, bytes, sizeof head);
    if (head[0] >= SOAK_THREADS || soak_record_make((unsigned)head[0], head[1], expected) != len ||
        memcmp(expected, bytes, len) != 0) {
        return false;
    }
    *ret_thread = (unsigned)head[0];
    *ret_number = head[1];
    return true;
}
