/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that can be compared. What was not built, for want of its library, is a weak symbol without an
 * address. */
#include "peers.h"

#define PEER(name) extern const struct peer peer_##name __attribute__((weak))
PEER(raw_grown);
PEER(raw_zeroed);
PEER(raw_direct);
PEER(raw_uring);
PEER(raw_textbook);
PEER(raw_memcpy);
PEER(raw_copy);
PEER(raw_blocks);
PEER(raw_over);
PEER(raw_scan);
PEER(varve);
PEER(bdb_log);
PEER(bdb);
PEER(leveldb);
PEER(rocksdb);
PEER(wiredtiger);
PEER(sqlite);
PEER(lmdb);
PEER(redis);

static const struct peer_entry entries[] = {
    {"raw-append", NULL, &peer_raw_grown},
    {"raw-zeroed", NULL, &peer_raw_zeroed},
    {"raw-direct", NULL, &peer_raw_direct},
    {"raw-uring", "liburing-dev", &peer_raw_uring},
    {"raw-textbook", NULL, &peer_raw_textbook},
    {"raw-memcpy", NULL, &peer_raw_memcpy},
    {"raw-copy", NULL, &peer_raw_copy},
    {"raw-blocks", NULL, &peer_raw_blocks},
    {"raw-over", NULL, &peer_raw_over},
    {"raw-scan", NULL, &peer_raw_scan},
    {"varve", NULL, &peer_varve},
    {"bdb-log", "libdb5.3-dev", &peer_bdb_log},
    {"bdb", "libdb5.3-dev", &peer_bdb},
    {"leveldb", "libleveldb-dev", &peer_leveldb},
    {"rocksdb", "librocksdb-dev", &peer_rocksdb},
    {"wiredtiger", "libwiredtiger-dev", &peer_wiredtiger},
    {"sqlite", "libsqlite3-dev", &peer_sqlite},
    {"lmdb", "liblmdb-dev", &peer_lmdb},
    {"redis", "libhiredis-dev redis-tools", &peer_redis},
};

size_t registry_count(void)
{
    return sizeof entries / sizeof entries[0];
}

struct peer_entry registry_get(size_t index)
{
    struct peer_entry entry = entries[index];
    char version[PEER_VERSION_BYTES];
    if (entry.peer != NULL && entry.peer->version != NULL && entry.peer->version(version) < 0)
        entry.peer = NULL;
    return entry;
}
