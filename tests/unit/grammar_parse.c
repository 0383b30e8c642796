/* The trees of sources, and the messages for those that have none. */
#include "ast.h"

#include <stdlib.h>
#include <string.h>

static int nfailed;

static File *parse(Arena *a, Diag *d, const char *text)
{
    d->arena = a;
    return parse_source(a, d, diag_source(d, "t.model", text, strlen(text), false));
}

static void fail(const char *what, const char *source, const char *want, const char *got)
{
    printf("%s of\n%s\nwanted\n%s\ngot\n%s\n\n", what, source, want, got);
    nfailed++;
}

/* ---- expressions ---- */

static const struct { const char *source, *tree; } expressions[] = {
    {"1 + 2 * 3", "(+ 1 (* 2 3))"},
    {"(1 + 2) * 3", "(* (+ 1 2) 3)"},
    {"a - b - c", "(- (- a b) c)"},
    {"a / b // c % d @ e", "(@ (% (// (/ a b) c) d) e)"},
    {"-x ** 2", "(- (** x 2))"},
    {"2 ** -1", "(** 2 (- 1))"},
    {"2 ** 3 ** 2", "(** 2 (** 3 2))"},
    {"a ** b[1] ** f(2)", "(** a (** (index b 1) (call f 2)))"},
    {"--x", "(- (- x))"},
    {"-a * b", "(* (- a) b)"},
    {"not a and b or c", "(or (and (not a) b) c)"},
    {"not a == b", "(not (== a b))"},
    {"a < b and b <= c", "(and (< a b) (<= b c))"},
    {"(a < b) < c", "(< (< a b) c)"},
    {"a + b < c - d", "(< (+ a b) (- c d))"},
    {"a != b", "(!= a b)"},
    {"a > b or a >= b", "(or (> a b) (>= a b))"},
    {"x -> L", "(-> x L)"},
    {"x -> A(1) -> B", "(-> (-> x (call A 1)) B)"},
    {"x + 1 -> A", "(-> (+ x 1) A)"},
    {"(q, kv) -> Attention(8)", "(-> (tuple q kv) (call Attention 8))"},
    {"if c then a else b", "(if c a b)"},
    {"a if c else b", "(if c a b)"},
    {"a if c else b if d else e", "(if c a (if d b e))"},
    {"if c then a if d else e else b", "(if c (if d a e) b)"},
    {"if c then a else if d then b else e", "(if c a (if d b e))"},
    {"if c then x -> A else y", "(if c (-> x A) y)"},
    {"x -> A if c else B", "(-> x (if c A B))"},
    {"f()", "(call f)"},
    {"f(1, units=2,)", "(call f 1 units=2)"},
    {"LSTM(50)(x)", "(call (call LSTM 50) x)"},
    {"LSTM(32)(x, initial_state=[h, c])", "(call (call LSTM 32) x initial_state=(list h c))"},
    {"Bidirectional(layer=LSTM(5), input=x, if=3)",
     "(call Bidirectional layer=(call LSTM 5) input=x if=3)"},
    {"digits.test", "(. digits test)"},
    {"a.if.else", "(. (. a if) else)"},
    {"x[0]", "(index x 0)"},
    {"x[-1, 1:3, :, ::2, a:b:c, :n]",
     "(index x (- 1) (: 1 3 _) (: _ _ _) (: _ _ 2) (: a b c) (: _ n _))"},
    {"h[t-1][0]", "(index (index h (- t 1)) 0)"},
    {"[]", "(list)"},
    {"[32, 64,]", "(list 32 64)"},
    {"()", "(tuple)"},
    {"(28, 28)", "(tuple 28 28)"},
    {"(a,)", "(tuple a)"},
    {"((a))", "a"},
    {"{}", "(dict)"},
    {"{decoder: Adam(1e-3), default: b}", "(dict decoder: (call Adam 0.001) default: b)"},
    {"{\"a b\": 1, 2: x, (k): 3}", "(dict a b: 1 2: x k: 3)"},
    {"{a: {b: 1}}", "(dict a: (dict b: 1))"},
    {"f({a: 1}, [{b: 2}])", "(call f (dict a: 1) (list (dict b: 2)))"},
    {"f(\n  a,\n  b\n)", "(call f a b)"},
    {"{\n  a: 1\n\n  b: 2,\n  c:\n 3\n}", "(dict a: 1 b: 2 c: 3)"},
    {"[1, # one\n 2]", "(list 1 2)"},
    {"'relu'", "\"relu\""},
    {"\"a\\n\\t\\\\\\\"'\"", "\"a\\n\\t\\\\\\\"'\""},
    {"True", "True"},
    {"1_000", "1000"},
    {"9223372036854775807", "9223372036854775807"},
    {"0.5", "0.5"},
    {"1e-3", "0.001"},
    {"1e3", "1000.0"},
    {".5 + 1. + 1.5E+2", "(+ (+ 0.5 1.0) 150.0)"},
    {"0.1", "0.1"},
    {"input", "input"},
    {"repeat", "repeat"},
    {"in", "in"},
};

