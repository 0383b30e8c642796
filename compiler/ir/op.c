/* The table of operations as data: op.def read once for its facts. The formula
 * of an elementwise operation is its scalar algebra read as text. */
#include "ir/graph.h"

#include <string.h>

#define X "x"
#define Y "y"
#define Z "z"
#define K(v) #v
#define NEG(a) "-" a
#define NOT(a) "not " a
#define CALL1(f, a) f "(" a ")"
#define INFIX(a, op, b) "(" a " " op " " b ")"
#define ABS(a) CALL1("abs", a)
#define EXP(a) CALL1("exp", a)
#define EXPM1(a) CALL1("expm1", a)
#define LOG(a) CALL1("log", a)
#define LOG1P(a) CALL1("log1p", a)
#define SQRT(a) CALL1("sqrt", a)
#define TANH(a) CALL1("tanh", a)
#define SIGMOID(a) CALL1("sigmoid", a)
#define SOFTPLUS(a) CALL1("softplus", a)
#define ERF(a) CALL1("erf", a)
#define SIN(a) CALL1("sin", a)
#define COS(a) CALL1("cos", a)
#define FLOOR(a) CALL1("floor", a)
#define PROBIT(a) CALL1("probit", a)
#define ADD(a, b) INFIX(a, "+", b)
#define SUB(a, b) INFIX(a, "-", b)
#define MUL(a, b) INFIX(a, "*", b)
#define DIV(a, b) INFIX(a, "/", b)
#define POW(a, b) INFIX(a, "**", b)
#define MAX(a, b) "max(" a ", " b ")"
#define MIN(a, b) "min(" a ", " b ")"
#define MOD(a, b) "mod(" a ", " b ")"
#define LT(a, b) INFIX(a, "<", b)
#define LE(a, b) INFIX(a, "<=", b)
#define GT(a, b) INFIX(a, ">", b)
#define GE(a, b) INFIX(a, ">=", b)
#define EQ(a, b) INFIX(a, "==", b)
#define NE(a, b) INFIX(a, "!=", b)
#define AND(a, b) INFIX(a, "and", b)
#define OR(a, b) INFIX(a, "or", b)
#define SEL(c, a, b) "(if " c " then " a " else " b ")"

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
