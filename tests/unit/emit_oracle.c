/* Every operation of the table, compiled, against the interpreter: all bits.
 * Elementwise operations are generated from op.def; the structural ones stand
 * here with a graph each. */
#include "emit_check.h"

static const int64_t sizes[] = {1, 3, 8, 17, 33, 100};
enum { NSIZES = sizeof sizes / sizeof *sizes };

static Arena *arena;
static Dtype real;
static int wrong, checked;

static Node *data(Graph *g, const char *name, Dtype dt, int rank, ...)
{
    va_list ap;
    va_start(ap, rank);
    Shape s = {.rank = rank + 1};
    s.d[0] = dim_sym(SYM_N);
    for (int i = 1; i <= rank; i++)
        s.d[i] = dim_int(va_arg(ap, int));
    va_end(ap);
    return graph_input(g, ROLE_data, name, dt, s, (Span){0});
}

static Node *param(Graph *g, const char *name, Dtype dt, int rank, ...)
{
    va_list ap;
    va_start(ap, rank);
    Shape s = {.rank = rank};
    for (int i = 0; i < rank; i++)
        s.d[i] = dim_int(va_arg(ap, int));
    va_end(ap);
    return graph_input(g, ROLE_param, name, dt, s, (Span){0});
}

static Node *timed(Graph *g, const char *name, int features)
{
    int t = graph_length(g, "T", 0);
    Shape s = shape_of(3, dim_sym(SYM_N), dim_sym(t), dim_int(features));
    return graph_input(g, ROLE_data, name, real, s, (Span){0});
}

static void result(Graph *g, const char *name, Node *n)
{
    Role role = shape_has_batch(&n->shape) ? ROLE_result : ROLE_grad;
    graph_output(g, role, name, n);
}

static void check(Graph *g, const char *label, const char *domain)
{
    const char *sound = graph_verify(arena, g);
    if (sound) {
        printf("%s: %s\n", label, sound);
        wrong++;
        return;
    }
    for (int i = 0; i < NSIZES; i++) {
        if (check_target && i % 2 == 0) /* the host has seen all sizes */
            continue;
        checked++;
        wrong += check_compiled(g, label, domain, sizes[i], 5, i % 2 ? 3 : 1, NULL) != 0;
    }
}

/* Operands: rows with rows, rows with a parameter that broadcasts, parameters. */
static void check_map(Op op, int arity, const char *domain)
{
    bool is_bool = !strcmp(domain, "bool");
    for (int form = 0; form < 3; form++) {
        Graph *g = graph_new(arena, op_info[op].name);
        Node *in[3];
        for (int i = 0; i < arity; i++) {
            const char *name = arena_printf(arena, "x%d", i);
            Dtype dt = is_bool || (op == OP_select && i == 0) ? DT_bool : real;
            in[i] = form == 2            ? param(g, name, dt, 2, 3, 7)
                    : form == 1 && i > 0 ? param(g, name, dt, 1, 7)
                                         : data(g, name, dt, 2, 3, 7);
        }
        Node *y = node_new(g, op, (Span){0}, in, arity, NULL, 0);
        result(g, "y", y);
        check(g, arena_printf(arena, "%s form %d %s", op_info[op].name, form, dtype_name(real)),
              domain);
    }
}

static void check_maps(void)
{
#define MAP1(name, fwd, dx, domain, doc) check_map(OP_##name, 1, #domain);
#define MAP2(name, fwd, dx, dy, domain, doc) check_map(OP_##name, 2, #domain);
#define MAP3(name, fwd, dx, dy, dz, domain, doc) check_map(OP_##name, 3, #domain);
#include "ir/op.def"
}

