/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules, each a function. The question of most: is something gone that was acknowledged, and does the
 * engine say so?
 */
#include "rot/rules.h"

#include <inttypes.h>
#include <string.h>

static bool is_damage(enum varve_verdict verdict)
{
    return verdict > VARVE_VERDICT_TORN;
}

/* An error that says that the log is not as it should be. A torn write is not that. */
static bool is_alarm(int rc)
{
    return rc < 0 && rc != VARVE_E_TORN;
}

/* The log's MANIFEST, also an older one. */
static bool has_manifest(const struct rot_check *k)
{
    const struct rot_truth *t = k->truth;
    return t->manifest_valid && memcmp(t->manifest.uuid, k->c->log->uuid, sizeof t->manifest.uuid) == 0;
}

/* The first LSN that is vouched for, by what is as it was, and not given; 0 if there is none. One below where
 * MANIFEST says that the log begins is not missing. */
static uint64_t first_missing(const struct rot_check *k, enum varve_policy policy)
{
    const struct rot_log *log = k->c->log;
    uint64_t last = k->truth->vouched < log->last_lsn ? k->truth->vouched : log->last_lsn;
    for (uint64_t lsn = log->first_lsn; lsn <= last; lsn++) {
        if (k->reader_rc != 0 || !k->seen[policy].given[lsn]) {
            return lsn;
        }
    }
    return 0;
}

/* Damage to what was acknowledged is reported, and never as a tear or an end. */
static bool no_silent_loss(struct rot_check *k)
{
    uint64_t missing = first_missing(k, VARVE_POLICY_TRUNCATE);
    if (missing == 0) {
        return true;
    }
    if (k->verify_rc == 0 && (!is_damage(k->verify.found.verdict) || k->verify.damages == 0)) {
        return rot_broken(k, "silent loss", "LSN %" PRIu64 " is gone, and verify says '%s'", missing,
                          varve_verdict_name(k->verify.found.verdict));
    }
    for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_HALT; policy++) {
        if (!is_alarm(k->open_rc[policy])) {
            return rot_broken(k, "silent loss", "LSN %" PRIu64 " is gone, and opening with policy %d says %s",
                              missing, policy, varve_error_name(k->open_rc[policy]));
        }
        /* Without MANIFEST a reader cannot know where the log begins. */
        if (k->reader_rc == 0 && has_manifest(k) && !is_alarm(k->seen[policy].end)) {
            return rot_broken(k, "silent loss",
                              "LSN %" PRIu64 " is gone, and a cursor with policy %d says %s", missing, policy,
                              varve_error_name(k->seen[policy].end));
        }
    }
    return true;
}

/* What lies before the first damage is given, under every policy. */
static bool prefix_is_given(struct rot_check *k)
{
    bool begins = k->truth->manifest_same || !k->truth->manifest_valid;
    for (int policy = VARVE_POLICY_TRUNCATE; begins && k->reader_rc == 0 && policy <= VARVE_POLICY_SKIP;
         policy++) {
        for (uint64_t lsn = k->c->log->first_lsn; lsn <= k->truth->prefix; lsn++) {
            if (!k->seen[policy].given[lsn]) {
                return rot_broken(k, "sound prefix",
                                  "LSN %" PRIu64 " lies before the damage and is not given by policy %d "
                                  "(%s)",
                                  lsn, policy, varve_error_name(k->seen[policy].end));
            }
        }
    }
    return true;
}

/* Whether a frame of the same segment, as it was, vouches for all that comes before this one. Where none does
 * and something is missing, what stands here may have been left behind a tear for all that a reader can tell.
 */
static bool is_vouched_nearby(const struct rot_check *k, const struct rot_frame *frame)
{
    const struct rot_log *log = k->c->log;
    for (uint32_t i = 0; i < log->frame_count; i++) {
        const struct rot_frame *f = &log->frames[i];
        if (f->part && f->segment_index == frame->segment_index && k->truth->frame_same[i] &&
            f->durable_lsn + 1 >= frame->first_lsn) {
            return true;
        }
    }
    return false;
}

