/* --set path=value, and the file as a run keeps it.
 *
 * A setting replaces the expression written at its path (`width`,
 * `train.epochs`, `train.optimizer.learning_rate`). Each use notes where, so
 * that unit_resolved can write the value into the text itself.
 */
#include "train.h"

#include <string.h>

TrainState *train_state(UnitState *st)
{
    if (!st->training)
        st->training = NEW(st->a, TrainState);
    return st->training;
}

static const Setting *setting_find(const Session *s, const char *path)
{
    const Setting *found = NULL; /* the last one counts, as on every command line */
    for (int i = 0; i < s->settings.n; i++)
        if (strcmp(s->settings.at[i].path, path) == 0)
            found = &s->settings.at[i];
    return found;
}

static const Expr *setting_parse(Expander *x, const Setting *set)
{
    TrainState *t = train_state(x->state);
    for (int i = 0; i < t->parsed.n; i++)
        if (strcmp(t->parsed.at[i].path, set->path) == 0)
            return t->parsed.at[i].value;
    const char *name = arena_printf(x->state->a, "--set %s", set->path);
    int32_t source = diag_source(x->d, name, set->value, strlen(set->value), false);
    const Expr *e = parse_expression(x->state->a, x->d, source);
    ParsedSetting p = {set->path, e};
    list_push(x->state->a, &t->parsed, p);
    return e;
}