static void check_views(void)
{
    Graph *g = graph_new(arena, "views");
    Node *x = data(g, "x", real, 3, 2, 3, 5), *w = param(g, "w", real, 1, 5);
    int perm[] = {0, 3, 1, 2};
    result(g, "transpose", make_transpose(g, x, perm));
    result(g, "reshape", make_reshape(g, x, shape_of(3, dim_sym(SYM_N), dim_int(5), dim_int(6))));
    result(g, "reshape_of_transpose",
           make_reshape(g, make_transpose(g, x, perm), shape_of(2, dim_sym(SYM_N), dim_int(30))));
    result(g, "slice", make_slice(g, x, 3, dim_int(1), dim_int(2), 2));
    result(g, "reverse", make_slice(g, x, 2, dim_int(2), dim_int(3), -1));
    result(g, "pad", make_pad(g, x, 3, dim_int(1), dim_int(12), 2));
    result(g, "concat", make_concat(g, (Node *[]){x, node2(g, OP_add, x, w), x}, 3, 2));
    result(g, "broadcast",
           make_broadcast(g, w, shape_of(3, dim_sym(SYM_N), dim_int(4), dim_int(5))));
    result(g, "param_pad", make_pad(g, w, 0, dim_int(2), dim_int(8), 1));
    result(g, "param_concat", make_concat(g, (Node *[]){w, node2(g, OP_mul, w, w)}, 2, 0));
    check(g, "views", "any");
}

/* Pads of pads, in either order, of what a nest makes, of joined parts; run-time lengths. */
static void check_pads(void)
{
    Graph *g = graph_new(arena, "pads");
    Node *x = data(g, "x", real, 3, 2, 3, 5), *y = node2(g, OP_mul, x, x);
    Node *parts = make_concat(g, (Node *[]){y, node2(g, OP_add, x, y), x}, 3, 3);
    Node *rows = make_pad(g, y, 1, dim_int(3), dim_int(7), 2);
    result(g, "twice", make_pad(g, rows, 2, dim_int(1), dim_int(6), 1));
    result(g, "shared", rows);
    Node *last = make_pad(g, y, 3, dim_int(2), dim_int(8), 1);
    result(g, "descending", make_pad(g, last, 1, dim_int(1), dim_int(3), 1));
    Node *turned = make_pad(g, x, 2, dim_int(6), dim_int(9), -2);
    result(g, "turned", make_pad(g, turned, 3, dim_int(5), dim_int(7), -1));
    Node *joined = make_pad(g, parts, 1, dim_int(0), dim_int(4), 1);
    joined = make_pad(g, joined, 2, dim_int(2), dim_int(5), 1);
    result(g, "joined", make_pad(g, joined, 3, dim_int(0), dim_int(32), 2));
    result(g, "parts", parts);
    Node *t = timed(g, "t", 3);
    Dim longer;
    if (!dim_affine(t->shape.d[1], 1, 4, 1, &longer))
        bug("a length has no form");
    Node *before = make_pad(g, t, 1, dim_int(3), longer, 1);
    result(g, "before", make_pad(g, node1(g, OP_neg, before), 2, dim_int(1), dim_int(5), 1));
    check(g, "pads", "any");
}

static void check_reduces(void)
{
    Graph *g = graph_new(arena, "reduces");
    Node *x = data(g, "x", real, 2, 3, 37), *w = param(g, "w", real, 2, 5, 40);
    int first[] = {1}, second[] = {2}, both[] = {1, 2}, all[] = {0, 1}, one[] = {0};
    Op ops[] = {OP_reduce_sum, OP_reduce_max, OP_reduce_min};
    for (int i = 0; i < 3; i++) {
        const char *name = op_info[ops[i]].name;
        result(g, arena_printf(arena, "%s1", name), make_reduce(g, ops[i], x, first, 1));
        result(g, arena_printf(arena, "%s2", name), make_reduce(g, ops[i], x, second, 1));
        result(g, arena_printf(arena, "%s12", name), make_reduce(g, ops[i], x, both, 2));
        result(g, arena_printf(arena, "%sw", name), make_reduce(g, ops[i], w, all, 2));
        result(g, arena_printf(arena, "%sw0", name), make_reduce(g, ops[i], w, one, 1));
    }
    Attr axis = attr_of_int(ATTR_axis, 2);
    result(g, "argmax", node_new(g, OP_argmax, (Span){0}, &x, 1, &axis, 1));
    check(g, "reduces", "any");

    Graph *t = graph_new(arena, "reduces over time");
    Node *s = timed(t, "s", 3);
    result(t, "sum", make_reduce(t, OP_reduce_sum, s, first, 1));
    result(t, "max", make_reduce(t, OP_reduce_max, s, both, 2));
    check(t, "reduces over time", "any");
}

