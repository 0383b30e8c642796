/* Trees back to text: expr_text in the language itself, ast_text as S-expressions.
 *
 * expr_text puts parentheses where the tree has them and where precedence asks for
 * them; the levels here are those of parser.y.
 */
#include "ast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    Arena *arena;
    LIST(char) out;
} Text;

static void put(Text *t, const char *s)
{
    for (; *s; s++)
        list_push(t->arena, &t->out, *s);
}

static char *finish(Text *t)
{
    list_push(t->arena, &t->out, '\0');
    return t->out.at;
}

static const char *const op_text[] = {
    [BIN_add] = "+", [BIN_sub] = "-", [BIN_mul] = "*", [BIN_div] = "/", [BIN_floordiv] = "//",
    [BIN_mod] = "%", [BIN_pow] = "**", [BIN_matmul] = "@", [BIN_lt] = "<", [BIN_le] = "<=",
    [BIN_gt] = ">", [BIN_ge] = ">=", [BIN_eq] = "==", [BIN_ne] = "!=", [BIN_and] = "and",
    [BIN_or] = "or", [UN_neg] = "-", [UN_not] = "not ",
};

/* The shortest decimal that reads back as x, marked as a float. */
static void put_number(Text *t, double x)
{
    if (isinf(x) || isnan(x)) {
        put(t, isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
        return;
    }
    char s[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, x);
        if (strtod(s, NULL) == x)
            break;
    }
    if (strchr(s, 'e') && fabs(x) >= 1 && fabs(x) < 1e15 && x == floor(x))
        snprintf(s, sizeof s, "%.0f", x); /* 1000, not 1e+03 */
    put(t, s);
    if (!strpbrk(s, ".e"))
        put(t, ".0");
}

static void put_string(Text *t, const char *s)
{
    put(t, "\"");
    for (; *s; s++) {
        char plain[2] = {*s, 0};
        put(t, *s == '\n'   ? "\\n"
               : *s == '\t' ? "\\t"
               : *s == '\\' ? "\\\\"
               : *s == '"'  ? "\\\""
                            : plain);
    }
    put(t, "\"");
}

/* ---- the language ---- */

enum {
    L_arrow, L_choice, L_or, L_and, L_not, L_compare, L_sum, L_product, L_unary, L_power, L_postfix
};

static int level_of(const Expr *e)
{
    switch (e->kind) {
    case EX_arrow:
        return L_arrow;
    case EX_if:
        return L_choice;
    case EX_unary:
        return e->op == UN_not ? L_not : L_unary;
    case EX_int:
        return e->integer < 0 ? L_unary : L_postfix;
    case EX_float:
        return e->number < 0 ? L_unary : L_postfix;
    case EX_binary:
        switch (e->op) {
        case BIN_or: return L_or;
        case BIN_and: return L_and;
        case BIN_add: case BIN_sub: return L_sum;
        case BIN_pow: return L_power;
        case BIN_mul: case BIN_div: case BIN_floordiv: case BIN_mod: case BIN_matmul:
            return L_product;
        default: return L_compare;
        }
    default:
        return L_postfix;
    }
}

static void put_expr(Text *t, const Expr *e, int level);

static void put_args(Text *t, const ArgList *args, const char *separator)
{
    for (int i = 0; i < args->n; i++) {
        const Arg *arg = &args->at[i];
        if (i)
            put(t, ", ");
        if (arg->key)
            put_expr(t, arg->key, L_arrow);
        else if (arg->name)
            put(t, arg->name);
        if (arg->key || arg->name)
            put(t, separator);
        put_expr(t, arg->value, L_arrow);
    }
}

