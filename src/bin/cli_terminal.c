// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_terminal.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_WIDTH = 30, LINE_MAX_WIDTH = 200 };

static const char *const styles[STYLES] = {"",         "\033[1m",  "\033[2m",
                                           "\033[32m", "\033[33m", "\033[31m"};

struct terminal terminal_of(FILE *file) {
    const char *no_color = getenv("NO_COLOR");
    const char *kind = getenv("TERM");
    bool is_terminal = isatty(fileno(file)) == 1 && (kind == NULL || strcmp(kind, "dumb") != 0);
    bool wanted = no_color == NULL || no_color[0] == '\0';
    return (struct terminal){
        .file = file, .is_terminal = is_terminal, .has_colour = is_terminal && wanted};
}

void terminal_print(struct terminal *t, enum style style, const char *format, ...) {
    bool is_styled = t->has_colour && style != STYLE_PLAIN;
    va_list arguments;
    va_start(arguments, format);
    if (is_styled) fputs(styles[style], t->file);
    vfprintf(t->file, format, arguments);
    if (is_styled) fputs("\033[0m", t->file);
    va_end(arguments);
}

static size_t line_width(const struct terminal *t) {
    struct winsize size;
    if (ioctl(fileno(t->file), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 79;
    return size.ws_col > LINE_MAX_WIDTH ? LINE_MAX_WIDTH : size.ws_col - 1u;
}

void terminal_progress(struct terminal *t, const char *label, uint64_t done, uint64_t total,
                       const char *note) {
    if (!t->is_terminal) return;
    double share = total == 0 ? 0 : (double)done / (double)total;
    if (share > 1) share = 1;
    char bar[BAR_WIDTH + 1];
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)(share * BAR_WIDTH));
    bar[BAR_WIDTH] = '\0';
    char line[LINE_MAX_WIDTH + 1];
    snprintf(line, line_width(t) + 1, "%s [%s] %3d%%  %s", label, bar, (int)(share * 100), note);
    fprintf(t->file, "\r%s\033[K", line);
    fflush(t->file);
    t->has_progress = true;
}

void terminal_clear(struct terminal *t) {
    if (!t->has_progress) return;
    fputs("\r\033[K", t->file);
    fflush(t->file);
    t->has_progress = false;
}

struct table table_of(const char *const *headings, size_t column_count) {
    must(column_count > 0);
    return (struct table){.headings = headings, .column_count = column_count};
}

void table_cell(struct table *table, enum style style, const char *format, ...) {
    if (table->cell_count == table->cell_capacity) {
        table->cell_capacity = table->cell_capacity == 0 ? 64 : table->cell_capacity * 2;
        table->cells = realloc(table->cells, table->cell_capacity * sizeof(*table->cells));
        must(table->cells != NULL);
    }
    struct table_cell *cell = &table->cells[table->cell_count++];
    cell->style = style;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cell->text, sizeof(cell->text), format, arguments);
    va_end(arguments);
}

static const char *heading_text(const char *heading) {
    return heading[0] == '>' ? heading + 1 : heading;
}

static size_t column_width(const struct table *table, size_t column) {
    size_t width = strlen(heading_text(table->headings[column]));
    for (size_t i = column; i < table->cell_count; i += table->column_count) {
        size_t size = strlen(table->cells[i].text);
        if (size > width) width = size;
    }
    return width;
}

// Colour must not count as width, hence the padding outside of it. No spaces end a line.
static void print_cell(const struct table *table, struct terminal *t, size_t column,
                       enum style style, const char *text) {
    bool is_right = table->headings[column][0] == '>';
    bool is_last = column + 1 == table->column_count;
    int padding = (int)(column_width(table, column) - strlen(text));
    if (is_right) fprintf(t->file, "%*s", padding, "");
    terminal_print(t, style, "%s", text);
    if (!is_right && !is_last) fprintf(t->file, "%*s", padding, "");
    fputs(is_last ? "\n" : "  ", t->file);
}

void table_print(const struct table *table, struct terminal *t) {
    must(table->cell_count % table->column_count == 0);
    for (size_t column = 0; column < table->column_count; column++) {
        print_cell(table, t, column, STYLE_FAINT, heading_text(table->headings[column]));
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        const struct table_cell *cell = &table->cells[i];
        print_cell(table, t, i % table->column_count, cell->style, cell->text);
    }
}

void table_free(struct table *table) {
    free(table->cells);
    table->cells = NULL;
    table->cell_count = table->cell_capacity = 0;
}

// Three significant digits, so that columns of figures stay narrow.
static struct human scaled(double value, double step, const char *const *units, size_t unit_count) {
    size_t unit = 0;
    while (value >= step && unit + 1 < unit_count) {
        value /= step;
        unit++;
    }
    int places = unit == 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    struct human human;
    snprintf(human.text, sizeof(human.text), "%.*f%s", places, value, units[unit]);
    return human;
}

struct human human_count(double value) {
    static const char *const units[] = {"", "k", "M", "G"};
    return scaled(value, 1000, units, 4);
}

struct human human_size(uint64_t bytes) {
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    return scaled((double)bytes, 1024, units, 5);
}

struct human human_duration(uint64_t value) {
    static const char *const units[] = {" ns", " us", " ms", " s"};
    return scaled((double)value, 1000, units, 4);
}
