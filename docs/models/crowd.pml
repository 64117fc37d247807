/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crowds of src/log/crowd.c, for spin: those who wait for a slot's frame sleep by processor, the publisher wakes its
 * own processor's and one of every other's, and whoever leaves a crowd passes the relay on. `make model` runs it.
 *
 * Checked: no wake-up is lost, whoever goes to sleep, wakes by itself (a signal, a time limit) or leaves at any time, also
 * when the next frame is published before the last one's waiters have left: every waiter ends.
 *
 * BUG_RELAY, BUG_EARLY and BUG_STALE each put a mistake in; then spin must find it.
 */
#ifndef WAITERS
#define WAITERS 3
#endif
#ifndef FRAMES
#define FRAMES 1
#endif
#define CROWDS 2

byte durable;           /* frames that are durable */
byte event[CROWDS];
byte waiters[CROWDS];
bool relay[CROWDS];
byte bed[WAITERS];      /* 0 = awake, else 1 + the crowd in which it sleeps */

/* Any one that sleeps there, if one does. */
inline wake_one(crowd)
{
    atomic {
        if
        :: bed[0] == crowd + 1 -> bed[0] = 0
        :: bed[1] == crowd + 1 -> bed[1] = 0
#if WAITERS > 2
        :: bed[2] == crowd + 1 -> bed[2] = 0
#endif
        :: else
        fi
    }
}

inline wake_all(crowd)
{
    d_step {
        i = 0;
        do
        :: i < WAITERS ->
            if
            :: bed[i] == crowd + 1 -> bed[i] = 0
            :: else
            fi;
            i++
        :: else -> break
        od
    }
}

active [WAITERS] proctype waiter()
{
    byte frame = 1, seen, crowd, others, i;
    bool mine, alone;

    do
    :: frame > FRAMES -> break
    :: frame <= FRAMES && durable >= frame -> frame++
    :: frame <= FRAMES && durable < frame ->
        /* on whichever processor it happens to be */
        atomic {
            if
            :: crowd = 0
            :: crowd = 1
            fi;
            waiters[crowd]++
        }
        seen = event[crowd];
        if
        :: durable < frame ->
            atomic {
                if
                :: event[crowd] == seen -> bed[_pid] = crowd + 1
                :: else
                fi
            }
            if
            :: bed[_pid] == 0                                     /* woken, or it never slept */
#ifdef ALONE
            :: atomic { bed[_pid] == crowd + 1 && !alone -> bed[_pid] = 0; alone = true } /* by itself, once */
#endif
            fi
        :: else
        fi;
        d_step {
            waiters[crowd]--;
            others = waiters[crowd]
        }
        if
        :: relay[crowd] ->
            d_step {
                mine = relay[crowd];
                relay[crowd] = false
            }
#ifndef BUG_STALE
            others = waiters[crowd];
#endif
#ifndef BUG_RELAY
            if
            :: mine && others > 0 -> wake_all(crowd)
            :: else
            fi;
#endif
            mine = false
        :: else
        fi;
        d_step { others = 0; seen = 0; crowd = 0; i = 0 }
    od
}

active proctype publisher()
{
    byte home, c, i;

    do
    :: durable == FRAMES -> break
    :: else ->
        atomic {
            durable++;
            if
            :: home = 0
            :: home = 1
            fi
        }
#ifndef BUG_EARLY
        event[0]++;
        event[1]++;
#endif
        c = 1 - home;
        if
        :: waiters[c] > 0 ->
            relay[c] = true;
            wake_one(c)
        :: else
        fi;
#ifdef BUG_EARLY
        event[0]++;
        event[1]++;
#endif
        if
        :: waiters[home] > 0 -> wake_all(home)
        :: else
        fi
    od
}
