/* The command line, parsed: a command, its options, the rest. */
#ifndef WEFT_OPTIONS_H
#define WEFT_OPTIONS_H

#include "base/arena.h"
#include "base/diag.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define COMMAND(name, ...) CMD_##name,
#include "driver/command.def"
    NCOMMAND
} Command;

typedef enum {
#define OPTION(key, ...) OPT_##key,
#include "driver/option.def"
    NOPTION
} OptionKey;

typedef struct { const char *name, *arguments, *doc, *details; } CommandInfo;
typedef struct { const char *name, *argument, *doc; unsigned commands; } OptionInfo;
extern const CommandInfo command_info[NCOMMAND];
extern const OptionInfo option_info[NOPTION];

typedef struct {
    Command command;
    const char *value[NOPTION]; /* the last one given, "" for a flag; null when absent */
    LIST(const char *) sets;    /* every --set, and the short forms of one */
    LIST(const char *) args;    /* what is no option */
    bool wants_help, wants_version;
} Options;

/* Fills o from argv[1..]. Reports unknown commands and options, with the
 * nearest name, options of another command and missing arguments. */
bool options_parse(Arena *a, Diag *d, int argc, char **argv, Options *o);

static inline bool option_on(const Options *o, OptionKey k)
{
    return o->value[k] != NULL;
}

/* An integer option in [least, most]; *out is left alone when it is absent.
 * Reports anything else. */
bool option_integer(const Options *o, Diag *d, OptionKey k, int64_t least, int64_t most,
                    int64_t *out);

/* Help of the whole program, of one command, and the man page. */
char *options_help(Arena *a);
char *options_command_help(Arena *a, Command c);
char *options_man(Arena *a, const char *version);

#endif
