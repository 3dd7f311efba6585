// SPDX-License-Identifier: Apache-2.0
#include "store/manifest.h"

#include "base/codec.h"
#include "store/segment.h"

enum {
    TABLE_ENCODED_SIZE = 4 + 4 + 4 + 8,
    STATE_ENCODED_SIZE = 8 + 8 + 4 + 8 + 4 + 8 + 4 + 4,
    ORIGIN_ENCODED_SIZE = 1 + 8 + 8 + 8 + 8 + 8 + 4,
    DROP_ENCODED_SIZE = 2 + 4,
    COPY_HEAD = 8 + 4 + 4,
};

#define MAGIC SLICE("QUOITMAN")
#define MANIFEST_SEED 0x71756f69746d616eu // "quoitman"

static size_t copy_size(uint32_t table_count, bool has_origin, uint32_t drop_count) {
    size_t drops = drop_count == 0 ? 0 : 1 + 1 + (size_t)drop_count * DROP_ENCODED_SIZE;
    return COPY_HEAD + STATE_ENCODED_SIZE + (size_t)table_count * TABLE_ENCODED_SIZE +
           (has_origin ? ORIGIN_ENCODED_SIZE : 0) + drops + sizeof(uint64_t);
}

size_t manifest_size_max(void) {
    return 2 * copy_size(SSTABLES_MAX, true, KEYSPACES_DROPPED_MAX);
}

static void encode_origin(const struct manifest_origin *o, struct writer *w) {
    write_u8(w, (uint8_t)o->kind);
    write_u64(w, o->actor);
    write_u64(w, o->cluster);
    write_u64(w, o->end);
    write_u64(w, o->key_count);
    write_u64(w, o->digest);
    write_u32(w, o->files);
}

static void encode_drops(const struct manifest *m, struct writer *w) {
    write_u8(w, (uint8_t)m->drop_count);
    for (uint32_t i = 0; i < m->drop_count; i++) {
        write_u16(w, m->drops[i].keyspace);
        write_u32(w, m->drops[i].number);
    }
}

static uint32_t version_of(const struct manifest *m) {
    if (m->drop_count > 0) return MANIFEST_VERSION_DROPS;
    return m->origin.kind == MANIFEST_STORE ? MANIFEST_VERSION : MANIFEST_VERSION_ORIGIN;
}

size_t manifest_encode(const struct manifest *m, uint8_t *to) {
    bool has_origin = m->origin.kind != MANIFEST_STORE;
    uint32_t version = version_of(m);
    size_t size = copy_size(m->table_count, has_origin, m->drop_count);
    struct writer w = writer_to(to, size);
    write_bytes(&w, MAGIC);
    write_u32(&w, version);
    write_u32(&w, (uint32_t)size);
    write_u64(&w, m->storage);
    write_u64(&w, m->position);
    write_u32(&w, m->epoch);
    write_u64(&w, m->minted);
    write_u32(&w, m->next_number);
    write_u64(&w, m->next_sequence);
    write_u32(&w, m->facts_number);
    write_u32(&w, m->table_count);
    for (uint32_t i = 0; i < m->table_count; i++) {
        write_u32(&w, m->tables[i].number);
        write_u32(&w, m->tables[i].first);
        write_u32(&w, m->tables[i].last);
        write_u64(&w, m->tables[i].sequence);
    }
    if (version == MANIFEST_VERSION_DROPS) write_u8(&w, has_origin);
    if (has_origin) encode_origin(&m->origin, &w);
    if (version == MANIFEST_VERSION_DROPS) encode_drops(m, &w);
    write_u64(&w, hash_bytes(writer_bytes(&w), MANIFEST_SEED));
    must(!w.failed);
    must(w.size == size);
    memcpy(to + size, to, size);
    return 2 * size;
}

static bool decode_table(struct reader *r, const struct manifest *m, struct manifest_table *t) {
    t->number = read_u32(r);
    t->first = read_u32(r);
    t->last = read_u32(r);
    t->sequence = read_u64(r);
    return !r->failed && t->number > 0 && t->number < m->next_number && t->first <= t->last &&
           t->sequence < m->next_sequence;
}

static bool decode_origin(struct reader *r, struct manifest_origin *o) {
    uint8_t kind = read_u8(r);
    o->actor = read_u64(r);
    o->cluster = read_u64(r);
    o->end = read_u64(r);
    o->key_count = read_u64(r);
    o->digest = read_u64(r);
    o->files = read_u32(r);
    if (r->failed || (kind != MANIFEST_SNAPSHOT && kind != MANIFEST_RESTORED)) return false;
    o->kind = (enum manifest_kind)kind;
    bool is_restored = kind == MANIFEST_RESTORED;
    return (o->actor != 0) == is_restored && (o->cluster != 0) == is_restored;
}

