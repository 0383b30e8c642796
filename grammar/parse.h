/* Inside the grammar folder: the parser's state and the tree's constructors. */
#ifndef WEFT_PARSE_H
#define WEFT_PARSE_H

#include "ast.h"
#include "layout.h"

typedef struct Parser {
    Arena *arena;
    Diag *diag;
    Span part;          /* of a source: what is read */
    const char *text;   /* of the source */
    bool expression;    /* one expression is read, not a file */
    bool too_deep;      /* an expression was; said once */
    Layout layout;
    int next;           /* index in layout.tokens; -1: the token that says what is read */
    StmtList statements;
    Expr *value;
} Parser;

/* Reads and filters the source of p, then parses; p->statements or p->value. False when
 * something was reported. */
bool parser_run(Parser *p);

/* Reports an unexpected token; `expected` are descriptions, in the grammar's order. */
void parser_unexpected(Parser *p, const Token *found, const char *const *expected, int n);

/* Expressions. Each gives EX_error, after a message, where the tree gets too deep. */
Expr *expr_leaf(Parser *p, ExprKind kind, const Token *t);
Expr *expr_unary(Parser *p, AstOp op, Span at, Span op_at, Expr *a);
Expr *expr_binary(Parser *p, AstOp op, Span at, Span op_at, Expr *a, Expr *b);
Expr *expr_compare(Parser *p, AstOp op, Span at, Span op_at, Expr *a, Expr *b);
Expr *expr_arrow(Parser *p, Span at, Span op_at, Expr *a, Expr *b);
Expr *expr_if(Parser *p, Span at, Expr *condition, Expr *yes, Expr *no);
Expr *expr_attr(Parser *p, Span at, Expr *of, const Token *name);
/* EX_call and EX_index of f; EX_list, EX_tuple and EX_dict without. */
Expr *expr_args(Parser *p, ExprKind kind, Span at, Expr *f, ArgList args);
Expr *expr_range(Parser *p, Span at, Expr *from, Expr *to, Expr *step);
/* (e) itself in parentheses, (a, b) and (a,) a tuple. */
Expr *expr_parens(Parser *p, Span at, ExprList items, bool comma);
/* One expression, or several as a tuple: the right side of a, b = b, a. */
Expr *expr_several(Parser *p, Span at, ExprList items);

Arg arg_positional(Expr *value);
Arg arg_named(const Token *name, Expr *value);
Arg arg_entry(Expr *key, Expr *value); /* of a dict */

/* Statements. */
Stmt *stmt_new(Parser *p, StmtKind kind, Span at, const Token *word);
Stmt *stmt_expr(Parser *p, Span at, ExprList values);
/* ST_assign, ST_once, ST_let: targets = values. word may be null. */
Stmt *stmt_assign(Parser *p, StmtKind kind, Span at, const Token *word, ExprList targets,
                  Expr *value);
/* ST_output, ST_update, ST_gradient: [target =] value. */
Stmt *stmt_value(Parser *p, StmtKind kind, Span at, const Token *word, Expr *target, Expr *value);
/* The `mask = m` of an output: `name` must say mask. */
Stmt *stmt_mask(Parser *p, Stmt *output, const Token *name, Expr *mask);
Stmt *stmt_decl(Parser *p, Span at, const Token *word, DeclaratorList decls);
Stmt *stmt_body(Stmt *s, StmtList body);
Stmt *stmt_for(Parser *p, Span at, const Token *word, ExprList names, Expr *in, StmtList body);
/* An `if` with its else branches; `orelse` holds one ST_if for `else if`. */
Stmt *stmt_if(Parser *p, Span at, const Token *word, Expr *condition, StmtList body);
void stmt_else(Parser *p, Stmt *s, StmtList orelse);
/* ST_def and ST_block with name (may be null) and the doc comment above. */
Stmt *stmt_named(Parser *p, StmtKind kind, Span head, const Token *word, const Token *name);
Stmt *stmt_import(Parser *p, Span at, const Token *word, const Token *path);
/* Checks `language N`; nothing is left in the tree. */
void check_language(Parser *p, const Token *version);

Declarator decl_new(const Token *name);

#endif
