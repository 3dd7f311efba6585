// SPDX-License-Identifier: Apache-2.0
#include "store/snapshot.h"

#include "base/text.h"

size_t snapshots_memory_size(void) {
    return snapshot_set_memory_size() + 64;
}

void snapshots_init(struct snapshots *s, struct arena *arena) {
    snapshot_set_init(&s->set, arena);
    s->state = SNAPSHOT_IDLE;
}

static struct snapshots *of(struct env_op *op) {
    return CONTAINER_OF(op, struct snapshots, op);
}

static struct snapshot *current(struct snapshots *s) {
    return &s->set.all[s->current];
}

static void over(struct snapshots *s, enum status status) {
    store_snapshot_done *done = s->done;
    const char *name = current(s)->name;
    if (status == ST_OK) {
        env_log(s->env, ENV_INFO, "snapshot_%s name=%s files=%u",
                current(s)->is_whole ? "made" : "deleted", name, current(s)->file_count);
    } else {
        env_log(s->env, ENV_WARNING, "snapshot_failed name=%s status=\"%s\"", name,
                status_text(status));
    }
    // What is left of one that failed keeps its name: another would be taken for a part of it.
    bool is_gone = !current(s)->is_whole && current(s)->file_count == 0;
    if (is_gone) snapshot_set_remove(&s->set, s->current);
    s->state = SNAPSHOT_IDLE;
    done(s->done_context, status);
    s->idle(s);
}

// Removing all names of one: the manifest's first, and for good. What comes back with the power
// must be whole.

// Ends with files left, which the next start removes, or someone who deletes it.
static void leave(struct snapshots *s, enum status status) {
    over(s, s->status == ST_OK ? status : s->status);
}

static void remove_next(struct snapshots *s);

static void on_removed(struct env_op *op) {
    struct snapshots *s = of(op);
    if (op->status != ST_OK && op->status != ST_NOT_FOUND) {
        leave(s, op->status);
        return;
    }
    snapshot_set_remove_file(&s->set, snapshot_set_last(&s->set, s->current));
    remove_next(s);
}

static void remove_next(struct snapshots *s) {
    const struct snapshot_file *file = snapshot_set_last(&s->set, s->current);
    if (file == NULL || s->is_stopping) {
        over(s, s->status);
        return;
    }
    snapshot_file_name(current(s)->name, (enum snapshot_kind)file->kind, file->number, s->to);
    s->op.done = on_removed;
    env_remove(s->env, &s->op, s->to);
}

static void on_unname_synced(struct env_op *op) {
    struct snapshots *s = of(op);
    if (op->status != ST_OK) {
        leave(s, op->status);
        return;
    }
    current(s)->is_whole = false;
    s->state = SNAPSHOT_REMOVE;
    remove_next(s);
}

static void on_unnamed(struct env_op *op) {
    struct snapshots *s = of(op);
    if (op->status != ST_OK && op->status != ST_NOT_FOUND) {
        leave(s, op->status);
        return;
    }
    op->done = on_unname_synced;
    env_sync_names(s->env, op);
}

static void unname(struct snapshots *s) {
    s->state = SNAPSHOT_UNNAME;
    snapshot_file_name(current(s)->name, SNAPSHOT_MANIFEST, 0, s->to);
    s->op.done = on_unnamed;
    env_remove(s->env, &s->op, s->to);
}

// Making.

static void give_up(struct snapshots *s, enum status status) {
    bool is_held = s->state == SNAPSHOT_LINK || s->state == SNAPSHOT_NAMES;
    s->status = status;
    s->state = SNAPSHOT_REMOVE;
    if (is_held) manifest_release(s->manifest);
    remove_next(s);
}

static bool must_give_up(struct snapshots *s) {
    if (!s->is_stopping && !s->log->is_failed) return false;
    give_up(s, s->is_stopping ? ST_CANCELLED : ST_IO);
    return true;
}

static void on_saved(struct manifest_file *m) {
    struct snapshots *s = m->context;
    if (m->status != ST_OK) {
        s->status = m->status;
        unname(s); // it may be there already
        manifest_release(m);
        return;
    }
    current(s)->is_whole = true;
    manifest_release(s->manifest);
    over(s, ST_OK);
}

static void save(struct snapshots *s) {
    s->state = SNAPSHOT_SAVE;
    must(s->manifest->current.position <= s->end);
    struct manifest *next = &s->manifest->next;
    manifest_copy(next, &s->manifest->current);
    next->storage = s->log->storage; // there may be none yet
    next->epoch = s->log->mark.epoch;
    next->minted = s->log->mark.minted;
    next->origin = s->origin;
    next->origin.files = current(s)->file_count;
    snapshot_file_name(current(s)->name, SNAPSHOT_MANIFEST, 0, s->to);
    s->manifest->context = s;
    manifest_save_other(s->manifest, s->to, on_saved);
}

