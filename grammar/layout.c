/* The layout filter: one pass over the raw tokens with a stack of open brackets.
 *
 * Two facts drive it. What is the innermost open bracket (none or a block: newlines
 * end statements; a dict: they separate entries; `(` and `[`: they are free)? And
 * does a statement start here (then a word may be a keyword)? Brackets that do not
 * match are reported here and repaired, so that the parser only sees balanced text.
 */
#include "layout.h"

#include "parse.h"
#include "parser.h"

#include <string.h>

typedef struct {
    int kind; /* '(', '[', TOK_LDICT or TOK_LBRACE */
    int raw, out;
} Open;

typedef struct {
    Arena *arena;
    Diag *diag;
    Layout *layout;
    bool expression;
    LIST(Open) open;
    bool at_start;    /* a statement starts here */
    int for_depth;    /* open brackets at a `for` that waits for its `in`, or -1 */
    int forgiven;     /* block ends made up, whose `}` may still come */
    bool colons;      /* a block was begun with `:` and reported; its end is a guess */
} Filter;

/* ---- words ---- */

typedef enum { BEFORE_name, BEFORE_value, BEFORE_count, BEFORE_text, BEFORE_number, HEAD } Follow;

/* The keywords of statements: what must follow for the word to be one. */
static const struct {
    const char *word;
    int kind;
    Follow follow;
} keywords[] = {
    {"input", TOK_DECL, BEFORE_name},       {"state", TOK_DECL, BEFORE_name},
    {"param", TOK_DECL, BEFORE_name},       {"slot", TOK_DECL, BEFORE_name},
    {"buffer", TOK_DECL, BEFORE_name},      {"static", TOK_DECL, BEFORE_name},
    {"sum", TOK_DECL, BEFORE_name},         {"once", TOK_ONCE, BEFORE_name},
    {"let", TOK_LET, BEFORE_name},          {"output", TOK_OUTPUT, BEFORE_value},
    {"update", TOK_UPDATE, BEFORE_value},   {"for", TOK_FOR, BEFORE_name},
    {"gradient", TOK_GRADIENT, BEFORE_name},
    {"repeat", TOK_REPEAT, BEFORE_count},   {"import", TOK_IMPORT, BEFORE_text},
    {"language", TOK_LANGUAGE, BEFORE_number},
    {"model", TOK_MODEL, HEAD},             {"train", TOK_TRAIN, HEAD},
    {"data", TOK_DATA, HEAD},               {"cell", TOK_DEF, HEAD},
    {"layer", TOK_DEF, HEAD},               {"loss", TOK_DEF, HEAD},
    {"optimizer", TOK_DEF, HEAD},           {"metric", TOK_DEF, HEAD},
    {"function", TOK_DEF, HEAD},            {"activation", TOK_DEF, HEAD},
    {"initializer", TOK_DEF, HEAD},         {"regularizer", TOK_DEF, HEAD},
    {"constraint", TOK_DEF, HEAD},          {"schedule", TOK_DEF, HEAD},
};

static int operator_kind(const char *word)
{
    static const struct { const char *word; int kind; } words[] = {
        {"if", TOK_IF}, {"then", TOK_THEN}, {"else", TOK_ELSE},
        {"and", TOK_AND}, {"or", TOK_OR}, {"not", TOK_NOT},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(word, words[i].word))
            return words[i].kind;
    return 0;
}

bool word_is_operator(const char *word)
{
    return operator_kind(word) != 0;
}

/* The first raw token from i on that is no comment and no newline. */
static int skip_lines(const Filter *f, int i)
{
    return f->layout->solid[i];
}

static const int *find_solid(Arena *a, const TokenList *raw)
{
    int *solid = NEW_ARRAY(a, int, raw->n);
    for (int i = raw->n - 1; i >= 0; i--) {
        int kind = raw->at[i].kind;
        solid[i] = i < raw->n - 1 && (kind == TOK_NL || kind == TOK_COMMENT) ? solid[i + 1] : i;
    }
    return solid;
}

/* The raw token after the `)` that closes the `(` at i, or one before that. */
static int skip_parens(const Filter *f, int i)
{
    enum { FAR = 2000 }; /* tokens, more than a head has */
    const Token *raw = f->layout->raw.at;
    int depth = 0;
    for (int end = i + FAR; i < end && raw[i].kind != TOK_END; i++) {
        depth += raw[i].kind == '(';
        depth -= raw[i].kind == ')';
        if (depth == 0)
            return i + 1;
        if (raw[i].kind == TOK_LBRACE || raw[i].kind == TOK_RBRACE)
            break;
    }
    return i;
}

