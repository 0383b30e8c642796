/* Sources in, trees out; and what is said about an unexpected token.
 *
 * bison knows which tokens could have come. A reader wants to hear it in words: the
 * tokens that can start an expression are "an expression", the operators that could
 * always follow one are left out, and the bracket that is open is named.
 */
#include "parse.h"

#include "parser.h"

#include <string.h>

int weft_yyparse(Parser *p);

static int reported(const Diag *d)
{
    return d->nerror + d->nunsupported + d->nsuppressed;
}

/* The lexer, the filter and the parser each report in the text's order: puts the messages
 * from `first` on, each with its notes, in one order. */
static void sort_messages(Arena *a, Diag *d, int first)
{
    int n = d->messages.n - first, nsorted = 0;
    if (n < 2)
        return;
    Message *sorted = NEW_ARRAY(a, Message, n), *found = d->messages.at + first;
    bool *used = NEW_ARRAY(a, bool, n);
    while (nsorted < n) {
        int best = -1;
        for (int i = 0; i < n; i++)
            if (!used[i] && found[i].kind != DIAG_note &&
                (best < 0 || found[i].span.lo < found[best].span.lo))
                best = i;
        if (best < 0)
            return; /* a note without a message: leave all as it is */
        do {
            used[best] = true;
            sorted[nsorted++] = found[best++];
        } while (best < n && found[best].kind == DIAG_note);
    }
    memcpy(found, sorted, sizeof *sorted * (size_t)n);
}

bool parser_run(Parser *p)
{
    int before = reported(p->diag), first = p->diag->messages.n;
    p->text = p->diag->sources.at[p->part.file - 1].text;
    p->next = -1;
    if (lex_source(p->arena, p->diag, p->part, &p->layout.raw) &&
        layout_filter(p->arena, p->diag, p->expression, &p->layout))
        weft_yyparse(p);
    sort_messages(p->arena, p->diag, first);
    return reported(p->diag) == before;
}

/* What stands at the top of a file: definitions and blocks. */
static void check_top(Parser *p)
{
    for (int i = 0; i < p->statements.n; i++) {
        Stmt *s = p->statements.at[i];
        const char *wants = NULL;
        switch (s->kind) {
        case ST_expr:
            wants = "a layer or call stands in a block, as in `model NAME { ... }`";
            break;
        case ST_assign:
            wants = "at the top of a file a name is given a value with `let NAME = ...`";
            break;
        case ST_decl: case ST_once: case ST_output: case ST_update: case ST_gradient:
            error_at(p->diag, s->span, "`%s` stands in a block, as in `model NAME { ... }`",
                     s->word);
            break;
        case ST_repeat: case ST_for: case ST_if:
            error_at(p->diag, s->span, "`%s` stands in a block, as in `model NAME { ... }`",
                     s->word);
            break;
        default:
            continue;
        }
        if (wants)
            error_at(p->diag, s->span, "%s", wants);
        s->kind = ST_error;
    }
}

static Span whole(const Diag *d, int32_t source)
{
    return (Span){source, 0, (uint32_t)d->sources.at[source - 1].size};
}

File *parse_part(Arena *a, Diag *d, Span part)
{
    Parser p = {.arena = a, .diag = d, .part = part};
    if (parser_run(&p))
        check_top(&p);
    File *f = NEW(a, File);
    f->items = p.statements;
    f->span = part;
    return f;
}

File *parse_source(Arena *a, Diag *d, int32_t source)
{
    return parse_part(a, d, whole(d, source));
}

Expr *parse_expression(Arena *a, Diag *d, int32_t source)
{
    Parser p = {.arena = a, .diag = d, .part = whole(d, source), .expression = true};
    return parser_run(&p) ? p.value : NULL;
}

/* ---- unexpected tokens ---- */

enum { WORDS_MOST = 8 };
typedef struct {
    const char *at[WORDS_MOST];
    int n;
} Words;

static bool among(const char *word, const char *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(word, list[i]))
            return true;
    return false;
}

static void add_word(Words *w, const char *text)
{
    if (w->n < WORDS_MOST)
        w->at[w->n++] = text;
}

