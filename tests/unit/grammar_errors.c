/* Every message of the lexer, the layout filter and the parser, with its place, and that
 * one mistake is one message. */
#include "ast.h"

#include <stdlib.h>
#include <string.h>

/* Messages as "line:column text", one a line; notes after what they belong to. */
static const struct { const char *source, *messages;
} cases[] = {
    /* the lexer */
    {"let a = 12abc", "1:9 `12abc` is neither a number nor a name"},
    {"let a = 1.2.3", "1:9 `1.2.3` is neither a number nor a name"},
    {"let a = 1__0", "1:9 `1__0` is neither a number nor a name"},
    {"let a = 9223372036854775808",
     "1:9 9223372036854775808 is too large for an integer: the largest is 9223372036854775807"},
    {"let a = 1e999", "1:9 1e999 is too large for a number: the largest is about 1.8e308"},
    {"let a = 1e-999", "1:9 1e-999 is too small for a number: the smallest is about 5e-324"},
    {"let a = 0e-999", ""},
    {"let a = \"abc", "1:9 this text has no closing \" before the end of the line"},
    {"let a = 'abc\nlet b = 2", "1:9 this text has no closing ' before the end of the line"},
    {"let a = \"a\\qb\"",
     "1:11 unknown escape `\\q` in a text; there are \\n \\t \\\\ \\\" \\'; a backslash itself is "
     "written \\\\"},
    {"let a = b && c", "1:11 `&&` is not in the language: write `and`"},
    {"let a = b ? 1 : 2", "1:11 `?` is not in the language: write `if c then a else b`"},
    {"let a = b ^ 2", "1:11 `^` is not in the language: a power is written `**`"},
    {"model m { a += 2 }", "1:13 `+=` is not in the language: write `x = x + ...`"},
    {"let a = \xE2\x80\x9Crelu\xE2\x80\x9D",
     "1:9 these are typographic quotes: write plain \" or '"},
    {"let a = \xCE\xB2",
     "1:9 `\xCE\xB2` cannot be a name: names are made of letters a-z, digits and _"},
    {"let gr\xC3\xB6\xC3\x9F" "e = 4\nlet b = gr\xC3\xB6\xC3\x9F" "e + \xE6\x95\xB0",
     "1:5 `gr\xC3\xB6\xC3\x9F" "e` cannot be a name: names are made of letters a-z, digits and _\n"
     "2:17 `\xE6\x95\xB0` cannot be a name: names are made of letters a-z, digits and _"},
    {"\xEF\xBB\xBFlet a = = 3", "1:9 unexpected `=`, expected an expression"},
    {"let a = 3 /* three */", "1:11 `/*` is not in the language: a comment begins with #"},
    {"let a = 3\rlet b = 4\r", "1:10 the lines of this file end in a carriage return alone; save "
                                "it with line feeds"},
    {"let a = $b", "1:9 unexpected character `$`; names are made of letters a-z, digits and _"},
    {"let a = \x01", "1:9 unexpected control character (byte 1)"},
    {"let a\xFF", "1:6 this file is not UTF-8 text: byte 5 is 0xFF"},
    {"# \xC0\x80", "1:3 this file is not UTF-8 text: byte 2 is 0xC0"},
    {"# \xED\xA0\x80", "1:3 this file is not UTF-8 text: byte 2 is 0xED"},
    /* brackets */
    {"model m {\n    LSTM(50\n    Dense(10)\n}\ntrain { }",
     "2:9 this `(` is never closed: a `)` is missing"},
    {"model m {\n    x = [1, 2\n    output x\n}", "2:9 this `[` is never closed: a `]` is missing"},
    {"let a = {b: 1\nmodel m { }", "1:9 this `{` is never closed: a `}` is missing"},
    {"let a = f(1,", "1:10 this `(` is never closed: a `)` is missing"},
    {"let a = [f(1]", "1:11 this `(` is never closed: a `)` is missing"},
    {"model m { LSTM(50)) }", "1:19 this `)` closes nothing"},
    {"model m { LSTM(50] }",
     "1:18 found `]`, but a `)` is needed here\n1:15 note: this `(` is open"},
    {"model m { LSTM(a]) }",
     "1:17 found `]`, but a `)` is needed here\n1:15 note: this `(` is open"},
    {"model m { } }", "1:13 this `}` closes nothing"},
    {"model m {\n    LSTM(50)\n",
     "3:1 the file ends, but a `}` is missing\n1:9 note: this `{` is open"},
    {"model m {\n  if a {\n", "3:1 the file ends, but 2 `}` are missing\n2:8 note: this `{` is "
                              "open\n1:9 note: this `{` is open"},
    {"model m {\n    LSTM(50)\n\ntrain {\n    epochs = 3\n}",
     "4:1 `train {` cannot stand inside another block: a `}` is missing above it\n"
     "1:9 note: this `{` is open"},
    {"model m {\n  cell B { input x }\n  LSTM(5)\n}",
     "2:3 `cell B` cannot stand inside another block: a `}` is missing above it\n"
     "1:9 note: this `{` is open"},
    {"cell c(units, {\n    input x\n}", "1:7 this `(` is never closed: a `)` is missing"},
    {"let a = f(1; 2)", "1:12 `;` ends a statement, but a `(` is still open here\n"
                        "1:14 unexpected `2`, expected `,` or `)` to close the arguments of `f`"},
    /* blocks as Python begins them */
    {"model m:\n    LSTM(50)\n    Dense(10)\n\ntrain:\n    epochs = 3\n",
     "1:8 a block is written `{ ... }`, not with `:`"},
    {"model m:\n    LSTM(50)\n}\ntrain {\n    epochs = 3\n}",
     "1:8 a block is written `{ ... }`, not with `:`"},
    {"model m {\n    for i in xs: # three\n        Dense(10)\n}\ntrain {\n    epochs = 3\n}",
     "2:16 a block is written `{ ... }`, not with `:`"},
    {"model m {\n    if a:\n        Dense(10)\n    else:\n        Dense(5)\n}\n",
     "2:9 a block is written `{ ... }`, not with `:`"},
    /* misspelt keywords and Python's ways */
    {"Model m {\n    LSTM(50)\n}", "1:1 `Model` begins no statement; did you mean `model`?"},
    {"model m {\n    inptu x[3]\n    Dense(1)\n}",
     "2:5 `inptu` begins no statement; did you mean `input`?"},
    {"model m {\n    input x(28, 28)\n}", "2:12 sizes are written in `[ ]`: input x[28, 28]"},
    {"train {\n    target = y,\n    loss = mse\n}",
     "2:15 a statement ends with its line, without a comma"},
    /* unexpected tokens */
    {"model m { x = = 3 }", "1:15 unexpected `=`, expected an expression"},
    {"model m {\n    y =\n    z = 3\n}", "2:8 expected an expression before the end of the line"},
    {"model m { y = }", "1:15 expected an expression before `}`"},
    {"let a =", "1:8 expected an expression before the end of the file"},
    {"let a", "1:6 expected `=` before the end of the file"},
    {"train {\n    units 50\n}", "2:11 unexpected `50`, expected `=` or the end of the line"},
    {"train {\n    loss mse\n}", "2:10 unexpected `mse`, expected `=` or the end of the line"},
    {"model m { LSTM(units=50 activation=relu) }",
     "1:25 unexpected `activation`, expected `,` or `)` to close the arguments of `LSTM`"},
    {"let a = [1, 2 3]", "1:15 unexpected `3`, expected `,` or `]` to close `[`"},
    {"let a = x[1 2]", "1:13 unexpected `2`, expected `,` or `]` to close the `[` of `x`"},
    {"let a = (1 2)", "1:12 unexpected `2`, expected `,` or `)` to close `(`"},
    {"let a = {b 2}", "1:12 unexpected `2`, expected `:`"},
    {"let a = f(,)",
     "1:11 unexpected `,`, expected an expression or `)` to close the arguments of `f`"},
    {"let a = if x then 3", "1:20 expected `else` before the end of the file"},
    {"model m { if x: y }", "1:15 unexpected `:`, expected `{` or `then`"},
    {"model m { for x 3 { } }", "1:17 unexpected `3`, expected `in`"},
    {"model m { repeat 3 4 { } }", "1:20 unexpected `4`, expected `{`"},
    {"model { }", "1:7 unexpected `{`, expected a name"},
    {"cell c(3) { }", "1:8 unexpected `3`, expected a name or `)` to close the arguments of `c`"},
    {"model m { input x x }", "1:19 unexpected `x`, expected `=` or the end of the line"},
    {"model m { input x : 3 }", "1:21 unexpected `3`, expected a name"},
    {"model m {\n  y = x\n   + 3\n}", "3:4 a line cannot start with `+`: to go on, the line above "
                                      "must end with it or be inside brackets"},
    {"let a = \"x\" \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"",
     "1:13 unexpected the text \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy..., expected the end of "
     "the line"},
    /* Python */
    {"model m { return x }", "1:11 unexpected `return`: a result is written `output ...`"},
    {"def f(x): x", "1:1 unexpected `def`: a function is written `function NAME(x) = ...`"},
    {"import keras", "1:1 unexpected `import`: import takes a file's name in quotes; Keras's names "
                     "are there without one"},
    {"from keras import x",
     "1:1 unexpected `from`: other files are taken in with `import \"FILE.model\"`"},
    {"model m { if a { } elif b { } }", "1:20 unexpected `elif`: write `else if`"},
    {"model m { while x { } }",
     "1:11 unexpected `while`: there is no `while`; a loop over time is written as a cell"},
    {"let a = [f(k)\n    for k in range(3)]", "2:5 there are no comprehensions: build the list "
                                              "with a `for` block, or write its entries out"},
    {"model m { model.add(LSTM(5)) }", "1:17 there are no methods: layers are written one a line "
                                       "in `model NAME { ... }`, without add"},
    {"m.compile(loss=x)",
     "1:3 there are no methods: loss and optimizer are written in `train { ... }`"},
    /* what the constructors check */
    {"let a = b < c < d", "1:15 comparisons do not chain: write `b < c and c < d`"},
    {"let a = bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb < c == d",
     "1:59 comparisons do not chain: write `a < b and b < c`"},
    {"train { loss == mse }", "1:14 `==` compares; to give a value write `=`"},
    {"model m { f(x) = 3 }",
     "1:11 a call cannot stand left of `=`; a function is written `function f(...) = ...`"},
    {"model m { \"x\" = 3 }", "1:11 left of `=` stands a name, without quotes"},
    {"model m { a + b = 3 }", "1:11 left of `=` stands a name or name[t]"},
    {"let a[1] = 3", "1:5 left of `=` stands a name"},
    {"model m { for f(x) in y { } }",
     "1:15 a call cannot stand left of `=`; a function is written `function f(...) = ...`"},
    {"model m { LSTM(5), Dense(3) }",
     "1:20 a statement is one layer or call: write each on a line of its own"},
    {"model m { output y : musk = m }",
     "1:22 unexpected `musk` after an output: only `: mask = ...` may follow"},
    {"language 2",
     "1:10 this file is written in version 2 of the language; this weft knows version 1"},
    /* the top of a file */
    {"LSTM(5)", "1:1 a layer or call stands in a block, as in `model NAME { ... }`"},
    {"x = 3", "1:1 at the top of a file a name is given a value with `let NAME = ...`"},
    {"input x", "1:1 `input` stands in a block, as in `model NAME { ... }`"},
    {"repeat 3 { }", "1:1 `repeat` stands in a block, as in `model NAME { ... }`"},
    /* several at once, in the text's order; what follows from one is not said again */
    {"model m {\n  x = 1 +* 2\n  y = (3\n  output z = $\n  LSTM(1 2)\n}\ncell c(1) {\n  a = = 1\n}",
     "2:10 unexpected `*`, expected an expression\n"
     "3:7 this `(` is never closed: a `)` is missing\n"
     "4:14 unexpected character `$`; names are made of letters a-z, digits and _\n"
     "5:10 unexpected `2`, expected `,` or `)` to close the arguments of `LSTM`\n"
     "7:8 unexpected `1`, expected a name or `)` to close the arguments of `c`\n"
     "8:7 unexpected `=`, expected an expression"},
};