/* The policy skip loses nothing but what was damaged. */
static bool skip_gives_the_rest(struct rot_check *k)
{
    const struct rot_log *log = k->c->log;
    const struct rot_seen *seen = &k->seen[VARVE_POLICY_SKIP];
    if (!k->truth->manifest_same || k->reader_rc != 0 || seen->end != VARVE_END) {
        return true;
    }
    for (uint64_t lsn = log->first_lsn; lsn <= log->last_lsn && lsn <= k->truth->vouched; lsn++) {
        uint32_t frame = log->records[lsn].frame;
        if (!seen->given[lsn] && k->truth->frame_same[frame] &&
            k->truth->header_same[log->frames[frame].segment_index] &&
            is_vouched_nearby(k, &log->frames[frame])) {
            return rot_broken(k, "skip loses what is sound", "LSN %" PRIu64, lsn);
        }
    }
    return true;
}

/* A log with everything in its place is not refused. */
static bool sound_is_accepted(struct rot_check *k)
{
    const struct rot_truth *t = k->truth;
    enum varve_verdict most = t->rest_same ? VARVE_VERDICT_CLEAN_END : VARVE_VERDICT_TORN;
    if (!t->carriers_same || (k->glass.raised && !t->rest_same)) {
        return true;
    }
    if (k->verify_rc != 0 || k->verify.found.verdict > most || k->verify.damages != 0) {
        return rot_broken(k, "sound log refused", "verify: %s, %s", varve_error_name(k->verify_rc),
                          varve_verdict_name(k->verify.found.verdict));
    }
    for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
        bool may_refuse = policy == VARVE_POLICY_HALT && !t->rest_same;
        if (k->open_rc[policy] != 0 && !(may_refuse && k->open_rc[policy] == VARVE_E_TORN)) {
            return rot_broken(k, "sound log refused", "opening with policy %d: %s", policy,
                              varve_error_name(k->open_rc[policy]));
        }
        if (k->seen[policy].last != k->c->log->last_lsn ||
            (!may_refuse && k->seen[policy].end != VARVE_END)) {
            return rot_broken(k, "sound log refused", "policy %d reads to LSN %" PRIu64 ": %s", policy,
                              k->seen[policy].last, varve_error_name(k->seen[policy].end));
        }
    }
    return true;
}

/* A read error is an error. */
static bool read_errors_are_told(struct rot_check *k)
{
    bool single = strcmp(rot_kind_name(k->c->kind), "several of these") != 0;
    if (k->c->unreadable_count == 0 || !single || k->truth->carriers_same) {
        return true;
    }
    for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
        if (k->open_rc[policy] != VARVE_E_IO) {
            return rot_broken(k, "read error", "opening with policy %d: %s", policy,
                              varve_error_name(k->open_rc[policy]));
        }
        if (k->reader_rc == 0 && k->seen[policy].end != VARVE_E_IO) {
            return rot_broken(k, "read error", "a cursor with policy %d: %s", policy,
                              varve_error_name(k->seen[policy].end));
        }
    }
    if (k->verify_rc != VARVE_E_IO || k->inspect_rc != VARVE_E_IO) {
        return rot_broken(k, "read error", "verify: %s, inspect: %s", varve_error_name(k->verify_rc),
                          varve_error_name(k->inspect_rc));
    }
    return true;
}

/* verify, opening and reading say the same. */
static bool all_agree(struct rot_check *k)
{
    enum varve_verdict verdict = k->verify.found.verdict;
    const struct rot_seen *skip = &k->seen[VARVE_POLICY_SKIP];
    if (k->verify_rc != 0 || k->glass.raised) {
        return true;
    }
    if ((k->open_rc[VARVE_POLICY_TRUNCATE] == 0) == is_damage(verdict) ||
        (k->open_rc[VARVE_POLICY_HALT] == 0) != (verdict == VARVE_VERDICT_CLEAN_END)) {
        return rot_broken(k, "agreement", "verify: %s; opening with truncate: %s, with halt: %s",
                          varve_verdict_name(verdict), varve_error_name(k->open_rc[VARVE_POLICY_TRUNCATE]),
                          varve_error_name(k->open_rc[VARVE_POLICY_HALT]));
    }
    if (!has_manifest(k) || k->reader_rc != 0) {
        return true;
    }
    if ((k->seen[VARVE_POLICY_TRUNCATE].end == VARVE_END) == is_damage(verdict) || skip->end != VARVE_END) {
        return rot_broken(k, "agreement", "verify: %s; a cursor with truncate: %s, with skip: %s",
                          varve_verdict_name(verdict), varve_error_name(k->seen[VARVE_POLICY_TRUNCATE].end),
                          varve_error_name(skip->end));
    }
    const struct varve_recovery *r = &k->recovery[VARVE_POLICY_SKIP];
    if (k->open_rc[VARVE_POLICY_SKIP] != 0 || r->verdict != verdict ||
        r->lost_records != k->verify.found.lost_records) {
        return rot_broken(k, "agreement", "verify: %s, %" PRIu64 " gone; opening with skip: %s, %s, %" PRIu64,
                          varve_verdict_name(verdict), k->verify.found.lost_records,
                          varve_error_name(k->open_rc[VARVE_POLICY_SKIP]), varve_verdict_name(r->verdict),
                          r->lost_records);
    }
    uint64_t all = k->open_last[VARVE_POLICY_SKIP] + 1 - k->open_first[VARVE_POLICY_SKIP];
    if (skip->count + skip->lost != all) {
        return rot_broken(k, "agreement",
                          "a cursor with skip gives %" PRIu64 " and tells of %" PRIu64 " lost, of %" PRIu64,
                          skip->count, skip->lost, all);
    }
    return true;
}

