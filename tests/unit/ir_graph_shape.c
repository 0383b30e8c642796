/* The shape rule of every operation, good and bad, written as graph text: a
 * good case states the type that the rule must infer, a bad one the sentence.
 * Every row of op.def has at least one of each (where it can fail). */
#include "ir/graph.h"

#include <string.h>

static const char inputs[] =
    "graph t {\n length T <= 200\n length U\n"
    "%x = input {role=data, name=\"x\"} : f32[N, 28]\n"
    "%y = input {role=data, name=\"y\"} : f32[N, 28, 28]\n"
    "%seq = input {role=data, name=\"seq\"} : f32[N, T, 28]\n"
    "%other = input {role=data, name=\"other\"} : f32[N, U, 28]\n"
    "%half = input {role=data, name=\"half\"} : f32[N, (T-1)/2, 28]\n"
    "%img = input {role=data, name=\"img\"} : u8[N, 28, 28]\n"
    "%idx = input {role=data, name=\"idx\"} : i32[N, 20]\n"
    "%m = input {role=data, name=\"m\"} : bool[N, 28]\n"
    "%d = input {role=data, name=\"d\"} : f64[N, 28]\n"
    "%w = input {role=param, name=\"w\"} : f32[28, 50]\n"
    "%u = input {role=param, name=\"u\"} : f32[40, 10]\n"
    "%b = input {role=param, name=\"b\"} : f32[50]\n"
    "%v = input {role=param, name=\"v\"} : f32[28]\n"
    "%k = input {role=scalar, name=\"k\"} : f64\n"
    "%s = input {role=scalar, name=\"s\"} : i32\n"
    "%f = input {role=scalar, name=\"f\"} : f32\n"
    "%two = const {value=2} : f64\n"
    "%frac = const {value=0.5} : f64\n"
    "%g = input {role=slot, name=\"g\"} : f32[S, 28, 50]\n";

typedef struct { const char *text, *why; } Case;