static void check_products(void)
{
    Graph *g = graph_new(arena, "products");
    Node *x = data(g, "x", real, 1, 11), *h = data(g, "h", real, 1, 6);
    Node *w = param(g, "w", real, 2, 11, 23), *u = param(g, "u", real, 2, 6, 23);
    Node *q = data(g, "q", real, 2, 4, 5), *k = data(g, "k", real, 2, 7, 5);
    result(g, "xw", make_contract(g, "nk,km->nm", (Node *[]){x, w}, 2));
    result(g, "xw_hu", make_contract(g, "nk,km+nj,jm->nm", (Node *[]){x, w, h, u}, 4));
    result(g, "attention", make_contract(g, "nik,njk->nij", (Node *[]){q, k}, 2));
    result(g, "outer", make_contract(g, "na,nb->nab", (Node *[]){x, h}, 2));
    result(g, "wu", make_contract(g, "km,jm->kj", (Node *[]){w, u}, 2));
    Node *dw = make_batch_contract(g, "na,nb->sab", NULL, x, h);
    Node *sum = node1(g, OP_sum_shards, dw);
    result(g, "dw", sum);
    result(g, "dwq", node1(g, OP_sum_shards, make_batch_contract(g, "nia,njb->siajb", NULL, q, k)));
    result(g, "same", node1(g, OP_sum_shards, make_batch_contract(g, "na,na->sa", NULL, x, x)));
    Attr numbers[] = {attr_of_shape(ATTR_shape, h->shape), attr_of_int(ATTR_axis, 0),
                      attr_of_int(ATTR_dtype, real)};
    Node *row = node_new(g, OP_iota, (Span){0}, NULL, 0, numbers, 3); /* across the lanes, too */
    result(g, "rows", node1(g, OP_sum_shards, make_batch_contract(g, "na,nb->sab", NULL, x, row)));
    result(g, "db", make_batch_sum(g, h));
    result(g, "mean", node2(g, OP_div, make_batch_sum(g, x), make_dim(g, dim_sym(SYM_N))));
    result(g, "use", node2(g, OP_mul, x, make_batch_sum(g, x)));
    check(g, "products", "any");
}

static Node *words(Node *x, int axis, double by, int is_unsigned)
{
    Attr attr[] = {attr_of_int(ATTR_axis, axis), attr_of_float(ATTR_value, (float)by),
                   attr_of_int(ATTR_unsigned, is_unsigned)};
    return node_new(x->graph, OP_words, (Span){0}, &x, 1, attr, 3);
}

static Node *word_product(Node *acc, const char *spec, Node *x, Node *w, int is_unsigned)
{
    Node *in[] = {acc, x, w};
    Attr attr[] = {attr_of_str(ATTR_spec, spec), attr_of_int(ATTR_unsigned, is_unsigned),
                   attr_of_int(ATTR_acc, acc != NULL)};
    return node_new(x->graph, OP_contract, (Span){0}, in + !acc, 2 + (acc != NULL), attr, 3);
}

/* Words of rows and of parameters, along either axis, and their products; also of values that are
 * beyond the range. */