static bool is_plain_name(const Token *t)
{
    return t->kind == TOK_NAME && !word_is_operator(t->text);
}

static bool starts_value(const Token *t)
{
    switch (t->kind) {
    case TOK_NAME:
        return is_plain_name(t) || !strcmp(t->text, "if") || !strcmp(t->text, "not");
    case TOK_INT: case TOK_FLOAT: case TOK_STRING: case TOK_POISON: case '(': case '-':
        return true;
    default:
        return false;
    }
}

/* Whether the definition or block word at i begins one: a name, perhaps formals, and
 * then a body. At the top of a file the name alone is enough. */
static bool is_head(const Filter *f, int i, int kind, bool top)
{
    const Token *raw = f->layout->raw.at;
    if (raw[i + 1].kind != TOK_NAME)
        return raw[skip_lines(f, i + 1)].kind == TOK_LBRACE ||
               (f->colons && raw[i + 1].kind == ':');
    if (top && kind != TOK_TRAIN)
        return true;
    int after = i + 2;
    if (raw[after].kind == '(')
        after = skip_parens(f, after);
    if (raw[after].kind == '=')
        return kind == TOK_DATA || kind == TOK_DEF;
    return raw[skip_lines(f, after)].kind == TOK_LBRACE || (f->colons && raw[after].kind == ':');
}

/* The keyword that the name at raw index i is at the start of a statement, or TOK_NAME. */
static int statement_word(const Filter *f, int i, bool top)
{
    const Token *t = &f->layout->raw.at[i], *next = t + 1;
    for (size_t k = 0; k < sizeof keywords / sizeof *keywords; k++) {
        if (strcmp(t->text, keywords[k].word))
            continue;
        bool is = false;
        switch (keywords[k].follow) {
        case BEFORE_name:
            is = is_plain_name(next);
            break;
        case BEFORE_value:
            is = starts_value(next);
            break;
        case BEFORE_count:
            is = is_plain_name(next) || next->kind == TOK_INT || next->kind == TOK_FLOAT ||
                 (next->kind == '(' &&
                  f->layout->raw.at[skip_lines(f, skip_parens(f, i + 1))].kind == TOK_LBRACE);
            break;
        case BEFORE_text:
            is = next->kind == TOK_STRING || next->kind == TOK_POISON || is_plain_name(next);
            break;
        case BEFORE_number:
            is = next->kind == TOK_INT;
            break;
        case HEAD:
            is = is_head(f, i, keywords[k].kind, top);
            break;
        }
        return is ? keywords[k].kind : TOK_NAME;
    }
    return TOK_NAME;
}

/* Whether a statement surely starts at raw index i: a keyword before a name, which
 * nothing inside brackets looks like (but Python's `for`). */
static bool surely_statement(const Filter *f, int i)
{
    const Token *t = &f->layout->raw.at[i];
    return t->kind == TOK_NAME && t[1].kind == TOK_NAME && is_plain_name(t + 1) &&
           statement_word(f, i, false) != TOK_NAME && strcmp(t->text, "for");
}

/* ---- output and the stack ---- */

static int previous(const Filter *f)
{
    const TokenList *out = &f->layout->tokens;
    return out->n ? out->at[out->n - 1].kind : 0;
}

static int innermost(const Filter *f)
{
    return f->open.n ? f->open.at[f->open.n - 1].kind : 0;
}

static bool in_statements(const Filter *f)
{
    return innermost(f) == 0 || innermost(f) == TOK_LBRACE;
}

static void put(Filter *f, Token t)
{
    t.opener = f->open.n ? f->open.at[f->open.n - 1].out : -1;
    list_push(f->arena, &f->layout->tokens, t);
    f->at_start = false;
}

/* A token that is not in the text. */
static void put_made(Filter *f, int kind, Span near, const char *text)
{
    put(f, (Token){.kind = kind, .span = near, .text = text});
}

static void end_statement(Filter *f, Span near, const char *found)
{
    int before = previous(f);
    if (before != TOK_NL && before != TOK_LBRACE && before != 0)
        put_made(f, TOK_NL, near, found);
    f->at_start = true;
}