static bool decode_drops(struct reader *r, struct manifest *m) {
    uint32_t count = read_u8(r);
    if (r->failed || count == 0 || count > KEYSPACES_DROPPED_MAX) return false;
    for (m->drop_count = 0; m->drop_count < count; m->drop_count++) {
        struct manifest_drop *drop = &m->drops[m->drop_count];
        drop->keyspace = read_u16(r);
        drop->number = read_u32(r);
        bool is_next = m->drop_count == 0 || drop[-1].keyspace < drop->keyspace;
        if (r->failed || !is_next) return false;
    }
    return true;
}

static enum status decode_tables(struct reader *r, struct manifest *m) {
    for (uint32_t i = 0; i < m->table_count; i++) {
        if (!decode_table(r, m, &m->tables[i])) return ST_CORRUPT;
        if (m->tables[i].number == m->facts_number) return ST_CORRUPT;
        for (uint32_t before = 0; before < i; before++) {
            if (m->tables[before].number == m->tables[i].number) return ST_CORRUPT;
        }
    }
    return ST_OK;
}

// What lies behind the tables.
static enum status decode_rest(struct reader *r, struct manifest *m, uint32_t version) {
    bool has_drops = version == MANIFEST_VERSION_DROPS;
    uint8_t has_origin = has_drops ? read_u8(r) : version == MANIFEST_VERSION_ORIGIN;
    m->origin = (struct manifest_origin){0};
    m->drop_count = 0;
    if (has_origin > 1) return ST_CORRUPT;
    if (has_origin == 1 && !decode_origin(r, &m->origin)) return ST_CORRUPT;
    if (has_drops && !decode_drops(r, m)) return ST_CORRUPT;
    return r->failed || r->rest.size != sizeof(uint64_t) ? ST_CORRUPT : ST_OK;
}

static enum status decode_copy(struct manifest *m, struct slice bytes) {
    struct reader r = reader_of(bytes);
    struct slice magic = read_bytes(&r, MAGIC.size);
    uint32_t version = read_u32(&r);
    uint32_t size = read_u32(&r);
    if (r.failed || !slice_equal(magic, MAGIC) || size != bytes.size) return ST_CORRUPT;
    struct reader tail = reader_of(slice_skip(bytes, size - sizeof(uint64_t)));
    struct slice signed_bytes = {bytes.data, size - sizeof(uint64_t)};
    if (read_u64(&tail) != hash_bytes(signed_bytes, MANIFEST_SEED)) return ST_CORRUPT;
    if (version == 0 || version > MANIFEST_VERSION_DROPS) return ST_INVALID;
    m->storage = read_u64(&r);
    m->position = read_u64(&r);
    m->epoch = read_u32(&r);
    m->minted = read_u64(&r);
    m->next_number = read_u32(&r);
    m->next_sequence = read_u64(&r);
    m->facts_number = read_u32(&r);
    m->table_count = read_u32(&r);
    if (r.failed || m->storage == 0 || m->epoch == 0) return ST_CORRUPT;
    if (m->facts_number >= m->next_number) return ST_CORRUPT;
    if (m->table_count > SSTABLES_MAX) return ST_CORRUPT;
    enum status status = decode_tables(&r, m);
    return status == ST_OK ? decode_rest(&r, m, version) : status;
}

enum status manifest_decode(struct manifest *m, struct slice bytes, uint32_t *good) {
    size_t half = bytes.size / 2;
    *good = 0;
    if (bytes.size % 2 != 0 || half < copy_size(0, false, 0)) return ST_CORRUPT;
    struct slice first = {bytes.data, half};
    struct slice second = {bytes.data + half, half};
    enum status status = decode_copy(m, first);
    if (status == ST_OK) {
        *good = slice_equal(first, second) ? 2 : 1;
    } else if (status == ST_CORRUPT) {
        status = decode_copy(m, second);
        *good = status == ST_OK;
    }
    return status;
}

bool manifest_has(const struct manifest *m, uint32_t table) {
    for (uint32_t i = 0; i < m->table_count; i++) {
        if (m->tables[i].number == table) return true;
    }
    return false;
}

// Changes.

void manifest_add(struct manifest *m, const struct manifest_table *t) {
    must(m->table_count < SSTABLES_MAX);
    m->tables[m->table_count++] = *t;
}

static uint32_t place_of(const struct manifest *m, uint32_t number) {
    for (uint32_t i = 0;; i++) {
        must(i < m->table_count);
        if (m->tables[i].number == number) return i;
    }
}

void manifest_remove(struct manifest *m, uint32_t number) {
    uint32_t i = place_of(m, number);
    m->tables[i] = m->tables[--m->table_count];
}

void manifest_trim(struct manifest *m, uint32_t number, uint32_t past) {
    struct manifest_table *t = &m->tables[place_of(m, number)];
    if (past >= t->last) {
        manifest_remove(m, number);
    } else if (past >= t->first) {
        t->first = past + 1;
    }
}

