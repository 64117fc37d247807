/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that are waited for only so long. Each is made by a thread of its own kind; when it has taken too
 * long, whoever asked goes on without it, and the thread stays behind with all that the call needs: its own
 * copy of the bytes, a hold on the file. What the call comes to in the end changes nothing for who has left.
 *
 * Threads: any at once.
 */
#ifndef VV_IO_PATIENCE_H
#define VV_IO_PATIENCE_H

#include <stddef.h>
#include <stdint.h>

#include "io/call.h"
#include "varve/io.h"

struct vv_patience;

/* Told, in no lock, when a call was left behind (over = 0) and when such a call has come to its end. */
typedef void (*vv_patience_fn)(void *arg, int side, enum vv_call_op op, uint64_t took_us, int over);

/*
 * `limit_us`: how long a call may take. `workers` threads are started at once, more when so many calls are
 * under way. `buffer_bytes`: what a write has at most; of a longer one the first bytes are written, and that
 * is what it returns. `fn` gets `arg` and `side`. Errors: -ENOMEM -EAGAIN.
 */
int vv_patience_new(struct varve_io *io, uint64_t limit_us, unsigned workers, size_t buffer_bytes,
                    vv_patience_fn fn, void *arg, int side, struct vv_patience **ret_patience);

/* Waits for calls that were left behind, as long as they take. `forked`: the threads are another process's,
 * and only memory is freed. NULL is allowed. */
void vv_patience_free(struct vv_patience *patience, int forked);

/* Makes the call. -ETIMEDOUT: it was left behind; what it opens will be closed again. */
long vv_patience_do(struct vv_patience *patience, struct vv_call *call);

/* The same, and nobody waits for it. For CLOSE. */
void vv_patience_post(struct vv_patience *patience, struct vv_call *call);

/* Every call that is under way is left behind at this moment. */
void vv_patience_leave(struct vv_patience *patience);

/* How many calls were left behind and have not come to their end. */
uint32_t vv_patience_hung(struct vv_patience *patience);

#endif
