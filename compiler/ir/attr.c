/* Attributes: making, finding and comparing them. Which ones an operation takes
 * is a word list in its row of op.def; the type of each is in attr.def. */
#include "ir/check.h"

#include <string.h>

static const struct { const char *name; AttrType type; } keys[NATTR] = {
#define ATTR(name, type, doc) [ATTR_##name] = {#name, AT_##type},
#include "ir/attr.def"
};

const char *attr_key_name(AttrKey k)
{
    return keys[k].name;
}

AttrType attr_key_type(AttrKey k)
{
    return keys[k].type;
}

AttrKey attr_key_by_name(const char *name)
{
    for (int i = 0; i < NATTR; i++)
        if (!strcmp(keys[i].name, name))
            return (AttrKey)i;
    return NATTR;
}

/* Is `key` among the words of the operation's row? */
bool op_takes(Op op, AttrKey key)
{
    const char *name = keys[key].name;
    size_t n = strlen(name);
    for (const char *s = op_info[op].attrs; *s;) {
        size_t word = strcspn(s, " ");
        if (word == n && !memcmp(s, name, n))
            return true;
        s += word;
        s += strspn(s, " ");
    }
    return false;
}

bool attr_optional(AttrKey key)
{
    return key == ATTR_acc || key == ATTR_reverse || key == ATTR_unsigned;
}

const Attr *attr_find(const Attr *attr, int nattr, AttrKey k)
{
    for (int i = 0; i < nattr; i++)
        if (attr[i].key == k)
            return &attr[i];
    return NULL;
}

const Attr *attr_get(const Node *n, AttrKey k)
{
    return attr_find(n->attr, n->nattr, k);
}

int64_t attr_int(const Node *n, AttrKey k, int64_t other)
{
    const Attr *a = attr_get(n, k);
    return a ? a->u.i : other;
}

const char *attr_str(const Node *n, AttrKey k)
{
    const Attr *a = attr_get(n, k);
    return a ? a->u.s : NULL;
}

Attr attr_of_int(AttrKey k, int64_t v)
{
    return (Attr){.key = k, .type = AT_int, .u.i = v};
}

Attr attr_of_float(AttrKey k, double v)
{
    return (Attr){.key = k, .type = AT_float, .u.f = v};
}

Attr attr_of_str(AttrKey k, const char *v)
{
    return (Attr){.key = k, .type = AT_str, .u.s = v};
}

Attr attr_of_ints(AttrKey k, const int64_t *v, int n)
{
    return (Attr){.key = k, .type = AT_ints, .n = n, .u.ints = v};
}

Attr attr_of_floats(AttrKey k, const double *v, int n)
{
    return (Attr){.key = k, .type = AT_floats, .n = n, .u.floats = v};
}

Attr attr_of_dim(AttrKey k, Dim d)
{
    return (Attr){.key = k, .type = AT_dim, .u.dim = d};
}

Attr attr_of_shape(AttrKey k, Shape s)
{
    return (Attr){.key = k, .type = AT_shape, .u.shape = s};
}

/* Numbers compare by their bits: -0 and 0 differ, NaN equals itself. */
bool attr_equal(const Attr *a, const Attr *b)
{
    if (a->key != b->key || a->type != b->type)
        return false;
    switch (a->type) {
    case AT_none:
        return true;
    case AT_int:
        return a->u.i == b->u.i;
    case AT_float:
        return !memcmp(&a->u.f, &b->u.f, sizeof(double));
    case AT_str:
        return !strcmp(a->u.s, b->u.s);
    case AT_ints:
        return a->n == b->n && (!a->n || !memcmp(a->u.ints, b->u.ints, sizeof(int64_t) * a->n));
    case AT_floats:
        return a->n == b->n && (!a->n || !memcmp(a->u.floats, b->u.floats, sizeof(double) * a->n));
    case AT_dim:
        return dim_equal(a->u.dim, b->u.dim);
    case AT_shape:
        return shape_equal(&a->u.shape, &b->u.shape);
    }
    return false;
}

Attr attr_copy(Arena *a, const Attr *from)
{
    Attr to = *from;
    size_t n = (size_t)from->n;
    if (from->type == AT_str)
        to.u.s = arena_strdup(a, from->u.s);
    else if (from->type == AT_ints)
        to.u.ints = arena_grow(a, from->u.ints, n * sizeof(int64_t), n * sizeof(int64_t));
    else if (from->type == AT_floats)
        to.u.floats = arena_grow(a, from->u.floats, n * sizeof(double), n * sizeof(double));
    return to;
}

/* Conversion by value would be wrong for NaN, whose bits attr_equal compares. */
static double rounded(double v, Dtype dt)
{
    return dt == DT_f32 && v == v ? (float)v : v;
}

bool attr_is_rounded(const Attr *a, Dtype dt)
{
    if (a->key == ATTR_value)
        return rounded(a->u.f, dt) == a->u.f || a->u.f != a->u.f;
    for (int i = 0; a->key == ATTR_values && i < a->n; i++)
        if (rounded(a->u.floats[i], dt) != a->u.floats[i] && a->u.floats[i] == a->u.floats[i])
            return false;
    return true;
}

void attr_round(Attr *a, Dtype dt)
{
    if (a->key == ATTR_value)
        a->u.f = rounded(a->u.f, dt);
    for (int i = 0; a->key == ATTR_values && i < a->n; i++)
        ((double *)a->u.floats)[i] = rounded(a->u.floats[i], dt);
}
