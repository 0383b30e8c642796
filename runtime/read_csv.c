/* csv(path, target=, columns=, header=, separator=, missing=, test=).
 *
 * The text is gone through twice: first to learn of each column whether it holds numbers or
 * texts (what most of its cells are), then to fill the fields. Numeric columns are f32 and
 * together make the field `features`; text columns become classes, numbered in the order of
 * their sorted texts; a target of whole numbers is i32. In a file without a header the columns
 * are x1, x2, ... and the target is `label`. All of it must be read to know the fields, so that
 * what was read is kept whole (decoded.c).
 */
#include "csv.h"
#include "reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAMED_MOST = 100 }; /* wider files: features and target alone */

typedef struct {
    const char *name;         /* of the field */
    const char *title;        /* as in the file */
    int64_t nnumber, ntext, nmissing;
    int64_t text_line, missing_line;
    Cell text_cell;           /* the first that is no number */
    bool is_text, is_whole;
    double sum;
    int nclass;
    const char **classes;
    void *data[2];
} Column;

typedef enum { MISSING_error, MISSING_zero, MISSING_mean } Missing;

/* ---- the file's form ---- */

static bool table_open(Opening *o, Arena *scratch, const DataArg *arg, const char *path, Table *t)
{
    size_t size;
    t->at = arg && arg->span.file ? arg->span : o->at;
    t->path = path;
    t->text = file_read(scratch, o->d, t->at, t->path, (size_t)1 << 36, &size);
    if (!t->text)
        return false;
    t->end = t->text + size;
    if (size >= 3 && !memcmp(t->text, "\xEF\xBB\xBF", 3))
        t->text += 3;
    if (memchr(t->text, 0, (size_t)(t->end - t->text)))
        return error_at(o->d, t->at, "'%s' is no CSV file: it holds bytes that are no text",
                        t->path);
    return true;
}

/* Reads the separator, the columns' number and whether there is a header. */
static bool table_form(Opening *o, Table *t, const Table *like)
{
    const DataArg *separator = o->bound[4], *header = o->bound[3];
    if (separator && (strlen(separator->text) != 1 || strchr("\"\r\n", separator->text[0])))
        return error_at(o->d, t->at, "separator '%s' is not a single character", separator->text);
    t->separator = separator ? separator->text[0] : like ? like->separator : csv_separator(t);
    Cursor c = {t, t->text, 1, 1};
    t->ncol = csv_row(&c, NULL, 0);
    if (t->ncol == 0)
        return error_at(o->d, t->at, "'%s' is empty", t->path);
    if (t->ncol < 0)
        return error_at(o->d, t->at, "'%s' has a quote on line 1 that does not end", t->path);
    if (t->ncol > CSV_COLUMNS_MOST)
        return unsupported_at(o->d, t->at, "'%s' has more than %d columns", t->path,
                              CSV_COLUMNS_MOST);
    if (like && like->ncol != t->ncol)
        return error_at(o->d, t->at, "'%s' has %d columns, and '%s' has %d", like->path, like->ncol,
                        t->path, t->ncol);
    if (header && header->kind == DATA_text && strcmp(header->text, "auto"))
        return error_at(o->d, header->span.file ? header->span : o->at,
                        "header is '%s', and true, false or auto is needed", header->text);
    t->has_header = header && header->kind == DATA_bool ? header->number != 0 : true;
    if (header && header->kind == DATA_bool)
        return true;
    /* auto: a first line with a number in it is no header */
    Arena *scratch = arena_new();
    Cell *cells = NEW_ARRAY(scratch, Cell, t->ncol);
    double v;
    c = (Cursor){t, t->text, 1, 1};
    csv_row(&c, cells, t->ncol);
    for (int i = 0; i < t->ncol; i++)
        t->has_header &= !csv_number(&cells[i], &v);
    arena_free(scratch);
    return true;
}

/* Goes over the data rows; false after a report. Each row has ncol cells. */
static bool table_row(Opening *o, Cursor *c, Cell *cells, bool *more)
{
    int n = csv_row(c, cells, c->t->ncol);
    *more = n != 0;
    if (n < 0)
        return error_at(o->d, c->t->at, "'%s' line %lld: a quote does not end", c->t->path,
                        (long long)c->begin);
    if (n && n != c->t->ncol)
        return error_at(o->d, c->t->at, "'%s' line %lld has %d cells, and the first line has %d",
                        c->t->path, (long long)c->begin, n, c->t->ncol);
    return true;
}

static Cursor table_begin(const Table *t, Cell *cells)
{
    Cursor c = {t, t->text, 1, 1};
    if (t->has_header)
        csv_row(&c, cells, t->ncol);
    return c;
}