/* What a reader is told of the expected tokens. */
static Words expectations(const char *const *expected, int n)
{
#define HAS(word) among(word, expected, n)
    Words w = {.n = 0};
    bool expression = HAS("an integer") && HAS("a name"), statement = HAS("DECL");
    bool line_end = HAS("the end of the line");
    bool closer = HAS("')'") || HAS("']'") || HAS("`}`");
    if (statement)
        add_word(&w, "a statement");
    else if (expression)
        add_word(&w, "an expression");
    else if (HAS("a name"))
        add_word(&w, "a name");
    else if (HAS("an integer"))
        add_word(&w, "an integer");
    else if (HAS("a text"))
        add_word(&w, "a text in quotes");
    if (HAS("'='") && !closer)
        add_word(&w, "`=`");
    if (HAS("','") && closer && !expression)
        add_word(&w, "`,`");
    if (HAS("')'"))
        add_word(&w, "`)`");
    if (HAS("']'"))
        add_word(&w, "`]`");
    if (HAS("`}`") || (HAS("}") && !statement))
        add_word(&w, "`}`");
    if (HAS("':'") && !closer && !line_end)
        add_word(&w, "`:`");
    if (HAS("{") && !line_end)
        add_word(&w, "`{`");
    if (HAS("`in`"))
        add_word(&w, "`in`");
    if (HAS("`then`"))
        add_word(&w, "`then`");
    if (HAS("`else`") && !line_end)
        add_word(&w, "`else`");
    if (line_end)
        add_word(&w, "the end of the line");
    return w;
#undef HAS
}

static const char *join_words(Arena *a, const Words *w)
{
    const char *text = "";
    for (int i = 0; i < w->n; i++)
        text = arena_printf(a, "%s%s%s", text, i == 0 ? "" : i < w->n - 1 ? ", " : " or ",
                            w->at[i]);
    return text;
}

static const char *token_text(Parser *p, const Token *t)
{
    if (t->kind == TOK_NL || t->kind == TOK_END)
        return t->text ? t->text : "the end of the file";
    if (t->kind == ',' && t->text)
        return t->text;
    enum { MOST = 40 };
    const char *s = p->text + t->span.lo, *more = "";
    int n = (int)(t->span.hi - t->span.lo);
    if (n > MOST) {
        more = "...";
        for (n = MOST; (s[n] & 0xC0) == 0x80; n--) /* not inside a character */
            ;
    }
    return arena_printf(p->arena, t->kind == TOK_STRING ? "the text %.*s%s" : "`%.*s%s`", n, s,
                        more);
}

/* The first token of the statement that `found` is in. */
static const Token *statement_start(const Parser *p, const Token *found)
{
    const Token *first = p->layout.tokens.at, *t = found;
    while (t > first && t[-1].kind != TOK_NL && t[-1].kind != TOK_LBRACE &&
           t[-1].kind != TOK_RBRACE)
        t--;
    return t;
}

/* What another language's statement is called here, or null. */
static const char *other_language(const Token *start)
{
    static const struct { const char *word, *instead; } known[] = {
        {"def", "a function is written `function NAME(x) = ...`"},
        {"class", "a layer is written `layer NAME(units) { ... }`"},
        {"return", "a result is written `output ...`"},
        {"from", "other files are taken in with `import \"FILE.model\"`"},
        {"import", "import takes a file's name in quotes; Keras's names are there without one"},
        {"elif", "write `else if`"},
        {"while", "there is no `while`; a loop over time is written as a cell"},
        {"lambda", "a function is written `function NAME(x) = ...`"},
    };
    if (start->kind != TOK_NAME && start->kind != TOK_IMPORT)
        return NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(start->text, known[i].word))
            return known[i].instead;
    return NULL;
}

/* The keyword that a misspelt one at the start of a statement was meant to be, or null. */
static const char *near_keyword(const Token *start, const Token *found)
{
    static const char *const top[] = {"model", "train", "data", "cell", "layer", "loss",
                                      "optimizer", "metric", "function", "let", "import"};
    static const char *const inside[] = {"input", "output", "state", "param", "buffer", "static",
                                         "slot", "sum", "once", "let", "repeat", "update",
                                         "gradient"};
    if (start->kind != TOK_NAME || found != start + 1 || found->kind != TOK_NAME)
        return NULL;
    return start->opener < 0 ? nearest_name(start->text, top, 11)
                             : nearest_name(start->text, inside, 13);
}

