/* The one style of `weft fmt`, and that it changes nothing but the looks: also of every
 * model in the repository. */
#include "ast.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static int nfailed;

static const struct { const char *source, *formatted;
} cases[] = {
    {"", ""},
    {"\n\n", ""},
    {"# a  \n\n\n\n#b", "# a\n\n#b\n"},
    {"model  m{LSTM( 5 );Dense(3,activation = relu)}",
     "model m { LSTM(5); Dense(3, activation=relu) }\n"},
    {"model m\n{\nLSTM(5) }", "model m {\n    LSTM(5)\n}\n"},
    {"model m {\n\n\n  a = 1;\n\n\n\n  b = 2\n\n}\n\n\n", "model m {\n    a = 1\n\n    b = 2\n}\n"},
    {"let a=b+c*-d**2@e", "let a = b + c * -d**2 @ e\n"},
    {"let a = x [ t - 1 , 2 : n-1 , :: 2 ]", "let a = x[t-1, 2:n-1, ::2]\n"},
    {"let a = [ t-1 , 2 ]", "let a = [t - 1, 2]\n"},
    {"let a = x[f(t-1)]", "let a = x[f(t - 1)]\n"},
    {"let a = {b:1,\nc :2}", "let a = {b: 1,\n         c: 2}\n"},
    {"let a = not(b)and-c if d else e", "let a = not (b) and -c if d else e\n"},
    {"let a = if(b)then[c]else(d)", "let a = if (b) then [c] else (d)\n"},
    {"let a = ( b , )", "let a = (b,)\n"},
    {"let a = 2 .x", "let a = 2 .x\n"},
    {"cell c(u,n=-1){\ninput x[T<=200,4 * u]:f32,y\nstate h [u]=zeros\n"
     "param w[u]=uniform(0.5,2){constraint=NonNeg();trainable=false}\noutput h[t]:mask=m\n"
     "update-h\noutput(a)\n}",
     "cell c(u, n=-1) {\n    input x[T<=200, 4*u] : f32, y\n    state h[u] = zeros\n"
     "    param w[u] = uniform(0.5, 2) { constraint = NonNeg(); trainable = false }\n"
     "    output h[t] : mask = m\n    update -h\n    output (a)\n}\n"},
    {"model m {\n  y = f(\n  a,\n  b\n  )\n}",
     "model m {\n    y = f(\n        a,\n        b\n    )\n}\n"},
    {"model m {\n  y = x->A\n ->B(1,\n2)\n}",
     "model m {\n    y = x -> A\n          -> B(1,\n               2)\n}\n"},
    {"model m {\n y = f(a,\n[b,\nc\n],\n g(\nd),\n e\n)\n z = if a then b\nelse x[(k+1)*n:]\n}",
     "model m {\n    y = f(a,\n          [b,\n           c\n          ],\n          g(\n"
     "              d),\n          e\n         )\n    z = if a then b\n        else "
     "x[(k+1)*n:]\n}\n"},
    {"train {\n a = f(x,\ny) # c\n bb = x -> g(\n1)\n-> h\n}",
     "train {\n    a  = f(x,\n           y)  # c\n    bb = x -> g(\n        1)\n           -> "
     "h\n}\n"},
    {"model m {\n  y = x\n ->A\n}", "model m {\n    y = x\n        -> A\n}\n"},
    {"model m {\n  y = a+\nb\n}", "model m {\n    y = a +\n        b\n}\n"},
    {"model m {\n  if a {\nx = 1\n}\nelse if b { }\nelse\n{\n}\n}",
     "model m {\n    if a {\n        x = 1\n    } else if b { } else {\n    }\n}\n"},
    {"model m {\n  if a {\n}\n# why\nelse { }\n}",
     "model m {\n    if a {\n    }\n    # why\n    else { }\n}\n"},
    {"model m { # first\n  LSTM(5)# second\n  Dense(30)    # third\n\n  A # fourth\n   # last\n}",
     "model m {  # first\n    LSTM(5)    # second\n    Dense(30)  # third\n\n    A  # fourth\n"
     "    # last\n}\n"},
    {"train {\n a=1\n bbb = f(\n1)\n\n cc = 2\n d=3\n}",
     "train {\n    a   = 1\n    bbb = f(\n        1)\n\n    cc = 2\n    d  = 3\n}\n"},
    {"model m {\n a=1\n bbb = 2\n\n a   = 1\n bbb = 2\n c = 3\n output a  = x\n output bc = y\n}",
     "model m {\n    a = 1\n    bbb = 2\n\n    a   = 1\n    bbb = 2\n    c = 3\n    output a  = x\n"
     "    output bc = y\n}\n"},
    {"let a = b = c", NULL},
};

