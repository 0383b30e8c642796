/* `weft fmt`: the source laid out in one style.
 *
 * The formatter prints tokens, not trees: every token and comment of the source in its
 * order, so that nothing can get lost and the result parses to the same tree. Line
 * breaks stay where the writer put them; what changes is indentation, the spaces
 * between tokens, blank lines (at most one), and columns of `=` and of comments.
 */
#include "parse.h"

#include "parser.h"

#include <string.h>

enum { STEP = 4 };

typedef struct {
    int indent;
    LIST(char) text;
    const char *comment;  /* trailing, or the whole line when text is empty; null: none */
    bool blank_before;
    bool goes_on;         /* with the statement of the line above */
    int block;            /* number of the innermost block, 0: none */
    bool always_align;    /* in a train or data block */
    int anchor;           /* the line that this one is set against; -1: none */
    bool anchor_text;     /* against something in its text, not only its indentation */
    int shift;            /* what alignment adds to the indentation */
    int pad;              /* what alignment adds in front of `=` */
    int equals;           /* where a statement's own `=` is in text; -1: none to align */
    int source_column;    /* of that `=` in the source */
    bool padded;          /* several spaces before it there */
} Line;

typedef struct {
    int kind;
    int indent; /* of the line that it opens on */
    int column; /* of what follows it on that line; -1: nothing */
    int line;
    bool tight; /* [ ] of an index or of dimensions: operators without spaces */
    bool split; /* a block over several lines */
    bool align; /* a train or data block */
    int block;
} Bracket;

typedef struct { int line, column; } Place; /* line -1: none */

typedef struct {
    Arena *arena;
    const char *source;
    const TokenList *raw;
    const int *solid;
    LIST(Line) lines;
    LIST(Bracket) open;
    int nblock;
    const Token *last;   /* token printed last; null: none */
    bool last_is_minus;  /* and it is a sign */
    bool fresh;          /* the current line is empty */
    bool starts;         /* a statement starts with the next token */
    int first_word;      /* kind of the statement's first token */
    int depth, indent;   /* of the statement: open brackets, column */
    Place arrow, choice; /* its first `->` and its first `if` */
} Printer;

/* ---- spaces ---- */

static bool ends_operand(int kind)
{
    switch (kind) {
    case TOK_NAME: case TOK_INT: case TOK_FLOAT: case TOK_STRING: case ')': case ']':
    case TOK_RDICT:
        return true;
    default:
        return false;
    }
}

static bool is_infix(int kind)
{
    switch (kind) {
    case '+': case '-': case '*': case '/': case '%': case '@': case '<': case '>':
    case TOK_FLOORDIV:
    case TOK_LE: case TOK_GE: case TOK_EQ: case TOK_NE:
        return true;
    default:
        return false;
    }
}

static const Bracket *innermost(const Printer *p)
{
    return p->open.n ? &p->open.at[p->open.n - 1] : NULL;
}

/* Whether an operator stands without spaces where it is: in h[t-1], f(k=v), a[1:n]. */
static bool is_tight(const Printer *p, int kind)
{
    const Bracket *in = innermost(p);
    int bracket = in ? in->kind : 0;
    if (kind == TOK_POW)
        return true;
    if (kind == '=')
        return bracket == '(';
    return in && in->tight && (kind == ':' || is_infix(kind));
}

static bool space_between(const Printer *p, const Token *a, const Token *b)
{
    const Bracket *in = innermost(p);
    if (p->last_is_minus || a->kind == '(' || a->kind == '[' || a->kind == TOK_LDICT ||
        a->kind == '.')
        return false;
    if (b->kind == '.')
        return a->kind == TOK_INT || a->kind == TOK_FLOAT; /* 2.x would be a wrong number */
    if (b->kind == ',' || b->kind == TOK_SEMI || b->kind == ')' || b->kind == ']' ||
        b->kind == TOK_RDICT)
        return false;
    if (b->kind == '(' || b->kind == '[')
        return !ends_operand(a->kind) && !is_tight(p, a->kind);
    if (b->kind == ':' && in && in->kind == TOK_LDICT)
        return false;
    return !is_tight(p, a->kind) && !(is_tight(p, b->kind) && ends_operand(a->kind));
}

/* ---- lines ---- */

/* Columns that a line's text takes: UTF-8 characters count one. */
static int text_width(const Line *line)
{
    int width = 0;
    for (int i = 0; i < line->text.n; i++)
        width += (line->text.at[i] & 0xC0) != 0x80;
    return width;
}