void manifest_copy(struct manifest *to, const struct manifest *from) {
    struct manifest_table *tables = to->tables;
    *to = *from;
    to->tables = tables;
    memcpy(to->tables, from->tables, from->table_count * sizeof(*tables));
}

// Drops.

bool manifest_drop(struct manifest *m, uint16_t keyspace, uint32_t number) {
    uint32_t place = 0;
    while (place < m->drop_count && m->drops[place].keyspace < keyspace) place++;
    if (place < m->drop_count && m->drops[place].keyspace == keyspace) return true;
    if (m->drop_count == KEYSPACES_DROPPED_MAX) return false;
    for (uint32_t at = m->drop_count++; at > place; at--) m->drops[at] = m->drops[at - 1];
    m->drops[place] = (struct manifest_drop){keyspace, number};
    return true;
}

// What is begun after a drop leaves it out, and had no number before. The facts of a flush are
// numbered when it begins: then what the log has of the keyspace lies before the position.
static bool is_left(const struct manifest *m, const struct manifest_drop *drop) {
    if (m->facts_number < drop->number) return true;
    uint32_t first = (uint32_t)drop->keyspace << 16;
    for (uint32_t i = 0; i < m->table_count; i++) {
        const struct manifest_table *t = &m->tables[i];
        bool covers = t->first <= (first | UINT16_MAX) && t->last >= first;
        if (covers && t->number < drop->number) return true;
    }
    return false;
}

void manifest_forget_drops(struct manifest *m) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->drop_count; i++) {
        if (is_left(m, &m->drops[i])) m->drops[kept++] = m->drops[i];
    }
    m->drop_count = kept;
}

void manifest_note_drops(const struct manifest *m, struct keyspaces *k) {
    uint16_t numbers[KEYSPACES_DROPPED_MAX];
    for (uint32_t i = 0; i < m->drop_count; i++) numbers[i] = m->drops[i].keyspace;
    keyspaces_note_dropped(k, numbers, m->drop_count);
}

// Files.

bool manifest_leaves_over(const struct manifest *m, const char *name) {
    uint32_t number = 0;
    if (strcmp(name, MANIFEST_NEW_NAME) == 0) return true;
    if (file_name_parse(SSTABLE_PREFIX, name, &number)) return !manifest_has(m, number);
    if (file_name_parse(FACTS_PREFIX, name, &number)) return number != m->facts_number;
    return file_name_parse(SEGMENT_PREFIX, name, &number) && number < position_number(m->position);
}

bool manifest_is_missing(const struct manifest *m, const char *names, uint32_t size) {
    bool has_table = false;
    if (m->storage != 0) return false;
    for (uint32_t at = 0; at < size; at += (uint32_t)strlen(names + at) + 1) {
        uint32_t number = 0;
        if (file_name_parse(SEGMENT_PREFIX, names + at, &number) && number == 1) return false;
        has_table |= file_name_parse(SSTABLE_PREFIX, names + at, &number);
    }
    return has_table;
}

// The file.

size_t manifest_file_memory_size(void) {
    return (size_t)2 * SSTABLES_MAX * sizeof(struct manifest_table) + manifest_size_max() +
           (size_t)64 * 3;
}

void manifest_file_init(struct manifest_file *f, struct arena *arena, struct env *env) {
    *f = (struct manifest_file){.env = env, .next_number = 1};
    f->current.next_sequence = 1;
    f->current.tables = ARENA_ARRAY(arena, struct manifest_table, SSTABLES_MAX);
    f->next.tables = ARENA_ARRAY(arena, struct manifest_table, SSTABLES_MAX);
    f->bytes = arena_take(arena, manifest_size_max(), 1);
}

static struct manifest_file *of(struct env_op *op) {
    return CONTAINER_OF(op, struct manifest_file, op);
}

static void finish(struct manifest_file *f, enum status status) {
    f->is_busy = false;
    f->status = status;
    if (status != ST_OK) {
        env_log(f->env, status == ST_NO_SPACE ? ENV_WARNING : ENV_ERROR,
                "manifest_failed status=\"%s\"", status_text(status));
    }
    f->done(f);
    if (!f->is_busy) f->idle(f);
}

uint32_t manifest_take_numbers(struct manifest_file *f, uint32_t count) {
    uint32_t first = f->next_number;
    f->next_number += count;
    return first;
}

void manifest_pass_number(struct manifest_file *f, uint32_t number) {
    if (number > UINT32_MAX / 2) return; // no store comes so far: the file is not ours
    if (number >= f->next_number) f->next_number = number + 1;
}

// Reading.

static void on_read_closed(struct env_op *op) {
    struct manifest_file *f = of(op);
    finish(f, f->status);
}

