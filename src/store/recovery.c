// SPDX-License-Identifier: Apache-2.0
#include "store/recovery.h"

#include "base/little.h"
#include "store/segment_maker.h"

void recovery_init(struct recovery *r, struct env *env, struct segment_set *segments,
                   uint8_t *window, uint32_t window_size, uint32_t frame_limit) {
    must(frame_limit <= window_size);
    *r = (struct recovery){.env = env, .segments = segments, .frame_limit = frame_limit};
    segment_reader_init(&r->reader, env, window, window_size);
}

static void step(struct recovery *r);

static uint64_t position_at(const struct recovery *r, struct place place) {
    must(place.index < r->segments->count);
    return position_of(segment_set_at(r->segments, place.index)->number, place.offset);
}

// The end.

static void on_over(struct segment_reader *reader, enum status status) {
    struct recovery *r = CONTAINER_OF(reader, struct recovery, reader);
    (void)status;
    r->done(r, (enum status)r->op.status);
}

static void finish(struct recovery *r, enum status status) {
    bool is_theirs = r->tables_storage == 0 || (r->has_mark && r->storage == r->tables_storage);
    if (status == ST_OK && !is_theirs) status = ST_CORRUPT; // tables without their log
    r->phase = RECOVERY_DONE;
    r->op.status = status;
    if (r->reader.file != NULL) {
        segment_reader_close(&r->reader, on_over);
    } else {
        on_over(&r->reader, ST_OK);
    }
}

static void on_read(struct segment_reader *reader, enum status status) {
    struct recovery *r = CONTAINER_OF(reader, struct recovery, reader);
    if (status == ST_OK) {
        step(r);
        return;
    }
    env_log(r->env, ENV_ERROR, "recovery_failed segment=%016x status=\"%s\"", reader->number,
            status_text(status));
    finish(r, status);
}

// The list of names.

static void take_names(struct recovery *r, const uint8_t *names, uint32_t size) {
    for (uint32_t i = 0; i < size; i += (uint32_t)strlen((const char *)names + i) + 1) {
        uint32_t number = 0;
        if (strcmp((const char *)names + i, BLANK_NAME) == 0) r->has_blank = true;
        if (!file_name_parse(SEGMENT_PREFIX, (const char *)names + i, &number)) continue;
        r->number_max = number; // names come in order
        if (number < position_number(r->position)) continue;
        if (r->segments->count < SEGMENTS_MAX - 2) segment_set_add(r->segments, number, 0);
    }
}

static void on_listed(struct env_op *op) {
    struct recovery *r = CONTAINER_OF(op, struct recovery, op);
    if (op->status == ST_OK) take_names(r, r->reader.window, op->size);
    // Two more must fit, to go on writing.
    if (op->status == ST_OK && r->segments->count == SEGMENTS_MAX - 2) op->status = ST_NO_SPACE;
    if (op->status != ST_OK) {
        env_log(r->env, ENV_ERROR, "recovery_failed names=1 status=\"%s\"",
                status_text(op->status));
        finish(r, op->status);
        return;
    }
    r->phase = RECOVERY_HEADERS;
    step(r);
}

void recovery_start(struct recovery *r) {
    r->op.done = on_listed;
    env_list(r->env, &r->op, r->reader.window, r->reader.capacity);
}

// Access to the bytes.

enum sight { SIGHT_LATER, SIGHT_BYTES, SIGHT_END };

// Lends the bytes at a place: `wanted` of them, or as many as there are before the end of the file.
// SIGHT_LATER: a request is under way, which calls step() again.
static enum sight look(struct recovery *r, struct place place, uint32_t wanted,
                       struct slice *bytes) {
    struct segment_reader *reader = &r->reader;
    struct segment_info *info = segment_set_at(r->segments, place.index);
    if (reader->file == NULL) {
        segment_reader_open(reader, info->number, on_read);
        return SIGHT_LATER;
    }
    if (reader->number != info->number) {
        segment_reader_close(reader, on_read);
        return SIGHT_LATER;
    }
    r->segments->size += reader->size - info->size;
    info->size = reader->size;
    if (place.offset >= reader->size) return SIGHT_END;
    *bytes = segment_reader_at(reader, place.offset);
    if (bytes->size >= wanted || (bytes->size > 0 && segment_reader_ends(reader))) {
        return SIGHT_BYTES;
    }
    segment_reader_load(reader, place.offset, on_read);
    return SIGHT_LATER;
}