static bool open_bracket(Filter *f, int i, int kind)
{
    Token *t = &f->layout->raw.at[i];
    if (f->open.n == NESTING_MOST)
        return unsupported_at(f->diag, t->span, "brackets and blocks nest deeper than %d levels",
                              NESTING_MOST);
    t->kind = kind;
    put(f, *t);
    list_push(f->arena, &f->open, ((Open){kind, i, f->layout->tokens.n - 1}));
    f->at_start = kind == TOK_LBRACE;
    return true;
}

static int closer_of(int opener)
{
    return opener == '(' ? ')' : opener == '[' ? ']' : opener == TOK_LDICT ? TOK_RDICT : TOK_RBRACE;
}

static const char *bracket_text(int kind)
{
    return kind == '(' ? "(" : kind == ')' ? ")" : kind == '[' ? "[" : kind == ']' ? "]"
         : kind == TOK_LDICT || kind == TOK_LBRACE ? "{" : "}";
}

static Span open_span(const Filter *f, int k)
{
    return f->layout->raw.at[f->open.at[k].raw].span;
}

/* Closes brackets that are not blocks until `keep` are open; reports the outermost. */
static void close_unclosed(Filter *f, int keep, Span here)
{
    int outermost = -1;
    while (f->open.n > keep && !in_statements(f)) {
        outermost = f->open.n - 1;
        put_made(f, closer_of(innermost(f)), here, NULL);
        f->open.n--;
    }
    if (outermost < 0)
        return;
    const char *opener = bracket_text(f->open.at[outermost].kind);
    error_at(f->diag, open_span(f, outermost), "this `%s` is never closed: a `%s` is missing",
             opener, bracket_text(closer_of(f->open.at[outermost].kind)));
    Span bad = {here.file, open_span(f, outermost).lo, here.hi + 1};
    list_push(f->arena, &f->layout->poisoned, bad);
}

/* ---- closing brackets ---- */

/* Whether the rest of the line, as far as people look, has a token of a kind. */
static bool line_has(const Filter *f, int i, int kind)
{
    enum { FAR = 100 };
    const Token *raw = f->layout->raw.at;
    for (int end = i + FAR; i < end && raw[i].kind != TOK_NL && raw[i].kind != TOK_END; i++)
        if (raw[i].kind == kind)
            return true;
    return false;
}

static void pop(Filter *f, int i, int kind)
{
    Token *t = &f->layout->raw.at[i];
    t->kind = kind;
    put(f, *t);
    f->open.n--;
}

/* `)` or `]`. */
static void close_bracket(Filter *f, int i)
{
    Token *t = &f->layout->raw.at[i];
    if (!in_statements(f) && closer_of(innermost(f)) == t->kind) {
        pop(f, i, t->kind);
        return;
    }
    for (int k = f->open.n - 1; k >= 0 && f->open.at[k].kind != TOK_LBRACE; k--)
        if (closer_of(f->open.at[k].kind) == t->kind) {
            close_unclosed(f, k + 1, t->span);
            pop(f, i, t->kind);
            return;
        }
    const char *found = bracket_text(t->kind);
    if (in_statements(f)) {
        error_at(f->diag, t->span, "this `%s` closes nothing", found);
        return;
    }
    int want = closer_of(innermost(f));
    error_at(f->diag, t->span, "found `%s`, but a `%s` is needed here", found, bracket_text(want));
    note_at(f->diag, open_span(f, f->open.n - 1), "this `%s` is open", bracket_text(innermost(f)));
    if (!line_has(f, i + 1, want == TOK_RDICT ? TOK_RBRACE : want))
        pop(f, i, want);
}

static void close_brace(Filter *f, int i)
{
    Token *t = &f->layout->raw.at[i];
    if (innermost(f) == TOK_LDICT) {
        if (previous(f) == ',' && f->layout->tokens.at[f->layout->tokens.n - 1].text)
            f->layout->tokens.n--; /* a newline that was taken for a comma */
        pop(f, i, TOK_RDICT);
        return;
    }
    int k = f->open.n - 1;
    while (k >= 0 && f->open.at[k].kind != TOK_LBRACE && f->open.at[k].kind != TOK_LDICT)
        k--;
    if (k < 0) {
        if (f->forgiven-- <= 0 && !f->colons)
            error_at(f->diag, t->span, "this `}` closes nothing");
        return;
    }
    close_unclosed(f, k + 1, t->span);
    if (f->open.at[k].kind == TOK_LDICT) {
        pop(f, i, TOK_RDICT);
        return;
    }
    end_statement(f, t->span, "`}`");
    pop(f, i, TOK_RBRACE);
}