static void check_words(int extent, int units)
{
    if (real != DT_f32)
        return;
    Graph *g = graph_new(arena, "words");
    Node *x = data(g, "x", real, 2, 5, extent), *w = param(g, "w", real, 2, extent, units);
    Node *bytes = make_cast(g, node2(g, OP_mul, w, make_const_of(g, real, 90)), DT_i8);
    Node *b = param(g, "b", DT_i32, 1, units);
    Node *v = node2(g, OP_mul, x, x);
    Node *across = make_transpose(g, x, (int[]){0, 2, 1});
    result(g, "first", words(x, 1, 50, 1));
    result(g, "last", words(x, 2, 50, 0));
    result(g, "turned", words(across, 2, 10, 0));
    result(g, "param", words(bytes, 0, 1, 1));
    result(g, "wide", words(w, 1, 7.5, 0));
    Node *y = words(bytes, 0, 1, 0);
    Node *acc = make_broadcast(g, b, shape_of(3, dim_sym(SYM_N), dim_int(5), dim_int(units)));
    for (int i = 0; i < 4; i++) {
        const char *name = arena_printf(arena, "y%d", i);
        result(g, name, word_product(NULL, "ntk,km->ntm", words(v, 2, 20, i & 1), y, i));
        result(g, arena_printf(arena, "acc%d", i),
               word_product(acc, "km,ntk->ntm", y, words(v, 2, 20, i & 1), i));
    }
    check(g, arena_printf(arena, "words of %d", extent), "any");
}

/* Bytes: factors that use all of them, conversions between the whole types. */
/* Gradients of large weights: products over the whole batch, with what follows in their nests;
 * two in one nest, one that is read as a whole before its update, one whose nest is not flat. */
static void check_whole(bool flat)
{
    enum { K = 330, M = 261, TWO_BLOCKS = 2100 };
    Graph *g = graph_new(arena, "whole");
    Node *x = data(g, "x", real, 1, K), *w = param(g, "w", real, 2, K, M);
    Node *zero = make_const_of(g, real, 0), *bias = param(g, "b", real, 1, M);
    Node *in[] = {x, w};
    Node *h = make_contract(g, "nk,km->nm", in, 2);
    h = node2(g, OP_max, h, zero);
    Node *dw = node1(g, OP_sum_shards, make_batch_contract(g, "nk,nm->skm", NULL, x, h));
    Node *turned = make_batch_contract(g, "nm,nk->skm", NULL, h, node2(g, OP_mul, x, x));
    Node *other = node1(g, OP_sum_shards, turned);
    int all[] = {0, 1};
    Node *norm = node1(g, OP_sqrt, make_reduce(g, OP_reduce_sum, node2(g, OP_mul, dw, dw), all, 2));
    graph_output(g, ROLE_param, "w", node2(g, OP_sub, w, node2(g, OP_div, dw, norm)));
    result(g, "db", make_batch_sum(g, h));
    result(g, "other", node2(g, OP_mul, other, make_const_of(g, real, 0.5)));
    if (!flat)
        result(g, "across", node2(g, OP_add, other, bias));
    check(g, flat ? "whole" : "whole, apart", "any");
    wrong += flat && check_compiled(g, "whole, two blocks a shard", "any", TWO_BLOCKS, 5, 3, NULL);
}

static void check_bytes(void)
{
    Graph *g = graph_new(arena, "bytes");
    Node *scale = make_const_of(g, real, 90);
    Node *x = make_cast(g, node2(g, OP_mul, data(g, "x", real, 1, 37), scale), DT_i8);
    Node *w = make_cast(g, node2(g, OP_mul, param(g, "w", real, 2, 37, 21), scale), DT_i8);
    Node *y = make_contract(g, "nk,km->nm", (Node *[]){x, w}, 2);
    result(g, "product", y);
    result(g, "float", node2(g, OP_mul, make_cast(g, y, real), make_const_of(g, real, 0.01)));
    check(g, "a product of bytes", "any");
    g = graph_new(arena, "window");
    x = make_cast(g, node2(g, OP_mul, data(g, "x", real, 3, 6, 5, 3), make_const_of(g, real, 90)),
                  DT_i8);
    w = make_cast(g, node2(g, OP_mul, param(g, "w", real, 4, 3, 2, 3, 7),
                           make_const_of(g, real, 90)), DT_i8);
    result(g, "y", make_contract(g, "n(h+i)(w+j)c,ijco->nhwo", (Node *[]){x, w}, 2));
    check(g, "a window of bytes", "any");
    check_words(3, 21);
    check_words(37, 21);
    check_words(63, 5);
    check_words(64, 16);
    check_words(62, 1);
    static const Dtype whole[] = {DT_i32, DT_u8, DT_i8, DT_i16};
    g = graph_new(arena, "casts");
    x = data(g, "x", real, 1, 37);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) {
            Node *from = make_cast(g, node2(g, OP_mul, x, make_const_of(g, real, 300)), whole[i]);
            result(g, arena_printf(arena, "y%d%d", i, k), make_cast(g, from, whole[k]));
        }
    check(g, "casts of whole numbers", "any");
}

