/* Definitions: what a file, its imports and the prelude define, found by name. */
#include "sema/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

extern const char *const prelude_files[][2];

static const struct {
    const char *word;
    DefKind kind;
} def_words[] = {
    {"function", DEF_function},   {"layer", DEF_layer},   {"cell", DEF_cell},   {"loss", DEF_loss},
    {"optimizer", DEF_optimizer}, {"metric", DEF_metric}, {"model", DEF_model},
};

const char *def_kind_name(DefKind k)
{
    for (size_t i = 0; i < sizeof def_words / sizeof *def_words; i++)
        if (def_words[i].kind == k)
            return def_words[i].word;
    return "definition";
}

/* Keras spellings that are more than another case of the same words. */
static const struct {
    const char *from, *to;
} aliases[] = {
    {"swish", "silu"},
    {"hard_swish", "hard_silu"},
    {"mse", "mean_squared_error"},
    {"MSE", "mean_squared_error"},
    {"mae", "mean_absolute_error"},
    {"MAE", "mean_absolute_error"},
    {"mape", "mean_absolute_percentage_error"},
    {"MAPE", "mean_absolute_percentage_error"},
    {"msle", "mean_squared_logarithmic_error"},
    {"MSLE", "mean_squared_logarithmic_error"},
    {"bce", "binary_crossentropy"},
    {"BCE", "binary_crossentropy"},
    {"kld", "kl_divergence"},
    {"KLD", "kl_divergence"},
    {"kullback_leibler_divergence", "kl_divergence"},
    {"KLDivergence", "kl_divergence"},
    {"logcosh", "log_cosh"},
    {"acc", "accuracy"},
    {"huber_loss", "huber"},
    {"rmse", "root_mean_squared_error"},
    {"RMSE", "root_mean_squared_error"},
    {"sgd", "SGD"},
    {"adam", "Adam"},
    {"adamw", "AdamW"},
    {"adagrad", "Adagrad"},
    {"adadelta", "Adadelta"},
    {"adamax", "Adamax"},
    {"nadam", "Nadam"},
    {"rmsprop", "RMSprop"},
    {"lion", "Lion"},
    {"lamb", "Lamb"},
    {"ftrl", "Ftrl"},
    {"RMSProp", "RMSprop"},
    {"l1", "L1"},
    {"l2", "L2"},
    {"l1_l2", "L1L2"},
    {"l1l2", "L1L2"},
    {"max_norm", "MaxNorm"},
    {"non_neg", "NonNeg"},
    {"unit_norm", "UnitNorm"},
    {"min_max_norm", "MinMaxNorm"},
    {"zero", "zeros"},
    {"one", "ones"},
    {"IdentityInitializer", "identity"},
    {"OrthogonalInitializer", "orthogonal"},
    {"LSTMCell", "LSTM"},
    {"GRUCell", "GRU"},
    {"SimpleRNNCell", "SimpleRNN"},
    {"GlobalAvgPool1D", "GlobalAveragePooling1D"},
    {"GlobalAvgPool2D", "GlobalAveragePooling2D"},
    {"GlobalMaxPool2D", "GlobalMaxPooling2D"},
    {"MaxPool1D", "MaxPooling1D"},
    {"MaxPool2D", "MaxPooling2D"},
    {"AvgPool1D", "AveragePooling1D"},
    {"AvgPool2D", "AveragePooling2D"},
    {"Convolution1D", "Conv1D"},
    {"Convolution2D", "Conv2D"},
    {"DepthwiseConvolution2D", "DepthwiseConv2D"},
    {"SeparableConvolution2D", "SeparableConv2D"},
    {"GlobalMaxPool1D", "GlobalMaxPooling1D"},
};

const char *alias_of(const char *name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (!strcmp(aliases[i].from, name))
            return aliases[i].to;
    return NULL;
}

/* Keras's rule: a capital starts a word where a small letter follows it or
 * stands before it. */
char *snake_case(Arena *a, const char *name)
{
    size_t n = strlen(name), k = 0;
    char *out = arena_alloc(a, 2 * n + 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i], p = i ? (unsigned char)name[i - 1] : 0;
        bool starts =
            isupper(c) && i && p != '_' && (islower(p) || islower((unsigned char)name[i + 1]));
        if (starts)
            out[k++] = '_';
        out[k++] = (char)tolower(c);
    }
    return out;
}

static Definition *seek(const Definitions *d, const char *name, unsigned kinds)
{
    for (; d; d = d->outer)
        for (int i = 0; i < d->at.n; i++) {
            Definition *f = d->at.at[i];
            if ((!kinds || kinds & 1u << f->kind) && !strcmp(f->name, name))
                return f;
        }
    return NULL;
}

