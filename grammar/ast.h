/* The syntax tree of a .model file.
 *
 * The grammar knows tokens and the shape of the text, no operation's or
 * layer's name. One expression type and one statement type, each a tag with
 * the few fields that the tag uses; names are NUL-terminated in the arena.
 */
#ifndef WEFT_AST_H
#define WEFT_AST_H

#include "base/arena.h"
#include "base/diag.h"

typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef LIST(Expr *) ExprList;
typedef LIST(Stmt *) StmtList;

typedef enum {
    EX_error,   /* poison: already reported */
    EX_int,     /* 128             integer */
    EX_float,   /* 0.5, 1e-3       number */
    EX_string,  /* "relu" 'relu'   text */
    EX_name,    /* relu            text (true, True, None are names too) */
    EX_attr,    /* digits.test     kid[0] . text */
    EX_call,    /* f(x, k=1)       kid[0] is f, args */
    EX_index,   /* x[0, 1:3, t-1]  kid[0] is x, args (positional; EX_range allowed) */
    EX_range,   /* a:b:c           kid[0..2], each may be null; only in an index */
    EX_unary,   /* -x, not x       op, kid[0] */
    EX_binary,  /* x + y, x @ y    op, kid[0], kid[1]; comparisons, and, or */
    EX_arrow,   /* x -> L          kid[0], kid[1] */
    EX_if,      /* if c then a else b, a if c else b: kid[0..2] */
    EX_list,    /* [a, b]          args */
    EX_tuple,   /* (a, b)          args */
    EX_dict     /* {k: v}          args: name or key expression, value */
} ExprKind;

typedef enum {
    BIN_add, BIN_sub, BIN_mul, BIN_div, BIN_floordiv, BIN_mod, BIN_pow, BIN_matmul,
    BIN_lt, BIN_le, BIN_gt, BIN_ge, BIN_eq, BIN_ne, BIN_and, BIN_or,
    UN_neg, UN_not
} AstOp;

typedef struct {
    const char *name; /* f(units=50): "units"; null when positional */
    Span name_span;
    Expr *key;        /* EX_dict with a key that is no plain name */
    Expr *value;
} Arg;
typedef LIST(Arg) ArgList;

struct Expr {
    ExprKind kind;
    AstOp op;
    Span span;      /* all of it */
    Span op_span;   /* the operator, or the name after a dot */
    const char *text;
    int64_t integer;
    double number;
    Expr *kid[3];
    ArgList args;
    bool parens;    /* written in parentheses */
    int depth;      /* levels of the tree, at most EXPR_DEPTH_MOST */
};

/* name[dims] : dtype = init { key = value ... } */
typedef struct {
    const char *name;
    Span span;
    bool has_dims;      /* [] written */
    ExprList dims;   /* T, T<=200 (EX_binary BIN_le), 4*units */
    const char *dtype;  /* null when not written */
    Span dtype_span;
    Expr *init;         /* null when not written */
    StmtList extra;     /* the block { constraint = NonNeg() } : ST_assign each */
} Declarator;
typedef LIST(Declarator) DeclaratorList;

/* A formal parameter of a definition: name or name=default. */
typedef struct { const char *name; Span span; Expr *init; } Formal;
typedef LIST(Formal) FormalList;

typedef enum {
    ST_error,   /* poison */
    ST_expr,    /* a bare layer or call                      value */
    ST_assign,  /* a, h[t], k = value   targets, value; also key = value in blocks */
    ST_decl,    /* input/state/param/slot/buffer/static/sum  word, decls */
    ST_once,    /* once keep = bernoulli(0.9, [units])       targets, value */
    ST_output,  /* output h[t]; output answer = e; output y : mask = m
                   targets (0 or 1), value, mask;
                   `output a, b` becomes one ST_output for each */
    ST_update,  /* update e (optimizer); update mean_ = e    targets (0 or 1), value */
    ST_gradient,/* gradient x = e (function)                targets (1), value */
    ST_let,     /* let width = 256                           targets, value */
    ST_repeat,  /* repeat n { }                              value, body */
    ST_for,     /* for f in e { }, for i, f in e             targets, value, body */
    ST_if,      /* if c { } else { }                         value, body, orelse */
    ST_import,  /* import "blocks.model"                     text */
    ST_def,     /* word = cell layer loss optimizer metric function activation initializer
                   regularizer constraint schedule: name, formals, body;
                   function f(x) = e: value instead of body */
    ST_block    /* word = model, train, data: name (may be null), value (data d = value { }),
                   body */
} StmtKind;

struct Stmt {
    StmtKind kind;
    Span span;          /* all of it; a definition's: its head line */
    const char *word;   /* the keyword as written: "cell", "input", "param", "train" */
    const char *name;
    Span name_span;
    const char *text;
    const char *doc;      /* ST_def, ST_block: the comment lines right above, without #; or null */
    ExprList targets;     /* EX_name or EX_index (h[t]) */
    Expr *value, *mask;
    DeclaratorList decls;
    FormalList formals;
    bool has_formals;     /* () written */
    StmtList body, orelse;
    bool has_body, has_orelse;
};

/* What nests deeper is an error: brackets and blocks, levels of one expression. */
enum { NESTING_MOST = 200, EXPR_DEPTH_MOST = 1000 };

typedef struct { StmtList items; Span span; } File;

/* `language 1`, the version statement, is checked by the parser and leaves nothing in
 * the tree.
 *
 * Parses a registered source (diag_source). Errors go to d, with recovery at
 * statement ends; the tree returned holds poison where something was wrong.
 * Never null. Nesting deeper than a fixed limit is an error, not a crash. */
File *parse_source(Arena *a, Diag *d, int32_t source);

/* The same of a part that begins and ends between statements. */
File *parse_part(Arena *a, Diag *d, Span part);

/* Parses one expression, as `--set name=EXPR` needs it; null after an error. */
Expr *parse_expression(Arena *a, Diag *d, int32_t source);

/* The source laid out in Weft's one style, comments kept (`weft fmt`); null
 * when it does not parse. Formatting twice changes nothing. */
char *format_source(Arena *a, Diag *d, int32_t source);

/* Writes an expression as text that parses back to the same tree. */
char *expr_text(Arena *a, const Expr *e);

/* The tree as S-expressions, a statement a line, without places: for tests. */
char *ast_text(Arena *a, const File *f);

#endif