/* A convolution with its gradients: output, kernel's gradient, input's gradient. */
static void check_convolution(int height, int width, int in, int out, int stride, int dilation)
{
    enum { KH = 3, KW = 2 };
    Graph *g = graph_new(arena, "convolution");
    Node *x = data(g, "x", real, 3, height, width, in),
         *w = param(g, "w", real, 4, KH, KW, in, out);
    const char *axes = arena_printf(arena, "n(%dh+%di:3)(%dw+%dj:2)c", stride, dilation, stride + 1,
                                    dilation + 1);
    Node *y = make_contract(g, arena_printf(arena, "%s,ijco->nhwo", axes), (Node *[]){x, w}, 2);
    result(g, "y", y);
    Node *dw = make_batch_contract(g, arena_printf(arena, "%s,nhwo->sijco", axes), NULL, x, y);
    result(g, "dw", node1(g, OP_sum_shards, dw));
    int up = dilation * (KH - 1), left = (dilation + 1) * (KW - 1);
    Node *dy = make_pad(g, y, 1, dim_int(up), dim_int(height + up), stride);
    dy = make_pad(g, dy, 2, dim_int(left), dim_int(width + left), stride + 1);
    Node *turned = make_slice(g, w, 0, dim_int(KH - 1), dim_int(KH), -1);
    turned = make_slice(g, turned, 1, dim_int(KW - 1), dim_int(KW), -1);
    const char *back = arena_printf(arena, "n(h+%di)(w+%dj)o,ijco->nhwc", dilation, dilation + 1);
    Node *dx = make_contract(g, back, (Node *[]){dy, turned}, 2);
    result(g, "dx", dx);
    if (!shape_equal(&dx->shape, &x->shape) || !shape_equal(&dw->in[1]->shape, &y->shape))
        bug("a gradient has another shape");
    check(g, arena_printf(arena, "convolution %d x %d, %d to %d, stride %d, dilation %d", height,
                          width, in, out, stride, dilation), "any");
}

static void check_windows(void)
{
    check_convolution(7, 6, 1, 5, 1, 1);
    check_convolution(7, 6, 3, 17, 1, 1);
    check_convolution(8, 9, 2, 16, 2, 1);
    check_convolution(9, 8, 4, 3, 1, 2);
    Graph *g = graph_new(arena, "windows");
    Node *x = data(g, "x", real, 3, 9, 2, 3), *w = param(g, "w", real, 4, 4, 3, 2, 5);
    Node *t = timed(g, "t", 3), *v = param(g, "v", real, 3, 2, 3, 6);
    result(g, "groups", make_contract(g, "n(2h+i)gc,icgo->nhgo", (Node *[]){x, w}, 2));
    result(g, "every_third",
           make_contract(g, "n(3h)gc,go->nhco",
                         (Node *[]){x, make_reshape(g, v, shape_of(2, dim_int(2), dim_int(18)))},
                         2));
    Node *y = make_contract(g, "n(t+2i)c,ico->nto", (Node *[]){t, v}, 2);
    result(g, "over_time", y);
    result(g, "over_time_dw", node1(g, OP_sum_shards,
                                    make_batch_contract(g, "n(t+2i:2)c,nto->sico", NULL, t, y)));
    check(g, "windows", "any");
}