/* ---- columns ---- */

static void name_columns(Opening *o, const Table *t, Column *col, int target)
{
    Arena *scratch = arena_new();
    Cell *cells = NEW_ARRAY(scratch, Cell, t->ncol);
    table_begin(t, cells);
    for (int i = 0; i < t->ncol; i++) {
        char *title = t->has_header ? csv_text(o->a, &cells[i])
                                    : arena_printf(o->a, "x%d", i + 1);
        col[i].title = title;
        col[i].name = t->has_header ? identifier(o->a, title, strlen(title))
                      : i == target ? "label"
                                    : title;
    }
    arena_free(scratch);
}

static int find_column(const Table *t, const Column *col, const char *name)
{
    for (int i = 0; i < t->ncol; i++)
        if (!strcmp(col[i].title, name) || !strcmp(col[i].name, name))
            return i;
    return -1;
}

static bool no_column(Opening *o, const Table *t, const Column *col, Span at, const char *name)
{
    const char **names = NEW_ARRAY(o->d->arena, const char *, t->ncol);
    for (int i = 0; i < t->ncol; i++)
        names[i] = col[i].title;
    const char *near = nearest_name(name, names, t->ncol);
    return near ? error_at(o->d, at, "'%s' has no column '%s'; did you mean '%s'?", t->path, name,
                           near)
                : error_at(o->d, at, "'%s' has no column '%s' among its %d", t->path, name,
                           t->ncol);
}

/* First pass. */
static bool survey(Opening *o, Table *t, Column *col, Cell *cells)
{
    Cursor c = table_begin(t, cells);
    for (bool more;; t->nrow++) {
        if (!table_row(o, &c, cells, &more))
            return false;
        if (!more)
            break;
        for (int i = 0; i < t->ncol; i++) {
            double v;
            Column *k = &col[i];
            if (csv_missing(&cells[i])) {
                if (!k->nmissing++)
                    k->missing_line = c.begin;
            } else if (csv_number(&cells[i], &v)) {
                if (!k->nnumber++)
                    k->is_whole = true;
                k->is_whole &= v == floor(v) && fabs(v) <= 2147483647;
                k->sum += v;
            } else if (!k->ntext++) {
                k->text_line = c.begin;
                k->text_cell = cells[i];
            }
        }
    }
    for (int i = 0; i < t->ncol; i++)
        col[i].is_text = col[i].ntext > col[i].nnumber;
    return t->nrow > 0 || error_at(o->d, t->at, "'%s' is empty: it has no line of data", t->path);
}