// Damage.

static void damaged(struct recovery *r, const struct log_damage *damage) {
    r->damage_count++;
    if (damage->kind != LOG_HEADER) r->was_damaged = true;
    r->found(r, damage);
}

// Headers.

static enum status header_of(struct slice bytes, struct segment_header *header, uint32_t *good) {
    *good = 0;
    enum status result = ST_CORRUPT;
    for (uint32_t copy = 0; copy < 2 && bytes.size >= SEGMENT_FIRST; copy++) {
        struct segment_header h;
        struct slice sector = {bytes.data + (size_t)copy * SECTOR_SIZE, SECTOR_SIZE};
        enum status status = segment_header_decode(sector, &h);
        if (status == ST_INVALID) return ST_INVALID;
        if (status != ST_OK) continue;
        ++*good;
        *header = h;
        result = ST_OK;
    }
    return result;
}

// Finds the storage id in the first segment that tells it.
static bool find_storage(struct recovery *r) {
    for (; r->at.index < r->segments->count; r->at.index++) {
        struct slice bytes = {NULL, 0};
        if (look(r, r->at, SEGMENT_FIRST, &bytes) == SIGHT_LATER) return false;
        struct segment_header header;
        uint32_t good = 0;
        enum status status = header_of(bytes, &header, &good);
        if (status == ST_INVALID) {
            env_log(r->env, ENV_ERROR, "log_of_another_version segment=%016x", r->reader.number);
            finish(r, ST_CORRUPT);
            return false;
        }
        if (status != ST_OK) continue;
        r->storage = header.storage;
        r->at = (struct place){0, 0};
        r->phase = RECOVERY_REPLAY;
        return true;
    }
    if (r->segments->count > 0) {
        env_log(r->env, ENV_ERROR, "log_unreadable segments=%u", r->segments->count);
        finish(r, ST_CORRUPT);
        return false;
    }
    r->is_blank = true;
    finish(r, ST_OK);
    return false;
}

// Looks at the header of each segment once, on the way to its frames: one behind the end of the log
// may be about to get another number. False: step() comes again.
static bool check_header(struct recovery *r) {
    if (r->at.index < r->checked) return true;
    struct slice bytes = {NULL, 0};
    if (look(r, (struct place){r->at.index, 0}, SEGMENT_FIRST, &bytes) == SIGHT_LATER) return false;
    struct segment_header header;
    uint32_t good = 0;
    enum status status = header_of(bytes, &header, &good);
    bool is_ours = status == ST_OK && header.storage == r->storage &&
                   header.number == r->reader.number && header.size == r->reader.size;
    if (good < 2 || !is_ours) {
        // Of a segment that is not used it may be torn, or that of another use of the file.
        r->bad_header = r->reader.number;
        r->good_copies = is_ours ? good : 0;
    }
    r->checked = r->at.index + 1;
    uint32_t tenth = r->checked * 10 / r->segments->count;
    if (tenth > r->tenth && r->segments->count >= 10) {
        env_log(r->env, ENV_INFO, "recovery_progress segments=%u of=%u records=%llu", r->checked,
                r->segments->count, (unsigned long long)r->replayed);
    }
    r->tenth = tenth;
    return true;
}

// Replay.

// Decodes the frame at r->at. ST_BUSY: step() comes again. ST_NOT_FOUND: the file ends here.
// ST_TOO_LARGE: whatever there is, is too large.
static enum status frame_at(struct recovery *r, struct frame *frame) {
    struct slice bytes = {NULL, 0};
    uint64_t position = position_at(r, r->at);
    uint32_t wanted = FRAME_HEAD_SIZE;
    for (;;) {
        enum sight sight = look(r, r->at, wanted, &bytes);
        if (sight == SIGHT_LATER) return ST_BUSY;
        frame->size = 0;
        if (sight == SIGHT_END) return ST_NOT_FOUND;
        enum status status = frame_decode(r->storage, position, bytes, frame);
        if (status != ST_TOO_LARGE) return status;
        uint64_t end = r->at.offset + (uint64_t)frame->size;
        if (end > r->reader.size || frame->size <= wanted) {
            frame->size = 0; // whatever it should be, it is not this
            return ST_CORRUPT;
        }
        if (frame->size > r->frame_limit) return ST_TOO_LARGE;
        wanted = (uint32_t)frame->size;
    }
}

