/* The command line's parser and the numbers for people. */
#include "driver/options.h"
#include "driver/text.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void expect(bool ok, const char *what)
{
    if (!ok) {
        printf("failed: %s\n", what);
        failures++;
    }
}

static bool parse(Arena *a, Diag *d, Options *o, int n, char **words)
{
    *d = (Diag){.arena = a};
    return options_parse(a, d, n, words, o);
}

static void test_parse(Arena *a)
{
    Diag d;
    Options o;
    char *good[] = {"weft", "train", "x.model", "--epochs", "3", "--set=a=1", "--json", "-"};
    expect(parse(a, &d, &o, 8, good), "a good line");
    expect(o.command == CMD_train && o.args.n == 2 && option_on(&o, OPT_json), "its parts");
    expect(o.sets.n == 2 && !strcmp(o.sets.at[0], "train.epochs=3") && !strcmp(o.sets.at[1], "a=1"),
           "settings, the short form among them");
    char *dashes[] = {"weft", "predict", "--", "--odd.npy"};
    expect(parse(a, &d, &o, 4, dashes) && o.args.n == 1, "-- ends the options");
    char *version[] = {"weft", "--version"};
    expect(parse(a, &d, &o, 2, version) && o.wants_version, "--version");
    char *missing[] = {"weft", "train", "x.model", "--epochs", "--json"};
    expect(!parse(a, &d, &o, 5, missing) && d.nerror == 1, "a missing value");
    char *two[] = {"weft", "train", "--epoks", "3", "--jsn"};
    expect(!parse(a, &d, &o, 5, two) && d.nerror == 2, "two mistakes are two messages");
    char *empty[] = {"weft", "train", "--epochs="};
    expect(!parse(a, &d, &o, 3, empty), "an empty value");
}

static void test_integer(Arena *a)
{
    Diag d;
    Options o;
    int64_t v = 7;
    char *line[] = {"weft", "train", "--threads", "99999999999999999999"};
    parse(a, &d, &o, 4, line);
    expect(!option_integer(&o, &d, OPT_threads, 1, 100, &v) && v == 7, "an overflow");
    expect(option_integer(&o, &d, OPT_seed, 1, 100, &v) && v == 7, "an absent option");
}

/* Every option belongs to a command, every text is there and fits. */
static void test_tables(Arena *a)
{
    for (int i = 0; i < NOPTION; i++) {
        expect(option_info[i].commands != 0, option_info[i].name);
        expect(option_info[i].doc[0] != 0, option_info[i].name);
    }
    for (int i = 0; i < NCOMMAND; i++) {
        const char *help = options_command_help(a, (Command)i);
        for (const char *line = help; *line; line += strcspn(line, "\n") + 1)
            expect(strcspn(line, "\n") <= 100, command_info[i].name);
    }
    expect(strstr(options_man(a, "1"), "gradcheck") != NULL, "the man page");
}

int main(void)
{
    Arena *a = arena_new();
    test_parse(a);
    test_integer(a);
    test_tables(a);
    expect(!strcmp(text_count(a, 1234567), "1,234,567"), "1,234,567");
    expect(!strcmp(text_count(a, -123), "-123"), "-123");
    expect(!strcmp(text_bytes(a, 999), "999 B"), "999 B");
    expect(!strcmp(text_bytes(a, 5521000), "5.52 MB"), "5.52 MB");
    expect(text_columns("é█") == 2, "columns");
    arena_free(a);
    return failures != 0;
}