static void check_indexed(void)
{
    Graph *g = graph_new(arena, "indexed");
    Node *at = data(g, "at", DT_i32, 1, 5), *x = data(g, "x", real, 2, 5, 3);
    Node *table = param(g, "table", real, 2, 7, 3);
    Node *y =
        node2(g, OP_mul, node_new(g, OP_gather, (Span){0}, (Node *[]){table, at}, 2, NULL, 0), x);
    Attr shape = attr_of_shape(ATTR_shape, table->shape);
    Node *sum = node_new(g, OP_scatter_add, (Span){0}, (Node *[]){at, y}, 2, &shape, 1);
    result(g, "gather", y);
    result(g, "scatter_add", sum);
    result(g, "used", node2(g, OP_mul, sum, table));
    check(g, "indexed", "int");
}

static void check_random(void)
{
    Graph *g = graph_new(arena, "random");
    Node *seed = graph_input(g, ROLE_scalar, "seed", DT_i32, shape_of(0), (Span){0});
    Node *step = graph_input(g, ROLE_scalar, "step", DT_i32, shape_of(0), (Span){0});
    Node *x = data(g, "x", real, 1, 5);
    Attr at[] = {attr_of_int(ATTR_key, 12345), attr_of_shape(ATTR_shape, x->shape),
                 attr_of_int(ATTR_dtype, real)};
    Node *in[] = {seed, step};
    Node *r = node_new(g, OP_random, (Span){0}, in, 2, at, 3);
    result(g, "rows", r);
    result(
        g, "drop",
        node3(g, OP_select, node2(g, OP_lt, r, make_const(g, 0.5)), x, make_const_of(g, real, 0)));
    at[0] = attr_of_int(ATTR_key, 777);
    at[1] = attr_of_shape(ATTR_shape, shape_of(2, dim_int(3), dim_int(7)));
    result(g, "param", node_new(g, OP_random, (Span){0}, in, 2, at, 3));
    check(g, "random", "int");
}

/* Matrices that are given, and one that is computed. */
static void check_orthogonal(void)
{
    static const int sizes_of[][2] = {{1, 1}, {5, 5}, {19, 3}, {3, 19}, {40, 33}};
    for (size_t i = 0; i < sizeof sizes_of / sizeof *sizes_of; i++) {
        Graph *g = graph_new(arena, "orthogonal");
        Node *x = param(g, "x", real, 2, sizes_of[i][0], sizes_of[i][1]);
        Node *q = node1(g, OP_orthogonal, x);
        result(g, "q", q);
        result(g, "scaled", node2(g, OP_mul, make_const(g, 0.5), q));
        result(g, "computed", node1(g, OP_orthogonal, node2(g, OP_add, x, make_const(g, 1))));
        check(g, "orthogonal", "any");
    }
}

