/* Collects messages and prints them with the source line and a caret. */
#include "diag.h"

#include <stdlib.h>
#include <string.h>

int32_t diag_source(Diag *d, const char *name, const char *text, size_t size, bool is_prelude)
{
    Source s = {arena_strdup(d->arena, name), arena_strndup(d->arena, text, size), size,
                is_prelude};
    list_push(d->arena, &d->sources, s);
    return d->sources.n;
}

static void add(Diag *d, DiagKind kind, Span at, const char *format, va_list ap)
{
    bool counted = kind == DIAG_error || kind == DIAG_unsupported;
    if (counted && d->nerror + d->nunsupported >= DIAG_MOST) {
        d->nsuppressed++;
        return;
    }
    if (kind == DIAG_note && d->nsuppressed)
        return;
    d->nerror += kind == DIAG_error;
    d->nunsupported += kind == DIAG_unsupported;
    Message m = {kind, at, arena_vprintf(d->arena, format, ap)};
    list_push(d->arena, &d->messages, m);
}

bool error_at(Diag *d, Span at, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add(d, DIAG_error, at, format, ap);
    va_end(ap);
    return false;
}

bool unsupported_at(Diag *d, Span at, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add(d, DIAG_unsupported, at, format, ap);
    va_end(ap);
    return false;
}

void warning_at(Diag *d, Span at, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add(d, DIAG_warning, at, format, ap);
    va_end(ap);
}

void note_at(Diag *d, Span at, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add(d, DIAG_note, at, format, ap);
    va_end(ap);
}

void diag_move(Diag *d, Diag *from)
{
    for (int i = 0; i < from->messages.n; i++) {
        Message m = from->messages.at[i];
        m.text = arena_strdup(d->arena, m.text);
        list_push(d->arena, &d->messages, m);
    }
    d->nerror += from->nerror;
    d->nunsupported += from->nunsupported;
    d->nsuppressed += from->nsuppressed;
    from->messages.n = from->nerror = from->nunsupported = from->nsuppressed = 0;
}

bool diag_ok(const Diag *d)
{
    return d->nerror + d->nunsupported == 0;
}

int diag_exit_code(const Diag *d)
{
    return d->nerror ? 1 : d->nunsupported ? 2 : 0;
}

static const Source *source_of(const Diag *d, Span at)
{
    return at.file > 0 && at.file <= d->sources.n ? &d->sources.at[at.file - 1] : NULL;
}

const char *diag_file(const Diag *d, Span at)
{
    const Source *s = source_of(d, at);
    return s ? s->name : "";
}

static bool starts_character(char c)
{
    return (c & 0xC0) != 0x80;
}

/* Windows editors begin UTF-8 files with a mark that nobody sees. */
static bool has_mark(const Source *s)
{
    return s->size >= 3 && !memcmp(s->text, "\xEF\xBB\xBF", 3);
}

