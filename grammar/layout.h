/* Tokens, and the layout filter between flex and bison.
 *
 * The lexer turns a whole source into raw tokens (newlines and comments among
 * them). The filter then decides what the characters alone cannot say: which
 * newlines end a statement, which words are keywords, which `{` opens a dict
 * and which a block; it also balances the brackets, so that the parser sees
 * every bracket closed and can recover at the next statement end.
 */
#ifndef WEFT_LAYOUT_H
#define WEFT_LAYOUT_H

#include "ast.h"

typedef struct {
    int kind;         /* TOK_... of parser.h */
    Span span;
    const char *text; /* a name; a string's value; null else */
    int64_t integer;
    double number;
    int opener;       /* index in the same list of the innermost bracket open here; -1: none */
} Token;
typedef LIST(Token) TokenList;

/* What the filter hands on. raw: all tokens, comments and newlines included, with
 * the kinds as the filter settled them; a newline that means nothing has kind
 * TOK_SPACE. tokens: what the parser reads. */
typedef struct {
    TokenList raw, tokens;
    const int *solid;    /* of each raw token: the first from it on that is text, no line end */
    LIST(Span) poisoned; /* stretches between mismatched brackets: already reported */
} Layout;

/* Reads a part of a source into raw tokens; the last is TOK_END. False when the text is no text
 * (NUL bytes, not UTF-8, too large). Wrong characters and numbers are reported and
 * become TOK_BAD or TOK_POISON. */
bool lex_source(Arena *a, Diag *d, Span part, TokenList *out);

/* Filters out->raw into out->tokens. `expression`: one expression, no statement. False
 * when brackets nest too deep (reported). */
bool layout_filter(Arena *a, Diag *d, bool expression, Layout *out);

/* if then else and or not: names only after a dot and before `=`. */
bool word_is_operator(const char *word);

#endif