static void test_expressions(void)
{
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
        Arena *a = arena_new();
        Diag d = {.arena = a};
        const char *text = expressions[i].source;
        Expr *e = parse_expression(a, &d, diag_source(&d, "e", text, strlen(text), false));
        const char *want = arena_printf(a, "(do %s)", expressions[i].tree), *got = "an error";
        if (e) {
            Stmt s = {.kind = ST_expr, .value = e};
            File f = {0};
            list_push(a, &f.items, &s);
            got = ast_text(a, &f);
            /* and back through its text */
            const char *written = expr_text(a, e);
            Expr *again =
                parse_expression(a, &d, diag_source(&d, "w", written, strlen(written), false));
            s.value = again;
            if (!again || strcmp(ast_text(a, &f), got))
                fail("the text", text, got, written);
        }
        if (strcmp(got, want))
            fail("the tree", text, want, got);
        diag_print(&d, stdout);
        arena_free(a);
    }
}

/* ---- files ---- */

static const struct { const char *source, *tree;
} files[] = {
    {"", ""},
    {"# only a comment", ""},
    {"\xEF\xBB\xBF\r\n\n;;\nlanguage 1\nimport \"a.model\"; import 'b'\r\n",
     "(import \"a.model\")\n(import \"b\")"},
    {"let width = 256\nlet Cell = LSTM", "(let width = 256)\n(let Cell = LSTM)"},
    {"let d = {a: 1}", "(let d = (dict a: 1))"},
    {"model m { }", "(model m {})"},
    {"model m\n\n# c\n{\n}", "(model m {})"},
    {"model m { LSTM(5); Dense(3) }", "(model m\n  (do (call LSTM 5))\n  (do (call Dense 3)))"},
    {"train { }\ntrain finetune {\n  model = vae\n}",
     "(train {})\n(train finetune\n  (= model = vae))"},
    {"data d = mnist(\"dir\")", "(data d = (call mnist \"dir\"))"},
    {"data d = mnist(\"dir\") { x = x / 255 }",
     "(data d = (call mnist \"dir\")\n  (= x = (/ x 255)))"},
    {"function f(x) = x + 1", "(function f (x) = (+ x 1))"},
    {"function f(x, y=1,) { output x }", "(function f (x y=1)\n  (output x))"},
    {"activation swish(x) = x * sigmoid(x)", "(activation swish (x) = (* x (call sigmoid x)))"},
    {"layer L { }\nlayer M() { }", "(layer L {})\n(layer M () {})"},
    {"initializer a { }\nregularizer b { }\nconstraint c { }\nschedule d { }\nmetric e { }",
     "(initializer a {})\n(regularizer b {})\n(constraint c {})\n(schedule d {})\n(metric e {})"},
    {"# Two lines\n#   of words\ncell A { }", "(cell \"Two lines\\n  of words\" A {})"},
    {"# not this\n\n#this\n  model A { } # nor this", "(model \"this\" A {})"},
    {"let a = 1 # no\ncell A { }", "(let a = 1)\n(cell A {})"},
};