static Line *current(Printer *p)
{
    return &p->lines.at[p->lines.n - 1];
}

static void start_line(Printer *p, Line line)
{
    const Bracket *in = innermost(p);
    line.blank_before &= p->lines.n > 0;
    line.equals = -1;
    line.goes_on = !p->starts;
    for (int i = p->open.n - 1; i >= 0 && !line.block; i--)
        if (p->open.at[i].kind == TOK_LBRACE)
            line.block = p->open.at[i].block;
    line.always_align = in && in->kind == TOK_LBRACE && in->align;
    list_push(p->arena, &p->lines, line);
    p->fresh = true;
}

static void put_text(Printer *p, const char *s, size_t n)
{
    Line *line = current(p);
    for (size_t i = 0; i < n; i++)
        list_push(p->arena, &line->text, s[i]);
}

static bool is_closer(int kind)
{
    return kind == ')' || kind == ']' || kind == TOK_RDICT || kind == TOK_RBRACE;
}

static Line line_at(int indent)
{
    return (Line){.indent = indent, .anchor = -1};
}

static Line line_under(Place place)
{
    return (Line){.indent = place.column, .anchor = place.line, .anchor_text = true};
}

/* A line that starts with t. Inside a bracket it stands under what follows the bracket on
 * its line, or a step in where nothing does; outside, `->` stands under the first one. */
static Line line_for(const Printer *p, const Token *t)
{
    const Bracket *in = innermost(p);
    if (in && in->kind != TOK_LBRACE) {
        bool closes = is_closer(t->kind);
        if (in->column >= 0)
            return line_under((Place){in->line, in->column - closes});
        return (Line){.indent = in->indent + (closes ? 0 : STEP), .anchor = in->line};
    }
    if (in && t->kind == TOK_RBRACE)
        return line_at(in->indent);
    if (p->starts)
        return line_at(in ? in->indent + STEP : 0);
    if (t->kind == TOK_LBRACE || (t->kind == TOK_ELSE && p->last && p->last->kind == TOK_RBRACE))
        return line_at(p->indent);
    if (t->kind == TOK_ARROW && p->arrow.line >= 0)
        return line_under(p->arrow);
    if ((t->kind == TOK_THEN || t->kind == TOK_ELSE) && p->choice.line >= 0)
        return line_under(p->choice);
    return line_at(p->indent + STEP);
}

/* A block over several lines: its braces stand at line ends. */
static bool is_split(const Printer *p, int i)
{
    int depth = 0;
    for (;; i++) {
        const Token *t = &p->raw->at[i];
        if (t->kind == TOK_NL || t->kind == TOK_SPACE)
            return true;
        depth += t->kind == TOK_LBRACE;
        depth -= t->kind == TOK_RBRACE;
        if (depth == 0 || t->kind == TOK_END)
            return false;
    }
}

/* Marks a statement's own `=` for alignment, where the statement begins its line: not
 * that of a block which opens on the line before it. */
static void note_equals(Printer *p, int i)
{
    const Token *t = &p->raw->at[i];
    Line *line = current(p);
    if (p->open.n != p->depth || line->equals >= 0 || line->indent != p->indent)
        return;
    if (line->text.n && memchr(line->text.at, '{', (size_t)line->text.n))
        return;
    const char *s = p->source + t->span.lo, *begin = s;
    while (begin > p->source && begin[-1] != '\n')
        begin--;
    line->equals = line->text.n;
    line->source_column = (int)(s - begin);
    line->padded = s - begin >= 2 && s[-1] == ' ' && s[-2] == ' ';
}

static void push_bracket(Printer *p, int i)
{
    const Token *t = &p->raw->at[i];
    int next = t[1].kind;
    bool alone = next == TOK_NL || next == TOK_SPACE || next == TOK_COMMENT;
    Bracket b = {.kind = t->kind, .indent = current(p)->indent, .line = p->lines.n - 1};
    b.column = alone ? -1 : current(p)->indent + text_width(current(p));
    if (t->kind == TOK_LBRACE) {
        b.indent = p->indent;
        b.split = is_split(p, i);
        b.align = p->first_word == TOK_TRAIN || p->first_word == TOK_DATA;
        b.block = ++p->nblock;
        p->starts = true;
    }
    bool call = p->last && ends_operand(p->last->kind);
    const Bracket *in = innermost(p);
    b.tight = t->kind == '[' ? call : t->kind == '(' && !call && in && in->tight;
    list_push(p->arena, &p->open, b);
}

/* ---- tokens ---- */

