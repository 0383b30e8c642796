/* operations.md from the table: op.def once more, its formulas as text. */
#include "ir/opdoc.h"
#include "ir/graph.h"
#include "ir/op_text.h"

#include <string.h>

/* The gradient for each operand; null where none flows. */
static const char *const gradients[NOP][3] = {
#define MAP1(name, forward, dx, ...) [OP_##name] = {dx},
#define MAP2(name, forward, dx, dy, ...) [OP_##name] = {dx, dy},
#define MAP3(name, forward, dx, dy, dz, ...) [OP_##name] = {dx, dy, dz},
#include "ir/op.def"
};

/* Text in a table's cell: a bar would end it. */
static void print_cell(FILE *f, const char *s)
{
    for (; *s; s++)
        fprintf(f, *s == '|' ? "\\|" : "%c", *s);
}

/* A formula, without the parentheses that enclose all of it. */
static void print_formula(FILE *f, const char *s)
{
    size_t n = strlen(s), depth = 0;
    bool enclosed = n && s[0] == '(';
    for (size_t i = 0; enclosed && i < n; i++) {
        depth += (s[i] == '(') - (s[i] == ')');
        enclosed = depth || i + 1 == n;
    }
    if (enclosed)
        fprintf(f, "`%.*s`", (int)n - 2, s + 1);
    else
        fprintf(f, "`%s`", s);
}

static void print_maps(FILE *f)
{
    static const char *const operand = "xyz";
    fprintf(f, "## Elementwise\n\n"
               "x, y, z are the operands, r is the result, g the gradient that arrives. Operands\n"
               "broadcast: the batch aligns with the batch, other axes on the right.\n\n"
               "| operation | value | gradient | |\n|---|---|---|---|\n");
    for (int op = 0; op < NOP; op++) {
        if (!op_info[op].formula)
            continue;
        fprintf(f, "| %s | ", op_info[op].name);
        print_formula(f, op_info[op].formula);
        fprintf(f, " | ");
        bool any = false;
        for (int i = 0; i < op_info[op].arity; i++) {
            if (!gradients[op][i])
                continue;
            fprintf(f, "%s%c: ", any ? ", " : "", operand[i]);
            print_formula(f, gradients[op][i]);
            any = true;
        }
        fprintf(f, any ? " | " : "none | ");
        print_cell(f, op_info[op].doc);
        fprintf(f, " |\n");
    }
}

static void print_kind(FILE *f, OpKind kind, const char *title)
{
    bool any = false;
    for (int op = 0; op < NOP; op++) {
        if (op_info[op].kind != kind || op_info[op].formula)
            continue;
        if (!any)
            fprintf(f, "\n## %s\n\n| operation | operands | attributes | |\n|---|---|---|---|\n",
                    title);
        any = true;
        if (op_info[op].arity < 0)
            fprintf(f, "| %s | any number | %s | ", op_info[op].name, op_info[op].attrs);
        else
            fprintf(f, "| %s | %d | %s | ", op_info[op].name, op_info[op].arity, op_info[op].attrs);
        print_cell(f, op_info[op].doc);
        fprintf(f, " |\n");
    }
}

void opdoc_print(FILE *f)
{
    static const struct { OpKind kind; const char *title; } kinds[] = {
        {KIND_map, "Conversion"},
        {KIND_leaf, "Leaves"},
        {KIND_view, "Views"},
        {KIND_reduce, "Reductions"},
        {KIND_contract, "Products"},
        {KIND_batch, "Across the batch"},
        {KIND_gather, "Rows of a table"},
        {KIND_scatter, "Sums into a table"},
        {KIND_scan, "Time"},
        {KIND_other, "The rest"},
    };
    static const struct { const char *name, *doc; } attributes[] = {
#define ATTR(name, type, doc) {#name, doc},
#include "ir/attr.def"
    };
    fprintf(f, "# Operations\n\nWritten from `compiler/ir/op.def`.\n\n");
    print_maps(f);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        print_kind(f, kinds[i].kind, kinds[i].title);
    fprintf(f, "\n## Attributes\n\n| attribute | |\n|---|---|\n");
    for (int i = 0; i < NATTR; i++) {
        fprintf(f, "| %s | ", attributes[i].name);
        print_cell(f, attributes[i].doc);
        fprintf(f, " |\n");
    }
}