static bool check_column(Opening *o, const Table *t, const Column *k, Missing missing)
{
    if (!k->is_text && k->ntext)
        return error_at(o->d, t->at, "'%s' line %lld, column '%s': '%s' is no number, and %lld "
                                     "other cells of the column are",
                        t->path, (long long)k->text_line, k->title,
                        csv_text(o->d->arena, &k->text_cell), (long long)k->nnumber);
    if (k->nmissing && missing == MISSING_error)
        return error_at(o->d, t->at, "'%s' line %lld, column '%s': the cell is missing, as %lld in "
                                     "the column are; missing=mean or missing=zero fills them",
                        t->path, (long long)k->missing_line, k->title, (long long)k->nmissing);
    return true;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int class_of(const Column *k, const char *text)
{
    const char **at = bsearch(&text, k->classes, (size_t)k->nclass, sizeof *k->classes,
                              compare_texts);
    return at ? (int)(at - k->classes) : -1;
}

/* The different texts of the text columns of the training file, sorted; a missing cell is "". */
static void collect_classes(Opening *o, const Table *t, Column *col, Cell *cells)
{
    Arena *scratch = arena_new();
    for (int i = 0; i < t->ncol; i++)
        if (col[i].is_text)
            col[i].classes = NEW_ARRAY(scratch, const char *, t->nrow);
    Cursor c = table_begin(t, cells);
    for (int64_t row = 0; row < t->nrow; row++) {
        csv_row(&c, cells, t->ncol);
        for (int i = 0; i < t->ncol; i++)
            if (col[i].is_text)
                col[i].classes[row] = csv_missing(&cells[i]) ? "" : csv_text(scratch, &cells[i]);
    }
    for (int i = 0; i < t->ncol; i++) {
        Column *k = &col[i];
        if (!k->is_text)
            continue;
        qsort(k->classes, (size_t)t->nrow, sizeof *k->classes, compare_texts);
        for (int64_t r = 0; r < t->nrow; r++)
            if (!k->nclass || strcmp(k->classes[k->nclass - 1], k->classes[r]))
                k->classes[k->nclass++] = k->classes[r];
        const char **kept = NEW_ARRAY(o->a, const char *, k->nclass);
        for (int n = 0; n < k->nclass; n++)
            kept[n] = arena_strdup(o->a, k->classes[n]);
        k->classes = kept;
    }
    arena_free(scratch);
}

/* ---- second pass ---- */

typedef struct {
    Column *col;
    Missing missing;
    int nfeature;
    const int *feature;      /* columns */
    const int *from;         /* column i stands at from[i] in this file */
    float *features;
} Fill;

static bool fill_text(Opening *o, const Table *t, const Cursor *c, const Column *k,
                      const Cell *cell, int32_t *to, Arena *scratch)
{
    const char *text = csv_missing(cell) ? "" : csv_text(scratch, cell);
    *to = class_of(k, text);
    return *to >= 0 || error_at(o->d, t->at, "'%s' line %lld, column '%s': '%s' is none of the %d "
                                             "classes of the training file",
                                t->path, (long long)c->begin, k->title, text, k->nclass);
}

static bool fill(Opening *o, const Table *t, const Fill *f, int part, Cell *cells, float *row)
{
    Cursor c = table_begin(t, cells);
    Arena *scratch = arena_new();
    bool ok = true;
    for (int64_t r = 0; ok && r < t->nrow; r++) {
        csv_row(&c, cells, t->ncol);
        for (int i = 0; ok && i < t->ncol; i++) {
            Column *k = &f->col[i];
            const Cell *cell = &cells[f->from[i]];
            double v = 0;
            if (k->is_text) {
                if (k->data[part])
                    ok = fill_text(o, t, &c, k, cell, (int32_t *)k->data[part] + r, scratch);
                continue;
            }
            if (csv_missing(cell))
                v = f->missing == MISSING_mean && k->nnumber ? k->sum / (double)k->nnumber : 0;
            else
                csv_number(cell, &v);
            row[i] = (float)v;
            if (!isfinite(row[i]))
                ok = error_at(o->d, t->at, "'%s' line %lld, column '%s': %g does not fit 32 bits",
                              t->path, (long long)c.begin, k->title, v);
            if (k->data[part] && k->is_whole)
                ((int32_t *)k->data[part])[r] = (int32_t)v;
            else if (k->data[part])
                ((float *)k->data[part])[r] = row[i];
        }
        for (int i = 0; i < f->nfeature; i++)
            f->features[r * f->nfeature + i] = row[f->feature[i]];
    }
    arena_free(scratch);
    return ok;
}

/* ---- the reader ---- */

typedef struct {
    Table table[2];
    const char *path[2];      /* of the tables; the second may be null */
    bool numbers;             /* csv_open_numbers: no target, no named columns, no texts */
    Column *col;
    int target, nfeature, *feature;
    Missing missing;
    Cell *cells;
    Arena *scratch;
} Csv;

static bool read_missing(Opening *o, Missing *m)
{
    const DataArg *arg = o->bound[5];
    *m = MISSING_error;
    if (!arg || !strcmp(arg->text, "error"))
        return true;
    *m = !strcmp(arg->text, "mean") ? MISSING_mean : MISSING_zero;
    return *m == MISSING_mean || !strcmp(arg->text, "zero") ||
           error_at(o->d, arg->span.file ? arg->span : o->at,
                    "missing is '%s', and mean, zero or error is needed", arg->text);
}

static bool choose_target(Opening *o, Csv *s)
{
    const DataArg *arg = o->bound[1];
    const Table *t = &s->table[0];
    s->target = s->numbers ? -1 : t->ncol - 1;
    name_columns(o, t, s->col, s->target);
    if (!arg)
        return true;
    Span at = arg->span.file ? arg->span : o->at;
    if (arg->kind == DATA_number) {
        if (!(arg->number >= 1 && arg->number <= t->ncol && arg->number == floor(arg->number)))
            return error_at(o->d, at, "target is column %g, and '%s' has columns 1 to %d",
                            arg->number, t->path, t->ncol);
        s->target = (int)arg->number - 1;
    } else {
        s->target = find_column(t, s->col, arg->text);
        if (s->target < 0)
            return no_column(o, t, s->col, at, arg->text);
    }
    name_columns(o, t, s->col, s->target);
    return true;
}

/* The columns of `features`: those named by columns=, else all numeric ones but the target. */
static bool choose_features(Opening *o, Csv *s)
{
    const DataArg *arg = o->bound[2];
    const Table *t = &s->table[0];
    int n = arg ? arg->kind == DATA_text ? 1 : arg->n : 0;
    s->feature = NEW_ARRAY(o->a, int, (arg ? n : t->ncol) + 1);
    for (int i = 0; !arg && i < t->ncol; i++)
        if (i != s->target && !s->col[i].is_text)
            s->feature[s->nfeature++] = i;
    for (int i = 0; i < n; i++) {
        const char *name = arg->kind == DATA_text ? arg->text : arg->texts[i];
        Span at = arg->span.file ? arg->span : o->at;
        int k = find_column(t, s->col, name);
        if (k < 0)
            return no_column(o, t, s->col, at, name);
        if (s->col[k].is_text)
            return error_at(o->d, at, "column '%s' holds texts (%d classes), and features are "
                                      "numbers; use one_hot(%s, %d) beside them",
                            name, s->col[k].nclass, s->col[k].name, s->col[k].nclass);
        s->feature[s->nfeature++] = k;
    }
    return true;
}

/* Where the test file has each column: by title when both have headers. */
static bool match_columns(Opening *o, const Csv *s, int part, int *from)
{
    const Table *t = &s->table[part];
    for (int i = 0; i < t->ncol; i++)
        from[i] = i;
    if (!part || !t->has_header || !s->table[0].has_header)
        return true;
    Column *there = NEW_ARRAY(s->scratch, Column, t->ncol);
    name_columns(o, t, there, -1);
    for (int i = 0; i < t->ncol; i++) {
        from[i] = find_column(t, there, s->col[i].title);
        if (from[i] < 0)
            return no_column(o, t, there, t->at, s->col[i].title);
    }
    return true;
}

/* Test cells must be of the training columns' kinds. */
static bool check_test(Opening *o, const Csv *s, const int *from)
{
    Column *there = NEW_ARRAY(s->scratch, Column, s->table[1].ncol);
    Table *t = (Table *)&s->table[1];
    if (!survey(o, t, there, s->cells))
        return false;
    for (int i = 0; i < t->ncol; i++) {
        Column k = there[from[i]];
        k.title = s->col[i].title;
        if (!s->col[i].is_text)
            k.is_text = false;
        s->col[i].is_whole &= k.is_whole || !k.nnumber;
        if (!check_column(o, t, &k, s->missing))
            return false;
    }
    return true;
}

static bool keeps_field(const Csv *s, int i)
{
    return i == s->target || (!s->numbers && s->table[0].ncol <= NAMED_MOST);
}

/* Sets the fields up and fills both parts. */
static bool make_fields(Opening *o, Csv *s)
{
    int64_t count[2] = {s->table[0].nrow, s->table[1].nrow}, width = s->nfeature;
    int *from = NEW_ARRAY(s->scratch, int, s->table[0].ncol);
    float *row = NEW_ARRAY(s->scratch, float, s->table[0].ncol), *features[2] = {NULL, NULL};
    int nfield = s->nfeature > 0;
    if (nfield)
        opening_field(o, "features", DT_f32, 1, &width);
    for (int i = 0; i < s->table[0].ncol; i++) {
        Column *k = &s->col[i];
        k->is_whole &= i == s->target && !(k->nmissing && s->missing == MISSING_mean);
        if (!keeps_field(s, i))
            continue;
        opening_field(o, k->name, k->is_text || k->is_whole ? DT_i32 : DT_f32, 0, NULL);
        for (int part = 0; part < 2; part++)
            k->data[part] = arena_alloc(o->a, 4 * (size_t)count[part] + 1);
    }
    for (int part = 0; part < 1 + (s->path[1] != NULL); part++) {
        features[part] = arena_alloc(o->a, 4 * (size_t)(count[part] * width) + 1);
        Fill f = {.col = s->col, .missing = s->missing, .nfeature = s->nfeature,
                  .feature = s->feature, .from = from, .features = features[part]};
        if (!match_columns(o, s, part, from) || !fill(o, &s->table[part], &f, part, s->cells, row))
            return false;
    }
    for (int i = 0, n = nfield; i < s->table[0].ncol; i++)
        if (keeps_field(s, i)) {
            if (i == s->target && s->col[i].is_text) {
                o->ds->class_field = n;
                o->ds->nclass = s->col[i].nclass;
                o->ds->classes = s->col[i].classes;
            }
            o->ds->field[n].train = s->col[i].data[0];
            o->ds->field[n++].test = s->col[i].data[1];
        }
    if (nfield) {
        o->ds->field[0].train = features[0];
        o->ds->field[0].test = features[1];
    }
    o->ds->count = count[0];
    o->ds->test_count = count[1];
    return true;
}

static bool open_tables(Opening *o, Csv *s)
{
    Table *t = &s->table[0], *test = &s->table[1];
    if (!read_missing(o, &s->missing) ||
        !table_open(o, s->scratch, o->bound[0], s->path[0], t) || !table_form(o, t, NULL))
        return false;
    s->col = NEW_ARRAY(o->a, Column, t->ncol);
    s->cells = NEW_ARRAY(s->scratch, Cell, t->ncol);
    if (!choose_target(o, s) || !survey(o, t, s->col, s->cells))
        return false;
    for (int i = 0; i < t->ncol; i++) {
        s->col[i].is_text &= !s->numbers;
        if (!check_column(o, t, &s->col[i], s->missing))
            return false;
    }
    collect_classes(o, t, s->col, s->cells);
    if (!choose_features(o, s))
        return false;
    if (s->path[1]) {
        int *from = NEW_ARRAY(s->scratch, int, t->ncol);
        if (!table_open(o, s->scratch, o->bound[6], s->path[1], test) || !table_form(o, test, t) ||
            !match_columns(o, s, 1, from) || !check_test(o, s, from))
            return false;
    }
    return memory_suffices(o->d, o->at, t->path,
                           8 * (size_t)(t->nrow + test->nrow) * (size_t)t->ncol) &&
           make_fields(o, s);
}

enum { PARAM_path = 0, PARAM_test = 6 };

/* All that decides what the files say, beside their content. */
static char *recipe_of(Opening *o)
{
    char *s = arena_strdup(o->a, "csv");
    for (int i = 0; i < READER_PARAMS_MOST; i++) {
        const DataArg *arg = o->bound[i];
        if (!arg)
            continue;
        bool is_file = i == PARAM_path || i == PARAM_test;
        s = arena_printf(o->a, "%s\n%d %d %.17g %s", s, i, (int)arg->kind, arg->number,
                         is_file || !arg->text ? "" : arg->text);
        for (int k = 0; arg->kind == DATA_list_text && k < arg->n; k++)
            s = arena_printf(o->a, "%s\n%s", s, arg->texts[k]);
    }
    return s;
}

static bool csv_open(Opening *o)
{
    struct DatasetState *d = o->ds->state;
    const DataArg *const files[] = {o->bound[PARAM_path], o->bound[PARAM_test]};
    for (int i = 0; i < 2; i++)
        if (files[i] && !(d->source[i] = opening_find(o, files[i], "file", NULL, 0)))
            return false;
    d->recipe = recipe_of(o);
    if (decoded_open(o->ds))
        return true;
    Csv s = {.scratch = arena_new(), .path = {d->source[0], d->source[1]}};
    bool ok = open_tables(o, &s);
    arena_free(s.scratch);
    return ok;
}

Dataset *csv_open_numbers(Arena *a, Diag *d, Span at, const char *path)
{
    Dataset *ds = NEW(a, Dataset);
    Opening o = {.a = a, .d = d, .at = at, .ds = ds};
    Csv s = {.scratch = arena_new(), .path = {path}, .numbers = true};
    ds->reader = "csv";
    bool ok = open_tables(&o, &s);
    arena_free(s.scratch);
    return ok ? ds : NULL;
}

static bool csv_load(Dataset *ds, Diag *d)
{
    (void)ds, (void)d; /* all of it was read when opened */
    return true;
}

static const ReaderParam csv_params[] = {
    {"path", TAKES_text, true, NULL, "the file"},
    {"target", TAKES_text | TAKES_number, false, NULL,
     "the target's column, by name or by number from 1; else the last one"},
    {"columns", TAKES_texts, false, NULL,
     "the columns of `features`, by name; else all of numbers but the target"},
    {"header", TAKES_bool | TAKES_text, false, "auto",
     "does the first line name the columns? auto: it does when it holds no number"},
    {"separator", TAKES_text, false, NULL, "one character; else found out by the first line"},
    {"missing", TAKES_text, false, "error",
     "what an empty cell is: an error, zero, or the column's mean"},
    {"test", TAKES_text, false, NULL, "a file with the same columns, as the test set"}};

const Reader reader_csv = {
    "csv", csv_params, sizeof csv_params / sizeof *csv_params,
    "Reads a table: a line a sample. Columns of texts become classes, numbered in sorted order.",
    "features [columns] f32; the target, and (in files of up to 100 columns) each column, by its "
    "name: f32, or i32 for classes and a target of whole numbers. Without a header the columns "
    "are x1, x2, ... and the target is label.",
    csv_open, csv_load};