static void begin_statement(Printer *p, const Token *t)
{
    p->starts = false;
    p->first_word = t->kind;
    p->depth = p->open.n;
    p->indent = current(p)->indent;
    p->arrow.line = p->choice.line = -1;
}

/* Remembers where the statement's first `->` or `if` stands. */
static void note_place(const Printer *p, Place *place)
{
    const Line *line = &p->lines.at[p->lines.n - 1];
    if (p->open.n == p->depth && place->line < 0)
        *place = (Place){p->lines.n - 1, line->indent + text_width(line)};
}

static void print_token(Printer *p, int i)
{
    const Token *t = &p->raw->at[i];
    bool closes = is_closer(t->kind);
    if (p->starts && !closes)
        begin_statement(p, t);
    if (!p->fresh && p->last && space_between(p, p->last, t))
        put_text(p, " ", 1);
    if (t->kind == TOK_ARROW || t->kind == TOK_IF)
        note_place(p, t->kind == TOK_IF ? &p->choice : &p->arrow);
    if (t->kind == '=')
        note_equals(p, i);
    bool sign = t->kind == '-' && (!p->last || p->starts || !ends_operand(p->last->kind));
    put_text(p, p->source + t->span.lo, t->span.hi - t->span.lo);
    p->fresh = false;
    if (closes && p->open.n) {
        const Bracket *in = innermost(p);
        if (in->kind == TOK_LBRACE) { /* what follows belongs to the statement around */
            p->starts = false;
            p->indent = in->indent;
            p->depth = p->open.n - 1;
        }
        p->open.n--;
    }
    if (t->kind == '(' || t->kind == '[' || t->kind == TOK_LDICT || t->kind == TOK_LBRACE)
        push_bracket(p, i);
    if (t->kind == TOK_SEMI)
        p->starts = true;
    p->last_is_minus = sign;
    p->last = t;
}

/* A `;` that only repeats what a line end says is left out. */
static bool is_idle(const Printer *p, int i)
{
    const Token *after = &p->raw->at[i + 1];
    bool begins = p->fresh || !p->last || p->last->kind == TOK_SEMI || p->last->kind == TOK_LBRACE;
    return begins || after->kind == TOK_NL || after->kind == TOK_SPACE ||
           after->kind == TOK_COMMENT || after->kind == TOK_RBRACE || after->kind == TOK_END ||
           after->kind == TOK_SEMI;
}

static const char *comment_text(const Printer *p, const Token *t)
{
    const char *s = p->source + t->span.lo;
    size_t n = t->span.hi - t->span.lo;
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
        n--;
    return arena_strndup(p->arena, s, n);
}

/* Whether the line must end between the last token and t, besides where the source does. */
static bool must_break(const Printer *p, const Token *t)
{
    const Bracket *in = innermost(p);
    if (!p->last || !in || in->kind != TOK_LBRACE || !in->split)
        return false;
    return p->last->kind == TOK_LBRACE || t->kind == TOK_RBRACE;
}

/* Whether t, on a line of its own in the source, goes up to the line above. */
static bool joins(const Printer *p, const Token *t, bool after_comment)
{
    if (after_comment || !p->last)
        return false;
    return t->kind == TOK_LBRACE || (t->kind == TOK_ELSE && p->last->kind == TOK_RBRACE);
}

static bool blank_allowed(const Printer *p, const Token *t)
{
    const Bracket *in = innermost(p);
    bool in_statements = !in || in->kind == TOK_LBRACE;
    return in_statements && p->starts && t->kind != TOK_RBRACE &&
           !(p->last && p->last->kind == TOK_LBRACE && p->fresh == false);
}

/* The token that a comment on a line of its own stands above. */
static const Token *below_comment(const Printer *p, int i)
{
    enum { FAR = 100 };
    const Token *t = &p->raw->at[p->solid[i]];
    for (int k = 0; t->kind == TOK_SEMI && k < FAR; k++) /* these are left out */
        t = &p->raw->at[p->solid[t + 1 - p->raw->at]];
    return t;
}