static void on_read(struct env_op *op) {
    struct manifest_file *f = of(op);
    f->status = op->status;
    if (op->status == ST_OK) {
        f->size = op->size;
        f->status = manifest_decode(&f->current, (struct slice){f->bytes, op->size}, &f->good);
        if (f->status == ST_OK) f->next_number = f->current.next_number;
        for (uint32_t i = 0; f->status == ST_OK && i < f->current.drop_count; i++) {
            uint32_t number = f->current.drops[i].number;
            if (f->next_number < number) f->next_number = number;
        }
        if (f->good == 1) env_log(f->env, ENV_WARNING, "manifest_damaged good_copies=1");
    }
    op->done = on_read_closed;
    env_close(f->env, op, f->file);
}

static void on_opened(struct env_op *op) {
    struct manifest_file *f = of(op);
    if (op->status == ST_NOT_FOUND) {
        finish(f, ST_OK);
        return;
    }
    if (op->status != ST_OK) {
        finish(f, op->status);
        return;
    }
    op->done = on_read;
    env_read(f->env, op, f->file, 0, f->bytes, (uint32_t)manifest_size_max());
}

void manifest_read(struct manifest_file *f, manifest_done *done) {
    must(!f->is_busy);
    f->is_busy = true;
    f->done = done;
    f->op.done = on_opened;
    env_open(f->env, &f->op, MANIFEST_NAME, ENV_OPEN, &f->file);
}

// Saving.

static bool is_other(const struct manifest_file *f) {
    return strcmp(f->name, MANIFEST_NAME) != 0;
}

static void end_save(struct manifest_file *f, enum status status) {
    if (is_other(f)) {
        f->status = status;
        f->done(f);
        return;
    }
    if (status == ST_OK) {
        manifest_copy(&f->current, &f->next);
    } else {
        f->is_uncertain = true;
    }
    finish(f, status);
}

static void on_names_synced(struct env_op *op) {
    end_save(of(op), op->status);
}

static void on_new_removed(struct env_op *op) {
    struct manifest_file *f = of(op);
    if (is_other(f)) {
        end_save(f, f->status);
    } else {
        finish(f, f->status);
    }
}

// The file that there was is still the one, or the new one is that of something else. So it goes:
// there may be no other save for long, as on a full disk, or where nobody writes.
static void give_up(struct manifest_file *f, enum status status) {
    f->status = status;
    f->op.done = on_new_removed;
    env_remove(f->env, &f->op, MANIFEST_NEW_NAME);
}

static void on_renamed(struct env_op *op) {
    struct manifest_file *f = of(op);
    if (op->status == ST_OK) {
        op->done = on_names_synced;
        env_sync_names(f->env, op);
    } else if (is_other(f)) {
        give_up(f, op->status); // it may have the other name all the same
    } else {
        end_save(f, op->status);
    }
}

static void on_write_closed(struct env_op *op) {
    struct manifest_file *f = of(op);
    if (f->status != ST_OK) {
        give_up(f, f->status);
        return;
    }
    op->done = on_renamed;
    env_rename(f->env, op, MANIFEST_NEW_NAME, f->name);
}

static void on_synced(struct env_op *op) {
    struct manifest_file *f = of(op);
    f->status = op->status;
    op->done = on_write_closed;
    env_close(f->env, op, f->file);
}

static void on_written(struct env_op *op) {
    struct manifest_file *f = of(op);
    if (op->status != ST_OK) {
        on_synced(op);
        return;
    }
    op->done = on_synced;
    env_sync(f->env, op, f->file);
}

static void on_created(struct env_op *op) {
    struct manifest_file *f = of(op);
    if (op->status != ST_OK) {
        give_up(f, op->status);
        return;
    }
    op->done = on_written;
    env_write(f->env, op, f->file, 0, f->bytes, (uint32_t)f->size);
}

static void save_as(struct manifest_file *f, const char *name, manifest_done *done) {
    f->name = name;
    f->done = done;
    f->next.next_number = f->next_number;
    f->size = manifest_encode(&f->next, f->bytes);
    f->op.done = on_created;
    env_open(f->env, &f->op, MANIFEST_NEW_NAME, ENV_CREATE, &f->file);
}

void manifest_save(struct manifest_file *f, manifest_done *done) {
    must(!f->is_uncertain);
    manifest_hold(f);
    save_as(f, MANIFEST_NAME, done);
}

// Held.

void manifest_hold(struct manifest_file *f) {
    must(!f->is_busy);
    f->is_busy = true;
}

void manifest_release(struct manifest_file *f) {
    must(f->is_busy);
    f->is_busy = false;
    f->idle(f);
}

void manifest_save_other(struct manifest_file *f, const char *name, manifest_done *done) {
    must(f->is_busy);
    save_as(f, name, done);
}