static const Case cases[] = {
    /* maps of one operand */
    {"neg %x : f32[N, 28]", NULL},
    {"neg %s : i32", NULL},
    {"neg %img : u8[N, 28, 28]", "neg needs f32, f64 or i32, found u8: write float(x)"},
    {"neg %x : f64[N, 28]", "the type is f32[N, 28]"},
    {"neg %x, %x : f32[N, 28]", "neg takes 1 operand, found 2"},
    {"neg %x {axis=1} : f32[N, 28]", "neg takes no attribute axis"},
    {"abs %idx : i32[N, 20]", NULL},
    {"abs %m : bool[N, 28]", "abs needs f32, f64 or i32, found bool: write float(x)"},
#define FLOAT_MAP(name)                                                                    \
    {name " %seq : f32[N, T, 28]", NULL}, {name " %d : f64[N, 28]", NULL},                 \
    {name " %idx : i32[N, 20]", name " needs a float, found i32: write float(x)"}
    FLOAT_MAP("sign"), FLOAT_MAP("exp"), FLOAT_MAP("expm1"), FLOAT_MAP("log"),
    FLOAT_MAP("log1p"), FLOAT_MAP("sqrt"), FLOAT_MAP("tanh"), FLOAT_MAP("sigmoid"),
    FLOAT_MAP("softplus"), FLOAT_MAP("erf"), FLOAT_MAP("sin"), FLOAT_MAP("cos"),
    FLOAT_MAP("floor"), FLOAT_MAP("probit"), FLOAT_MAP("bfloat16"),
    {"not %m : bool[N, 28]", NULL},
    {"not %x : f32[N, 28]", "not needs bool, found f32"},
    {"stop_gradient %img : u8[N, 28, 28]", NULL},
    {"stop_gradient : f32", "stop_gradient takes 1 operand, found 0"},

    /* maps of two: broadcasting, weak scalars */
    {"add %x, %v : f32[N, 28]", NULL},
    {"add %v, %x : f32[N, 28]", NULL},
    {"add %seq, %v : f32[N, T, 28]", NULL},
    {"add %x, %k : f32[N, 28]", NULL},
    {"add %d, %k : f64[N, 28]", NULL},
    {"add %k, %two : f64", NULL},
    {"add %f, %k : f32", NULL},
    {"add %idx, %two : i32[N, 20]", NULL},
    {"add %idx, %frac : i32[N, 20]", "i32 and f64 do not mix: write float(x)"},
    {"add %idx, %k : i32[N, 20]", "i32 and f64 do not mix: write float(x)"},
    {"add %v, %b : f32[50]", "cannot add [28] and [50]"},
    {"add %x, %b : f32[N, 28]", "cannot add [28] and [50]"},
    {"add %x, %s : f32[N, 28]", "f32 and i32 do not mix: write float(x)"},
    {"add %x, %d : f32[N, 28]", "f32 and f64 do not mix: write float(x)"},
    {"add %seq, %other : f32[N, T, 28]", "cannot add [T, 28] and [U, 28]"},
    {"add %x, %g : f32[N, 28]", "cannot add [28] and [S, 28, 50]"},
    {"add %img, %two : u8[N, 28, 28]", "u8 and f64 do not mix: write float(x)"},
    {"sub %y, %x : f32[N, 28, 28]", NULL},
    {"sub %v, %b : f32[50]", "cannot subtract [28] and [50]"},
    {"mul %seq, %k : f32[N, T, 28]", NULL},
    {"mul %v, %b : f32[50]", "cannot multiply [28] by [50]"},
    {"div %x, %x : f32[N, 28]", NULL},
    {"div %idx, %two : i32[N, 20]", "div needs a float, found i32: write float(x)"},
    {"pow %x, %two : f32[N, 28]", NULL},
    {"pow %v, %b : f32[50]", "pow cannot combine [28] and [50]"},
    {"max %x, %v : f32[N, 28]", NULL},
    {"max %m, %m : bool[N, 28]", "max needs f32, f64 or i32, found bool: write float(x)"},
    {"min %idx, %s : i32[N, 20]", NULL},
    {"min %x, %m : f32[N, 28]", "min cannot combine f32 and bool"},
    {"mod %idx, %two : i32[N, 20]", NULL},
    {"mod %v, %b : f32[50]", "mod cannot combine [28] and [50]"},
    {"lt %x, %k : bool[N, 28]", NULL},
    {"lt %x, %k : f32[N, 28]", "the type is bool[N, 28]"},
    {"le %idx, %two : bool[N, 20]", NULL},
    {"le %v, %b : bool[50]", "cannot compare [28] and [50]"},
    {"gt %x, %x : bool[N, 28]", NULL},
    {"gt %m, %m : bool[N, 28]", "gt needs f32, f64 or i32, found bool: write float(x)"},
    {"ge %x, %v : bool[N, 28]", NULL},
    {"ge %v, %b : bool[50]", "cannot compare [28] and [50]"},
    {"eq %idx, %s : bool[N, 20]", NULL},
    {"eq %idx, %x : bool[N, 20]", "i32 and f32 do not mix: write float(x)"},
    {"ne %x, %x : bool[N, 28]", NULL},
    {"ne %v, %b : bool[50]", "cannot compare [28] and [50]"},
    {"and %m, %m : bool[N, 28]", NULL},
    {"and %x, %x : bool[N, 28]", "and needs bool, found f32"},
    {"or %m, %m : bool[N, 28]", NULL},
    {"or %m, %two : bool[N, 28]", "or cannot combine bool and f64"},
    {"select %m, %x, %k : f32[N, 28]", NULL},
    {"select %m, %idx, %idx : i32[N, 20]", "select cannot combine [28] and [20]"},
    {"select %x, %x, %x : f32[N, 28]", "a condition is a bool, found f32"},
    {"select %m, %x, %d : f32[N, 28]", "f32 and f64 do not mix: write float(x)"},

    /* leaves */
    {"input {role=data, name=\"z\"} : f32[N, 2*T+1]", NULL},
    {"input {role=data, name=\"z\"} : f32[0]", "[0] has an extent of 0, needed at least 1"},
    {"input {role=data, name=\"z\"} : f32[3, N]", "the batch is axis 0 alone, found [3, N]"},
    {"input {role=data, name=\"z\"} : f32[N+1]", "the batch is axis 0 alone, found [N+1]"},
    {"input {name=\"z\"} : f32", "attribute role is missing"},
    {"input {role=data, role=data, name=\"z\"} : f32", "attribute role is given twice"},
    {"input {role=data, name=\"z\"} : f32[2000000, 2000000]",
     "[2000000, 2000000] has too many elements"},
    {"const {value=1.5} : f32", NULL},
    {"const {value=1.5} : i32", "1.5 is no number of i32"},
    {"const {value=2} : bool", "2 is no number of bool"},
    {"const {value=1} : f32[3]", "the type is f32"},
    {"tensor {values=[1, 2, 3, 4]} : f32[2, 2]", NULL},
    {"tensor {values=[1, 2, 3]} : f32[2, 2]", "3 values for a tensor [2, 2]"},
    {"tensor {values=[300]} : u8[1]", "300 is no number of u8"},
    {"tensor {values=[1]} : f32[T]", "a literal tensor cannot be [T]"},
    {"iota {axis=0} : i32[T]", NULL},
    {"iota {axis=1} : i32[T]", "[T] has no axis 1"},
    {"iota {axis=0} : bool[3]", "an index is a number, not bool"},
    {"dim {dim=2*T+1} : f64", NULL},
    {"dim {dim=T} : f32", "the type is f64"},
    {"row : i32[N]", NULL},
    {"row : f32[N]", "the type is i32[N]"},
    {"random %s, %s {key=1} : f32[N, 28]", NULL},
    {"random %s, %s, %s {key=1} : f64[28]", NULL},
    {"random %s {key=1} : f32", "random takes seed, step and perhaps t, found 1 operands"},
    {"random %s, %k {key=1} : f32", "operand 1 of random is not an i32 scalar"},
    {"random %s, %s {key=1} : i32", "random numbers are floats, not i32"},
    {"random %s, %s {key=1} : f32[S]", "random numbers have no shards"},
    {"orthogonal %w : f32[28, 50]", NULL},
    {"orthogonal %x : f32[N, 28]", "orthogonal needs a matrix, found [28]"},
    {"orthogonal %idx : i32[N, 20]", "orthogonal needs a float, found i32"},

    /* views */
    {"cast %img : f32[N, 28, 28]", NULL},
    {"cast %x : bool[N, 28]", "f32 does not convert to bool: write x != 0"},
    {"cast %x : f64[N, 29]", "the type is f64[N, 28]"},
    {"words %x {axis=1, value=2} : i32[N, 7]", NULL},
    {"words %b {axis=0, value=1, unsigned=1} : i32[13]", NULL},
    {"words %seq {axis=1, value=1} : i32[N, T, 28]", "[T, 28] has no axis 1 of known extent"},
    {"words %idx {axis=1, value=1} : i32[N, 5]", "words are made of f32 or i8, found i32"},
    {"words %x {axis=1, value=1, unsigned=2} : i32[N, 7]", "attribute unsigned is 2"},
    {"broadcast %f : f32[S, 28, 50]", NULL},
    {"broadcast %v : f32[N, T, 28]", NULL},
    {"broadcast %x : f32[28]", "cannot broadcast [28] to [28]"},
    {"broadcast %b : f32[28]", "cannot broadcast [50] to [28]"},
    {"reshape %y : f32[N, 784]", NULL},
    {"reshape %seq : f32[N, T, 4, 7]", NULL},
    {"reshape %b : f32[5, 10]", NULL},
    {"reshape %y : f32[N, 783]", "cannot reshape [28, 28] to [783]: 784 elements and 783"},
    {"reshape %b : f32[7, 7]", "cannot reshape [50] to [7, 7]: 50 elements and 49"},
    {"reshape %seq : f32[N, 28, T]",
     "cannot reshape [T, 28] to [28, T]: a run-time length stays an axis of its own"},
    {"reshape %seq : f32[N, 28*T]",
     "cannot reshape [T, 28] to [28*T]: a run-time length stays an axis of its own"},
    {"reshape %x : f32[28]", "cannot reshape [28] to [28]: the batch stays the first axis"},
    {"transpose %seq {perm=[0, 2, 1]} : f32[N, 28, T]", NULL},
    {"transpose %w {perm=[1, 0]} : f32[50, 28]", NULL},
    {"transpose %w {perm=[1, 1]} : f32[50, 28]",
     "the axes given are no permutation of those of [28, 50]"},
    {"transpose %w {perm=[0]} : f32[28]", "1 axes for [28, 50]"},
    {"transpose %x {perm=[1, 0]} : f32[28]",
     "cannot transpose [28]: the batch stays the first axis"},
    {"slice %x {axis=1, start=4, size=12, step=2} : f32[N, 12]", NULL},
    {"slice %x {axis=1, start=27, size=28, step=-1} : f32[N, 28]", NULL},
    {"slice %seq {axis=1, start=T-1, size=T, step=-1} : f32[N, T, 28]", NULL},
    {"slice %seq {axis=1, start=1, size=T-1, step=1} : f32[N, T-1, 28]", NULL},
    {"slice %half {axis=1, start=0, size=(T-1)/2, step=1} : f32[N, (T-1)/2, 28]", NULL},
    {"slice %seq {axis=1, start=1, size=T, step=1} : f32[N, T, 28]",
     "index T is outside of an axis of T"},
    {"slice %x {axis=1, start=20, size=9, step=1} : f32[N, 9]",
     "index 28 is outside of an axis of 28"},
    {"slice %x {axis=1, start=-1, size=9, step=1} : f32[N, 9]",
     "index -1 is outside of an axis of 28"},
    {"slice %x {axis=1, start=0, size=9, step=0} : f32[N, 9]", "a step of 0 is not possible"},
    {"slice %x {axis=1, start=0, size=0, step=1} : f32[N, 0]", "a slice of 0 elements"},
    {"slice %x {axis=0, start=0, size=1, step=1} : f32[1]", "slice does not act on the batch"},
    {"slice %x {axis=2, start=0, size=1, step=1} : f32[1]", "[28] has no axis 2"},
    {"pad %x {axis=1, start=1, size=30, step=1} : f32[N, 30]", NULL},
    {"pad %x {axis=1, start=27, size=28, step=-1} : f32[N, 28]", NULL},
    {"pad %seq {axis=1, start=0, size=2*T, step=2} : f32[N, 2*T, 28]", NULL},
    {"pad %x {axis=1, start=3, size=30, step=1} : f32[N, 30]",
     "place 30 is outside of an axis of 30"},
    {"concat %x, %x {axis=1} : f32[N, 56]", NULL},
    {"concat %seq, %seq {axis=1} : f32[N, 2*T, 28]", NULL},
    {"concat %half, %y {axis=1} : f32[N, (T+55)/2, 28]", NULL},
    {"concat %seq, %other {axis=1} : f32[N, T, 28]",
     "cannot join [T, 28] and [U, 28]: the sum of their lengths has no form"},
    {"concat %w, %u {axis=0} : f32[68, 50]",
     "cannot join [28, 50] and [40, 10]: only the axis joined may differ"},
    {"concat %x, %d {axis=1} : f32[N, 56]", "cannot join f32 and f64: write float(x)"},
    {"concat %x, %x {axis=0} : f32[N, 28]", "concat does not act on the batch"},
    {"concat {axis=0} : f32[N, 28]", "concat needs an operand"},

    /* reductions */
    {"reduce_sum %seq {axes=[1, 2]} : f32[N]", NULL},
    {"reduce_sum %idx {axes=[1]} : i32[N]", NULL},
    {"reduce_sum %seq {axes=[0]} : f32[T, 28]", "reduce_sum cannot reduce the batch"},
    {"reduce_sum %seq {axes=[2, 1]} : f32[N]", "axis 1 is not above axis 2"},
    {"reduce_sum %seq {axes=[3]} : f32[N]", "[T, 28] has no axis 3"},
    {"reduce_sum %seq {axes=[]} : f32[N]", "reduce_sum needs an axis"},
    {"reduce_max %w {axes=[0]} : f32[50]", NULL},
    {"reduce_max %m {axes=[1]} : bool[N]",
     "reduce_max needs f32, f64 or i32, found bool: write float(x)"},
    {"reduce_min %y {axes=[1]} : f32[N, 28]", NULL},
    {"reduce_min %g {axes=[0]} : f32[28, 50]", "reduce_min cannot reduce the batch"},
    {"argmax %y {axis=2} : i32[N, 28]", NULL},
    {"argmax %y {axis=0} : i32[28, 28]", "argmax cannot reduce the batch"},

    /* products */
    {"contract %x, %w {spec=\"nk,km->nm\"} : f32[N, 50]", NULL},
    {"contract %seq, %w {spec=\"ntk,km->ntm\"} : f32[N, T, 50]", NULL},
    {"contract %x, %w, %x, %w {spec=\"nk,km+nj,jm->nm\"} : f32[N, 50]", NULL},
    {"contract %b, %x, %w {spec=\"nk,km->nm\", acc=1} : f32[N, 50]",
     "the chains continue [50], the product is [50]"},
    {"contract %w, %u {spec=\"nk,km->nm\"} : f32[28, 10]",
     "operand 0 of \"nk,km->nm\" is [28, 50]: n labels the batch and s the shards"},
    {"contract %w, %u {spec=\"ik,km->im\"} : f32[28, 10]",
     "cannot multiply [28, 50] by [40, 10]: inner sizes 50 and 40 differ"},
    {"contract %b, %v {spec=\"i,i->i\"} : f32[28]",
     "cannot multiply [50] by [28]: sizes 50 and 28 differ"},
    {"contract %x, %w {spec=\"nk,km->km\"} : f32[28, 50]",
     "\"nk,km->km\": a product over the batch is one term and its output begins with s"},
    {"contract %x, %w {spec=\"nk,km->skm\"} : f32[S, 28, 50]",
     "\"nk,km->skm\" sums over the batch"},
    {"contract %x {spec=\"nk,km->nm\"} : f32[N, 50]", "1 operands for \"nk,km->nm\""},
    {"contract %x, %w {spec=\"nk,km->nm\", acc=2} : f32[N, 50]", "attribute acc is 2"},
    {"contract %idx, %w {spec=\"nk,km->nm\"} : f32[N, 50]",
     "a product needs floats, found i32: write float(x)"},
    {"contract %d, %w {spec=\"nk,km->nm\"} : f32[N, 50]",
     "f64 and f32 do not mix: write float(x)"},
    {"contract %seq, %w {spec=\"nk,km->nm\"} : f32[N, 50]",
     "f32[N, T, 28] has 3 axes, \"nk,km->nm\" names 2"},
    {"batch_contract %x, %x {spec=\"nk,nm->skm\"} : f32[S, 28, 28]", NULL},
    {"batch_contract %seq, %seq {spec=\"ntk,ntm->skm\"} : f32[S, 28, 28]", NULL},
    {"batch_contract %x, %w {spec=\"nk,km->nm\"} : f32[N, 50]",
     "\"nk,km->nm\" does not sum over the batch"},
    {"batch_contract %g, %x, %x {spec=\"nk,nm->skm\", acc=1} : f32[S, 28, 28]",
     "the chains continue [S, 28, 50], the product is [S, 28, 28]"},
    {"sum_shards %g : f32[28, 50]", NULL},
    {"sum_shards %w : f32[50]", "the operand is not a tensor of shards"},

    /* a gradient that a function states */
    {"arriving %x : f32[N, 28]", NULL},
    {"arriving %idx : i32[N, 20]", "no gradient arrives at i32"},
    {"own_gradient %x, %arr, %v, %x : f32[N, 28]", NULL},
    {"own_gradient %x, %x : f32[N, 28]",
     "the operands are y, its arriving gradient and pairs x, dx"},
    {"own_gradient %x, %arr, %x, %v : f32[N, 28]", "the gradient of [28] is [28]"},

    /* indexed */
    {"gather %w, %idx : f32[N, 20, 50]", NULL},
    {"gather %w, %x : f32[N, 28, 50]", "indices are i32, found f32"},
    {"gather %x, %idx : f32[N, 20]", "the table has no rows to index, found [28]"},
    {"scatter_add %idx, %r : f32[28, 50]", NULL},
    {"scatter_add %idx, %x : f32[28, 50]", "values are [28], needed [20, 50]"},
    {"scatter_add %idx, %idx : i32[28]", "values are floats, found i32"},

    /* time */
    {"scan %x {ncarry=2, nseq=0, length=T} body b {\n}",
     "2 carries and 0 sequences in 1 operands"},
    {"scan %x {ncarry=0, nseq=0, length=T} body b {\n}", "1 operands for 0 inputs of the body"},
    {"scan {ncarry=0, nseq=0, length=0} body b {\n}", "a scan of 0 steps"},
    {"scan {ncarry=0, nseq=0, length=N} body b {\n}", "a scan does not walk along the batch"},
    {"scan %x {ncarry=1, nseq=0, length=T} body b {\n"
     "%h = input {role=body, name=\"h\"} : f32[N, 28]\n}",
     "the body has 0 outputs for 1 carries"},
    {"scan %x {ncarry=1, nseq=0, length=T} body b {\n"
     "%h = input {role=data, name=\"h\"} : f32[N, 28]\noutput body \"h\" %h\n}",
     "input 0 of the body has role data"},
    {"scan %x {ncarry=1, nseq=0, length=T} body b {\n"
     "%h = input {role=body, name=\"h\"} : f32[N, 29]\noutput body \"h\" %h\n}",
     "carry 0 is f32[N, 28], the body takes f32[N, 29]"},
    {"scan %x {ncarry=1, nseq=0, length=T} body b {\n"
     "%h = input {role=body, name=\"h\"} : f32[N, 28]\n%l = lt %h, %h : bool[N, 28]\n"
     "output body \"h\" %l\n}",
     "carry 0 is f32[N, 28] at first and bool[N, 28] after a step"},
    {"scan %y {ncarry=0, nseq=1, length=T} body b {\n"
     "%h = input {role=body, name=\"h\"} : f32[N, 28]\n}",
     "sequence 0 is f32[N, 28, 28]: its length is not T"},
    {"scan %g {ncarry=0, nseq=0, length=T} body b {\n"
     "%h = input {role=body, name=\"h\"} : f32[S, 28, 50]\noutput body \"h\" %h\n}",
     "output 0 of the body, f32[S, 28, 50], cannot be stacked"},
    {"scan %g, %seq {ncarry=1, nseq=1, length=T} body b {\n"
     "%h = input {role=body, name=\"h\"} : f32[S, 28, 50]\n"
     "%x = input {role=body, name=\"x\"} : f32[N, 28]\n"
     "output body \"h\" %h\noutput body \"x\" %x\n}", NULL},
    {"result %loop {index=0} : f32[N, 28]", NULL},
    {"result %loop {index=1} : f32[N, T, 28]", NULL},
    {"result %loop {index=2} : f32[N, T, 28]", "the scan has no result 2"},
    {"result %x {index=0} : f32[N, 28]", "the operand is not a scan"},
    {"neg %loop : f32", "operand 0 is a scan, whose results are meant"},
};