static const char *format(Arena *a, const char *text)
{
    Diag d = {.arena = a};
    return format_source(a, &d, diag_source(&d, "t.model", text, strlen(text), false));
}

static const char *tree(Arena *a, const char *text)
{
    Diag d = {.arena = a};
    return ast_text(a, parse_source(a, &d, diag_source(&d, "t.model", text, strlen(text), false)));
}

/* Formatting keeps the tree, and a second time changes nothing. */
static void check_promises(Arena *a, const char *what, const char *text)
{
    const char *once = format(a, text), *twice = once ? format(a, once) : NULL;
    if (once && twice && !strcmp(once, twice) && !strcmp(tree(a, text), tree(a, once)))
        return;
    printf("%s: %s\n", what, !once ? "does not parse" : !twice || strcmp(once, twice)
           ? "formatting twice differs from once" : "formatting changed the tree");
    nfailed++;
}

static void test_cases(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arena *a = arena_new();
        const char *got = format(a, cases[i].source), *want = cases[i].formatted;
        if (want ? !got || strcmp(got, want) : got != NULL) {
            printf("the format of\n%s\nwanted\n%s\ngot\n%s\n\n", cases[i].source,
                   want ? want : "none", got ? got : "none");
            nfailed++;
        }
        if (want)
            check_promises(a, cases[i].source, cases[i].source);
        arena_free(a);
    }
}

static char *read_file(Arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    enum { MOST = 1 << 20 };
    char *text = arena_alloc(a, MOST + 1);
    text[fread(text, 1, MOST, f)] = 0;
    fclose(f);
    return text;
}

/* Every prefix of a source is read without a crash; a formatted one keeps its promises. */
static void test_truncations(Arena *a, const char *path, const char *text)
{
    size_t n = strlen(text), step = n > 2048 ? 5 : 1;
    for (size_t size = 0; size < n; size += step) {
        Arena *scratch = arena_new();
        const char *part = arena_strndup(scratch, text, size);
        tree(scratch, part);
        if (format(scratch, part))
            check_promises(scratch, arena_printf(a, "%s, %zu bytes", path, size), part);
        arena_free(scratch);
    }
}

static int test_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    int nfile = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, ".model"))
            continue;
        Arena *a = arena_new();
        const char *path = arena_printf(a, "%s/%s", folder, e->d_name), *text = read_file(a, path);
        if (text) {
            check_promises(a, path, text);
            test_truncations(a, path, text);
            nfile++;
        }
        arena_free(a);
    }
    if (dir)
        closedir(dir);
    return nfile;
}

/* The examples of the language's reference parse and are in its style (not those that show
 * an error: ```model error: TEXT). */
static void test_reference(void)
{
    static const char fence[] = "```model";
    Arena *a = arena_new();
    const char *text = read_file(a, "grammar/language.md");
    int nexample = 0;
    for (const char *s = text; s && (s = strstr(s, fence));) {
        const char *body = strchr(s, '\n') + 1, *end = strstr(body, "```");
        bool wrong = s[strlen(fence)] == ' ';
        const char *example = arena_strndup(a, body, (size_t)(end - body)),
                   *got = format(a, example);
        if (!wrong && (!got || strcmp(got, example))) {
            printf("an example of language.md %s\n%s\n", got ? "is not in the one style:"
                   : "does not parse:", example);
            nfailed++;
        }
        nexample++;
        s = end + 3;
    }
    if (nexample == 0) {
        printf("grammar/language.md has no examples\n");
        nfailed++;
    }
    arena_free(a);
}

/* Bytes without sense, and tokens without sense. */
static void test_noise(void)
{
    static const char alphabet[] = "(){}[]=,;:.-+*/<>@#\"' \n\n\nab1if else->input x ";
    uint32_t state = 1;
    for (int i = 0; i < 3000; i++) {
        Arena *a = arena_new();
        char text[120];
        int n = i % 120;
        for (int k = 0; k < n; k++) {
            state = state * 1664525u + 1013904223u;
            text[k] = i % 2 ? alphabet[(state >> 8) % (sizeof alphabet - 1)] : (char)(state >> 8);
        }
        Diag d = {.arena = a};
        parse_source(a, &d, diag_source(&d, "noise", text, (size_t)n, false));
        format_source(a, &d, diag_source(&d, "noise", text, (size_t)n, false));
        parse_expression(a, &d, diag_source(&d, "noise", text, (size_t)n, false));
        arena_free(a);
    }
}

int main(void)
{
    test_cases();
    test_noise();
    test_reference();
    if (test_folder("models") == 0) {
        printf("no models found: run this from the repository's top\n");
        nfailed++;
    }
    test_folder("compiler/prelude");
    if (nfailed)
        printf("%d failed\n", nfailed);
    return nfailed > 0;
}