/* An LSTM with peepholes over run-time length, outputs stacked, both ways. */
static void check_scan(bool reverse)
{
    enum { F = 3, U = 5 };
    Graph *g = graph_new(arena, "lstm");
    Node *x = timed(g, "x", F), *w = param(g, "w", real, 2, F, 4 * U),
         *u = param(g, "u", real, 2, U, 4 * U);
    Node *b = param(g, "b", real, 1, 4 * U), *p = param(g, "p", real, 2, 3, U);
    Graph *body = graph_new(arena, "body");
    body->outer = g;
    Shape state = shape_of(2, dim_sym(SYM_N), dim_int(U));
    Span at = {0};
    Node *h = graph_input(body, ROLE_body, "h", real, state, at);
    Node *c = graph_input(body, ROLE_body, "c", real, state, at);
    Node *bx = graph_input(body, ROLE_body, "x", real, shape_of(2, dim_sym(SYM_N), dim_int(F)), at);
    Node *bw = graph_input(body, ROLE_body, "w", real, w->shape, at);
    Node *bu = graph_input(body, ROLE_body, "u", real, u->shape, at);
    Node *bb = graph_input(body, ROLE_body, "b", real, b->shape, at);
    Node *bp = graph_input(body, ROLE_body, "p", real, p->shape, at);
    Node *z = make_contract(body, "nk,km+nj,jm->nm", (Node *[]){bx, bw, h, bu}, 4);
    z = node2(body, OP_add, z, bb);
    Node *gate[4], *peep[3];
    for (int i = 0; i < 4; i++)
        gate[i] = make_slice(body, z, 1, dim_int(i * U), dim_int(U), 1);
    for (int i = 0; i < 3; i++)
        peep[i] = make_reshape(body, make_slice(body, bp, 0, dim_int(i), dim_int(1), 1),
                               shape_of(1, dim_int(U)));
    Node *i =
        node1(body, OP_sigmoid, node2(body, OP_add, gate[0], node2(body, OP_mul, peep[0], c)));
    Node *f =
        node1(body, OP_sigmoid, node2(body, OP_add, gate[1], node2(body, OP_mul, peep[1], c)));
    Node *c2 = node2(body, OP_add, node2(body, OP_mul, f, c),
                     node2(body, OP_mul, i, node1(body, OP_tanh, gate[2])));
    Node *o =
        node1(body, OP_sigmoid, node2(body, OP_add, gate[3], node2(body, OP_mul, peep[2], c2)));
    Node *h2 = node2(body, OP_mul, o, node1(body, OP_tanh, c2));
    graph_output(body, ROLE_body, "h", h2);
    graph_output(body, ROLE_body, "c", c2);
    graph_output(body, ROLE_body, "hs", h2);
    graph_output(body, ROLE_body, "z", z);
    Node *zero = make_broadcast(g, make_const_of(g, real, 0), state);
    Node *scan = make_scan(g, at, body, (Node *[]){zero, zero}, 2, &x, 1, (Node *[]){w, u, b, p}, 4,
                           x->shape.d[1], reverse);
    Node *hs = make_result(g, scan, 2), *zs = make_result(g, scan, 3);
    result(g, "h", make_result(g, scan, 0));
    result(g, "hs", hs);
    /* Sums over time and rows, in the order of a product deferred from a scan. */
    result(g, "dw", node1(g, OP_sum_shards, make_batch_contract(g, "ntk,ntm->skm", NULL, x, zs)));
    result(g, "db", make_batch_sum(g, make_reduce(g, OP_reduce_sum, hs, (int[]){1}, 1)));
    check(g, reverse ? "scan reversed" : "scan", "any");
}

/* Can the host run code for the processor? */
static bool host_runs(const char *cpu)
{
    return !strcmp(cpu, "x86-64") ||
           (!strcmp(cpu, "haswell") && __builtin_cpu_supports("x86-64-v3")) ||
           (!strcmp(cpu, "skylake-avx512") && __builtin_cpu_supports("x86-64-v4"));
}

/* emit_oracle [CPU|columns] */
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "columns")) {
        check_columns = 50;
        argc = 1;
    }
    if (argc > 1 && !host_runs(argv[1])) {
        printf("this machine does not run code for %s\n", argv[1]);
        return 77;
    }
    arena = arena_new();
    const char *why = NULL;
    check_target = argc > 1 ? target_find(arena, "host", argv[1], NULL, &why) : NULL;
    if (argc > 1 && !check_target) {
        printf("%s\n", why);
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        real = i ? DT_f64 : DT_f32;
        check_maps();
        check_views();
    check_pads();
        check_reduces();
        check_products();
        check_whole(true);
        check_whole(false);
        check_bytes();
        check_windows();
        check_indexed();
        check_random();
        check_orthogonal();
        check_scan(false);
        check_scan(true);
    }
    arena_free(arena);
    printf("%d graphs checked, %d wrong\n", checked, wrong);
    return wrong != 0;
}