static bool body_has_inputs(const Stmt *s)
{
    for (int i = 0; i < s->body.n; i++)
        if (s->body.at[i]->kind == ST_decl && !strcmp(s->body.at[i]->word, "input"))
            return true;
    return false;
}

static void set_statement(Session *s, Definition *f, const Stmt *stmt)
{
    f->stmt = stmt;
    f->has_inputs = body_has_inputs(stmt);
    if (f->kind == DEF_optimizer)
        optimizer_prepare(s, f);
}

/* A model needs few of the prelude's definitions: what is never looked up is never parsed. */
static const Definition *find_exact(const Definitions *d, const char *name, unsigned kinds)
{
    Definition *f = seek(d, name, kinds);
    if (f && !f->stmt) {
        Session *s = f->defs->session;
        const File *file = parse_part(s->arena, s->diag, f->text);
        if (file->items.n != 1 || file->items.at[0]->kind != ST_def)
            bug("prelude: the text of %s is not one definition", name);
        set_statement(s, f, file->items.at[0]);
    }
    return f;
}

const Definition *definition_find(const Definitions *d, const char *name, unsigned kinds)
{
    const Definition *f = find_exact(d, name, kinds);
    const char *alias = f ? NULL : alias_of(name);
    if (alias)
        f = find_exact(d, alias, kinds);
    if (!f && strlen(name) < 200) {
        Arena *scratch = arena_new();
        const char *snake = snake_case(scratch, name);
        if (strcmp(snake, name)) {
            f = find_exact(d, snake, kinds);
            if (!f && (alias = alias_of(snake)))
                f = find_exact(d, alias, kinds);
        }
        arena_free(scratch);
    }
    return f;
}

const char *definition_nearest(const Definitions *d, const char *name, unsigned kinds)
{
    Arena *scratch = arena_new();
    const Definitions *first = d;
    LIST(const char *) all = {0};
    for (; d; d = d->outer)
        for (int i = 0; i < d->at.n; i++)
            if (!kinds || kinds & 1u << d->at.at[i]->kind)
                list_push(scratch, &all, d->at.at[i]->name);
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (seek(first, aliases[i].to, kinds))
            list_push(scratch, &all, aliases[i].from);
    const char *near = nearest_name(name, all.at, all.n);
    arena_free(scratch);
    return near;
}

/* ---- collecting ---- */

/* A definition of the same name and kind, other than by the prelude. */
static const Definition *defined_here(const Definitions *d, const char *name, DefKind kind)
{
    for (int i = 0; i < d->at.n; i++)
        if (d->at.at[i]->kind == kind && !strcmp(d->at.at[i]->name, name))
            return d->at.at[i];
    return NULL;
}

static Definition *add(Definitions *d, const char *name, DefKind kind, const char *category)
{
    Arena *a = d->session->arena;
    Definition *f = NEW(a, Definition);
    *f = (Definition){.name = name, .kind = kind, .defs = d, .is_prelude = category[0] != 0,
                      .category = category};
    list_push(a, &d->at, f);
    return f;
}

/* The kind that n characters name; false: none. */
static bool read_kind(const char *word, size_t n, DefKind *kind)
{
    for (size_t i = 0; i < sizeof def_words / sizeof *def_words; i++)
        if (strlen(def_words[i].word) == n && !strncmp(def_words[i].word, word, n)) {
            *kind = def_words[i].kind;
            return true;
        }
    return false;
}

static void add_definition(Session *s, Definitions *d, const Stmt *stmt)
{
    DefKind kind;
    if (!read_kind(stmt->word, strlen(stmt->word), &kind)) {
        error_at(s->diag, stmt->span, "nothing can be defined by the word '%s'", stmt->word);
        return;
    }
    const Definition *twice = defined_here(d, stmt->name, kind);
    if (twice) {
        error_at(s->diag, stmt->name_span, "%s '%s' is defined twice", stmt->word, stmt->name);
        note_at(s->diag, twice->stmt->name_span, "it is defined here already");
        return;
    }
    set_statement(s, add(d, stmt->name, kind, ""), stmt);
}

/* The file named in an import, beside the importing file. */
static char *import_path(Arena *a, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    if (name[0] == '/' || !slash)
        return arena_strdup(a, name);
    return arena_printf(a, "%.*s/%s", (int)(slash - path), path, name);
}

enum { IMPORTS_MOST = 64 };

typedef struct {
    Session *s;
    LIST(const char *) paths;
} Imports;

static void collect(Imports *im, Definitions *d, const File *f, const char *path, bool main_file);

