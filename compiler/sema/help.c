/* `weft help NAME`: a definition as the prelude writes it, and lists of names. */
#include "train.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Where the definition's text ends: after its closing brace, or its line. */
static const char *text_end(const char *p)
{
    int depth = 0;
    char quote = 0;
    for (; *p; p++) {
        if (quote) {
            quote = *p == quote || *p == '\n' ? 0 : quote;
        } else if (*p == '"' || *p == '\'') {
            quote = *p;
        } else if (*p == '#') {
            p += strcspn(p, "\n") - 1;
        } else if (strchr("{[(", *p)) {
            depth++;
        } else if (strchr("}])", *p) && --depth == 0 && *p == '}') {
            return p + 1;
        } else if (*p == '\n' && depth == 0) {
            const char *next = p + strspn(p, " \t\n");
            if (*next != '{')
                return p;
        }
    }
    return p;
}

/* What a definition of its kind takes beside its own arguments. */
static const char *further_arguments(DefKind k)
{
    switch (k) {
    case DEF_cell:
        return "also takes: return_sequences=false, return_state=false, go_backwards=false, "
               "stateful=false, name, trainable=true\n";
    case DEF_layer: return "also takes: name, trainable=true\n";
    case DEF_optimizer:
        return "also takes: weight_decay, clipnorm, global_clipnorm, clipvalue, use_ema=false, "
               "ema_momentum=0.99, ema_overwrite_frequency, gradient_accumulation_steps\n";
    default: return "";
    }
}

/* Categories of functions, by the prelude's files. */
static const struct { const char *kind, *file; } categories[] = {
    {"activation", "activations"},     {"initializer", "initializers"},
    {"regularizer", "regularizers"},   {"constraint", "constraints"},
    {"schedule", "schedules"},         {"transform", "transforms"},
};

static const char *kind_of(const Definition *d)
{
    for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
        if (d->category && strcmp(d->category, categories[i].file) == 0)
            return categories[i].kind;
    return def_kind_name(d->kind);
}

static char *definition_text(Session *s, Arena *a, const Definition *d)
{
    const Source *src = &s->diag->sources.at[d->stmt->span.file - 1];
    const char *from = src->text + d->stmt->span.lo, *end = text_end(from);
    char *doc = arena_strdup(a, "");
    if (d->stmt->doc)
        for (const char *p = d->stmt->doc; *p;) {
            size_t n = strcspn(p, "\n");
            doc = arena_printf(a, "%s%.*s\n", doc, (int)n, p);
            p += n + (p[n] == '\n');
        }
    const char *more = further_arguments(d->kind);
    return arena_printf(a, "%s (%s)\n\n%s%s%.*s\n%s%s", d->name, kind_of(d), doc,
                        *doc ? "\n" : "", (int)(end - from), from, *more ? "\n" : "", more);
}

char *definition_help(Session *s, Arena *a, const char *name, const char **nearest)
{
    const Definitions *prelude = prelude_definitions(s);
    char *all = NULL;
    *nearest = NULL;
    for (int k = 0; k < NDEF; k++) {
        const Definition *d = definition_find(prelude, name, 1u << k);
        if (d && d->stmt->span.file) {
            char *text = definition_text(s, a, d);
            all = all ? arena_printf(a, "%s\n%s", all, text) : text;
        }
    }
    if (!all)
        *nearest = definition_nearest(prelude, name, 0);
    return all;
}

static int by_name(const void *p, const void *q)
{
    const char *a = *(const char *const *)p, *b = *(const char *const *)q;
    int c = strcasecmp(a, b);
    return c ? c : strcmp(a, b);
}

int definition_names(Session *s, const char *kind, const char *const **names)
{
    const Definitions *d = prelude_definitions(s);
    const char **all = NEW_ARRAY(s->arena, const char *, d->at.n + 1);
    int n = 0, k = 0;
    for (int i = 0; i < d->at.n; i++) {
        const Definition *f = d->at.at[i];
        bool hidden = f->name[0] == '_';
        if (!hidden && (!kind || !strcmp(kind, kind_of(f)) ||
                        !strcmp(kind, def_kind_name(f->kind))))
            all[n++] = f->name;
    }
    qsort(all, (size_t)n, sizeof *all, by_name);
    for (int i = 0; i < n; i++)
        if (!i || strcmp(all[i], all[i - 1]))
            all[k++] = all[i];
    *names = all;
    return k;
}