/* Closes all open blocks in front of `here`, where none may be open. */
static void close_blocks(Filter *f, Span here)
{
    while (f->open.n) {
        if (!f->colons)
            note_at(f->diag, open_span(f, f->open.n - 1), "this `{` is open");
        end_statement(f, here, "the end of the block");
        put_made(f, TOK_RBRACE, here, NULL);
        f->open.n--;
    }
    end_statement(f, here, "the end of the block");
}

/* ---- newlines, words, the rest ---- */

/* Whether a line that ends in this token goes on in the next. */
static bool continues(int kind)
{
    switch (kind) {
    case ',': case '=': case ':': case '.': case '+': case '-': case '*': case '/': case '%':
    case '@': case '<': case '>': case TOK_ARROW: case TOK_POW: case TOK_FLOORDIV: case TOK_LE:
    case TOK_GE: case TOK_EQ: case TOK_NE: case TOK_AND: case TOK_OR: case TOK_NOT: case TOK_IF:
    case TOK_THEN: case TOK_ELSE: case TOK_IN:
        return true;
    default:
        return false;
    }
}

static void newline_in_dict(Filter *f, int i)
{
    Token *t = &f->layout->raw.at[i];
    int next = f->layout->raw.at[skip_lines(f, i)].kind, before = previous(f);
    t->kind = TOK_SPACE;
    if (before != TOK_LDICT && !continues(before) && next != ',' && next != TOK_ARROW &&
        next != TOK_RBRACE && next != TOK_LBRACE)
        put_made(f, ',', t->span, "the end of the line");
}

static void newline(Filter *f, int i)
{
    Token *raw = f->layout->raw.at, *t = &raw[i], *next = &raw[skip_lines(f, i)];
    if (!in_statements(f) && surely_statement(f, (int)(next - raw)))
        close_unclosed(f, 0, t->span);
    if (innermost(f) == TOK_LDICT) {
        newline_in_dict(f, i);
        return;
    }
    int before = previous(f);
    bool goes_on = !in_statements(f) || before == 0 || before == TOK_NL || before == TOK_LBRACE;
    if (!goes_on && continues(before)) {
        /* not when what follows can only be a statement of its own */
        bool assigns = before != ',' && next->kind == TOK_NAME && next[1].kind == '=';
        goes_on = next->kind != TOK_RBRACE && next->kind != TOK_END && !assigns &&
                  !surely_statement(f, (int)(next - raw));
    } else if (!goes_on) {
        int word = next->kind == TOK_NAME ? operator_kind(next->text) : 0;
        goes_on = next->kind == TOK_ARROW || next->kind == TOK_LBRACE || word == TOK_ELSE ||
                  word == TOK_THEN;
    }
    if (goes_on)
        t->kind = TOK_SPACE;
    else
        end_statement(f, t->span, "the end of the line");
}

static void word(Filter *f, int i)
{
    Token *t = &f->layout->raw.at[i];
    int op = operator_kind(t->text);
    if (previous(f) == '.' || (op && t[1].kind == '=')) {
        put(f, *t);
        return;
    }
    if (op) {
        if (op == TOK_ELSE && f->colons && t[1].kind == ':' && innermost(f) == TOK_LBRACE) {
            end_statement(f, t->span, "`else`");
            put_made(f, TOK_RBRACE, t->span, NULL); /* of the `if` with a colon */
            f->open.n--;
        }
        t->kind = op;
    } else if (f->for_depth == f->open.n && !strcmp(t->text, "in")) {
        t->kind = TOK_IN;
        f->for_depth = -1;
    } else if (f->at_start && in_statements(f) && !f->expression) {
        int kind = statement_word(f, i, f->open.n == 0);
        bool top_only =
            kind == TOK_DEF || kind == TOK_MODEL || kind == TOK_TRAIN || kind == TOK_DATA;
        if (top_only && f->open.n) {
            if (!f->colons)
                error_at(f->diag, t->span, "`%s %s` cannot stand inside another block: a `}` is "
                         "missing above it", t->text, t[1].kind == TOK_NAME ? t[1].text : "{");
            f->forgiven += f->open.n;
            close_blocks(f, t->span);
        }
        t->kind = kind;
        f->for_depth = kind == TOK_FOR ? f->open.n : -1;
    }
    put(f, *t);
}

