/* SPDX-License-Identifier: Apache-2.0 */
/* What the two peers made of Berkeley DB share: an environment, and its log. */
#ifndef BENCH_BDB_H
#define BENCH_BDB_H

#include "peers.h"

#include <db.h>

int bdb_failed(const char *what, int code);
int bdb_version(char version[PEER_VERSION_BYTES]);
/* `flags`: what DB_ENV->open takes beside DB_CREATE, DB_PRIVATE, DB_THREAD and the log. */
int bdb_env_open(const struct peer_setup *setup, uint32_t flags, DB_ENV **ret_env);

#endif
