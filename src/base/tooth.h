/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliberate bugs. An instrument that has never found one proves nothing, so test/teeth builds these sources
 * once more with VARVE_TEETH, switches one of these on, and wants it found. In every other build VV_TOOTH is
 * 0, and the compiler leaves nothing of what depends on it.
 */
#ifndef VV_BASE_TOOTH_H
#define VV_BASE_TOOTH_H

#define VV_TEETH(X)                                                                                \
    X(NONE)                                                                                        \
    X(ACK_BEFORE_WRITE)       /* a frame counts as durable before it is written */                 \
    X(PUBLISH_PAST_A_HOLE)    /* a frame counts as durable while one before it is being written */ \
    X(FILL_NOT_AWAITED)       /* a frame goes out while records are copied into it */              \
    X(WAITERS_NOT_WOKEN)      /* nobody wakes those who wait for a frame */                        \
    X(RELAY_NOT_PASSED)       /* who was woken for others does not wake them */                    \
    X(TURN_NOT_WOKEN)         /* nobody wakes the next leader */                                   \
    X(RING_NOT_WOKEN)         /* nobody wakes those who wait for a slot */                         \
    X(STRICT_SHARES)          /* a record that asks for its own frame gets one with others */      \
    X(VOUCHES_TOO_FAR)        /* a frame vouches for those before it that are being written */     \
    X(NO_MARK)                /* nothing vouches for the last frames */                            \
    X(CLOSED_WITHOUT_SYNC)    /* closing does not make durable what is there */                    \
    X(READ_PAST_DURABLE)      /* cursors give what is not durable */                               \
    X(TRIM_ONE_TOO_MANY)      /* the segment that holds the LSN goes too */                        \
    X(TRIM_UNTOLD)            /* segments are removed before MANIFEST says so */                   \
    X(LSN_GIVEN_AGAIN)        /* after opening, the last LSN is given once more */                 \
    X(TORN_TAIL_GONE_ON_WITH) /* after a torn write the segment is gone on with */                 \
    X(NOT_WRITTEN_AGAIN)      /* what opening found is built on without being made durable */      \
    X(EARLIER_SEGMENT_WINS)   /* frames that a later segment supersedes are read */                \
    X(READ_ERROR_IS_END)      /* what cannot be read is taken for zeros */                         \
    X(LENGTH_TRUSTED)         /* a frame may be longer than what holds it */                       \
    X(KV_DECIDED_TOO_EARLY)   /* a key may change between a decision about it and its effect */    \
    X(KV_READS_UNCHECKED)     /* a commit looks at the keys only that it writes */                 \
    X(KV_VIEW_TOO_NEW)        /* a view does not wait for writers whose records it has to see */   \
    X(KV_NOT_KEPT)            /* what a view may look at is not kept */                            \
    X(KV_HALF_SHOWN)          /* a transaction's keys change one by one */                         \
    X(KV_BULK_NOT_HIDDEN)     /* a streamed transaction is seen while it is put in place */        \
    X(KV_STREAM_UNCHECKED)    /* its commit does not look at the keys that it has streamed */

enum vv_tooth {
#define VV_TOOTH_ENUM(name) VV_TOOTH_##name,
    VV_TEETH(VV_TOOTH_ENUM)
#undef VV_TOOTH_ENUM
};

#ifdef VARVE_TEETH
extern enum vv_tooth vv_tooth; /* [const after start] in test/teeth */
#define VV_TOOTH(name) (vv_tooth == VV_TOOTH_##name)
#else
#define VV_TOOTH(name) (0 && VV_TOOTH_##name != VV_TOOTH_NONE)
#endif

#endif
