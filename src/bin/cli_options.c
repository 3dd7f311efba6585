// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_options.h"

#include "base/text.h"

#include <stdio.h>

void cli_complain(const char *command, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "quoit %s: ", command);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

bool cli_read_number(const char *text, bool is_size, uint64_t *value) {
    struct slice digits = slice_of_string(text);
    uint32_t shift = 0;
    if (is_size && digits.size > 0) {
        uint8_t unit = text_lower(digits.data[digits.size - 1]);
        shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
        if (shift > 0) digits.size--;
    }
    uint64_t number;
    if (!text_to_u64(digits, &number) || number > UINT64_MAX >> shift) return false;
    *value = number << shift;
    return true;
}

static bool take_value(const struct cli_syntax *syntax, const struct cli_option *option,
                       const char *value) {
    if (option->text != NULL) {
        *option->text = value;
        return true;
    }
    bool is_size = option->size != NULL;
    uint64_t number;
    if (!cli_read_number(value, is_size, &number)) {
        cli_complain(syntax->command, "--%s wants a %s, not '%s'", option->name,
                     is_size ? "size such as 512, 64k or 1g" : "number", value);
        return false;
    }
    if (number < option->least || number > option->most) {
        cli_complain(syntax->command, "--%s is from %llu to %llu, not %s", option->name,
                     (unsigned long long)option->least, (unsigned long long)option->most, value);
        return false;
    }
    *(is_size ? option->size : option->number) = number;
    return true;
}

static void print_help(const struct cli_syntax *syntax) {
    printf("usage: quoit %s%s%s [OPTIONS]\n\n%s\n\n", syntax->command,
           syntax->operand == NULL ? "" : " ", syntax->operand == NULL ? "" : syntax->operand,
           syntax->summary);
    for (size_t i = 0; i < syntax->option_count; i++) {
        const struct cli_option *option = &syntax->options[i];
        char left[48];
        snprintf(left, sizeof(left), "--%s %s", option->name,
                 option->argument == NULL ? "" : option->argument);
        printf("    %-26s %s\n", left, option->help);
    }
    printf("    %-26s %s\n", "--help", "this text");
    if (syntax->notes != NULL) printf("\n%s", syntax->notes);
}

static const struct cli_option *find_option(const struct cli_syntax *syntax, struct slice name) {
    for (size_t i = 0; i < syntax->option_count; i++) {
        if (slice_equal(name, slice_of_string(syntax->options[i].name))) return &syntax->options[i];
    }
    return NULL;
}

enum cli_asked cli_options_read(const struct cli_syntax *syntax, int count, char **arguments) {
    for (int i = 1; i < count; i++) {
        const char *word = arguments[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(syntax);
            return CLI_ASKED_HELP;
        }
        bool is_operand = strncmp(word, "--", 2) != 0;
        if (is_operand && syntax->operand != NULL && *syntax->operand_text == NULL) {
            *syntax->operand_text = word;
            continue;
        }
        if (is_operand) {
            cli_complain(syntax->command, "what is '%s'? Options begin with --; see --help", word);
            return CLI_ASKED_WRONG;
        }
        struct slice name = {(const uint8_t *)word + 2, strcspn(word + 2, "=")};
        const char *value = word[2 + name.size] == '=' ? word + 2 + name.size + 1 : NULL;
        const struct cli_option *option = find_option(syntax, name);
        if (option == NULL) {
            cli_complain(syntax->command, "there is no option %.*s; see --help",
                         (int)(name.size + 2), word);
            return CLI_ASKED_WRONG;
        }
        if (option->flag != NULL) {
            if (value != NULL) {
                cli_complain(syntax->command, "--%s takes no value", option->name);
                return CLI_ASKED_WRONG;
            }
            *option->flag = true;
            continue;
        }
        if (value == NULL) {
            if (i + 1 == count) {
                cli_complain(syntax->command, "--%s wants %s", option->name, option->argument);
                return CLI_ASKED_WRONG;
            }
            value = arguments[++i];
        }
        if (!take_value(syntax, option, value)) return CLI_ASKED_WRONG;
    }
    return CLI_ASKED_RUN;
}