static const char *messages_of(Arena *a, const Diag *d)
{
    const char *all = "";
    for (int i = 0; i < d->messages.n; i++) {
        const Message *m = &d->messages.at[i];
        int line, column;
        diag_line_column(d, m->span, &line, &column);
        all = arena_printf(a, "%s%s%d:%d %s%s", all, i ? "\n" : "", line, column,
                           m->kind == DIAG_note ? "note: " : "", m->text);
    }
    return all;
}

static int nfailed;

static void expect(Arena *a, const Diag *d, const char *source, const char *want)
{
    const char *got = messages_of(a, d);
    if (!strcmp(got, want))
        return;
    printf("messages of\n%s\nwanted\n%s\ngot\n%s\n\n", source, want, got);
    nfailed++;
}

/* `head`, then `n` times `part`, then `tail`. */
static const char *repeated(Arena *a, const char *head, const char *part, int n, const char *tail)
{
    size_t size = strlen(part);
    char *s = arena_alloc(a, strlen(head) + size * (size_t)n + strlen(tail) + 1), *p = s;
    p = stpcpy(p, head);
    for (int i = 0; i < n; i++)
        p = stpcpy(p, part);
    strcpy(p, tail);
    return s;
}

/* Limits have messages, and only one. */
static void test_limits(void)
{
    static const struct { const char *head, *part; int n; const char *tail, *message; } limits[] = {
        {"let a = ", "(", 201, "", "1:209 brackets and blocks nest deeper than 200 levels"},
        {"let a = ", "(", 199, "1", "1:9 this `(` is never closed: a `)` is missing"},
        {"let a = 1", " + 1", 1000, "",
         "1:4007 this expression has more than 1000 levels: give parts of it names"},
        {"let a = ", "-", 20000, "1", "1:10002 this is nested too deeply to be read"},
        {"model m { if a { }", " else if a { }", 200, " }",
         "1:11 more than 200 `else if` in a row"},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        Arena *a = arena_new();
        Diag d = {.arena = a};
        const char *s = repeated(a, limits[i].head, limits[i].part, limits[i].n, limits[i].tail);
        parse_source(a, &d, diag_source(&d, "t.model", s, strlen(s), false));
        expect(a, &d, limits[i].part, limits[i].message);
        arena_free(a);
    }
}

