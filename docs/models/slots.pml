/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slot protocol: reserve, fill, seal, publish, as src/log has it, for spin. `make model` runs it.
 *
 * Checked, for every order in which the threads can take their steps:
 *   - nobody is told that a record is durable before it and all before it are on disk (assert at ack);
 *   - no wake-up is lost: every thread ends (spin reports a state in which all are stuck);
 *   - no slot begins another life while somebody has yet to fill, write or publish it (assert at opening);
 *   - LSNs have no gaps and are not given twice (assert at reserving).
 *
 * BUG_ACK, BUG_WAKE, BUG_REUSE, BUG_TURN and BUG_TWO_LEAD each put a mistake in; then spin must find it (scripts/model
 * sees to that). That those who wait for a frame sleep in crowds is crowd.pml's; here all of them are woken at once.
 *
 * A futex is a counter: sleeping is "block until it is not what I saw"; a waker raises it only where the code looks
 * whether anybody waits first. One step of the model is one atomic operation of the code.
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef APPENDERS
#define APPENDERS 3
#endif
#ifndef APPENDS
#define APPENDS 2
#endif
#ifndef FLIGHT
#define FLIGHT 1 /* writes in flight */
#endif
#ifndef ROOM
#define ROOM 2 /* records that fit into a slot */
#endif

#define LSNS (APPENDERS * APPENDS + 1)

typedef Slot {
    byte seq;
    bool closed;
    byte count;
    byte filled;
    byte first_lsn;
    bool in_use;
    byte appointed; /* the life that has one who is to lead */
    byte led;       /* the life that somebody leads */
    bool done;
    byte done_event;
    byte done_waiters;
    byte turn_event;
    byte fill_event;
    bool leader_waits
};

Slot slot[SLOTS];
byte open_seq;
byte published = 1; /* every slot below is durable */
byte durable_lsn;
byte ring_event;
byte ring_waiters;
bool given[LSNS + 1];
bool on_disk[LSNS + 1];

#define at(s) ((s) % SLOTS)

/* Opens the slot behind `s`. The claim FREE -> OPENING and the checks under it are one step: others see OPENING and
 * try again. `opened`: 1 = done, 0 = somebody else is at it, 2 = the ring is full. */
inline open_next(s, opened)
{
    atomic {
        if
        :: slot[at(s + 1)].in_use && open_seq != s -> opened = 0
        :: slot[at(s + 1)].in_use && open_seq == s -> opened = 2
        :: !slot[at(s + 1)].in_use && (open_seq != s || !slot[at(s)].closed) -> opened = 0
        :: else ->
            /* A life ends only when all of it is done. */
            assert(slot[at(s + 1)].filled == slot[at(s + 1)].count);
            slot[at(s + 1)].in_use = true;
            slot[at(s + 1)].seq = s + 1;
            slot[at(s + 1)].first_lsn = slot[at(s)].first_lsn + slot[at(s)].count;
            slot[at(s + 1)].filled = 0;
            slot[at(s + 1)].done = false;
            slot[at(s + 1)].leader_waits = false;
            slot[at(s + 1)].count = 0;
            slot[at(s + 1)].closed = false;
            open_seq = s + 1;
            opened = 1
        fi
    }
    if
    :: opened == 1 ->
        if
        :: ring_waiters > 0 -> ring_event++
        :: else
        fi
    :: else
    fi
}

/* Whoever finishes publishes from the front as far as it can. */
inline publish()
{
    do
    :: atomic {
           if
           :: slot[at(published)].seq == published && slot[at(published)].done && slot[at(published)].in_use ->
               p = published;
               published++
           :: else -> break
           fi
       }
       atomic {
           if
           :: slot[at(p)].first_lsn + slot[at(p)].count - 1 > durable_lsn ->
               durable_lsn = slot[at(p)].first_lsn + slot[at(p)].count - 1
           :: else
           fi
       }
#ifndef BUG_TURN
       slot[at(p + 1)].turn_event++; /* the next leader's turn, if it waits */
#endif
       if
       :: FLIGHT > 1 -> slot[at(p + FLIGHT)].turn_event++
       :: else
       fi
#ifndef BUG_WAKE
       slot[at(p)].done_event++;
#endif
       slot[at(p)].in_use = false;
       if
       :: ring_waiters > 0 -> ring_event++
       :: else
       fi
    od
}

inline take_lead(s, leads)
{
    atomic {
        if
#ifdef BUG_TWO_LEAD
        :: slot[at(s)].seq == s -> slot[at(s)].led = s; leads = true
#else
        :: slot[at(s)].seq == s && slot[at(s)].led != s -> slot[at(s)].led = s; leads = true
#endif
        :: else -> leads = false
        fi
    }
}