static void begin_search(struct recovery *r, size_t bad_size) {
    r->phase = RECOVERY_SEARCH;
    r->hole = r->missing = position_at(r, r->at);
    r->skipped = r->hole + bad_size;
    r->has_candidate = false;
    r->dirty_end = 0;
}

static enum status take_frame(struct recovery *r, const struct frame *frame) {
    uint64_t position = position_at(r, r->at);
    if (position_number(position) == r->bad_header) {
        uint64_t from = position_of(r->bad_header, 0);
        damaged(r, &(struct log_damage){LOG_HEADER, r->good_copies, from, from});
        r->bad_header = 0;
    }
    if (frame->size > r->frame_max) r->frame_max = (uint32_t)frame->size;
    r->at.offset += (uint32_t)frame->size;
    r->frames_end = position + frame->size;
    r->has_other = false;
    if (frame->is_mark) {
        if (frame->mark.run != r->run) r->proved = 0;
        bool is_beginning = r->at.index == 0 && position_offset(position) == SEGMENT_FIRST;
        if (is_beginning) r->has_beginning = frame->mark.run == 1 && frame->mark.is_first;
        r->run = frame->mark.run;
        r->mark = frame->mark;
        r->has_mark = true;
        if (frame->mark.synced > r->proved) r->proved = frame->mark.synced;
        r->ends_clean = frame->mark.is_clean;
        return ST_OK;
    }
    r->ends_clean = false;
    r->replayed++;
    return r->replay(r, position, frame);
}

static bool replay(struct recovery *r) {
    for (;;) {
        if (r->at.offset < SEGMENT_FIRST) r->at.offset = SEGMENT_FIRST;
        if (!check_header(r)) return false;
        struct frame frame;
        enum status status = frame_at(r, &frame);
        if (status == ST_BUSY) return false;
        if (status == ST_OK) {
            status = take_frame(r, &frame);
            if (status == ST_OK) continue;
            finish(r, status);
            return false;
        }
        if (status == ST_TOO_LARGE && !r->has_other) {
            r->phase = RECOVERY_DOUBT;
            r->other = r->at;
            return true;
        }
        if (!r->has_other) {
            begin_search(r, status == ST_CORRUPT ? frame.size : 0);
            return true;
        }
        r->has_other = false;
        r->at = r->other;
    }
}

// Whether the frame at r->at, which is too large for this store, is one at all: r->other goes
// through it.
static bool doubt(struct recovery *r) {
    do {
        bool is_head = r->other.offset == r->at.offset;
        struct slice bytes = {NULL, 0};
        enum sight sight = look(r, r->other, is_head ? FRAME_HEAD_SIZE : 1, &bytes);
        if (sight == SIGHT_LATER) return false;
        if (sight == SIGHT_END || (is_head && bytes.size < FRAME_HEAD_SIZE)) {
            begin_search(r, 0); // the file has become shorter
            return true;
        }
        if (is_head) {
            frame_check_begin(&r->check, r->storage, position_at(r, r->at), bytes.data);
            r->other.offset += FRAME_HEAD_SIZE;
        } else {
            r->other.offset += frame_check_add(&r->check, bytes);
        }
    } while (r->check.left > 0);
    if (!frame_check_end(&r->check)) {
        begin_search(r, 0);
        return true;
    }
    env_log(r->env, ENV_ERROR, "log_has_larger_records segment=%016x offset=%u limit=%u",
            r->reader.number, r->at.offset, r->frame_limit);
    finish(r, ST_TOO_LARGE);
    return false;
}

// Goes on after damage: behind the one bad frame if there is a good one, else at `place`.
static void resume(struct recovery *r, struct place place) {
    damaged(r, &(struct log_damage){LOG_HOLE, 0, r->hole, position_at(r, place)});
    r->phase = RECOVERY_REPLAY;
    r->at = place;
    if (r->skipped <= r->hole || r->skipped >= position_at(r, place)) return;
    r->has_other = true;
    r->other = place;
    while (segment_set_at(r->segments, r->at.index)->number > position_number(r->hole)) {
        r->at.index--;
    }
    r->at.offset = position_offset(r->skipped);
}

