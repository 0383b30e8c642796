/* The small commands: check, graph, fmt, help. */
#include "driver/job.h"

#include "driver/fused.h"
#include "driver/text.h"
#include "dataset.h"
#include "system.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const Span nowhere;

/* One argument: the model. */
static bool open_only(Job *j, bool facts_suffice)
{
    const Options *o = j->options;
    Dtype real;
    if (o->args.n != 1)
        return error_at(j->diag, nowhere, "weft %s takes one FILE.model, found %d arguments",
                        command_info[o->command].name, o->args.n);
    return job_dtype(j, o->args.at[0], &real) && job_open(j, o->args.at[0], real, facts_suffice);
}

/* ---- check ---- */

int command_check(Job *j)
{
    if (!open_only(j, true))
        return 1;
    if (j->unit->train && j->unit->data && !unit_forward(j->unit, FORWARD_train))
        return 1;
    if (j->json) {
        JsonField f[] = {json_field_text("model", j->unit->name), json_field_bool("ok", true)};
        json_line(stdout, "check", f, 2);
    } else if (diag_ok(j->diag)) {
        printf("%s: model %s is well formed\n", j->path, j->unit->name);
    }
    return 0;
}

/* ---- graph ---- */

static bool write_text(Job *j, const char *text)
{
    const char *out = j->options->value[OPT_out];
    Bytes part = {text, strlen(text)};
    if (out)
        return file_write(j->diag, nowhere, out, &part, 1);
    fputs(text, stdout);
    return fflush(stdout) == 0 ||
           error_at(j->diag, nowhere, "cannot write to stdout: %s", strerror(errno));
}

/* Pipes the text through `dot -Tsvg`, whose output goes to --out or stdout. */
static bool draw(Job *j, const char *dot)
{
    const char *out = j->options->value[OPT_out];
    if (system("command -v dot >/dev/null 2>&1") != 0)
        return error_at(j->diag, nowhere, "--svg needs the program dot (apt-get install graphviz); "
                        "--dot writes its input");
    if (out && !freopen(out, "w", stdout))
        return error_at(j->diag, nowhere, "cannot write %s: %s", out, strerror(errno));
    fflush(stdout);
    FILE *f = popen("exec dot -Tsvg", "w");
    if (!f)
        return error_at(j->diag, nowhere, "cannot start dot: %s", strerror(errno));
    fputs(dot, f);
    int status = pclose(f);
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           error_at(j->diag, nowhere, "dot failed");
}

int command_graph(Job *j)
{
    if (!open_only(j, true))
        return 1;
    bool backward = option_on(j->options, OPT_backward), stopped = false;
    if (backward && !j->unit->train) {
        error_at(j->diag, j->unit->span, "--backward: %s has no train block", j->path);
        return 1;
    }
    Graph *g = pipeline_run(j->unit, backward ? PIPELINE_step : PIPELINE_predict, &j->passes,
                            &stopped);
    if (!g)
        return stopped ? 0 : 1;
    bool svg = option_on(j->options, OPT_svg), dot = svg || option_on(j->options, OPT_dot);
    const char *text;
    if (option_on(j->options, OPT_fused)) {
        int64_t rows = backward ? j->unit->train->batch_size : 0;
        text = fused_text(j->arena, j->diag, j->unit->span, g, rows, dot);
        if (!text)
            return diag_exit_code(j->diag);
    } else {
        text = dot ? graph_dot(j->arena, g) : graph_text(j->arena, g);
    }
    return (svg ? draw(j, text) : write_text(j, text)) ? 0 : 1;
}

/* ---- fmt ---- */

/* Reads FILE, or stdin for "-". */
static char *read_source(Job *j, const char *path, size_t *size)
{
    enum { MOST = 16 << 20 };
    if (strcmp(path, "-") != 0)
        return file_read(j->arena, j->diag, nowhere, path, MOST, size);
    Text t = {.arena = j->arena};
    char buffer[4096];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer - 1, stdin)) > 0 && t.n < MOST) {
        buffer[n] = 0;
        if (strlen(buffer) != n) {
            error_at(j->diag, nowhere, "stdin holds a NUL byte: no .model text");
            return NULL;
        }
        text_add(&t, "%s", buffer);
    }
    *size = (size_t)t.n;
    return text_string(&t);
}

