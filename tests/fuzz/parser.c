/* Hostile text for the parser and the formatter.
 *
 * With libFuzzer (clang -fsanitize=fuzzer -DWEFT_LIBFUZZER) the inputs are its own.
 * Alone: `fuzz_parser SECONDS SEED FILE...` mutates the files for so long; an input that
 * breaks a promise is written to fuzz_parser.input. The promises: every text is read to its end
 * with messages inside the text; what parses can be formatted, parses to the same tree
 * then, and formatting again changes nothing.
 */
#include "ast.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static long nparsed;
static const uint8_t *input;
static size_t input_size;

static _Noreturn void broken(const char *promise)
{
    fprintf(stderr, "fuzz_parser: %s\n", promise);
    FILE *f = fopen("fuzz_parser.input", "wb");
    if (f) {
        fwrite(input, 1, input_size, f);
        fclose(f);
    }
    abort();
}

static void check_messages(const Diag *d, size_t size)
{
    for (int i = 0; i < d->messages.n; i++) {
        Span at = d->messages.at[i].span;
        if (at.lo > at.hi || at.hi > size + 1)
            broken("a message stands outside the text");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_size = size;
    Arena *a = arena_new();
    Diag first = {.arena = a}, second = {.arena = a}, third = {.arena = a};
    int32_t source = diag_source(&first, "a", (const char *)data, size, false);
    const char *formatted = format_source(a, &first, source);
    bool ok = diag_ok(&first);
    check_messages(&first, size);
    if (ok != (formatted != NULL))
        broken("the formatter and its messages disagree");
    File *tree =
        parse_source(a, &second, diag_source(&second, "b", (const char *)data, size, false));
    check_messages(&second, size);
    char *text = ast_text(a, tree);
    nparsed += ok;
    if (ok) {
        int32_t again = diag_source(&third, "c", formatted, strlen(formatted), false);
        if (strcmp(ast_text(a, parse_source(a, &third, again)), text))
            broken("formatting changed the tree");
        third.nerror = third.nunsupported =
            0; /* what a file's top may hold is no matter of layout */
        const char *twice = format_source(a, &third, again);
        if (!twice || strcmp(twice, formatted))
            broken("formatting twice differs from once");
    }
    Diag fourth = {.arena = a};
    Expr *e =
        parse_expression(a, &fourth, diag_source(&fourth, "d", (const char *)data, size, false));
    if (e) {
        const char *written = expr_text(a, e);
        int32_t w = diag_source(&fourth, "e", written, strlen(written), false);
        Expr *back = parse_expression(a, &fourth, w);
        if (!back || strcmp(expr_text(a, back), written))
            broken("an expression's text does not read back");
    }
    arena_free(a);
    return 0;
}

#ifndef WEFT_LIBFUZZER

/* ---- random mutations ---- */

enum { SIZE_MOST = 1 << 14, FILES_MOST = 64 };

typedef struct { uint8_t bytes[2 * SIZE_MOST]; size_t n; } Text;

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15u; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t n)
{
    return n ? next_random(state) % n : 0;
}

static void splice(Text *t, size_t at, size_t remove, const void *add, size_t n)
{
    if (t->n - remove + n > SIZE_MOST)
        return;
    memmove(t->bytes + at + n, t->bytes + at + remove, t->n - at - remove);
    memcpy(t->bytes + at, add, n);
    t->n = t->n - remove + n;
}

/* Changes that often leave a text legal: between two words, where there is space. */
static void mutate_layout(uint64_t *state, Text *t)
{
    static const char *const spaces[] = {"\n",     " ", "# c\n",     "  ",
                                         "\n\n\n", ";", "\n  # d\n", "\t\r\n"};
    size_t at = below(state, t->n + 1);
    const char *add = spaces[below(state, sizeof spaces / sizeof *spaces)];
    bool line_end = below(state, 2);
    while (at < t->n && t->bytes[at] != '\n' && (line_end || !strchr(" ,(){}[]=", t->bytes[at])))
        at++;
    bool replace = at < t->n && t->bytes[at] == ' ' && below(state, 3) == 0;
    splice(t, at, replace, add, strlen(add));
}