/* The comma at the end of the line above, which made `NAME =` a part of that line. */
static const Token *stray_comma(const Parser *p, const Token *found)
{
    const Token *comma = found - 2;
    if (found->kind != '=' || found - p->layout.tokens.at < 2 || comma->kind != ',' ||
        comma[1].kind != TOK_NAME)
        return NULL;
    const char *s = p->text + comma->span.hi;
    return memchr(s, '\n', comma[1].span.lo - comma->span.hi) ? comma : NULL;
}

static bool is_infix(int kind)
{
    switch (kind) {
    case '+': case '*': case '/': case '%': case '@': case '<': case '>': case '.': case TOK_POW:
    case TOK_FLOORDIV: case TOK_LE: case TOK_GE: case TOK_EQ: case TOK_NE: case TOK_AND:
    case TOK_OR:
        return true;
    default:
        return false;
    }
}

/* " to close the arguments of `LSTM`", when a bracket is open around `found`. */
static const char *open_text(Parser *p, const Token *found)
{
    if (found->opener < 0)
        return "";
    const Token *open = &p->layout.tokens.at[found->opener], *before = open - 1;
    bool named = found->opener > 0 && before->kind == TOK_NAME;
    if (open->kind == '(')
        return named ? arena_printf(p->arena, " to close the arguments of `%s`", before->text)
                     : " to close `(`";
    if (open->kind == '[')
        return named ? arena_printf(p->arena, " to close the `[` of `%s`", before->text)
                     : " to close `[`";
    return open->kind == TOK_LDICT ? " to close `{`" : "";
}

void parser_unexpected(Parser *p, const Token *found, const char *const *expected, int n)
{
    if (found->kind == TOK_BAD)
        return;
    if (p->diag->nerror + p->diag->nunsupported >= DIAG_MOST) {
        error_at(p->diag, found->span, "and so on"); /* is counted, not kept */
        return;
    }
    for (int i = 0; i < p->layout.poisoned.n; i++) {
        Span bad = p->layout.poisoned.at[i];
        if (found->span.lo >= bad.lo && found->span.lo <= bad.hi)
            return;
    }
    const Token *start = statement_start(p, found);
    const char *text = token_text(p, found), *instead = other_language(start);
    const char *keyword = near_keyword(start, found);
    const Token *comma = stray_comma(p, found);
    Words w = expectations(expected, n);
    if (comma) {
        error_at(p->diag, comma->span, "a statement ends with its line, without a comma");
    } else if (keyword) {
        error_at(p->diag, start->span, "`%s` begins no statement; did you mean `%s`?", start->text,
                 keyword);
    } else if (start->kind == TOK_DECL && found->kind == '(' && found == start + 2) {
        error_at(p->diag, found->span, "sizes are written in `[ ]`: %s %s[28, 28]", start->text,
                 start[1].text);
    } else if (instead) {
        error_at(p->diag, start->span, "unexpected `%s`: %s", start->text, instead);
    } else if (found->kind == TOK_NAME && !strcmp(found->text, "for") && found->opener >= 0) {
        error_at(p->diag, found->span, "there are no comprehensions: build the list with a `for` "
                 "block, or write its entries out");
    } else if (start == found && is_infix(found->kind)) {
        error_at(p->diag, found->span, "a line cannot start with %s: to go on, the line above must "
                 "end with it or be inside brackets", text);
    } else if (w.n == 0) {
        error_at(p->diag, found->span, "unexpected %s", text);
    } else {
        bool closer = among("')'", expected, n) || among("']'", expected, n) ||
                      among("`}`", expected, n);
        const char *words = join_words(p->arena, &w), *open = closer ? open_text(p, found) : "";
        if (found->kind == TOK_NL || found->kind == TOK_END)
            error_at(p->diag, found->span, "expected %s%s before %s", words, open, text);
        else
            error_at(p->diag, found->span, "unexpected %s, expected %s%s", text, words, open);
    }
}