static void on_names_synced(struct env_op *op) {
    struct snapshots *s = of(op);
    if (op->status != ST_OK) {
        give_up(s, op->status);
    } else if (!must_give_up(s)) {
        save(s);
    }
}

static void sync_names(struct snapshots *s) {
    s->state = SNAPSHOT_NAMES;
    s->op.done = on_names_synced;
    env_sync_names(s->env, &s->op);
}

// The segment after the one that was linked last. Others may be removed meanwhile.
static bool find_segment(struct snapshots *s) {
    const struct segment_set *segments = s->log->segments;
    for (uint32_t i = 0; i < segments->count; i++) {
        uint32_t number = segment_set_at(segments, i)->number;
        if (number <= s->number || number < position_number(s->manifest->current.position)) {
            continue;
        }
        s->number = number;
        return number <= position_number(s->end);
    }
    return false;
}

// Finds the next file: the facts, then tables, then segments. False: there is none.
static bool find_file(struct snapshots *s) {
    const struct manifest *m = &s->manifest->current;
    if (s->kind == SNAPSHOT_FACTS && s->number == 0 && m->facts_number > 0) {
        s->number = m->facts_number;
        return true;
    }
    if (s->table < m->table_count) {
        s->kind = SNAPSHOT_TABLE;
        s->number = m->tables[s->table++].number;
        return true;
    }
    if (s->kind != SNAPSHOT_SEGMENT) s->number = 0;
    s->kind = SNAPSHOT_SEGMENT;
    return find_segment(s);
}

static void link_next(struct snapshots *s);

static void on_measured(struct env_op *op) {
    link_next(of(op)); // what was not written to loses nothing by a close that fails
}

static void on_opened(struct env_op *op) {
    struct snapshots *s = of(op);
    if (op->status != ST_OK) {
        snapshot_set_add_file(&s->set, s->current, s->kind, s->number, 0);
        give_up(s, op->status);
        return;
    }
    snapshot_set_add_file(&s->set, s->current, s->kind, s->number, op->value);
    op->done = on_measured;
    env_close(s->env, op, s->file);
}

static void on_linked(struct env_op *op) {
    struct snapshots *s = of(op);
    if (op->status != ST_OK) {
        give_up(s, op->status);
        return;
    }
    op->done = on_opened;
    env_open(s->env, op, s->to, ENV_OPEN, &s->file);
}

static void link_next(struct snapshots *s) {
    if (must_give_up(s)) return;
    if (!find_file(s)) {
        sync_names(s);
        return;
    }
    if (s->set.file_count == SNAPSHOT_FILES_MAX) {
        give_up(s, ST_TOO_LARGE);
        return;
    }
    snapshot_plain_name(s->kind, s->number, s->from);
    snapshot_file_name(current(s)->name, s->kind, s->number, s->to);
    s->op.done = on_linked;
    env_link(s->env, &s->op, s->from, s->to);
}

static bool is_waiting(const struct snapshots *s) {
    return s->state == SNAPSHOT_CUT || s->state == SNAPSHOT_SYNC || s->state == SNAPSHOT_HOLD;
}

static void cut(struct snapshots *s) {
    if (commit_log_cut(s->log, &s->end)) {
        s->state = SNAPSHOT_SYNC;
        s->origin = (struct manifest_origin){
            .kind = MANIFEST_SNAPSHOT,
            .end = s->end,
            .key_count = s->facts->totals.key_count,
            .digest = facts_digest(s->facts),
        };
    } else if (s->log->maker.state == MAKER_FAILED) {
        give_up(s, s->log->maker.status);
    } else if (segment_set_is_full(s->log->segments)) {
        give_up(s, ST_NO_SPACE);
    }
}

void snapshots_go_on(struct snapshots *s) {
    if (!is_waiting(s) || must_give_up(s)) return;
    if (s->state == SNAPSHOT_CUT) cut(s);
    if (s->state == SNAPSHOT_SYNC && s->log->synced >= s->end) s->state = SNAPSHOT_HOLD;
    if (s->state != SNAPSHOT_HOLD || s->manifest->is_busy) return;
    if (s->manifest->is_uncertain) {
        give_up(s, ST_IO);
        return;
    }
    s->state = SNAPSHOT_LINK;
    s->kind = SNAPSHOT_FACTS;
    s->number = s->table = 0;
    manifest_hold(s->manifest);
    link_next(s);
}

void snapshots_stop(struct snapshots *s) {
    s->is_stopping = true;
    snapshots_go_on(s);
}

static void begin(struct snapshots *s, uint32_t index, store_snapshot_done *done, void *context) {
    s->current = index;
    s->status = ST_OK;
    s->done = done;
    s->done_context = context;
}