static void put_dict(Text *t, const Expr *e)
{
    put(t, "{");
    for (int i = 0; i < e->args.n; i++) {
        const Arg *arg = &e->args.at[i];
        if (i)
            put(t, ", ");
        bool plain = arg->name && strlen(arg->name) ==
                     strspn(arg->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        if (arg->key)
            put_expr(t, arg->key, L_arrow);
        else if (plain && strcmp(arg->name, "if") && strcmp(arg->name, "then") &&
                 strcmp(arg->name, "else") && strcmp(arg->name, "and") && strcmp(arg->name, "or") &&
                 strcmp(arg->name, "not") && *arg->name)
            put(t, arg->name);
        else
            put_string(t, arg->name);
        put(t, ": ");
        put_expr(t, arg->value, L_arrow);
    }
    put(t, "}");
}

static void put_operator(Text *t, const Expr *e)
{
    int own = level_of(e);
    if (e->kind == EX_unary) {
        put(t, op_text[e->op]);
        put_expr(t, e->kid[0], own);
    } else if (e->op == BIN_pow) {
        put_expr(t, e->kid[0], L_postfix);
        put(t, "**");
        put_expr(t, e->kid[1], L_unary);
    } else {
        bool compare = own == L_compare; /* these do not chain */
        put_expr(t, e->kid[0], compare ? L_sum : own);
        put(t, " ");
        put(t, op_text[e->op]);
        put(t, " ");
        put_expr(t, e->kid[1], own + 1);
    }
}

static void put_bare(Text *t, const Expr *e)
{
    switch (e->kind) {
    case EX_error:
        put(t, "?");
        break;
    case EX_int:
        put(t, arena_printf(t->arena, "%lld", (long long)e->integer));
        break;
    case EX_float:
        put_number(t, e->number);
        break;
    case EX_string:
        put_string(t, e->text);
        break;
    case EX_name:
        put(t, e->text);
        break;
    case EX_attr:
        put_expr(t, e->kid[0], L_postfix);
        put(t, ".");
        put(t, e->text);
        break;
    case EX_call: case EX_index:
        put_expr(t, e->kid[0], L_postfix);
        put(t, e->kind == EX_call ? "(" : "[");
        put_args(t, &e->args, "=");
        put(t, e->kind == EX_call ? ")" : "]");
        break;
    case EX_range:
        for (int i = 0; i < 3; i++) {
            if (i == 1 || (i == 2 && e->kid[2]))
                put(t, ":");
            if (e->kid[i])
                put_expr(t, e->kid[i], L_arrow);
        }
        break;
    case EX_unary: case EX_binary:
        put_operator(t, e);
        break;
    case EX_arrow:
        put_expr(t, e->kid[0], L_arrow);
        put(t, " -> ");
        put_expr(t, e->kid[1], L_choice);
        break;
    case EX_if:
        put(t, "if ");
        put_expr(t, e->kid[0], L_arrow);
        put(t, " then ");
        put_expr(t, e->kid[1], L_arrow);
        put(t, " else ");
        put_expr(t, e->kid[2], L_choice);
        break;
    case EX_list: case EX_tuple:
        put(t, e->kind == EX_list ? "[" : "(");
        put_args(t, &e->args, "=");
        put(t, e->kind == EX_list ? "]" : e->args.n == 1 ? ",)" : ")");
        break;
    case EX_dict:
        put_dict(t, e);
        break;
    }
}

static void put_expr(Text *t, const Expr *e, int level)
{
    bool parens = level_of(e) < level || (e->parens && e->kind != EX_range);
    if (parens)
        put(t, "(");
    put_bare(t, e);
    if (parens)
        put(t, ")");
}

char *expr_text(Arena *a, const Expr *e)
{
    Text t = {.arena = a};
    put_expr(&t, e, L_arrow);
    return finish(&t);
}

/* ---- S-expressions ---- */

static void put_tree(Text *t, const Expr *e)
{
    static const char *const names[] = {
        [EX_error] = "error", [EX_attr] = ".", [EX_call] = "call", [EX_index] = "index",
        [EX_range] = ":", [EX_arrow] = "->", [EX_if] = "if", [EX_list] = "list",
        [EX_tuple] = "tuple", [EX_dict] = "dict",
    };
    if (!e) {
        put(t, "_");
        return;
    }
    if (e->kind >= EX_int && e->kind <= EX_name) {
        put_bare(t, e);
        return;
    }
    bool is_operator = e->kind == EX_unary || e->kind == EX_binary;
    put(t, "(");
    put(t, !is_operator ? names[e->kind] : e->op == UN_not ? "not" : op_text[e->op]);
    bool one = e->kind == EX_unary || e->kind == EX_attr || e->kind == EX_call ||
               e->kind == EX_index;
    bool two = e->kind == EX_binary || e->kind == EX_arrow;
    int kids = e->kind == EX_range || e->kind == EX_if ? 3 : two ? 2 : one;
    for (int i = 0; i < kids; i++) {
        put(t, " ");
        put_tree(t, e->kid[i]);
    }
    if (e->kind == EX_attr) {
        put(t, " ");
        put(t, e->text);
    }
    for (int i = 0; i < e->args.n; i++) {
        const Arg *arg = &e->args.at[i];
        put(t, " ");
        if (arg->key)
            put_tree(t, arg->key);
        else if (arg->name)
            put(t, arg->name);
        if (arg->key || arg->name)
            put(t, e->kind == EX_dict ? ": " : "=");
        put_tree(t, arg->value);
    }
    put(t, ")");
}

static void put_statements(Text *t, const StmtList *l, int depth);

static void put_labelled(Text *t, const char *label, const Expr *e)
{
    if (!e)
        return;
    put(t, label);
    put_tree(t, e);
}

static void put_declarator(Text *t, const Declarator *d, int depth)
{
    put(t, " (");
    put(t, d->name);
    if (d->has_dims) {
        put(t, "[");
        for (int i = 0; i < d->dims.n; i++)
            put_labelled(t, i ? " " : "", d->dims.at[i]);
        put(t, "]");
    }
    if (d->dtype) {
        put(t, " : ");
        put(t, d->dtype);
    }
    put_labelled(t, " = ", d->init);
    if (d->extra.n)
        put_statements(t, &d->extra, depth + 1);
    put(t, ")");
}

static void put_statement(Text *t, const Stmt *s, int depth)
{
    static const char *const names[] = {
        [ST_error] = "error", [ST_expr] = "do", [ST_assign] = "=", [ST_decl] = "decl",
        [ST_once] = "once", [ST_output] = "output", [ST_update] = "update",
        [ST_gradient] = "gradient", [ST_let] = "let",
        [ST_repeat] = "repeat", [ST_for] = "for", [ST_if] = "if", [ST_import] = "import",
        [ST_def] = "def", [ST_block] = "block",
    };
    put(t, "(");
    bool worded = s->kind == ST_decl || s->kind == ST_def || s->kind == ST_block;
    put(t, worded ? s->word : names[s->kind]);
    if (s->doc) {
        put(t, " ");
        put_string(t, s->doc);
    }
    if (s->name) {
        put(t, " ");
        put(t, s->name);
    }
    if (s->text) {
        put(t, " ");
        put_string(t, s->text);
    }
    if (s->has_formals) {
        put(t, " (");
        for (int i = 0; i < s->formals.n; i++) {
            put(t, i ? " " : "");
            put(t, s->formals.at[i].name);
            put_labelled(t, "=", s->formals.at[i].init);
        }
        put(t, ")");
    }
    for (int i = 0; i < s->targets.n; i++)
        put_labelled(t, i ? ", " : " ", s->targets.at[i]);
    bool named = s->kind == ST_def || s->kind == ST_block;
    put_labelled(t, s->targets.n || named ? " = " : " ", s->value);
    put_labelled(t, " mask ", s->mask);
    for (int i = 0; i < s->decls.n; i++)
        put_declarator(t, &s->decls.at[i], depth);
    if (s->has_body)
        put_statements(t, &s->body, depth + 1);
    if (s->has_orelse) {
        put(t, " else");
        put_statements(t, &s->orelse, depth + 1);
    }
    put(t, ")");
}

/* Each on a line of its own; an empty list as {}. */
static void put_statements(Text *t, const StmtList *l, int depth)
{
    if (l->n == 0 && depth)
        put(t, " {}");
    for (int i = 0; i < l->n; i++) {
        if (i || depth)
            put(t, "\n");
        for (int k = 0; k < depth; k++)
            put(t, "  ");
        put_statement(t, l->at[i], depth);
    }
}

char *ast_text(Arena *a, const File *f)
{
    Text t = {.arena = a};
    put_statements(&t, &f->items, 0);
    return finish(&t);
}