/* Whether the innermost bracket holds the formals of a definition. */
static bool in_formals(const Filter *f)
{
    if (innermost(f) != '(')
        return false;
    int at = f->open.at[f->open.n - 1].out;
    return at >= 2 && f->layout->tokens.at[at - 2].kind == TOK_DEF;
}

static bool brace(Filter *f, int i)
{
    int before = previous(f);
    bool unclosed = in_formals(f) && before != '=';
    if (!unclosed && (before == '=' || before == '(' || before == '[' || before == ',' ||
                      before == ':' || before == TOK_LDICT || f->expression))
        return open_bracket(f, i, TOK_LDICT);
    close_unclosed(f, 0, f->layout->raw.at[i].span);
    return open_bracket(f, i, TOK_LBRACE);
}

/* `model NAME:` and a new line, as Python begins a block: read as `{`. */
static bool colon_block(Filter *f, int i)
{
    const Token *raw = f->layout->raw.at;
    int k = f->layout->tokens.n, next = raw[i + 1].kind;
    if (f->expression || !in_statements(f) || (next != TOK_NL && next != TOK_COMMENT))
        return false;
    const Token *t = f->layout->tokens.at;
    while (k > 0 && t[k - 1].kind != TOK_NL && t[k - 1].kind != TOK_LBRACE &&
           t[k - 1].kind != TOK_RBRACE)
        k--;
    int first = k < f->layout->tokens.n ? t[k].kind : 0;
    if (first != TOK_MODEL && first != TOK_TRAIN && first != TOK_DEF && first != TOK_FOR &&
        first != TOK_REPEAT && first != TOK_IF && first != TOK_ELSE && first != TOK_DATA)
        return false;
    if (!f->colons)
        error_at(f->diag, raw[i].span, "a block is written `{ ... }`, not with `:`");
    f->colons = true;
    return true;
}

static void finish(Filter *f, Span end)
{
    close_unclosed(f, 0, end);
    if (f->open.n) {
        if (f->colons)
            ; /* has its message */
        else if (f->open.n == 1)
            error_at(f->diag, end, "the file ends, but a `}` is missing");
        else
            error_at(f->diag, end, "the file ends, but %d `}` are missing", f->open.n);
        close_blocks(f, end);
    }
    end_statement(f, end, f->expression ? "the end of the expression" : "the end of the file");
    put_made(f, TOK_END, end, f->expression ? "the end of the expression" : NULL);
}

bool layout_filter(Arena *a, Diag *d, bool expression, Layout *out)
{
    Filter f = {.arena = a, .diag = d, .layout = out, .expression = expression, .at_start = true,
                .for_depth = -1};
    out->solid = find_solid(a, &out->raw);
    for (int i = 0; i < out->raw.n; i++) {
        Token *t = &out->raw.at[i];
        bool ok = true;
        switch (t->kind) {
        case TOK_COMMENT: case TOK_SPACE:
            break;
        case TOK_NL:
            newline(&f, i);
            break;
        case TOK_SEMI:
            if (in_statements(&f))
                end_statement(&f, t->span, "`;`");
            else
                error_at(d, t->span, "`;` ends a statement, but a `%s` is still open here",
                         bracket_text(innermost(&f)));
            break;
        case '(': case '[':
            ok = open_bracket(&f, i, t->kind);
            break;
        case ')': case ']':
            close_bracket(&f, i);
            break;
        case TOK_LBRACE:
            ok = brace(&f, i);
            break;
        case TOK_RBRACE:
            close_brace(&f, i);
            break;
        case TOK_NAME:
            word(&f, i);
            break;
        case TOK_END:
            finish(&f, t->span);
            break;
        case ':':
            if (colon_block(&f, i))
                ok = open_bracket(&f, i, TOK_LBRACE);
            else
                put(&f, *t);
            break;
        default:
            put(&f, *t);
        }
        if (!ok)
            return false;
    }
    return true;
}