static const char more[] =
    "%arr = arriving %x : f32[N, 28]\n"
    "%r = gather %w, %idx : f32[N, 20, 50]\n"
    "%loop = scan %x, %seq {ncarry=1, nseq=1, length=T} body b {\n"
    " %h = input {role=body, name=\"h\"} : f32[N, 28]\n"
    " %x = input {role=body, name=\"x\"} : f32[N, 28]\n"
    " %n = add %h, %x : f32[N, 28]\n"
    " output body \"h\" %n\n output body \"hs\" %n\n}\n";

static int run(const Case *c, bool *good, bool *bad)
{
    Arena *a = arena_new();
    Diag d = {.arena = a};
    char *text = arena_printf(a, "%s%s%%it = %s\n}\n", inputs, more, c->text);
    Graph *g = graph_read(a, &d, diag_source(&d, "case", text, strlen(text), false));
    const char *found = g ? "" : d.messages.n ? d.messages.at[0].text : "no message";
    int failed = strcmp(found, c->why ? c->why : "") != 0;
    if (failed)
        printf("%s\n  found:  %s\n  needed: %s\n", c->text, found, c->why ? c->why : "");
    Op op = op_by_name(arena_strndup(a, c->text, strcspn(c->text, " ")));
    *(c->why ? &bad[op] : &good[op]) = true;
    arena_free(a);
    return failed;
}

int main(void)
{
    bool good[NOP + 1] = {0}, bad[NOP + 1] = {0};
    int failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        failed += run(&cases[i], good, bad);
    for (int op = 0; op < NOP; op++)
        if (!good[op] || !bad[op]) {
            printf("%s has no %s case\n", op_info[op].name, good[op] ? "bad" : "good");
            failed++;
        }
    return failed != 0;
}
