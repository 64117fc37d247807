/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How two threads take slots to disk in the modes whose appenders do not lead: src/log/carry.c, with place.c,
 * move.c and publish.c as far as they meet it. `make model` runs it.
 *
 * Checked, for every order in which the threads can take their steps, also where a write or a sync fails:
 *   - nothing is published before it is durable (assert at publishing);
 *   - a slot is marked as durable only in the life that was synced (assert at marking);
 *   - nothing is synced or written through a segment that failed, or that was given back (asserts there);
 *   - a segment is started only when all before it is durable (assert at placing);
 *   - no wake-up is lost: everything is durable in the end, and every thread ends.
 *
 * BUG_GAP, BUG_MARK, BUG_SAID, BUG_ATTEMPT, BUG_ROTATE and BUG_TWICE each put a mistake in; then spin must find it.
 */
#ifndef FRAMES
#define FRAMES 4
#endif
#ifndef SLOTS
#define SLOTS 3
#endif
#ifndef ROOM
#define ROOM 3 /* frames that fit into a segment */
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#define SEGMENTS (FRAMES + FAULTS + 2)

#define NONE 0
#define PLACED 1
#define FAILED 2
#define WRITTEN 3
#define DONE 4

typedef Slot {
    byte seq;
    byte progress;
    byte segment
};

Slot slot[SLOTS];
byte opened; /* every frame below is in a slot that is closed and filled */
byte carry_seq, placed_seq, published;
bool held;
byte current, room = ROOM;
bool bad[SEGMENTS], retired[SEGMENTS];
bool durable[FRAMES];
bool sync_mutex, place_mutex, write_mutex;
byte carried_event, carried_waiters;
byte faults = FAULTS;

#define at(s) ((s) % SLOTS)

inline lock(mutex)
{
    atomic { !mutex -> mutex = true }
}

inline said()
{
    carried_event++
}

inline publish()
{
    do
    :: atomic {
           if
           :: !held && published < FRAMES && slot[at(published)].seq == published &&
              slot[at(published)].progress == DONE ->
               assert(durable[published]);
               published++
           :: else -> break
           fi
       }
    od
}

/* Every frame that is placed and not published goes to a fresh segment, and is durable there. */
inline move()
{
    lock(sync_mutex);
    lock(place_mutex);
    held = true;
    first = published;
    i = first;
    do
    :: i < placed_seq ->
#ifndef BUG_ATTEMPT
        (slot[at(i)].progress != PLACED);
#endif
        i++
    :: else -> break
    od;
    i = first;
    do
    :: i < placed_seq ->
        atomic {
            if
            :: i == first || room == 0 ->
                retired[current] = true;
                current++;
                room = ROOM
            :: else
            fi;
            slot[at(i)].segment = current;
            slot[at(i)].progress = PLACED;
            room--
        }
        durable[i] = true;
        slot[at(i)].progress = DONE;
        i++
    :: else -> break
    od;
    held = false;
    place_mutex = false;
    sync_mutex = false;
    publish()
}

inline sync_written()
{
    lock(sync_mutex);
    first = published;
    end = first;
    do
    :: end < carry_seq && slot[at(end)].progress == WRITTEN && slot[at(end)].seq == end -> end++
#ifdef BUG_GAP
    :: end + 1 < carry_seq && slot[at(end + 1)].progress == WRITTEN && slot[at(end + 1)].seq == end + 1 -> end++
#endif
    :: else -> break
    od;
    if
    :: end == first || bad[slot[at(first)].segment] -> sync_mutex = false
    :: else ->
        segment = slot[at(first)].segment;
        lock(write_mutex);
        assert(!retired[segment]);
        if
        :: true -> fails = false
        :: atomic { faults > 0 -> faults--; fails = true }
        fi;
        assert(!retired[segment]);
        write_mutex = false;
#ifdef BUG_MARK
        sync_mutex = false;
#endif
        if
        :: fails ->
            atomic { fails = !bad[segment]; bad[segment] = true }
            sync_mutex = false
        :: else ->
            i = first;
            do
            :: i < end ->
                assert(slot[at(i)].seq == i && slot[at(i)].progress == WRITTEN);
                durable[i] = true;
                slot[at(i)].progress = DONE;
                i++
            :: else -> break
            od;
            publish();
            sync_mutex = false
        fi;
        if
        :: fails -> move(); said()
        :: else
        fi
    fi
}

inline sync_until(limit)
{
    do
    :: first = published;
       if
       :: first >= limit -> break
       :: else
       fi;
       carried_waiters++;
       seen = carried_event;
       if
       :: published == first && slot[at(first)].progress < WRITTEN -> (carried_event != seen)
       :: else
       fi;
       carried_waiters--;
       sync_written()
    od
}

inline carry(s)
{
    (placed_seq == s);
#ifndef BUG_ROTATE
    if
    :: room == 0 -> sync_until(s)
    :: else
    fi;
#endif
    do
    :: lock(place_mutex);
       fresh = bad[current] || room == 0;
       if
#ifdef BUG_ROTATE
       :: placed_seq == s -> break
#else
       :: placed_seq == s && (!fresh || published == s) -> break
#endif
       :: else ->
           place_mutex = false;
           (placed_seq == s && (!(bad[current] || room == 0) || published == s))
       fi
    od;
#ifdef BUG_TWICE
    fresh = bad[current] || room == 0;
#endif
    if
    :: fresh ->
        assert(published == s);
        retired[current] = true;
        current++;
        room = ROOM
    :: else
    fi;
    slot[at(s)].segment = current;
    segment = current;
    slot[at(s)].progress = PLACED;
    room--;
    placed_seq = s + 1;
    place_mutex = false;
    /* write */
    lock(write_mutex);
    assert(!retired[segment]);
    if
    :: true -> fails = false
    :: atomic { faults > 0 -> faults--; fails = true }
    fi;
    write_mutex = false;
    if
    :: fails ->
        atomic { fails = !bad[segment]; bad[segment] = true }
        slot[at(s)].progress = FAILED;
        if
        :: fails -> move()
        :: else
        fi
    :: else -> slot[at(s)].progress = WRITTEN
    fi;
#ifndef BUG_SAID
    said();
#endif
    if
    :: carry_seq - published >= SLOTS - 1 -> sync_written()
    :: else
    fi
}

active proctype appender()
{
    do
    :: opened == FRAMES -> break
    :: atomic {
           opened < FRAMES && opened - published < SLOTS ->
           assert(opened < SLOTS || slot[at(opened)].progress == DONE);
           slot[at(opened)].progress = NONE;
           slot[at(opened)].seq = opened;
           opened++
       }
    od
}

/* Number 0 is the flusher: when there is nothing more to come, somebody asks it for a sync. */
active [2] proctype carrier()
{
    byte s, first, end, i, seen, segment;
    bool fails, took, fresh;

    do
    :: carry_seq == FRAMES -> break
    :: carry_seq < opened ->
        atomic {
            if
            :: carry_seq < opened -> s = carry_seq; carry_seq++; took = true
            :: else -> took = false
            fi
        }
        if
        :: took -> carry(s)
        :: else
        fi
    od;
    if
    :: _pid == 1 -> sync_until(FRAMES)
    :: else
    fi
}