static bool format_file(Job *j, const char *path, int *changed)
{
    size_t size;
    char *text = read_source(j, path, &size);
    if (!text)
        return false;
    bool is_stdin = strcmp(path, "-") == 0;
    int32_t source = diag_source(j->diag, is_stdin ? "<stdin>" : path, text, size, false);
    char *neat = format_source(j->arena, j->diag, source);
    if (!neat)
        return false;
    bool same = strlen(neat) == size && memcmp(neat, text, size) == 0;
    *changed += !same;
    if (option_on(j->options, OPT_check)) {
        if (!same)
            printf("%s would change\n", is_stdin ? "stdin" : path);
        return true;
    }
    if (is_stdin) {
        fputs(neat, stdout);
        return true;
    }
    Bytes part = {neat, strlen(neat)};
    return same || file_write(j->diag, nowhere, path, &part, 1);
}

int command_fmt(Job *j)
{
    const Options *o = j->options;
    if (o->args.n == 0) {
        error_at(j->diag, nowhere, "weft fmt takes one or more files, or - for stdin");
        return 1;
    }
    int changed = 0;
    bool ok = true;
    for (int i = 0; i < o->args.n; i++)
        ok = format_file(j, o->args.at[i], &changed) && ok;
    return !ok || (changed && option_on(o, OPT_check)) ? 1 : 0;
}

/* ---- help ---- */

static void list_definitions(Job *j)
{
    static const char *const kinds[] = {"layer", "cell", "loss", "metric", "optimizer", "function"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const char *const *names;
        int n = definition_names(j->session, kinds[k], &names), column = 0;
        printf("%s%s\n", k ? "\n" : "", kinds[k]);
        for (int i = 0; i < n; i++) {
            int width = (int)strlen(names[i]) + 2;
            if (column + width > 90)
                column = 0, printf("\n");
            printf("%s%s", column ? "  " : "    ", names[i]);
            column += width;
        }
        printf("\n");
    }
    int n;
    const char *const *readers = dataset_readers(&n);
    printf("\ndata reader\n  ");
    for (int i = 0; i < n; i++)
        printf("  %s", readers[i]);
    printf("\n");
}

int command_help(Job *j)
{
    const Options *o = j->options;
    if (option_on(o, OPT_man)) {
        fputs(options_man(j->arena, weft_version), stdout);
        return 0;
    }
    if (o->args.n == 0 && !option_on(o, OPT_list)) {
        fputs(options_help(j->arena), stdout);
        return 0;
    }
    const char *word = o->args.n ? o->args.at[0] : "", *near = NULL;
    for (int i = 0; i < NCOMMAND; i++)
        if (strcmp(command_info[i].name, word) == 0) {
            fputs(options_command_help(j->arena, (Command)i), stdout);
            return 0;
        }
    j->session = session_new(j->arena, j->diag, DT_f32);
    if (option_on(o, OPT_list)) {
        list_definitions(j);
        return 0;
    }
    char *text = definition_help(j->session, j->arena, word, &near);
    if (!text)
        text = dataset_reader_help(j->arena, word);
    if (text) {
        fputs(text, stdout);
        if (text[0] && text[strlen(text) - 1] != '\n')
            putchar('\n');
        return 0;
    }
    int nreader, n = 0;
    const char *const *readers = dataset_readers(&nreader);
    const char **names = NEW_ARRAY(j->arena, const char *, NCOMMAND + nreader + 1);
    for (int i = 0; i < NCOMMAND; i++)
        names[n++] = command_info[i].name;
    for (int i = 0; i < nreader; i++)
        names[n++] = readers[i];
    names[n++] = near ? near : "help";
    near = nearest_name(word, names, n);
    error_at(j->diag, nowhere, "there is no command, definition or reader '%s'%s%s%s", word,
             near ? "; did you mean '" : "; weft help --list names them all", near ? near : "",
             near ? "'?" : "");
    return 1;
}
