/* Help and man page, written from the tables of commands and options. */
#include "driver/options.h"
#include "driver/text.h"

#include <string.h>

/* Appends words of `doc`, wrapped at `width` columns, each line after the first
 * indented by `indent` blanks. */
static void wrap(Text *t, const char *doc, int indent, int width)
{
    int column = indent;
    while (*doc) {
        int n = (int)strcspn(doc, " ");
        if (column > indent && column + 1 + n > width) {
            text_add(t, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            text_add(t, " ");
            column++;
        }
        text_add(t, "%.*s", n, doc);
        column += n;
        doc += n;
        doc += strspn(doc, " ");
    }
    text_add(t, "\n");
}

static void add_option(Text *t, const OptionInfo *o)
{
    Text head = {.arena = t->arena};
    text_add(&head, "  --%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
    enum { INDENT = 28 };
    if (head.n < INDENT - 1)
        text_add(t, "%-*s", INDENT, text_string(&head));
    else
        text_add(t, "%s\n%*s", text_string(&head), INDENT, "");
    wrap(t, o->doc, INDENT, 96);
}

char *options_help(Arena *a)
{
    Text t = {.arena = a};
    text_add(&t, "weft: a compiler for neural networks\n\nusage: weft COMMAND [ARGUMENTS] "
                 "[OPTIONS]\n\n");
    for (int i = 0; i < NCOMMAND; i++)
        text_add(&t, "  %-10s %s\n", command_info[i].name, command_info[i].doc);
    text_add(&t, "\nweft help COMMAND explains a command and its options, weft help LSTM a "
                 "definition of the\nlibrary. Begin with: weft train models/digits_lstm.model\n");
    return text_string(&t);
}

char *options_command_help(Arena *a, Command c)
{
    Text t = {.arena = a};
    const CommandInfo *info = &command_info[c];
    text_add(&t, "usage: weft %s %s [OPTIONS]\n\n", info->name, info->arguments);
    wrap(&t, info->details, 0, 96);
    bool any = false;
    for (int i = 0; i < NOPTION; i++) {
        if (!(option_info[i].commands & 1u << c))
            continue;
        if (!any)
            text_add(&t, "\noptions:\n");
        any = true;
        add_option(&t, &option_info[i]);
    }
    return text_string(&t);
}

/* Text for troff: a dash is an ASCII dash, a dot at a line's start is no request. */
static void add_roff(Text *t, const char *s)
{
    if (*s == '.' || *s == '\'')
        text_add(t, "\\&");
    for (; *s; s++) {
        if (*s == '-')
            text_add(t, "\\-");
        else if (*s == '\\')
            text_add(t, "\\e");
        else
            text_add(t, "%c", *s);
    }
}

static void man_command(Text *t, Command c)
{
    const CommandInfo *info = &command_info[c];
    text_add(t, ".SS \"weft %s ", info->name);
    add_roff(t, info->arguments);
    text_add(t, "\"\n");
    add_roff(t, info->details);
    text_add(t, "\n");
    bool any = false;
    for (int i = 0; i < NOPTION; i++)
        if (option_info[i].commands & 1u << c) {
            text_add(t, any ? ", " : "Options: ");
            add_roff(t, "--");
            add_roff(t, option_info[i].name);
            any = true;
        }
    text_add(t, any ? ".\n" : "");
}

char *options_man(Arena *a, const char *version)
{
    Text t = {.arena = a};
    text_add(&t, ".TH WEFT 1 \"\" \"Weft %s\" \"User commands\"\n.SH NAME\nweft \\- a compiler and "
                 "runtime for neural networks\n.SH SYNOPSIS\n.B weft\n.I COMMAND\n[ARGUMENTS] "
                 "[OPTIONS]\n.SH DESCRIPTION\nA .model file describes a network, its loss, "
                 "optimizer, data and training. Weft compiles it\nto vector kernels and runs "
                 "it.\n.SH COMMANDS\n",
             version);
    for (int i = 0; i < NCOMMAND; i++)
        man_command(&t, (Command)i);
    text_add(&t, ".SH OPTIONS\n");
    for (int i = 0; i < NOPTION; i++) {
        text_add(&t, ".TP\n.B ");
        add_roff(&t, "--");
        add_roff(&t, option_info[i].name);
        if (option_info[i].argument) {
            text_add(&t, " \\fI");
            add_roff(&t, option_info[i].argument);
            text_add(&t, "\\fR");
        }
        text_add(&t, "\n");
        add_roff(&t, option_info[i].doc);
        text_add(&t, "\n");
    }
    text_add(&t, ".SH EXIT STATUS\n0 when all is well; 1 for a mistake in model, data or command "
                 "line or a failure of the system;\n2 for a limit of Weft.\n.SH ENVIRONMENT\n.TP\n"
                 ".B WEFT_DATA\nwhere relative data paths are looked up, after \\-\\-data\\-dir\n");
    return text_string(&t);
}
