// SPDX-License-Identifier: Apache-2.0
//
// drop.c -- a keyspace goes, all at once.
//
//     manifest that says so -> facts and reads without it -> memory, tables, log, bit by bit
//
// The manifest is what makes it true: before it is saved everything is there, afterwards nothing.
// What log, facts and tables of before still hold of the keyspace is passed over by whoever meets
// it, and left out of what is written from now on. So it vanishes as tables are merged, and then
// the manifest says nothing of it any more (manifest_forget_drops).
//
// A snapshot takes manifest, facts and log of one moment, so none is made meanwhile.
#include "store/internal.h"

enum { NUMBERS_MEANWHILE = 1024 }; // of files: a few each second at most

static void finish(struct store *s, enum status status) {
    s->drop.is_wanted = false;
    s->drop.done(s->drop.context, status);
}

static void on_saved(struct manifest_file *m) {
    struct store *s = m->context;
    s->drop.is_saving = false;
    if (m->status == ST_OK) {
        must(s->manifest.next_number <= s->drop.number);
        manifest_pass_number(&s->manifest, s->drop.number - 1);
        manifest_note_drops(&m->current, &s->keyspaces);
        facts_drop(&s->facts, s->drop.keyspace);
        tally_note_drop(&s->recount.tally);
        tally_note_drop(&s->audit.tally);
        s->lookups.drops++;
        store_sweep_dropped(s);
        s->wants_flush = true; // of what else there is, so that the log goes
        s->compaction.is_wanted = true;
        env_log(s->env, ENV_INFO, "keyspace_dropped keyspace=%u", s->drop.keyspace);
    }
    finish(s, m->status);
}

void store_drop_go_on(struct store *s) {
    struct dropping *d = &s->drop;
    if (!d->is_wanted || !d->is_begun || d->is_saving) return;
    if (store_is_failed(s)) {
        finish(s, ST_IO);
        return;
    }
    if (s->manifest.is_busy || s->snapshots.state != SNAPSHOT_IDLE) return; // it comes again
    if (s->manifest.current.storage == 0) { // the first flush makes one
        s->wants_flush = true;
        store_flush_if_due(s);
        return;
    }
    struct manifest *next = &s->manifest.next;
    manifest_copy(next, &s->manifest.current);
    // What is begun while this is being saved has still all of the keyspace.
    d->number = s->manifest.next_number + NUMBERS_MEANWHILE;
    must(manifest_drop(next, d->keyspace, d->number)); // store_drop has looked
    d->is_saving = true;
    s->manifest.context = s;
    manifest_save(&s->manifest, on_saved);
}

static void on_begun(struct env_op *op) {
    struct store *s = CONTAINER_OF(op, struct store, drop.op);
    s->drop.is_begun = true;
    store_drop_go_on(s);
}

enum status store_drop(struct store *s, uint16_t keyspace, store_dropped *done, void *context) {
    must(s->is_open);
    struct dropping *d = &s->drop;
    if (store_is_failed(s)) return ST_IO;
    if (d->is_wanted) return ST_BUSY;
    if (s->manifest.current.drop_count == KEYSPACES_DROPPED_MAX) return ST_TOO_LARGE;
    d->is_wanted = true;
    d->is_begun = false;
    d->keyspace = keyspace;
    d->done = done;
    d->context = context;
    d->op.done = on_begun;
    env_later(s->env, &d->op);
    return ST_OK;
}