/* Each is the body of `cell c { }`. */
static const struct { const char *source, *tree; } bodies[] = {
    {"input x", "(input (x))"},
    {"input state[4], data[3]", "(input (state[4]) (data[3]))"},
    {"input src[S<=60], dst[T<=60]", "(input (src[(<= S 60)]) (dst[(<= T 60)]))"},
    {"input q[20] : int", "(input (q[20] : int))"},
    {"input x[]", "(input (x[]))"},
    {"state h[units] = h0,\n   c[units]", "(state (h[units] = h0) (c[units]))"},
    {"param W[a, b] : f64 = glorot_uniform", "(param (W[a b] : f64 = glorot_uniform))"},
    {"param a = zeros { trainable = false }, b",
     "(param (a = zeros\n  (= trainable = false)) (b))"},
    {"param tau[u] = uniform(0.5, 2) { constraint = NonNeg(); regularizer = L2(1e-4) }",
     "(param (tau[u] = (call uniform 0.5 2)\n  (= constraint = (call NonNeg))\n"
     "  (= regularizer = (call L2 0.0001))))"},
    {"slot m, v", "(slot (m) (v))"},
    {"buffer mean_[n] = zeros", "(buffer (mean_[n] = zeros))"},
    {"static memory[S, d]", "(static (memory[S d]))"},
    {"sum hits[3] = e", "(sum (hits[3] = e))"},
    {"sum = 3", "(= sum = 3)"},
    {"sum(x)", "(do (call sum x))"},
    {"data = digits; loss = mse; input = 1; if = 2",
     "(= data = digits)\n(= loss = mse)\n(= input = 1)\n(= if = 2)"},
    {"once keep = bernoulli(0.9, [units])", "(once keep = (call bernoulli 0.9 (list units)))"},
    {"let shared = LSTM(64)", "(let shared = (call LSTM 64))"},
    {"a, b = b, a", "(= a, b = (tuple b a))"},
    {"(a, b) = f(x)", "(= a, b = (call f x))"},
    {"y, h, c = x -> LSTM(3)", "(= y, h, c = (-> x (call LSTM 3)))"},
    {"c[t], h[t] = f(x)", "(= (index c t), (index h t) = (call f x))"},
    {"output h[t]", "(output (index h t))"},
    {"output answer = e", "(output answer = e)"},
    {"output y : mask = m", "(output y mask m)"},
    {"output y = e : mask = m", "(output y = e mask m)"},
    {"output a, b = 2", "(output a)\n(output b = 2)"},
    {"output relu(x + y)", "(output (call relu (+ x y)))"},
    {"output (a + b) * 2", "(output (* (+ a b) 2))"},
    {"output if c then a else b", "(output (if c a b))"},
    {"output -x", "(output (- x))"},
    {"output not x", "(output (not x))"},
    {"output = 3", "(= output = 3)"},
    {"update -rate * m[t]", "(update (* (- rate) (index m t)))"},
    {"update mean_ = e", "(update mean_ = e)"},
    {"repeat 2 { LSTM(3) }", "(repeat 2\n  (do (call LSTM 3)))"},
    {"repeat n\n{\n}", "(repeat n {})"},
    {"repeat (n + 1) { }", "(repeat (+ n 1) {})"},
    {"repeat(x, 3)", "(do (call repeat x 3))"},
    {"for f in [32, 64] { Dense(f) }", "(for f = (list 32 64)\n  (do (call Dense f)))"},
    {"for i, f in in { }", "(for i, f = in {})"},
    {"if a { } else if b { x = 1 } else { }",
     "(if a {} else\n  (if b\n    (= x = 1) else {}))"},
    {"if a {\n}\n# c\nelse\n{\n}", "(if a {} else {})"},
    {"y = if a\n then b\n else c", "(= y = (if a b c))"},
    {"y = x -> A\n\n# c\n -> B\n->\nC", "(= y = (-> (-> (-> x A) B) C))"},
    {"y = a +\n b *\n\n c", "(= y = (+ a (* b c)))"},
    {"y =\n{a: 1}", "(= y = (dict a: 1))"},
    {"y = a not\n", NULL},
    {"-x", "(do (- x))"},
};

static void check_tree(const char *what, const char *source, const char *want)
{
    Arena *a = arena_new();
    Diag d = {.arena = a};
    File *f = parse(a, &d, source);
    const char *got = diag_ok(&d) ? ast_text(a, f) : "an error";
    if (strcmp(got, want)) {
        fail(what, source, want, got);
        diag_print(&d, stdout);
    }
    arena_free(a);
}

/* The tree of a body, two columns further in, as that of a cell c. */
static const char *in_cell(Arena *a, const char *tree)
{
    const char *out = "(cell c";
    for (const char *line = tree; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        out = arena_printf(a, "%s\n  %.*s", out, (int)strcspn(line, "\n"), line);
    }
    return arena_printf(a, "%s)", out);
}

static void test_files(void)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        check_tree("the tree", files[i].source, files[i].tree);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        Arena *a = arena_new();
        const char *source = arena_printf(a, "cell c {\n%s\n}", bodies[i].source);
        const char *want = bodies[i].tree ? in_cell(a, bodies[i].tree) : "an error";
        check_tree("the tree", source, want);
        check_tree("the tree", arena_printf(a, "cell c {%s}", bodies[i].source), want);
        arena_free(a);
    }
}

static void test_spans(void)
{
    Arena *a = arena_new();
    Diag d = {.arena = a};
    const char *text = "model m {\n    y = (x + h[t-1]) ->\n LSTM(50)\n}\n";
    File *f = parse(a, &d, text);
    Stmt *m = f->items.at[0], *s = m->body.at[0];
    const struct { Span span; const char *text; } spans[] = {
        {m->span, "model m"},
        {m->name_span, "m"},
        {s->span, "y = (x + h[t-1]) ->\n LSTM(50)"},
        {s->value->span, "(x + h[t-1]) ->\n LSTM(50)"},
        {s->value->op_span, "->"},
        {s->value->kid[0]->span, "(x + h[t-1])"},
        {s->value->kid[0]->kid[1]->span, "h[t-1]"},
        {s->value->kid[1]->span, "LSTM(50)"},
        {s->value->kid[1]->args.at[0].value->span, "50"},
    };
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        const char *got =
            arena_strndup(a, text + spans[i].span.lo, spans[i].span.hi - spans[i].span.lo);
        if (strcmp(got, spans[i].text))
            fail("a span", text, spans[i].text, got);
    }
    arena_free(a);
}

int main(void)
{
    test_expressions();
    test_files();
    test_spans();
    if (nfailed)
        printf("%d failed\n", nfailed);
    return nfailed > 0;
}