static void on_begun(struct env_op *op) {
    struct snapshots *s = of(op);
    s->state = SNAPSHOT_CUT;
    snapshots_go_on(s);
}

enum status snapshots_make(struct snapshots *s, struct slice name, store_snapshot_done *done,
                           void *context) {
    if (s->state != SNAPSHOT_IDLE) return ST_BUSY;
    if (!store_snapshot_name_is_good(name)) return ST_INVALID;
    if (snapshot_set_find(&s->set, name) != SNAPSHOT_NONE) return ST_INVALID;
    uint32_t index = snapshot_set_add(&s->set, name);
    if (index == SNAPSHOT_NONE) return ST_TOO_LARGE;
    begin(s, index, done, context);
    s->state = SNAPSHOT_ASKED;
    s->op.done = on_begun;
    env_later(s->env, &s->op);
    return ST_OK;
}

// Deleting.

enum status snapshots_delete(struct snapshots *s, struct slice name, store_snapshot_done *done,
                             void *context) {
    if (s->state != SNAPSHOT_IDLE) return ST_BUSY;
    uint32_t index = snapshot_set_find(&s->set, name);
    if (index == SNAPSHOT_NONE) return ST_NOT_FOUND;
    begin(s, index, done, context);
    unname(s);
    return ST_OK;
}

// At the start.

static void recovered(struct snapshots *s, enum status status) {
    s->status = status;
    s->recovered(s);
}

static const char *next_name(struct snapshots *s) {
    if (s->names_at >= s->names_size) return NULL;
    const char *name = s->names + s->names_at;
    s->names_at += (uint32_t)strlen(name) + 1;
    return name;
}

// A snapshot is whole when it has a manifest. More than there may be are left alone.
static void find_whole(struct snapshots *s) {
    struct snapshot_part part;
    for (const char *name = next_name(s); name != NULL; name = next_name(s)) {
        if (!snapshot_file_parse(name, &part) || part.kind != SNAPSHOT_MANIFEST) continue;
        uint32_t index = snapshot_set_add(&s->set, part.snapshot);
        if (index == SNAPSHOT_NONE) {
            s->has_foreign = true;
        } else {
            s->set.all[index].is_whole = true;
        }
    }
    s->names_at = 0;
}

static void recover_next(struct snapshots *s);

static void on_left_over_removed(struct env_op *op) {
    struct snapshots *s = of(op);
    if (op->status != ST_OK && op->status != ST_NOT_FOUND) {
        recovered(s, op->status);
        return;
    }
    recover_next(s);
}

static void remove_left_over(struct snapshots *s) {
    s->op.done = on_left_over_removed;
    env_remove(s->env, &s->op, s->to);
}

static void on_left_over_synced(struct env_op *op) {
    struct snapshots *s = of(op);
    if (op->status != ST_OK) {
        recovered(s, op->status);
        return;
    }
    s->are_names_synced = true;
    remove_left_over(s);
}

static void on_known_closed(struct env_op *op) {
    recover_next(of(op));
}

static void on_known_opened(struct env_op *op) {
    struct snapshots *s = of(op);
    if (op->status != ST_OK) {
        recovered(s, op->status);
        return;
    }
    snapshot_set_add_file(&s->set, s->current, s->kind, s->number, op->value);
    op->done = on_known_closed;
    env_close(s->env, op, s->file);
}

// The next file of a snapshot. One that was being deleted may get its manifest back when the power
// fails; only when that is impossible may its other files go.
static void recover_next(struct snapshots *s) {
    struct snapshot_part part;
    for (const char *name = next_name(s); name != NULL; name = next_name(s)) {
        if (!snapshot_file_parse(name, &part) || part.kind == SNAPSHOT_MANIFEST) continue;
        s->current = snapshot_set_find(&s->set, part.snapshot);
        s->kind = part.kind;
        s->number = part.number;
        memcpy(s->to, name, strlen(name) + 1);
        if (s->current != SNAPSHOT_NONE && s->set.file_count < SNAPSHOT_FILES_MAX) {
            s->op.done = on_known_opened;
            env_open(s->env, &s->op, s->to, ENV_OPEN, &s->file);
            return;
        }
        if (s->current != SNAPSHOT_NONE || s->has_foreign) continue;
        if (s->are_names_synced) {
            remove_left_over(s);
        } else {
            s->op.done = on_left_over_synced;
            env_sync_names(s->env, &s->op);
        }
        return;
    }
    recovered(s, ST_OK);
}

void snapshots_recover(struct snapshots *s, const uint8_t *names, uint32_t size) {
    s->names = (const char *)names;
    s->names_size = size;
    s->names_at = 0;
    find_whole(s);
    if (s->has_foreign) env_log(s->env, ENV_WARNING, "snapshots_too_many most=%d", SNAPSHOTS_MAX);
    recover_next(s);
}