/* No LSN that was acknowledged is given a second time. */
static bool no_lsn_again(struct rot_check *k)
{
    for (int policy = VARVE_POLICY_TRUNCATE; policy <= VARVE_POLICY_SKIP; policy++) {
        if (k->open_rc[policy] == 0 && (k->open_last[policy] < k->truth->vouched ||
                                        (k->reader_rc == 0 && k->open_last[policy] < k->seen[policy].last))) {
            return rot_broken(k, "LSN given again",
                              "policy %d goes on behind %" PRIu64 "; %" PRIu64 " is vouched for, %" PRIu64
                              " was read",
                              policy, k->open_last[policy], k->truth->vouched, k->seen[policy].last);
        }
    }
    return true;
}

/* inspect shows every frame that is as it was. */
static bool inspect_shows_the_rest(struct rot_check *k)
{
    const struct rot_log *log = k->c->log;
    if (k->inspect_rc != 0 || !k->truth->manifest_same) {
        return true;
    }
    for (uint32_t i = 0; i < log->frame_count; i++) {
        const struct rot_frame *f = &log->frames[i];
        if (f->part && k->truth->frame_same[i] && k->truth->header_same[f->segment_index] && !k->shown[i]) {
            return rot_broken(k, "inspect",
                              "the frame at byte %" PRIu64 " of segment %" PRIu64
                              " is as it was, and not shown",
                              f->offset, f->segment);
        }
    }
    return true;
}

static bool nothing_was_changed(struct rot_check *k)
{
    return k->glass.changes == 0 ||
           rot_broken(k, "changed while reading", "%u changes of files", k->glass.changes);
}

static enum rot_outcome outcome_of(const struct rot_check *k)
{
    static const enum rot_outcome of_verdict[] = {
        [VARVE_VERDICT_CLEAN_END] = ROT_HARMLESS,      [VARVE_VERDICT_TORN] = ROT_TORN,
        [VARVE_VERDICT_CORRUPT] = ROT_CORRUPT,         [VARVE_VERDICT_HOLE] = ROT_HOLE,
        [VARVE_VERDICT_MISSING_SEGMENT] = ROT_MISSING, [VARVE_VERDICT_FOREIGN] = ROT_FOREIGN,
    };
    if (k->verify_rc != 0) {
        return k->verify_rc == VARVE_E_IO ? ROT_UNREADABLE_IS : ROT_REFUSED;
    }
    enum rot_outcome outcome = of_verdict[k->verify.found.verdict];
    bool all = k->reader_rc == 0 && k->seen[VARVE_POLICY_TRUNCATE].last == k->c->log->last_lsn &&
               k->seen[VARVE_POLICY_TRUNCATE].first == k->c->log->first_lsn;
    return outcome == ROT_HARMLESS && !all ? ROT_UNVOUCHED : outcome;
}

bool rot_rules(struct rot_check *k)
{
    k->outcome = outcome_of(k);
    return no_silent_loss(k) && prefix_is_given(k) && skip_gives_the_rest(k) && sound_is_accepted(k) &&
           read_errors_are_told(k) && all_agree(k) && no_lsn_again(k) && inspect_shows_the_rest(k) &&
           nothing_was_changed(k);
}