/* The one appointed: sleeps until it is the slot's turn, and takes the lead if nobody else has. */
inline wait_turn(s, leads)
{
    do
    :: seen = slot[at(s)].turn_event;
       if
       :: slot[at(s)].led == s || published + FLIGHT - 1 >= s -> break
       :: else -> (slot[at(s)].turn_event != seen)
       fi
    od;
    take_lead(s, leads)
}

inline lead(s)
{
    assert(!slot[at(s)].done && !(slot[at(s)].closed && slot[at(s)].seq != s)); /* nobody has led it before */
    /* seal */
    slot[at(s)].closed = true;
#ifdef BUG_REUSE
    slot[at(s)].in_use = false; /* while it has yet to be filled and written */
#endif
    open_next(s, opened);
    do
    :: slot[at(s)].filled == slot[at(s)].count -> break
    :: else ->
        slot[at(s)].leader_waits = true;
        seen = slot[at(s)].fill_event;
        if
        :: slot[at(s)].filled != slot[at(s)].count -> (slot[at(s)].fill_event != seen)
        :: else
        fi
    od;
#ifdef BUG_ACK
    slot[at(s)].done = true; /* before it is on disk */
    publish();
#endif
    /* write: durable when it returns */
    atomic {
        p = slot[at(s)].first_lsn;
        do
        :: p < slot[at(s)].first_lsn + slot[at(s)].count ->
            on_disk[p] = true;
            p++
        :: else -> break
        od
    }
    slot[at(s)].done = true;
    publish()
}

active [APPENDERS] proctype appender()
{
    byte left = APPENDS, s, lsn, seen, opened, p, i;
    bool reserved, leads;

    do
    :: left == 0 -> break
    :: else ->
        reserved = false;
        /* reserve */
        do
        :: reserved -> break
        :: else ->
            seen = ring_event;
            s = open_seq;
            opened = 0;
            atomic {
                /* the compare-and-swap; it may meet a newer life of the slot */
                if
                :: !slot[at(s)].closed && slot[at(s)].count < ROOM && slot[at(s)].in_use ->
                    s = slot[at(s)].seq;
                    lsn = slot[at(s)].first_lsn + slot[at(s)].count;
                    assert(lsn >= 1 && lsn < LSNS && !given[lsn]);
                    assert(lsn == 1 || given[lsn - 1]);
                    given[lsn] = true;
                    slot[at(s)].count++;
                    reserved = true
                :: !slot[at(s)].closed && slot[at(s)].count >= ROOM && slot[at(s)].in_use ->
                    slot[at(s)].closed = true
                :: else -> opened = 3
                fi
            }
            if
            :: opened == 3 -> open_next(s, opened)
            :: else
            fi;
            if
            :: opened == 2 ->
                /* announced, looked at again, and only then asleep */
                ring_waiters++;
                seen = ring_event;
                open_next(s, opened);
                if
                :: opened == 2 -> (ring_event != seen)
                :: else
                fi;
                ring_waiters--
            :: else
            fi
        od;
        /* encode */
        slot[at(s)].filled++;
        if
        :: slot[at(s)].leader_waits -> slot[at(s)].fill_event++
        :: else
        fi;
        /* wait, or lead */
        do
        :: durable_lsn >= lsn -> break
        :: else ->
            leads = false;
            atomic {
                if
                :: slot[at(s)].seq == s && slot[at(s)].appointed != s ->
                    slot[at(s)].appointed = s;
                    opened = 4
                :: else -> opened = 5
                fi
            }
            if
            :: opened == 4 -> wait_turn(s, leads)
            :: opened == 5 && slot[at(s)].seq == s && published + FLIGHT - 1 >= s ->
                take_lead(s, leads) /* relieves the one appointed */
            :: else
            fi;
            if
            :: leads -> lead(s)
            :: !leads && opened == 5 ->
                slot[at(s)].done_waiters++;
                seen = slot[at(s)].done_event;
                if
                :: durable_lsn < lsn -> (slot[at(s)].done_event != seen)
                :: else
                fi;
                slot[at(s)].done_waiters--
            :: else
            fi
        od;
        /* ack */
        atomic {
            i = 1;
            do
            :: i <= lsn -> assert(on_disk[i]); i++
            :: else -> break
            od
        }
        left--
    od
}

init
{
    atomic {
        /* number 0 was never open: closed, empty, and the next LSN is 1 */
        slot[0].closed = true;
        slot[0].first_lsn = 1;
        slot[0].seq = 0
    }
}