/* A piece of a text that may stand alone: from one blank line to another. */
static void pick_piece(uint64_t *state, const Text *from, Text *t)
{
    size_t lo = below(state, from->n), hi;
    while (lo > 1 && !(from->bytes[lo - 1] == '\n' && from->bytes[lo - 2] == '\n'))
        lo--;
    for (hi = lo; hi + 1 < from->n; hi++)
        if (from->bytes[hi] == '\n' && from->bytes[hi + 1] == '\n' && below(state, 2))
            break;
    t->n = hi + 1 - lo;
    memcpy(t->bytes, from->bytes + lo, t->n);
}

static void mutate(uint64_t *state, Text *t, const Text *other)
{
    static const char *const words[] = {
        "(",        ")",          "[",       "]",          "{",
        "}",        "\n",         ";",       ",",          "=",
        "->",       ":",          " : ",     "-",          "**",
        "==",       "<",          "+",       "@",          ".",
        "#",        "\"",         "'",       "if ",        " then ",
        " else ",   "else {",     " in ",    "not ",       " and ",
        "for ",     "input ",     "state ",  "param ",     "output ",
        "update ",  "once ",      "let ",    "repeat 2 {", "model m {",
        "train {",  "data d = ",  "cell c(", "loss ",      "function f(x) = ",
        "import ",  "language 1", "1e-3",    "9",          "t-1",
        " ",        "\t",         "\r\n",    "\\",         "_",
        "mask",     "# c\n",      "\n\n\n",  "  =",        "x = {\n",
        "\xCE\xB2",
    };
    uint8_t scratch[64];
    size_t at = below(state, t->n + 1), n = below(state, 16);
    switch (below(state, 8)) {
    case 0:
        if (at < t->n)
            t->bytes[at] = (uint8_t)next_random(state);
        break;
    case 1: case 2: case 3: {
        const char *word = words[below(state, sizeof words / sizeof *words)];
        splice(t, at, 0, word, strlen(word));
        break;
    }
    case 4:
        splice(t, at, n < t->n - at ? n : t->n - at, "", 0);
        break;
    case 5:
        n = n < t->n - at ? n : t->n - at;
        memcpy(scratch, t->bytes + at, n);
        splice(t, below(state, t->n + 1), 0, scratch, n);
        break;
    case 6: {
        size_t from = below(state, other->n), most = other->n - from;
        n = below(state, 200);
        splice(t, at, 0, other->bytes + from, n < most ? n : most);
        break;
    }
    default:
        t->n = below(state, 8) ? t->n : at;
    }
}

static void read_text(const char *path, Text *t)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "fuzz_parser: cannot read %s\n", path);
        exit(1);
    }
    t->n = fread(t->bytes, 1, SIZE_MOST, f);
    fclose(f);
}

int main(int argc, char **argv)
{
    static const char sample[] =
        "# doc\ncell C(units, b=1) {\n    input x[T<=20, 3]\n    state h[units], c[units]  # zero\n"
        "    param W[dim(x), 4*units] : f32 = zeros { trainable = false }\n"
        "    zi, zf = split(x @ W + h[t-1], 2)\n    h[t] = if zi < 0 then -zi ** 2 else zf\n"
        "    y = x -> A(1, k=[1, 2])\n          -> B\n    output h[t]\n}\n"
        "train {\n    optimizer = {a: Adam(1e-3), b: SGD()}\n    epochs = 3; loss = mse\n}\n"
        "model m {\n    for f in [32, 64] { Dense(f) }\n    if a { x = 1 } else if b { } else { "
        "}\n}\n";
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    Text *texts = calloc(FILES_MOST, sizeof *texts), *t = calloc(1, sizeof *t);
    int ntext = 1;
    memcpy(texts[0].bytes, sample, texts[0].n = sizeof sample - 1);
    for (int i = 3; i < argc && ntext < FILES_MOST; i++)
        read_text(argv[i], &texts[ntext++]);
    long n = 0;
    for (clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC); clock() < end; n++) {
        if (n % 5 == 0 || t->n == 0)
            pick_piece(&state, &texts[below(&state, (size_t)ntext)], t);
        for (size_t k = 1 + below(&state, 2); k > 0; k--)
            if (n % 5 < 3 && below(&state, 8))
                mutate_layout(&state, t);
            else
                mutate(&state, t, &texts[below(&state, (size_t)ntext)]);
        LLVMFuzzerTestOneInput(t->bytes, t->n);
    }
    printf("%ld inputs, %ld of them parsed\n", n, nparsed);
    free(texts);
    free(t);
    return 0;
}
#endif
