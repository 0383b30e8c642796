/* weft predict --stream: a line of numbers on stdin is one time step, and is
 * answered before the next is read. An empty line begins a new sequence. */
#include "driver/predict.h"

#include "driver/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const Span nowhere;

#define SEPARATORS " \t\r\n,;|"

typedef struct { const Port *port; char *memory; int64_t elements; } Input;

typedef struct {
    Job *job;
    Engine *engine;
    Store *params, *states;
    Input *input;
    int ninput;
    int64_t values;      /* of all inputs: numbers in a line */
    Answer *answer;
    int nanswer;
    int64_t line, step;
    bool headed;         /* a line of names may still come */
} Reader;

/* ---- binding ---- */

static int axis_of_output(const Stream *s, const char *name)
{
    for (int i = 0; i < s->step->outputs.n; i++)
        if (s->step->outputs.at[i].role == ROLE_result &&
            strcmp(s->step->outputs.at[i].name, name) == 0)
            return s->output_axis[i];
    return -1;
}

static void bind_input(Reader *r, int port)
{
    const Port *p = engine_port(r->engine, port);
    Input in = {p, aligned_memory(r->job->arena, port_bytes(p, NULL)), port_elements(p, NULL)};
    engine_bind(r->engine, port, in.memory);
    r->values += in.elements;
    r->input[r->ninput++] = in;
}

/* An answer's shape is that of one step. */
static void bind_answer(Reader *r, int port)
{
    const Port *p = engine_port(r->engine, port);
    int axis = axis_of_output(r->job->passes.stream, p->name);
    Answer *a = &r->answer[r->nanswer++];
    *a = (Answer){.name = p->name, .dtype = p->dtype, .elements = port_elements(p, NULL),
                  .memory = aligned_memory(r->job->arena, port_bytes(p, NULL))};
    for (int k = 1; k < p->shape.rank; k++)
        if (k != axis)
            a->dim[a->rank++] = dim_value(p->shape.d[k], (const int64_t[SYM_MOST]){0});
    engine_bind(r->engine, port, a->memory);
}

static bool bind(Reader *r)
{
    Job *j = r->job;
    Scalars scalars = {0};
    int n = engine_nport(r->engine);
    r->input = NEW_ARRAY(j->arena, Input, n + 1);
    r->answer = NEW_ARRAY(j->arena, Answer, n + 1);
    r->states = NEW(j->arena, Store);
    r->states->arena = j->arena;
    store_add_states(r->states, r->engine, 1, NULL);
    store_bind(r->params, r->states, r->engine);
    scalars_bind(j->arena, &scalars, r->engine);
    for (int i = 0; i < n; i++)
        if (engine_port(r->engine, i)->role == ROLE_data)
            bind_input(r, i);
        else if (engine_port(r->engine, i)->role == ROLE_result)
            bind_answer(r, i);
    return engine_prepare(r->engine, 1, NULL, 1) ||
           error_at(j->diag, j->unit->span, "not enough memory to predict");
}

/* "image 28, t 1": what a line holds. */
static const char *line_text(const Reader *r)
{
    Text t = {.arena = r->job->arena};
    for (int i = 0; i < r->ninput; i++)
        text_add(&t, "%s%s %lld", i ? ", " : "", r->input[i].port->name,
                 (long long)r->input[i].elements);
    return text_string(&t);
}

/* ---- lines ---- */

static bool is_blank(const char *s)
{
    return s[strspn(s, " \t\r\n")] == 0;
}

/* The next number behind separators, and where it ends; null at the end or where none is. */
static char *next_number(char *s, double *v)
{
    char *end;
    s += strspn(s, SEPARATORS);
    *v = strtod(s, &end);
    return end == s || (*end && !strchr(SEPARATORS, *end)) ? NULL : end;
}

/* The numbers of a line to the inputs, one after the other. */
static bool take_line(Reader *r, char *line)
{
    Diag *d = r->job->diag;
    int64_t have = 0;
    char *s = line;
    double v;
    for (int i = 0; i < r->ninput; i++)
        for (int64_t e = 0; e < r->input[i].elements; e++, have++) {
            char *end = next_number(s, &v);
            const Port *p = r->input[i].port;
            if (!end && is_blank(s))
                return error_at(d, nowhere, "stdin, line %lld: %lld numbers, and a step has %lld "
                                "(%s)", (long long)r->line, (long long)have, (long long)r->values,
                                line_text(r));
            if (!end) {
                s += strspn(s, SEPARATORS);
                return error_at(d, nowhere, "stdin, line %lld: no number at '%.*s'",
                                (long long)r->line, (int)strcspn(s, SEPARATORS), s);
            }
            if (!isfinite(v) || !feed_value(r->input[i].memory, p->dtype, e, v))
                return error_at(d, nowhere, "stdin, line %lld: %g is no %s as the input %s wants "
                                "it", (long long)r->line, v, dtype_name(p->dtype), p->name);
            s = end;
        }
    if (!next_number(s, &v) && is_blank(s + strspn(s, ",;|")))
        return true;
    return error_at(d, nowhere, "stdin, line %lld: more than the %lld numbers of a step (%s)",
                    (long long)r->line, (long long)r->values, line_text(r));
}

static void begin(Reader *r)
{
    store_begin_streams(r->states, r->params, r->job->passes.stream->reset, 1);
    r->step = 0;
}

/* False at a mistake, when nobody is there to correct it. */
static bool answer_line(Reader *r, char *line)
{
    double v;
    bool names = r->headed && !next_number(line, &v);
    r->line++;
    if (is_blank(line)) {
        begin(r);
        return true;
    }
    r->headed = false;
    if (names)
        return true;
    if (!take_line(r, line)) {
        if (!isatty(STDIN_FILENO))
            return false;
        diag_print(r->job->diag, stderr);
        return true;
    }
    engine_run(r->engine, 1, NULL);
    answers_step(r->job, r->answer, r->nanswer, ++r->step);
    return !ferror(stdout);
}

bool predict_stream(Job *j, Store *store, bool *stopped)
{
    Pipeline which = j->unit->data ? PIPELINE_serve : PIPELINE_predict;
    Reader r = {.job = j, .params = store, .headed = true};
    LIST(char) line = {0};
    if (j->options->value[OPT_out])
        return error_at(j->diag, nowhere, "--stream writes to stdout; --out is not for it");
    r.engine = job_engine(j, which, stopped);
    if (!r.engine || !bind(&r)) {
        engine_free(r.engine);
        return false;
    }
    if (!j->quiet && !j->json)
        fprintf(stderr, "a line of numbers is a step (%s), an empty line begins anew%s\n",
                line_text(&r), which == PIPELINE_serve ? "; the transforms of its data block are "
                                                         "applied" : "");
    begin(&r);
    answers_begin(j, r.answer, r.nanswer);
    bool ok = true;
    for (int c = getchar(); ok && c != EOF; c = c == EOF ? EOF : getchar()) {
        for (line.n = 0; c != EOF && c != '\n'; c = getchar())
            list_push(j->arena, &line, (char)c);
        list_push(j->arena, &line, (char)0);
        ok = answer_line(&r, line.at);
    }
    engine_free(r.engine);
    return ok;
}