// Decides what a mark at r->at says of the hole. True: the search is over.
static bool judge(struct recovery *r, const struct mark *mark) {
    if (mark->run < r->run) return false;
    bool is_later_run = r->run > 0 && mark->run > r->run;
    uint64_t proof = mark->synced;
    if (is_later_run) proof = mark->is_first ? mark->tail : position_at(r, r->at);
    if (mark->tail <= r->hole && (!is_later_run || mark->is_first)) {
        r->phase = RECOVERY_REPLAY;
        return true;
    }
    if (is_later_run && mark->is_first && r->missing >= mark->synced) {
        r->has_gap |= position_at(r, r->at) > r->position;
        r->phase = RECOVERY_REPLAY;
        return true;
    }
    if (proof > r->proved) r->proved = proof;
    if (r->proved <= (is_later_run ? r->hole : r->missing)) {
        if (!r->has_candidate) r->candidate = r->at;
        r->has_candidate = true;
        return false;
    }
    bool is_dropped = is_later_run && r->has_candidate && position_at(r, r->candidate) >= proof;
    resume(r, r->has_candidate && !is_dropped ? r->candidate : r->at);
    return true;
}

static bool is_zero(struct slice bytes) {
    return bytes.size == 0 ||
           (bytes.data[0] == 0 && memcmp(bytes.data, bytes.data + 1, bytes.size - 1) == 0);
}

static bool mark_at(const struct recovery *r, struct slice bytes, struct mark *mark) {
    if (bytes.size < MARK_FRAME_SIZE || load_u32(bytes.data) != MARK_SIZE) return false;
    struct frame frame;
    bytes.size = MARK_FRAME_SIZE;
    if (frame_decode(r->storage, position_at(r, r->at), bytes, &frame) != ST_OK) return false;
    if (!frame.is_mark) return false;
    *mark = frame.mark;
    return true;
}

static bool end_search(struct recovery *r);

static bool search(struct recovery *r) {
    while (r->at.index < r->segments->count) {
        struct slice bytes = {NULL, 0};
        enum sight sight = look(r, r->at, SECTOR_SIZE, &bytes);
        if (sight == SIGHT_LATER) return false;
        if (sight == SIGHT_END) {
            r->at = (struct place){r->at.index + 1, SEGMENT_FIRST};
            continue;
        }
        // The place of the hole was looked at before; of its sector only the rest is to be seen.
        uint32_t size = sector_up(r->at.offset + 1) - r->at.offset;
        struct slice sector = {bytes.data, bytes.size < size ? bytes.size : size};
        uint64_t sector_end = position_at(r, r->at) + size;
        if (!is_zero(sector)) {
            r->dirty_end = sector_end;
        } else if (position_at(r, r->at) == r->hole && size < SECTOR_SIZE) {
            r->missing = sector_end;
        }
        struct mark mark;
        bool is_boundary = r->at.offset % SECTOR_SIZE == 0 && position_at(r, r->at) != r->hole;
        if (is_boundary && mark_at(r, bytes, &mark) && judge(r, &mark)) return true;
        r->at.offset += size;
    }
    return end_search(r);
}

// After the end: sync what was read, remove what was dropped.

// The last phase, or the end where everything stays as it is.
static bool remove_dropped(struct recovery *r) {
    r->phase = RECOVERY_REMOVE;
    if (r->only_looks) finish(r, ST_OK);
    return !r->only_looks;
}

// Whether the log begins and ends where it should. What is in no table is there from the first run.
static void check_ends(struct recovery *r) {
    uint32_t first = segment_set_at(r->segments, 0)->number;
    uint32_t needed = position_number(r->position);
    uint32_t wanted = r->mark.oldest > needed ? r->mark.oldest : needed;
    bool is_cut = r->position == 0 && !r->has_beginning && !r->was_damaged;
    if (is_cut) wanted = 1;
    uint64_t from = position_of(first, SEGMENT_FIRST);
    uint64_t until = position_of(wanted, SEGMENT_FIRST);
    if (first > wanted || is_cut) damaged(r, &(struct log_damage){LOG_BEGIN, 0, from, until});
    if (r->end < r->position) damaged(r, &(struct log_damage){LOG_END, 0, r->end, r->position});
}