static void test_expression(void)
{
    static const struct { const char *source, *message; } wrong[] = {
        {"", "1:1 expected an expression before the end of the expression"},
        {"1 +", "1:4 expected an expression before the end of the expression"},
        {"a = 2", "1:3 unexpected `=`, expected the end of the line"},
        {"a; b", "1:4 unexpected `b`"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Arena *a = arena_new();
        Diag d = {.arena = a};
        const char *s = wrong[i].source;
        if (parse_expression(a, &d, diag_source(&d, "--set", s, strlen(s), false)))
            nfailed++;
        expect(a, &d, s, wrong[i].message);
        arena_free(a);
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena *a = arena_new();
        Diag d = {.arena = a};
        const char *s = cases[i].source;
        parse_source(a, &d, diag_source(&d, "t.model", s, strlen(s), false));
        expect(a, &d, s, cases[i].messages);
        arena_free(a);
    }
    Arena *a = arena_new();
    Diag d = {.arena = a};
    parse_source(a, &d, diag_source(&d, "t.model", "let a\0= 1", 9, false));
    expect(a, &d, "a zero byte", "1:6 this file is not text: byte 5 is zero");
    arena_free(a);
    test_limits();
    test_expression();
    if (nfailed)
        printf("%d failed\n", nfailed);
    return nfailed > 0;
}
