/* Compares two graphs by value, on made-up inputs. */
#include "driver/bits.h"

#include "ir/eval.h"
#include "shuffle.h"

#include <math.h>
#include <string.h>

enum { ROWS = 37, LENGTH = 5 }; /* more than one block of rows, the last one short */

static double uniform_at(int64_t seed, const char *name, int64_t e)
{
    uint32_t key[2] = {(uint32_t)seed, 2166136261u}, counter[2] = {(uint32_t)e, 0}, out[2];
    for (; *name; name++)
        key[1] = (key[1] ^ (uint8_t)*name) * 16777619u;
    threefry2x32(key, counter, out);
    return (out[0] >> 8) * 0x1p-24;
}

/* Numbers that suit a role: labels stay small, slots are not negative (an
 * optimizer takes roots of them), counters count. */
static double made_up(const Node *in, const char *name, int64_t seed, int64_t e)
{
    Role role = (Role)attr_int(in, ATTR_role, ROLE_data);
    double u = uniform_at(seed, name, e);
    if (role == ROLE_scalar)
        return strcmp(name, "seed") == 0 ? 7 : 2;
    if (!dtype_is_float(in->dtype))
        return in->dtype == DT_bool ? u < 0.5 : floor(10 * u);
    return role == ROLE_slot || role == ROLE_buffer ? 0.1 * u : u - 0.5;
}

static Value *evaluate(Arena *a, const Graph *g, int64_t *lengths, int64_t seed)
{
    Value *in = NEW_ARRAY(a, Value, g->inputs.n + 1);
    Value *out = NEW_ARRAY(a, Value, g->outputs.n + 1);
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *n = g->inputs.at[i];
        int64_t dim[RANK_MOST];
        for (int k = 0; k < n->shape.rank; k++)
            dim[k] = dim_value(n->shape.d[k], lengths);
        in[i] = value_new(a, n->dtype, n->shape.rank, dim);
        for (int64_t e = 0; e < in[i].count; e++)
            value_set(&in[i], e, made_up(n, attr_str(n, ATTR_name), seed, e));
    }
    graph_eval(a, g, (EvalSizes){lengths, SYM_MOST}, in, out, false);
    return out;
}

static bool same(const Value *x, const Value *y, int64_t *where)
{
    size_t size = (size_t)dtype_size(x->dtype);
    if (x->dtype != y->dtype || x->count != y->count)
        return false;
    for (int64_t e = 0; e < x->count; e++) {
        const char *p = (const char *)x->data + size * (size_t)e;
        const char *q = (const char *)y->data + size * (size_t)e;
        *where = e;
        if (memcmp(p, q, size) != 0 && !(isnan(value_get(x, e)) && isnan(value_get(y, e))))
            return false;
    }
    return true;
}

const char *bits_compare(Arena *a, const Graph *before, const Graph *after, int64_t seed)
{
    int64_t lengths[SYM_MOST] = {[SYM_N] = ROWS, [SYM_S] = shard_count(ROWS)};
    for (int i = SYM_length; i < SYM_MOST; i++)
        lengths[i] = LENGTH;
    Value *x = evaluate(a, before, lengths, seed), *y = evaluate(a, after, lengths, seed);
    for (int i = 0; i < before->outputs.n; i++) {
        const Output *o = &before->outputs.at[i];
        int k = 0;
        while (k < after->outputs.n && (after->outputs.at[k].role != o->role ||
                                        strcmp(after->outputs.at[k].name, o->name) != 0))
            k++;
        if (k == after->outputs.n)
            return arena_printf(a, "output %s '%s' is gone", role_name(o->role), o->name);
        int64_t e = 0;
        if (!same(&x[i], &y[k], &e))
            return arena_printf(a, "output %s '%s', element %lld: %.17g became %.17g",
                                role_name(o->role), o->name, (long long)e, value_get(&x[i], e),
                                value_get(&y[k], e));
    }
    return NULL;
}
