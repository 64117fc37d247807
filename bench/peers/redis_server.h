/* SPDX-License-Identifier: Apache-2.0 */
/* A redis-server of our own: started in a directory, reached over a socket in it, ended by its process id. */
#ifndef BENCH_REDIS_SERVER_H
#define BENCH_REDIS_SERVER_H

#include "peers.h"
#include "syncs.h"

struct redis_server {
    pid_t pid;
    int dir; /* descriptor of its directory */
    struct sync_counts *syncs;
};

/* "7.0.15"; -1 without a message where it is not installed. */
int redis_server_version(char version[PEER_VERSION_BYTES]);
/* Returns before it is ready. */
int redis_server_start(const struct peer_setup *setup, struct redis_server *ret_server);
/* The socket's path, short enough whatever the directory is called; valid while `server` lives. */
void redis_server_socket(const struct redis_server *server, char ret_path[64]);
/* Whether it is still there. */
int redis_server_alive(const struct redis_server *server);
int redis_server_end(struct redis_server *server);

#endif
