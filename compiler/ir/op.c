/* The table of operations as data: op.def read once for its facts. The formula
 * of an elementwise operation is its scalar algebra read as text. */
#include "ir/graph.h"
#include "ir/op_text.h"

#include <string.h>

const OpInfo op_info[NOP] = {
#define OP(name, kind, arity, attrs, domain, doc) \
    [OP_##name] = {#name, doc, NULL, arity, kind, attrs, #domain},
#define MAP1(name, forward, dx, domain, doc) \
    [OP_##name] = {#name, doc, forward, 1, KIND_map, "", #domain},
#define MAP2(name, forward, dx, dy, domain, doc) \
    [OP_##name] = {#name, doc, forward, 2, KIND_map, "", #domain},
#define MAP3(name, forward, dx, dy, dz, domain, doc) \
    [OP_##name] = {#name, doc, forward, 3, KIND_map, "", #domain},
#include "ir/op.def"
};

Op op_by_name(const char *name)
{
    for (int i = 0; i < NOP; i++)
        if (!strcmp(op_info[i].name, name))
            return (Op)i;
    return NOP;
}

const char *op_formula(Arena *a, Op op)
{
    const char *f = op_info[op].formula;
    size_t n = f ? strlen(f) : 0;
    int depth = 0;
    if (!n || f[0] != '(')
        return f;
    /* Outer parentheses only if the first one is closed by the last character. */
    for (size_t i = 0; i < n; i++) {
        depth += (f[i] == '(') - (f[i] == ')');
        if (!depth && i + 1 < n)
            return f;
    }
    return arena_strndup(a, f + 1, n - 2);
}