static bool end_search(struct recovery *r) {
    r->is_blank = r->dirty_end == 0;
    if (!r->has_mark) {
        // The first batch of a store holds nothing but its mark, and is synced before any other.
        if (r->segments->count > 1 || position_offset(r->dirty_end) > SEGMENT_FIRST + SECTOR_SIZE) {
            env_log(r->env, ENV_ERROR, "log_unreadable segments=%u", r->segments->count);
            finish(r, ST_CORRUPT);
            return false;
        }
        r->storage = 0;
        return remove_dropped(r);
    }
    // A mark that was found and is gone by the time it is read for good is none.
    r->end = r->frames_end;
    check_ends(r);
    if (r->only_looks) return remove_dropped(r);
    // What was ever behind the last segment may come back when the power goes: only of one that
    // never had another behind it is known what will be read next time.
    if (position_number(r->end) == r->number_max) {
        uint64_t sector = position_of(r->number_max, sector_up(position_offset(r->hole)));
        r->blank_from = r->dirty_end > sector ? r->dirty_end : sector;
    }
    // Before that, the runs knew that it was on disk.
    r->at = (struct place){0, 0};
    uint32_t first = position_number(r->mark.synced);
    while (r->at.index < r->segments->count &&
           segment_set_at(r->segments, r->at.index)->number < first) {
        r->at.index++;
    }
    r->phase = RECOVERY_SYNC;
    return true;
}

static void on_synced(struct segment_reader *reader, enum status status) {
    struct recovery *r = CONTAINER_OF(reader, struct recovery, reader);
    if (status == ST_OK) r->at.index++;
    on_read(reader, status);
}

static bool sync_next(struct recovery *r) {
    uint32_t last = position_number(r->end);
    if (r->at.index < r->segments->count &&
        segment_set_at(r->segments, r->at.index)->number <= last) {
        struct slice bytes;
        if (look(r, (struct place){r->at.index, 0}, 1, &bytes) == SIGHT_LATER) return false;
        segment_reader_sync(&r->reader, on_synced);
        return false;
    }
    r->phase = RECOVERY_REMOVE;
    if (r->reader.file == NULL) return true;
    segment_reader_close(&r->reader, on_read);
    return false;
}

static void on_removed(struct env_op *op) {
    struct recovery *r = CONTAINER_OF(op, struct recovery, op);
    if (op->status != ST_OK && op->status != ST_NOT_FOUND) {
        finish(r, op->status);
        return;
    }
    segment_set_remove_last(r->segments);
    step(r);
}

// The maker writes another header into it: a power loss may not bring its old name back.
static void on_put_aside(struct env_op *op) {
    if (op->status != ST_OK) {
        on_removed(op);
        return;
    }
    op->done = on_removed;
    env_sync_names(CONTAINER_OF(op, struct recovery, op)->env, op);
}

static bool remove_next(struct recovery *r) {
    uint32_t count = r->segments->count;
    if (count == 0 || segment_set_at(r->segments, count - 1)->number <= position_number(r->end)) {
        finish(r, ST_OK);
        return false;
    }
    uint32_t number = segment_set_at(r->segments, count - 1)->number;
    file_name(SEGMENT_PREFIX, number, r->name);
    r->op.done = on_removed;
    bool is_blank = r->has_mark && r->dirty_end < position_of(number, 0);
    if (is_blank && !r->has_blank) {
        r->has_blank = true;
        r->op.done = on_put_aside;
        env_rename(r->env, &r->op, r->name, BLANK_NAME);
    } else {
        env_remove(r->env, &r->op, r->name);
    }
    return false;
}

// Does the next piece of work. False: a request is under way, or all is done.
static bool proceed(struct recovery *r) {
    switch (r->phase) {
    case RECOVERY_HEADERS:
        return find_storage(r);
    case RECOVERY_REPLAY:
        return replay(r);
    case RECOVERY_SEARCH:
        return search(r);
    case RECOVERY_DOUBT:
        return doubt(r);
    case RECOVERY_SYNC:
        return sync_next(r);
    case RECOVERY_REMOVE:
        return remove_next(r);
    case RECOVERY_LIST:
    case RECOVERY_DONE:
        break;
    }
    unreachable();
}

static void step(struct recovery *r) {
    while (proceed(r)) {
    }
}