void diag_line_column(const Diag *d, Span at, int *line, int *column)
{
    *line = 1;
    *column = 1;
    const Source *s = source_of(d, at);
    if (!s)
        return;
    for (size_t i = 0; i < at.lo && i < s->size; i++) {
        if (s->text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (starts_character(s->text[i]) && !(i == 0 && has_mark(s))) {
            ++*column;
        }
    }
}

enum { EXCERPT_MOST = 160, MESSAGE_MOST = 1200 }; /* in bytes */

/* What a terminal may be given: control characters and stray bytes become '?'. */
static char shown(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F ? '?' : c;
}

/* The source line under `at`, and a caret line below it. Tabs stay tabs in both;
 * of a very long line a window around the caret is shown. */
static void print_excerpt(const Source *s, Span at, int line, FILE *f)
{
    size_t lo = at.lo < s->size ? at.lo : s->size, begin = lo, end = lo;
    while (begin > 0 && s->text[begin - 1] != '\n')
        begin--;
    if (begin == 0 && has_mark(s))
        begin = lo < 3 ? lo : 3;
    while (end < s->size && s->text[end] != '\n')
        end++;
    if (end > begin && s->text[end - 1] == '\r')
        end--;
    size_t from = begin, to = end;
    if (lo - begin > EXCERPT_MOST / 2)
        from = lo - EXCERPT_MOST / 2;
    if (to - from > EXCERPT_MOST)
        to = from + EXCERPT_MOST;
    while (from > begin && from < end && !starts_character(s->text[from]))
        from++;
    while (to < end && !starts_character(s->text[to]))
        to++;
    const char *before = from > begin ? "..." : "", *after = to < end ? "..." : "";
    fprintf(f, "%5d | %s", line, before);
    for (size_t i = from; i < to; i++)
        fputc(s->text[i] == '\t' ? '\t' : shown(s->text[i]), f);
    fprintf(f, "%s\n      | %s", after, *before ? "   " : "");
    for (size_t i = from; i < lo; i++)
        if (starts_character(s->text[i]))
            fputc(s->text[i] == '\t' ? '\t' : ' ', f);
    fputc('^', f);
    for (size_t i = lo + 1; i < at.hi && i < to; i++)
        if (starts_character(s->text[i]))
            fputc('~', f);
    fputc('\n', f);
}

/* A message quotes what the user wrote, which may be of any length. */
static void print_text(const char *text, FILE *f)
{
    size_t n = strlen(text), most = n;
    if (n > MESSAGE_MOST)
        for (most = MESSAGE_MOST; most > 0 && !starts_character(text[most]);)
            most--;
    for (size_t i = 0; i < most; i++)
        fputc(text[i] == '\n' ? '\n' : shown(text[i]), f);
    fputs(most < n ? "...\n" : "\n", f);
}

void diag_print(Diag *d, FILE *f)
{
    static const char *const kind[] = {"error", "unsupported", "warning", "note"};
    for (int i = 0; i < d->messages.n; i++) {
        const Message *m = &d->messages.at[i];
        const Source *s = source_of(d, m->span);
        if (s) {
            int line, column;
            diag_line_column(d, m->span, &line, &column);
            fprintf(f, "%s:%d:%d: %s: ", s->name, line, column, kind[m->kind]);
            print_text(m->text, f);
            print_excerpt(s, m->span, line, f);
        } else {
            fprintf(f, "weft: %s: ", kind[m->kind]);
            print_text(m->text, f);
        }
    }
    if (d->nsuppressed)
        fprintf(f, "weft: note: %d more messages were left out\n", d->nsuppressed);
    d->messages.n = 0;
    d->nsuppressed = 0;
}

Span span_join(Span a, Span b)
{
    if (!a.file)
        return b;
    if (a.file == b.file) {
        a.lo = a.lo < b.lo ? a.lo : b.lo;
        a.hi = a.hi > b.hi ? a.hi : b.hi;
    }
    return a;
}

_Noreturn void bug(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fflush(stdout);
    fputs("weft: bug: ", stderr);
    vfprintf(stderr, format, ap);
    fputs("\nThis is a mistake in weft, not in your model. Please report it with the model file.\n",
          stderr);
    va_end(ap);
    fflush(stderr);
    abort();
}

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Optimal string alignment distance: edits and swaps of neighbours count one. */
static int edit_distance(const char *a, const char *b)
{
    enum { MOST = 48 };
    int na = (int)strlen(a), nb = (int)strlen(b), d[MOST + 1][MOST + 1];
    if (na > MOST || nb > MOST)
        return MOST;
    for (int i = 0; i <= na; i++)
        d[i][0] = i;
    for (int j = 0; j <= nb; j++)
        d[0][j] = j;
    for (int i = 1; i <= na; i++)
        for (int j = 1; j <= nb; j++) {
            int lower_a = a[i - 1] | 32, lower_b = b[j - 1] | 32;
            d[i][j] =
                min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (lower_a != lower_b));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    return d[na][nb];
}

const char *nearest_name(const char *word, const char *const *candidates, int n)
{
    const char *best = NULL;
    int least = 1 + ((int)strlen(word) + 2) / 4;
    for (int i = 0; i < n; i++) {
        int e = edit_distance(word, candidates[i]);
        if (e < least) {
            least = e;
            best = candidates[i];
        }
    }
    return best;
}
