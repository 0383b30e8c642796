/* Hostile models for sema: `fuzz_sema SECONDS SEED FILE...` shuffles the words of
 * the files for so long. The promises: no text crashes or takes long, what is
 * refused has a message, what is accepted expands to sound graphs. The text
 * tried last stands in fuzz_sema.input. */
#include "sema/sema.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORDS_MOST = 6000, FILES_MOST = 256, SECONDS_MOST = 10 };

static const char *const input = "fuzz_sema.input";

static _Noreturn void broken(const char *promise, const char *detail)
{
    fprintf(stderr, "fuzz_sema: %s: %s\n", promise, detail);
    abort();
}

/* ---- words ---- */

typedef struct {
    const char *at;
    int n;
} Word;
typedef struct {
    Word *at;
    int n;
} Text;

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

static int word_length(const char *s)
{
    int n = 1;
    if (*s == '#')
        return (int)strcspn(s, "\n");
    if (letter(*s))
        while (letter(s[n]))
            n++;
    else if (*s == ' ')
        while (s[n] == ' ')
            n++;
    else if ((*s == '-' && s[1] == '>') || (*s == '*' && s[1] == '*'))
        n = 2;
    return n;
}

static Text words_of(Arena *a, const char *s)
{
    Text t = {NEW_ARRAY(a, Word, WORDS_MOST), 0};
    const char *end = strstr(s, "# expect\n");
    for (; *s && s != end && t.n < WORDS_MOST; s += t.at[t.n++].n)
        t.at[t.n] = (Word){s, word_length(s)};
    return t;
}

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15u; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int below(uint64_t *state, int n)
{
    return n > 0 ? (int)(next_random(state) % (uint64_t)n) : 0;
}

/* A word that is more than space, of any file. */
static Word any_word(uint64_t *state, const Text *files, int nfile)
{
    static const char *const own[] = {
        "0",     "1",        "-1",       "2",      "1000000000", "9223372036854775807",
        "1e300", "0.5",      "none",     "true",   "[]",         "[1, 2]",
        "{}",    "\"\"",     "t",        "t-1",    "t+1",        "batch",
        "time",  "x",        "[:]",      "[::-1]", "LSTM",       "Dense(3)",
        "copy",  "range(3)", "training", "mask",   "over_time",  "freeze",
    };
    if (below(state, 4) == 0) {
        const char *w = own[below(state, sizeof own / sizeof *own)];
        return (Word){w, (int)strlen(w)};
    }
    for (int i = 0; i < 20; i++) {
        const Text *t = &files[below(state, nfile)];
        if (!t->n)
            continue;
        Word w = t->at[below(state, t->n)];
        if (*w.at != ' ' && *w.at != '\n' && *w.at != '#')
            return w;
    }
    return (Word){"1", 1};
}

static int kind(Word w)
{
    char c = *w.at;
    return letter(c)               ? (c >= '0' && c <= '9' ? 1 : 2)
           : strchr("+-*/@<>=", c) ? 3
                                   : (unsigned char)c;
}

/* A word of the same kind, so that the text often still parses. */
static Word like(uint64_t *state, Word old, const Text *files, int nfile)
{
    for (int i = 0; i < 40; i++) {
        Word w = any_word(state, files, nfile);
        if (kind(w) == kind(old))
            return w;
    }
    return old;
}

static void mutate(uint64_t *state, Text *t, const Text *files, int nfile)
{
    int at = below(state, t->n), other = below(state, t->n);
    Word w;
    switch (below(state, 16)) {
    case 0: /* exchange */
        w = t->at[at];
        t->at[at] = t->at[other];
        t->at[other] = w;
        break;
    case 1: /* leave out */
        memmove(t->at + at, t->at + at + 1, sizeof(Word) * (size_t)(t->n - at - 1));
        t->n--;
        break;
    case 2: /* put in */
        if (t->n + 1 >= WORDS_MOST)
            break;
        memmove(t->at + at + 1, t->at + at, sizeof(Word) * (size_t)(t->n - at));
        t->at[at] = any_word(state, files, nfile);
        t->n++;
        break;
    default: /* another word */
        while (at < t->n - 1 && (*t->at[at].at == ' ' || *t->at[at].at == '\n'))
            at++;
        if (below(state, 8))
            t->at[at] = like(state, t->at[at], files, nfile);
        else
            t->at[at] = below(state, 2) ? any_word(state, files, nfile) : t->at[other];
    }
}

/* ---- promises ---- */

static const DataField fields[] = {
    {"image", DT_u8, 2, {28, 28}},
    {"label", DT_u8, 0, {0}},
    {"series", DT_f32, 2, {12, 5}},
};
static const DataSchema schema = {3, fields, 60000, 10000, 10, NULL, NULL};

static const DataSchema *open_schema(void *context, Diag *d, Span at, const char *reader,
                                     const ReaderArg *args, int nargs)
{
    (void)context, (void)d, (void)at, (void)reader, (void)args, (void)nargs;
    return &schema;
}

static void sound(Arena *a, Diag *d, Graph *g)
{
    if (!g && diag_ok(d))
        broken("refused without a message", "");
    const char *why = g ? graph_verify(a, g) : NULL;
    if (why)
        broken("an unsound graph", why);
}

static bool try_file(void)
{
    Arena *a = arena_new();
    Diag d = {.arena = a};
    Session *s = session_new(a, &d, DT_f32);
    s->schema = open_schema;
    clock_t start = clock();
    Unit *u = unit_open(s, input);
    if ((u != NULL) != diag_ok(&d))
        broken(u ? "accepted with a message" : "refused without a message", "");
    if (u)
        sound(a, &d, unit_forward(u, FORWARD_predict));
    if (u && u->train && u->data)
        sound(a, &d, unit_forward(u, FORWARD_train));
    if (clock() - start > SECONDS_MOST * CLOCKS_PER_SEC)
        broken("too slow", "");
    arena_free(a);
    return u != NULL;
}

static char *read_file(Arena *a, const char *path)
{
    enum { MOST = 1 << 18 };
    FILE *f = fopen(path, "rb");
    char *text = arena_alloc(a, MOST);
    if (!f)
        broken("cannot read", path);
    text[fread(text, 1, MOST - 1, f)] = 0;
    fclose(f);
    return text;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: fuzz_sema SECONDS SEED FILE...\n");
        return 1;
    }
    Arena *a = arena_new();
    Text files[FILES_MOST], t = {NEW_ARRAY(a, Word, WORDS_MOST), 0};
    int nfile = 0;
    for (int i = 3; i < argc && nfile < FILES_MOST; i++)
        files[nfile++] = words_of(a, read_file(a, argv[i]));
    uint64_t state = strtoull(argv[2], NULL, 10);
    time_t end = time(NULL) + atoi(argv[1]);
    long runs = 0, accepted = 0;
    for (; time(NULL) < end; runs++) {
        const Text *from = &files[below(&state, nfile)];
        memcpy(t.at, from->at, sizeof(Word) * (size_t)from->n);
        t.n = from->n;
        for (int k = 1 + below(&state, 4); k > 0 && t.n > 1; k--)
            mutate(&state, &t, files, nfile);
        FILE *f = fopen(input, "wb");
        if (!f)
            broken("cannot write", input);
        for (int i = 0; i < t.n; i++)
            fwrite(t.at[i].at, 1, (size_t)t.at[i].n, f);
        fclose(f);
        accepted += try_file();
    }
    remove(input);
    printf("%ld models, %ld accepted\n", runs, accepted);
    arena_free(a);
    return 0;
}
