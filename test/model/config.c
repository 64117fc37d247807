/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which a log is used. */
#include <string.h>

#include "model/history.h"

static const struct model_config configs[] = {
    {
        .name = "memory",
        .about = "lives that write nothing between others that do",
        .durability = {VARVE_MEMORY, VARVE_GROUP},
        .slot_bytes = {4096, 8192},
        .slot_count = {4, 8},
        .flights = {1},
        .sizes = {.usual = 400, .seldom = 12000, .once_in = 20},
        .threads = 4,
        .ops = 60,
    },
    {
        .name = "buffered",
        .about = "records wait in slots for a sync",
        .durability = {VARVE_BUFFERED},
        .slot_bytes = {4096, 16384},
        .slot_count = {4, 8},
        .flights = {1},
        .sizes = {.usual = 900, .seldom = 30000, .once_in = 20},
        .threads = 4,
        .ops = 80,
        .trims = 1,
        .marks = true,
    },
    {
        .name = "interval",
        .about = "a sync every millisecond",
        .durability = {VARVE_INTERVAL},
        .slot_bytes = {4096, 16384},
        .slot_count = {4, 8},
        .flights = {1},
        .sizes = {.usual = 900, .seldom = 30000, .once_in = 20},
        .threads = 4,
        .ops = 80,
        .marks = true,
    },
    {
        .name = "group",
        .about = "one write in flight",
        .durability = {VARVE_GROUP},
        .slot_bytes = {4096, 65536},
        .slot_count = {4, 16},
        .flights = {1},
        .sizes = {.usual = 700, .seldom = 20000, .once_in = 30},
        .threads = 5,
        .ops = 60,
        .trims = 1,
        .marks = true,
    },
    {
        .name = "flight",
        .about = "four writes in flight",
        .durability = {VARVE_GROUP},
        .slot_bytes = {4096, 8192},
        .slot_count = {8, 32},
        .flights = {4},
        .sizes = {.usual = 3000, .seldom = 20000, .once_in = 30},
        .threads = 6,
        .ops = 60,
        .trims = 1,
        .marks = true,
    },
    {
        .name = "strict",
        .about = "a frame for each record",
        .durability = {VARVE_STRICT},
        .slot_bytes = {4096, 65536},
        .slot_count = {4, 8},
        .flights = {1},
        .sizes = {.usual = 1500, .seldom = 10000, .once_in = 30},
        .threads = 3,
        .ops = 60,
    },
    {
        .name = "narrow",
        .about = "more threads than slots, which hold few records",
        .durability = {VARVE_GROUP, VARVE_BUFFERED},
        .slot_bytes = {4096},
        .slot_count = {4},
        .flights = {1, 2},
        .sizes = {.usual = 2000, .seldom = 4000, .once_in = 4},
        .threads = 8,
        .ops = 50,
    },
    {
        .name = "rotate",
        .about = "segments fill, are trimmed and used again",
        .durability = {VARVE_GROUP, VARVE_BUFFERED},
        .slot_bytes = {65536},
        .slot_count = {4, 8},
        .flights = {1, 4},
        .sizes = {.usual = 50000, .seldom = 300000, .once_in = 40},
        .threads = 4,
        .ops = 60,
        .trims = 10,
        .marks = true,
    },
    {
        .name = "faults",
        .about = "durable writes fail, frames move, and the log may turn read-only",
        .durability = {VARVE_GROUP, VARVE_BUFFERED},
        .slot_bytes = {4096, 16384},
        .slot_count = {8},
        .flights = {1, 4},
        .sizes = {.usual = 2000, .seldom = 20000, .once_in = 20, .named = true},
        .threads = 4,
        .ops = 60,
        .trims = 2,
        .faults = true,
    },
    {
        .name = "carried",
        .about = "two threads pack and write, segments fill, syncs fail",
        .codec = "lz4",
        .durability = {VARVE_BUFFERED, VARVE_INTERVAL},
        .slot_bytes = {4096, 16384, 65536},
        .slot_count = {4, 8},
        .flights = {1},
        .sizes = {.usual = 8000, .seldom = 90000, .once_in = 20, .named = true},
        .threads = 4,
        .ops = 80,
        .trims = 2,
        .marks = true,
        .faults = true,
    },
    {
        .name = "mixed",
        .about = "everything, each life otherwise",
        .durability = {VARVE_BUFFERED, VARVE_INTERVAL, VARVE_GROUP, VARVE_STRICT},
        .slot_bytes = {4096, 8192, 65536},
        .slot_count = {4, 8, 32},
        .flights = {1, 4},
        .sizes = {.usual = 4000, .seldom = 90000, .once_in = 25},
        .threads = 4,
        .ops = 60,
        .trims = 3,
        .marks = true,
    },
};

const struct model_config *model_config_at(unsigned index)
{
    return index < sizeof configs / sizeof *configs ? &configs[index] : NULL;
}

const struct model_config *model_config_find(const char *name)
{
    const struct model_config *c;
    for (unsigned i = 0; (c = model_config_at(i)) != NULL; i++) {
        if (strcmp(c->name, name) == 0) {
            return c;
        }
    }
    return NULL;
}
