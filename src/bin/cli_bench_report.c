// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_bench_report.h"

#include "bin/cli_terminal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

// One line of the report: a command, or all of them.
struct row {
    const char *name;
    uint64_t count;
    double rate;                      // per second
    uint64_t p50, p99, p999, longest; // ns
};

enum { ROWS_MAX = LOAD_COMMANDS + 1 };

static double elapsed_seconds(const struct load_result *result) {
    return (double)(result->last_ns - result->first_ns) / 1e9;
}

static struct row row_of(const char *name, uint64_t count, const struct histogram *h,
                         double seconds) {
    return (struct row){.name = name,
                        .count = count,
                        .rate = (double)count / seconds,
                        .p50 = histogram_quantile(h, 0.5),
                        .p99 = histogram_quantile(h, 0.99),
                        .p999 = histogram_quantile(h, 0.999),
                        .longest = histogram_max(h)};
}

// The commands that were sent, then all together.
static size_t make_rows(const struct load_plan *plan, const struct load_result *result,
                        struct row rows[ROWS_MAX]) {
    struct histogram *all = malloc(sizeof(*all));
    must(all != NULL);
    histogram_init(all);
    double seconds = elapsed_seconds(result);
    uint64_t sum = 0;
    size_t count = 0;
    for (uint32_t i = 0; i < LOAD_COMMANDS; i++) {
        if (plan->weights[i] == 0) continue;
        const struct histogram *h = &result->latencies[i];
        rows[count++] = row_of(load_command_names[i], result->counts[i], h, seconds);
        histogram_merge(all, h);
        sum += result->counts[i];
    }
    rows[count++] = row_of("all", sum, all, seconds);
    free(all);
    return count;
}

static void print_figure(struct terminal *t, enum style style, uint64_t count, const char *what) {
    if (count == 0) return;
    terminal_print(t, style, "%llu %s", (unsigned long long)count, what);
    putchar('\n');
}

static void report_text(const struct bench_run *run, const struct load_result *result,
                        const struct row *rows, size_t row_count) {
    static const char *const headings[] = {"command", ">ops",   ">ops/s", ">p50",
                                           ">p99",    ">p99.9", ">max"};
    struct terminal t = terminal_of(stdout);
    struct table table = table_of(headings, sizeof(headings) / sizeof(headings[0]));
    size_t shown = row_count == 2 ? 1 : row_count; // "all" says nothing new beside one command
    for (size_t i = 0; i < shown; i++) {
        const struct row *row = &rows[i];
        table_cell(&table, STYLE_PLAIN, "%s", row->name);
        table_cell(&table, STYLE_PLAIN, "%llu", (unsigned long long)row->count);
        table_cell(&table, STYLE_STRONG, "%.0f", row->rate);
        table_cell(&table, STYLE_PLAIN, "%s", human_duration(row->p50).text);
        table_cell(&table, STYLE_PLAIN, "%s", human_duration(row->p99).text);
        table_cell(&table, STYLE_PLAIN, "%s", human_duration(row->p999).text);
        table_cell(&table, STYLE_PLAIN, "%s", human_duration(row->longest).text);
    }
    table_print(&table, &t);
    table_free(&table);
    double seconds = elapsed_seconds(result);
    terminal_print(&t, STYLE_FAINT, "%.2f s, %u connections, generator at %.0f%% of a core",
                   seconds, run->connections, 100 * run->cpu_seconds / seconds);
    putchar('\n');
    print_figure(&t, STYLE_PLAIN, result->misses, "reads found nothing");
    print_figure(&t, STYLE_WARN, result->breaks, "connections broke");
    print_figure(&t, STYLE_WARN, result->lost, "requests were never answered");
    print_figure(&t, STYLE_WARN, result->unsent, "requests were due but could not be sent");
    for (uint32_t i = 0; i < result->error_words; i++) {
        const struct load_error *e = &result->errors[i];
        terminal_print(&t, STYLE_BAD, "%llu errors %s: %s", (unsigned long long)e->count, e->word,
                       e->example);
        putchar('\n');
    }
    print_figure(&t, STYLE_BAD, result->wrong, "answers were WRONG");
}

static void report_csv(const struct load_result *result, const struct row *rows, size_t row_count) {
    puts("command,ops,ops_per_second,p50_us,p99_us,p99.9_us,max_us,misses,errors,lost,wrong");
    for (size_t i = 0; i < row_count; i++) {
        const struct row *row = &rows[i];
        printf("%s,%llu,%.0f,%.1f,%.1f,%.1f,%.1f,", row->name, (unsigned long long)row->count,
               row->rate, (double)row->p50 / 1e3, (double)row->p99 / 1e3, (double)row->p999 / 1e3,
               (double)row->longest / 1e3);
        if (i + 1 < row_count) {
            puts(",,,"); // counted for the whole run only
        } else {
            printf("%llu,%llu,%llu,%llu\n", (unsigned long long)result->misses,
                   (unsigned long long)result->error_count, (unsigned long long)result->lost,
                   (unsigned long long)result->wrong);
        }
    }
}

static json_t *json_of_row(const struct row *row) {
    return json_pack("{sI sf sf sf sf sf}", "ops", (json_int_t)row->count, "ops_per_second",
                     row->rate, "p50_us", (double)row->p50 / 1e3, "p99_us", (double)row->p99 / 1e3,
                     "p99.9_us", (double)row->p999 / 1e3, "max_us", (double)row->longest / 1e3);
}

static void report_json(const struct load_plan *plan, const struct bench_run *run,
                        const struct load_result *result, const struct row *rows,
                        size_t row_count) {
    json_t *commands = json_object();
    for (size_t i = 0; i + 1 < row_count; i++) {
        json_object_set_new(commands, rows[i].name, json_of_row(&rows[i]));
    }
    json_t *errors = json_object();
    for (uint32_t i = 0; i < result->error_words; i++) {
        json_object_set_new(errors, result->errors[i].word,
                            json_integer((json_int_t)result->errors[i].count));
    }
    double seconds = elapsed_seconds(result);
    json_t *all = json_pack(
        "{sf si si si sI sf so so so sI sI sI sI sI sI sf}", "seconds", seconds, "connections",
        (int)run->connections, "pipeline", (int)plan->pipeline, "value_size", (int)plan->value_size,
        "keys", (json_int_t)plan->key_count, "rate", run->rate, "commands", commands, "all",
        json_of_row(&rows[row_count - 1]), "errors", errors, "misses", (json_int_t)result->misses,
        "lost", (json_int_t)result->lost, "breaks", (json_int_t)result->breaks, "unsent",
        (json_int_t)result->unsent, "checked", (json_int_t)result->checked, "wrong",
        (json_int_t)result->wrong, "generator_cpu", run->cpu_seconds / seconds);
    must(all != NULL);
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(all);
}

void bench_report(const struct load_plan *plan, const struct bench_run *run,
                  const struct load_result *result) {
    struct row rows[ROWS_MAX];
    size_t row_count = make_rows(plan, result, rows);
    switch (run->format) {
    case BENCH_TEXT:
        report_text(run, result, rows, row_count);
        return;
    case BENCH_CSV:
        report_csv(result, rows, row_count);
        return;
    case BENCH_JSON:
        report_json(plan, run, result, rows, row_count);
        return;
    }
    unreachable();
}