static bool listed(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

const Expr *setting(Expander *x, const char *path, const Expr *other)
{
    UnitState *st = x->state;
    if (!st)
        return other;
    if (!listed(st->setting_paths.at, st->setting_paths.n, path)) {
        const char *copy = arena_strdup(st->a, path);
        list_push(st->a, &st->setting_paths, copy);
    }
    const Setting *set = setting_find(x->session, path);
    if (!set)
        return other;
    const Expr *e = setting_parse(x, set);
    if (listed(st->settings_used.at, st->settings_used.n, set->path))
        return e ? e : other;
    list_push(st->a, &st->settings_used, set->path);
    if (other && other->span.file) {
        Edit edit = {other->span, set->value};
        list_push(st->a, &train_state(st)->edits, edit);
    }
    return e ? e : other;
}

static const Expr *written_arg(const Expr *call, const char *name, int index)
{
    for (int i = 0, positional = 0; call && call->kind == EX_call && i < call->args.n; i++) {
        const Arg *arg = &call->args.at[i];
        if (arg->name ? !strcmp(arg->name, name) : positional++ == index && index >= 0)
            return arg->value;
    }
    return NULL;
}

/* `name=value` as one more argument of the call in the resolved file. */
static void edit_argument(TrainState *t, Arena *a, const Expr *call, const char *name,
                          const char *value)
{
    bool bare = call->kind != EX_call;
    Span at = call->span;
    at.lo = bare ? at.hi : at.hi - 1;
    at.hi = at.lo;
    for (int i = 0; i < t->edits.n; i++) {
        Edit *e = &t->edits.at[i];
        if (e->at.file != at.file || e->at.lo != at.lo)
            continue;
        int n = (int)strlen(e->text) - bare;
        e->text = arena_printf(a, "%.*s, %s=%s%s", n, e->text, name, value, bare ? ")" : "");
        return;
    }
    const char *before = bare ? "(" : call->args.n ? ", " : "";
    Edit e = {at, arena_printf(a, "%s%s=%s%s", before, name, value, bare ? ")" : "")};
    list_push(a, &t->edits, e);
}

const Expr *setting_arg(Expander *x, const char *path, const Expr *call, const char *name,
                        int index)
{
    if (!x->state)
        return NULL;
    const Expr *other = written_arg(call, name, index);
    bool first = !listed(x->state->settings_used.at, x->state->settings_used.n, path);
    const Expr *e = setting(x, path, other);
    if (e == other)
        return NULL;
    bool edits = first && !other && call && call->span.file;
    if (edits && (call->kind == EX_call || call->kind == EX_name))
        edit_argument(train_state(x->state), x->state->a, call, name,
                      setting_find(x->session, path)->value);
    return e;
}

/* ---- the resolved file ---- */

typedef struct { char *at; size_t n, cap; Arena *arena; } Text;

static void text_add(Text *t, const char *s, size_t n)
{
    if (t->n + n + 1 > t->cap) {
        size_t cap = 2 * (t->n + n + 1);
        t->at = arena_grow(t->arena, t->at, t->n, cap);
        t->cap = cap;
    }
    memcpy(t->at + t->n, s, n);
    t->n += n;
    t->at[t->n] = 0;
}

static int source_of_import(const Diag *d, const char *text)
{
    size_t n = strlen(text);
    for (int i = 0; i < d->sources.n; i++) {
        const char *name = d->sources.at[i].name;
        size_t m = strlen(name);
        bool ends = m >= n && strcmp(name + m - n, text) == 0;
        if (ends && !d->sources.at[i].is_prelude && (m == n || name[m - n - 1] == '/'))
            return i;
    }
    return -1;
}

/* Line for line: an import line becomes the file it names, once. */
static void text_import(Text *t, const Diag *d, int source, bool *seen)
{
    const char *line = d->sources.at[source].text;
    seen[source] = true;
    while (*line) {
        size_t n = strcspn(line, "\n");
        const char *p = line + strspn(line, " \t");
        char name[512];
        int inner = -1;
        if (strncmp(p, "import", 6) == 0 && sscanf(p + 6, " \"%511[^\"\n]\"", name) == 1)
            inner = source_of_import(d, name);
        if (inner < 0)
            text_add(t, line, n);
        else if (!seen[inner])
            text_import(t, d, inner, seen);
        text_add(t, "\n", 1);
        line += n + (line[n] == '\n');
    }
}

/* Settings of attributes that the train block does not write: new lines at its end. */
static void add_missing(Unit *u, Text *t)
{
    UnitState *st = u->state;
    for (int i = 0; i < st->settings_used.n; i++) {
        const char *path = st->settings_used.at[i];
        if (strncmp(path, "train.", 6) != 0 || strchr(path + 6, '.'))
            continue;
        bool known = false;
        const TrainState *tr = train_state(st);
        const Setting *set = setting_find(u->session, path);
        for (int k = 0; k < tr->edits.n; k++)
            known |= tr->edits.at[k].text == set->value;
        if (!known) {
            char *line = arena_printf(t->arena, "    %s = %s\n", path + 6, set->value);
            text_add(t, line, strlen(line));
        }
    }
}

/* Where the train block's closing brace is; 0: not in this file. */
static size_t train_close(const UnitState *st, const Source *src, int32_t file)
{
    if (!st->train || st->train->span.file != file || st->train->body.n == 0)
        return 0;
    size_t at = st->train->body.at[st->train->body.n - 1]->span.hi;
    while (at < src->size && src->text[at] != '}')
        at += src->text[at] == '#' ? strcspn(src->text + at, "\n") : 1;
    return at < src->size ? at : 0;
}

static const Edit *edit_at(const TrainState *t, int32_t file, size_t at)
{
    for (int i = 0; i < t->edits.n; i++)
        if (t->edits.at[i].at.file == file && t->edits.at[i].at.lo == at)
            return &t->edits.at[i];
    return NULL;
}

/* The source's text with the settings that changed it written in. */
static const char *edited_text(Unit *u, Arena *a, int32_t file)
{
    const Source *src = &u->session->diag->sources.at[file - 1];
    Text out = {.arena = a};
    size_t close = train_close(u->state, src, file);
    text_add(&out, "", 0);
    for (size_t i = 0; i < src->size;) {
        const Edit *edit = edit_at(train_state(u->state), file, i);
        if (edit)
            text_add(&out, edit->text, strlen(edit->text));
        if (edit && edit->at.hi > i) {
            i = edit->at.hi;
            continue;
        }
        if (close && i == close)
            add_missing(u, &out);
        text_add(&out, src->text + i++, 1);
    }
    return out.at;
}

char *unit_resolved(Unit *u, Arena *a)
{
    const Diag *d = u->session->diag;
    int32_t file = u->span.file;
    if (file <= 0 || file > d->sources.n)
        return arena_strdup(a, "");
    Diag view = *d;
    Source *sources = NEW_ARRAY(a, Source, d->sources.n);
    memcpy(sources, d->sources.at, sizeof *sources * (size_t)d->sources.n);
    view.sources.at = sources;
    for (int i = 0; i < d->sources.n; i++)
        if (!sources[i].is_prelude)
            sources[i].text = edited_text(u, a, i + 1);
    Text out = {.arena = a};
    text_add(&out, "", 0);
    text_import(&out, &view, file - 1, NEW_ARRAY(a, bool, d->sources.n));
    return out.at;
}