static void print_all(Printer *p)
{
    int newlines = 1;
    bool after_comment = false;
    p->starts = true;
    for (int i = 0; i < p->raw->n - 1; i++) {
        const Token *t = &p->raw->at[i];
        if (t->kind == TOK_NL || t->kind == TOK_SPACE) {
            newlines++;
            p->starts |= t->kind == TOK_NL;
            continue;
        }
        if (t->kind == TOK_SEMI && is_idle(p, i)) {
            p->starts = true;
            continue;
        }
        bool comment = t->kind == TOK_COMMENT;
        bool wanted = newlines > 0 && (comment || !joins(p, t, after_comment));
        if (wanted || (!comment && must_break(p, t)) || p->lines.n == 0) {
            const Token *shown = comment ? below_comment(p, i) : t;
            Line line = line_for(p, shown);
            line.blank_before = newlines > 1 && blank_allowed(p, shown);
            if (comment && is_closer(shown->kind) && innermost(p))
                line = line_at(innermost(p)->indent + STEP);
            start_line(p, line);
        }
        if (comment)
            current(p)->comment = comment_text(p, t);
        else
            print_token(p, i);
        newlines = 0;
        after_comment = comment;
    }
}

/* ---- columns ---- */

static void align_run(Printer *p, int from, int to)
{
    int widest = 0;
    for (int i = from; i < to; i++)
        if (p->lines.at[i].equals > widest)
            widest = p->lines.at[i].equals;
    for (int i = from; i < to; i++) {
        Line *line = &p->lines.at[i];
        if (line->equals < 0)
            continue;
        int add = widest - line->equals;
        for (int k = 0; k < add; k++)
            list_push(p->arena, &line->text, ' ');
        char *at = line->text.at + line->equals;
        memmove(at + add, at, (size_t)(line->text.n - line->equals - add));
        memset(at, ' ', (size_t)add);
        line->pad = add;
    }
}

/* In train and data blocks the `=` of neighbouring lines stand in one column; elsewhere
 * where the writer had put them so. */
static void align_equals(Printer *p)
{
    for (int i = 0, end; i < p->lines.n; i = end) {
        const Line *first = &p->lines.at[i];
        bool padded = first->padded;
        for (end = i + 1; first->equals >= 0 && end < p->lines.n; end++) {
            const Line *line = &p->lines.at[end];
            if (line->goes_on)
                continue;
            if (line->equals < 0 || line->blank_before || line->block != first->block ||
                line->indent != first->indent ||
                (!first->always_align && line->source_column != first->source_column))
                break;
            padded |= line->padded;
        }
        if (first->equals >= 0 && (first->always_align || padded))
            align_run(p, i, end);
    }
}

/* Moves the lines that stand under something which alignment moved. */
static void follow_anchors(Printer *p)
{
    for (int i = 0; i < p->lines.n; i++) {
        Line *line = &p->lines.at[i];
        if (line->anchor < 0)
            continue;
        const Line *to = &p->lines.at[line->anchor];
        line->shift = to->shift + (line->anchor_text ? to->pad : 0);
        line->indent += line->shift;
    }
}

/* Whether line i's trailing comment stands in one column with that of the line above. */
static bool same_column(const Printer *p, int i)
{
    const Line *line = &p->lines.at[i], *above = line - 1;
    return i > 0 && line->comment && line->text.n && above->comment && above->text.n &&
           !line->blank_before && line->indent == above->indent;
}

static char *join_lines(Printer *p)
{
    LIST(char) out = {0};
    int column = 0; /* of the comments in the run of lines */
    for (int i = 0; i < p->lines.n; i++) {
        const Line *line = &p->lines.at[i];
        bool trailing = line->comment && line->text.n;
        for (int k = i; !same_column(p, i) && k < p->lines.n && (k == i || same_column(p, k));
             k++) {
            int width = p->lines.at[k].indent + text_width(&p->lines.at[k]) + 2;
            column = k == i || width > column ? width : column;
        }
        if (line->blank_before)
            list_push(p->arena, &out, '\n');
        for (int k = 0; k < line->indent; k++)
            list_push(p->arena, &out, ' ');
        for (int k = 0; k < line->text.n; k++)
            list_push(p->arena, &out, line->text.at[k]);
        for (int k = line->indent + text_width(line); trailing && k < column; k++)
            list_push(p->arena, &out, ' ');
        for (const char *s = line->comment ? line->comment : ""; *s; s++)
            list_push(p->arena, &out, *s);
        list_push(p->arena, &out, '\n');
    }
    list_push(p->arena, &out, '\0');
    return out.at;
}

char *format_source(Arena *a, Diag *d, int32_t source)
{
    Parser parser = {.arena = a, .diag = d,
                     .part = {source, 0, (uint32_t)d->sources.at[source - 1].size}};
    if (!parser_run(&parser))
        return NULL;
    Printer p = {.arena = a, .source = parser.text, .raw = &parser.layout.raw,
                 .solid = parser.layout.solid, .arrow.line = -1,
                 .choice.line = -1};
    print_all(&p);
    align_equals(&p);
    follow_anchors(&p);
    return join_lines(&p);
}