static void import_file(Imports *im, Definitions *d, const Stmt *stmt, const char *from)
{
    Session *s = im->s;
    const char *path = import_path(s->arena, from, stmt->text);
    for (int i = 0; i < im->paths.n; i++)
        if (!strcmp(im->paths.at[i], path))
            return; /* twice, or in a circle: once is enough */
    if (im->paths.n >= IMPORTS_MOST) {
        unsupported_at(s->diag, stmt->span, "more than %d imported files", IMPORTS_MOST);
        return;
    }
    list_push(s->arena, &im->paths, path);
    size_t size;
    const char *why = NULL;
    char *text = read_text(s->arena, path, &size, &why);
    if (!text) {
        error_at(s->diag, stmt->span, "cannot read '%s': %s", path, why);
        return;
    }
    int32_t source = diag_source(s->diag, path, text, size, false);
    collect(im, d, parse_source(s->arena, s->diag, source), path, false);
}

static void collect(Imports *im, Definitions *d, const File *f, const char *path, bool main_file)
{
    Session *s = im->s;
    for (int i = 0; i < f->items.n; i++) {
        const Stmt *stmt = f->items.at[i];
        switch (stmt->kind) {
        case ST_error:
            break;
        case ST_import:
            import_file(im, d, stmt, path);
            break;
        case ST_def:
            add_definition(s, d, stmt);
            break;
        case ST_let:
            list_push(s->arena, &d->lets, stmt);
            break;
        case ST_block:
            if (main_file)
                list_push(s->arena, &d->blocks, stmt);
            break;
        default:
            error_at(s->diag, stmt->span,
                     "this stands outside of every block; "
                     "a file holds definitions, let, import, data, model and train");
        }
    }
}

Definitions *definitions_new(Session *s, Definitions *outer, const File *f, const char *path)
{
    Definitions *d = NEW(s->arena, Definitions);
    d->session = s;
    d->outer = outer;
    Imports im = {s, {0}};
    list_push(s->arena, &im.paths, path);
    collect(&im, d, f, path, true);
    return d;
}

/* A line that begins with a word begins a definition, and each goes on to the next. */
static void scan_prelude(Session *s, Definitions *d, int32_t source, const char *category)
{
    const char *text = s->diag->sources.at[source - 1].text;
    Definition *last = NULL;
    for (const char *p = text, *end; *p; p = end + (*end != 0)) {
        end = p + strcspn(p, "\n");
        DefKind kind;
        size_t word = strspn(p, "abcdefghijklmnopqrstuvwxyz");
        if (!word)
            continue;
        if (!read_kind(p, word, &kind))
            bug("prelude/%s: no definition begins with '%.*s'", category, (int)word, p);
        const char *name = p + word + strspn(p + word, " ");
        size_t n = strcspn(name, "(= {");
        if (last)
            last->text.hi = (uint32_t)(p - text);
        last = add(d, arena_strndup(s->arena, name, n), kind, category);
        last->text = (Span){source, (uint32_t)(p - text), (uint32_t)strlen(text)};
    }
}

Definitions *prelude_definitions(Session *s)
{
    if (s->prelude)
        return s->prelude;
    Definitions *d = s->prelude = NEW(s->arena, Definitions);
    d->session = s;
    for (int i = 0; prelude_files[i][0]; i++) {
        const char *name = prelude_files[i][0], *text = prelude_files[i][1];
        const char *dot = strchr(name, '.');
        char *stem = arena_strndup(s->arena, name, dot ? (size_t)(dot - name) : strlen(name));
        int32_t source = diag_source(s->diag, arena_printf(s->arena, "prelude/%s", name), text,
                                     strlen(text), true);
        scan_prelude(s, d, source, stem);
    }
    return d;
}

/* ---- files ---- */

char *read_text(Arena *a, const char *path, size_t *size, const char **why)
{
    enum { FILE_MOST = 16 << 20 };
    FILE *f = fopen(path, "rb");
    if (!f) {
        *why = "there is no such file, or it may not be read";
        return NULL;
    }
    char *text = NULL;
    size_t n = 0, cap = 0;
    for (;;) {
        if (cap - n < 4096) {
            char *more = arena_alloc(a, cap ? 2 * cap : 16384);
            if (n)
                memcpy(more, text, n);
            cap = cap ? 2 * cap : 16384;
            text = more;
        }
        size_t got = fread(text + n, 1, cap - n - 1, f);
        n += got;
        if (!got || n > FILE_MOST)
            break;
    }
    bool bad = ferror(f) || n > FILE_MOST;
    *why = n > FILE_MOST ? "it is larger than 16 MiB" : "it could not be read (a folder?)";
    fclose(f);
    if (bad)
        return NULL;
    text[n] = 0;
    *size = n;
    return text;
}
