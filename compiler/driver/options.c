/* Reads the command line by the tables command.def and option.def. */
#include "driver/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const CommandInfo command_info[NCOMMAND] = {
#define COMMAND(name, arguments, doc, details) {#name, arguments, doc, details},
#include "driver/command.def"
};

const OptionInfo option_info[NOPTION] = {
#define OPTION(key, name, argument, commands, doc) {name, argument, doc, commands},
#include "driver/option.def"
};

static const Span nowhere;

static int find_command(const char *word)
{
    for (int i = 0; i < NCOMMAND; i++)
        if (strcmp(command_info[i].name, word) == 0)
            return i;
    return -1;
}

static bool unknown_command(Diag *d, const char *word)
{
    const char *names[NCOMMAND];
    for (int i = 0; i < NCOMMAND; i++)
        names[i] = command_info[i].name;
    const char *near = nearest_name(word, names, NCOMMAND);
    if (near)
        return error_at(d, nowhere, "there is no command '%s'; did you mean '%s'?", word, near);
    size_t n = strlen(word);
    if (n > 6 && strcmp(word + n - 6, ".model") == 0)
        return error_at(d, nowhere, "'%s' is no command; write for example: weft train %s", word,
                        word);
    return error_at(d, nowhere, "there is no command '%s'; weft help lists them", word);
}

/* The option named by the first n characters of word, the command's own before another's. */
static int find_option(const char *word, size_t n, Command c)
{
    int found = -1;
    for (int i = 0; i < NOPTION; i++)
        if (strlen(option_info[i].name) == n && strncmp(option_info[i].name, word, n) == 0 &&
            (found < 0 || option_info[i].commands & 1u << c))
            found = i;
    return found;
}

static bool unknown_option(Arena *a, Diag *d, const char *word, size_t n, Command c)
{
    const char *names[NOPTION];
    int count = 0;
    for (int i = 0; i < NOPTION; i++)
        if (option_info[i].commands & 1u << c)
            names[count++] = option_info[i].name;
    char *name = arena_strndup(a, word, n);
    const char *near = nearest_name(name, names, count);
    if (near)
        return error_at(d, nowhere, "weft %s has no option --%s; did you mean --%s?",
                        command_info[c].name, name, near);
    return error_at(d, nowhere, "weft %s has no option --%s; weft help %s lists them",
                    command_info[c].name, name, command_info[c].name);
}

static bool foreign_option(Diag *d, int option, Command c)
{
    for (int i = 0; i < NCOMMAND; i++)
        if (option_info[option].commands & 1u << i)
            return error_at(d, nowhere, "--%s is an option of weft %s, not of weft %s",
                            option_info[option].name, command_info[i].name, command_info[c].name);
    return false;
}

/* A value of --set, checked to look like NAME=VALUE. */
static bool add_setting(Arena *a, Diag *d, Options *o, const char *text)
{
    const char *equal = strchr(text, '=');
    if (!equal || equal == text || !equal[1])
        return error_at(d, nowhere, "--set %s: expected NAME=VALUE, as in --set train.epochs=2",
                        text);
    list_push(a, &o->sets, text);
    return true;
}

static bool add_option(Arena *a, Diag *d, Options *o, int option, const char *value)
{
    static const struct { OptionKey key; const char *path; } shorts[] = {
        {OPT_epochs, "train.epochs"},
        {OPT_batch_size, "train.batch_size"},
        {OPT_learning_rate, "train.optimizer.learning_rate"},
    };
    if (option == OPT_set)
        return add_setting(a, d, o, value);
    if (option_info[option].argument && !value[0])
        return error_at(d, nowhere, "--%s needs a value: --%s %s", option_info[option].name,
                        option_info[option].name, option_info[option].argument);
    o->value[option] = value;
    for (size_t i = 0; i < sizeof shorts / sizeof *shorts; i++)
        if ((int)shorts[i].key == option)
            list_push(a, &o->sets, (const char *)arena_printf(a, "%s=%s", shorts[i].path, value));
    return true;
}

/* argv[*i] begins with "--"; may take argv[*i + 1] as its value. */
static bool take_option(Arena *a, Diag *d, int argc, char **argv, int *i, Options *o)
{
    const char *word = argv[*i] + 2, *equal = strchr(word, '=');
    size_t n = equal ? (size_t)(equal - word) : strlen(word);
    int option = find_option(word, n, o->command);
    if (option < 0)
        return unknown_option(a, d, word, n, o->command);
    const OptionInfo *info = &option_info[option];
    if (!(info->commands & 1u << o->command))
        return foreign_option(d, option, o->command);
    if (!info->argument) {
        if (equal)
            return error_at(d, nowhere, "--%s takes no value, found '%s'", info->name, equal + 1);
        o->value[option] = "";
        return true;
    }
    if (equal)
        return add_option(a, d, o, option, equal + 1);
    if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
        return error_at(d, nowhere, "--%s needs a value: --%s %s", info->name, info->name,
                        info->argument);
    return add_option(a, d, o, option, argv[++*i]);
}

/* -o FILE or -oFILE, as compilers take it: --out FILE. */
static bool take_out(Arena *a, Diag *d, int argc, char **argv, int *i, Options *o)
{
    const char *value = argv[*i][2] ? argv[*i] + 2 : *i + 1 < argc ? argv[++*i] : "";
    return add_option(a, d, o, OPT_out, value);
}

bool options_parse(Arena *a, Diag *d, int argc, char **argv, Options *o)
{
    memset(o, 0, sizeof *o);
    o->command = CMD_help;
    int first = 1;
    if (argc > 1 && argv[1][0] != '-') {
        int c = find_command(argv[1]);
        if (c < 0)
            return unknown_command(d, argv[1]);
        o->command = (Command)c;
        first = 2;
    }
    bool only_args = false, ok = true;
    for (int i = first; i < argc; i++) {
        const char *word = argv[i];
        if (only_args || word[0] != '-' || !word[1])
            list_push(a, &o->args, word);
        else if (strcmp(word, "--") == 0)
            only_args = true;
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            o->wants_help = true;
        else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
            o->wants_version = true;
        else if (word[1] == 'o' && option_info[OPT_out].commands & 1u << o->command)
            ok = take_out(a, d, argc, argv, &i, o) && ok;
        else if (word[1] == '-')
            ok = take_option(a, d, argc, argv, &i, o) && ok;
        else
            ok = error_at(d, nowhere, "there is no option %s; options are spelled with two dashes",
                          word);
    }
    return ok;
}

bool option_integer(const Options *o, Diag *d, OptionKey k, int64_t least, int64_t most,
                    int64_t *out)
{
    const char *text = o->value[k];
    if (!text)
        return true;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end)
        return error_at(d, nowhere, "--%s %s: expected an integer", option_info[k].name, text);
    if (errno || v < least || v > most)
        return error_at(d, nowhere, "--%s %s: expected an integer from %lld to %lld",
                        option_info[k].name, text, (long long)least, (long long)most);
    *out = v;
    return true;
}
