/* The grammar: filtered tokens to the syntax tree.
 *
 * The layout filter has settled keywords, statement ends and the two kinds of `{`, so
 * the rest is plain LALR(1). Precedence is in the rules, loosest first. An action is
 * one constructor's call. Errors recover at the end of the statement.
 */
%define api.pure full
%define api.prefix {weft_yy}
%define api.token.prefix {TOK_}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%param {struct Parser *p}

%code requires {
#include "parse.h"

#include <stdlib.h>
}

%code {
static int weft_yylex(WEFT_YYSTYPE *value, Span *at, Parser *p);
static void weft_yyerror(const Span *at, Parser *p, const char *text);

#define YYLLOC_DEFAULT(here, rhs, n)                                                       \
    ((here) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n))                          \
                  : (Span){YYRHSLOC(rhs, 0).file, YYRHSLOC(rhs, 0).hi, YYRHSLOC(rhs, 0).hi})
#define PUSH(list, item) list_push(p->arena, &(list), item)
}

%union {
    const Token *token;
    Expr *expr;
    Stmt *stmt;
    Arg arg;
    Declarator decl;
    Formal formal;
    ExprList exprs;
    ArgList args;
    StmtList stmts;
    DeclaratorList decls;
    FormalList formals;
    AstOp op;
}

%token END 0 "the end of the file"
%token NL "the end of the line"
%token COMMENT SPACE SEMI BAD          /* these never reach a rule */
%token START_FILE START_EXPR           /* made up: what is to be read */
%token LBRACE "{" RBRACE "}" LDICT "{ of a dict" RDICT "`}`"
%token <token> NAME "a name" INT "an integer" FLOAT "a number" STRING "a text" POISON
%token <token> DECL OUTPUT UPDATE GRADIENT ONCE LET REPEAT FOR IF IMPORT LANGUAGE DEF
%token <token> MODEL TRAIN DATA
%token IN "`in`" THEN "`then`" ELSE "`else`" AND OR NOT
%token ARROW "->" POW "**" FLOORDIV "//" LE "<=" GE ">=" EQ "==" NE "!="

%type <expr> expr choice disjunction conjunction negation comparison sum product unary power
%type <expr> postfix atom index_item bound
%type <op> compare add multiply
%type <exprs> exprs
%type <arg> arg entry
%type <args> args arg_list index_items items dict entries
%type <stmt> simple compound if_statement output_item
%type <stmts> statements block outputs
%type <decl> declarator declared sized typed valued
%type <decls> declarators
%type <formal> formal
%type <formals> formals formal_list

%%

start:
    START_FILE statements END               { p->statements = $2; }
  | START_EXPR expr NL END                  { p->value = $2; }
  ;

/* ---- statements ---- */

statements:
    %empty                                  { $$ = (StmtList){0}; }
  | statements simple NL                    { $$ = $1; PUSH($$, $2); }
  | statements compound NL                  { $$ = $1; PUSH($$, $2); }
  | statements OUTPUT outputs NL            {
        $$ = $1;
        for (int i = 0; i < $3.n; i++) {
            $3.at[i]->word = $2->text;
            PUSH($$, $3.at[i]);
        }
    }
  | statements LANGUAGE INT NL              { $$ = $1; check_language(p, $3); }
  | statements error NL                     {
        $$ = $1; PUSH($$, stmt_new(p, ST_error, @2, NULL)); yyerrok;
    }
  | statements error block else_branch NL   {
        $$ = $1; PUSH($$, stmt_new(p, ST_error, @2, NULL)); yyerrok;
    }
  ;

else_branch:
    %empty
  | ELSE block
  | ELSE if_statement
  ;

block:
    LBRACE statements RBRACE                { $$ = $2; }
  ;

simple:
    exprs                                   { $$ = stmt_expr(p, @$, $1); }
  | exprs '=' exprs                         {
        $$ = stmt_assign(p, ST_assign, @$, NULL, $1, expr_several(p, @3, $3));
    }
  | LET exprs '=' exprs                     {
        $$ = stmt_assign(p, ST_let, @$, $1, $2, expr_several(p, @4, $4));
    }
  | ONCE exprs '=' exprs                    {
        $$ = stmt_assign(p, ST_once, @$, $1, $2, expr_several(p, @4, $4));
    }
  | UPDATE expr                             { $$ = stmt_value(p, ST_update, @$, $1, NULL, $2); }
  | GRADIENT expr '=' expr                  { $$ = stmt_value(p, ST_gradient, @$, $1, $2, $4); }
  | UPDATE expr '=' expr                    { $$ = stmt_value(p, ST_update, @$, $1, $2, $4); }
  | DECL declarators                        { $$ = stmt_decl(p, @$, $1, $2); }
  | IMPORT STRING                           { $$ = stmt_import(p, @$, $1, $2); }
  | IMPORT POISON                           { $$ = stmt_new(p, ST_error, @$, $1); }
  | DEF NAME formals '=' expr               {
        $$ = stmt_named(p, ST_def, @$, $1, $2);
        $$->formals = $3; $$->has_formals = @3.lo < @3.hi; $$->value = $5;
    }
  | DATA NAME '=' expr                      {
        $$ = stmt_named(p, ST_block, @$, $1, $2); $$->value = $4;
    }
  ;

compound:
    if_statement
  | REPEAT expr block                       {
        $$ = stmt_body(stmt_new(p, ST_repeat, @$, $1), $3); $$->value = $2;
    }
  | FOR exprs IN expr block                 { $$ = stmt_for(p, @$, $1, $2, $4, $5); }
  | DEF NAME formals block                  {
        $$ = stmt_body(stmt_named(p, ST_def, span_join(@1, @3), $1, $2), $4);
        $$->formals = $3; $$->has_formals = @3.lo < @3.hi;
    }
  | MODEL NAME block                        {
        $$ = stmt_body(stmt_named(p, ST_block, span_join(@1, @2), $1, $2), $3);
    }
  | TRAIN block                             {
        $$ = stmt_body(stmt_named(p, ST_block, @1, $1, NULL), $2);
    }
  | TRAIN NAME block                        {
        $$ = stmt_body(stmt_named(p, ST_block, span_join(@1, @2), $1, $2), $3);
    }
  | DATA NAME '=' expr block                {
        $$ = stmt_body(stmt_named(p, ST_block, span_join(@1, @4), $1, $2), $5); $$->value = $4;
    }
  ;

if_statement:
    IF expr block                           { $$ = stmt_if(p, @$, $1, $2, $3); }
  | IF expr block ELSE block                {
        $$ = stmt_if(p, @$, $1, $2, $3);
        stmt_else(p, $$, $5);
    }
  | IF expr block ELSE if_statement         {
        StmtList one = {0};
        PUSH(one, $5);
        $$ = stmt_if(p, @$, $1, $2, $3);
        stmt_else(p, $$, one);
    }
  ;

outputs:
    output_item                             { $$ = (StmtList){0}; PUSH($$, $1); }
  | outputs ',' output_item                 { $$ = $1; PUSH($$, $3); }
  ;

output_item:
    expr                                    { $$ = stmt_value(p, ST_output, @$, NULL, NULL, $1); }
  | expr '=' expr                           { $$ = stmt_value(p, ST_output, @$, NULL, $1, $3); }
  | expr ':' NAME '=' expr                  {
        $$ = stmt_mask(p, stmt_value(p, ST_output, @$, NULL, NULL, $1), $3, $5);
    }
  | expr '=' expr ':' NAME '=' expr         {
        $$ = stmt_mask(p, stmt_value(p, ST_output, @$, NULL, $1, $3), $5, $7);
    }
  ;

/* ---- declarations ---- */

declarators:
    declarator                              { $$ = (DeclaratorList){0}; PUSH($$, $1); }
  | declarators ',' declarator              { $$ = $1; PUSH($$, $3); }
  ;

declarator:
    valued
  | valued block                            { $$ = $1; $$.extra = $2; }
  ;

valued:
    typed
  | typed '=' expr                          { $$ = $1; $$.init = $3; }
  ;

typed:
    sized
  | sized ':' NAME                          { $$ = $1; $$.dtype = $3->text; $$.dtype_span = @3; }
  ;

sized:
    declared
  | declared '[' ']'                        { $$ = $1; $$.has_dims = true; }
  | declared '[' exprs ']'                  { $$ = $1; $$.has_dims = true; $$.dims = $3; }
  | declared '[' exprs ',' ']'              { $$ = $1; $$.has_dims = true; $$.dims = $3; }
  ;

declared:
    NAME                                    { $$ = decl_new($1); }
  ;

formals:
    %empty                                  { $$ = (FormalList){0}; }
  | '(' ')'                                 { $$ = (FormalList){0}; }
  | '(' formal_list ')'                     { $$ = $2; }
  | '(' formal_list ',' ')'                 { $$ = $2; }
  ;

formal_list:
    formal                                  { $$ = (FormalList){0}; PUSH($$, $1); }
  | formal_list ',' formal                  { $$ = $1; PUSH($$, $3); }
  ;

formal:
    NAME                                    { $$ = (Formal){$1->text, @1, NULL}; }
  | NAME '=' expr                           { $$ = (Formal){$1->text, @1, $3}; }
  ;

/* ---- expressions, loosest first ---- */

exprs:
    expr                                    { $$ = (ExprList){0}; PUSH($$, $1); }
  | exprs ',' expr                          { $$ = $1; PUSH($$, $3); }
  ;

expr:
    choice
  | expr ARROW choice                       { $$ = expr_arrow(p, @$, @2, $1, $3); }
  ;

choice:
    disjunction
  | IF expr THEN expr ELSE choice           { $$ = expr_if(p, @$, $2, $4, $6); }
  | disjunction IF disjunction ELSE choice  { $$ = expr_if(p, @$, $3, $1, $5); }
  ;

disjunction:
    conjunction
  | disjunction OR conjunction              { $$ = expr_binary(p, BIN_or, @$, @2, $1, $3); }
  ;

conjunction:
    negation
  | conjunction AND negation                { $$ = expr_binary(p, BIN_and, @$, @2, $1, $3); }
  ;

negation:
    comparison
  | NOT negation                            { $$ = expr_unary(p, UN_not, @$, @1, $2); }
  ;

comparison:
    sum
  | comparison compare sum                  { $$ = expr_compare(p, $2, @$, @2, $1, $3); }
  ;

compare:
    '<'                                     { $$ = BIN_lt; }
  | LE                                      { $$ = BIN_le; }
  | '>'                                     { $$ = BIN_gt; }
  | GE                                      { $$ = BIN_ge; }
  | EQ                                      { $$ = BIN_eq; }
  | NE                                      { $$ = BIN_ne; }
  ;

sum:
    product
  | sum add product                         { $$ = expr_binary(p, $2, @$, @2, $1, $3); }
  ;

add:
    '+'                                     { $$ = BIN_add; }
  | '-'                                     { $$ = BIN_sub; }
  ;

product:
    unary
  | product multiply unary                  { $$ = expr_binary(p, $2, @$, @2, $1, $3); }
  ;

multiply:
    '*'                                     { $$ = BIN_mul; }
  | '/'                                     { $$ = BIN_div; }
  | FLOORDIV                                { $$ = BIN_floordiv; }
  | '%'                                     { $$ = BIN_mod; }
  | '@'                                     { $$ = BIN_matmul; }
  ;

unary:
    power
  | '-' unary                               { $$ = expr_unary(p, UN_neg, @$, @1, $2); }
  ;

power:
    postfix
  | postfix POW unary                       { $$ = expr_binary(p, BIN_pow, @$, @2, $1, $3); }
  ;

postfix:
    atom
  | postfix '(' args ')'                    { $$ = expr_args(p, EX_call, @$, $1, $3); }
  | postfix '[' index_items ']'             { $$ = expr_args(p, EX_index, @$, $1, $3); }
  | postfix '[' index_items ',' ']'         { $$ = expr_args(p, EX_index, @$, $1, $3); }
  | postfix '.' NAME                        { $$ = expr_attr(p, @$, $1, $3); }
  ;

atom:
    NAME                                    { $$ = expr_leaf(p, EX_name, $1); }
  | INT                                     { $$ = expr_leaf(p, EX_int, $1); }
  | FLOAT                                   { $$ = expr_leaf(p, EX_float, $1); }
  | STRING                                  { $$ = expr_leaf(p, EX_string, $1); }
  | POISON                                  { $$ = expr_leaf(p, EX_error, $1); }
  | '(' ')'                                 { $$ = expr_parens(p, @$, (ExprList){0}, true); }
  | '(' exprs ')'                           { $$ = expr_parens(p, @$, $2, false); }
  | '(' exprs ',' ')'                       { $$ = expr_parens(p, @$, $2, true); }
  | '[' items ']'                           { $$ = expr_args(p, EX_list, @$, NULL, $2); }
  | LDICT dict RDICT                        { $$ = expr_args(p, EX_dict, @$, NULL, $2); }
  ;

/* ---- arguments, indices, entries ---- */

args:
    %empty                                  { $$ = (ArgList){0}; }
  | arg_list
  | arg_list ','
  ;

arg_list:
    arg                                     { $$ = (ArgList){0}; PUSH($$, $1); }
  | arg_list ',' arg                        { $$ = $1; PUSH($$, $3); }
  ;

arg:
    expr                                    { $$ = arg_positional($1); }
  | NAME '=' expr                           { $$ = arg_named($1, $3); }
  ;

index_items:
    index_item                              { $$ = (ArgList){0}; PUSH($$, arg_positional($1)); }
  | index_items ',' index_item              { $$ = $1; PUSH($$, arg_positional($3)); }
  ;

index_item:
    expr
  | bound ':' bound                         { $$ = expr_range(p, @$, $1, $3, NULL); }
  | bound ':' bound ':' bound               { $$ = expr_range(p, @$, $1, $3, $5); }
  ;

bound:
    %empty                                  { $$ = NULL; }
  | expr
  ;

items:
    %empty                                  { $$ = (ArgList){0}; }
  | exprs                                   {
        $$ = (ArgList){0};
        for (int i = 0; i < $1.n; i++)
            PUSH($$, arg_positional($1.at[i]));
    }
  | exprs ','                               {
        $$ = (ArgList){0};
        for (int i = 0; i < $1.n; i++)
            PUSH($$, arg_positional($1.at[i]));
    }
  ;

dict:
    %empty                                  { $$ = (ArgList){0}; }
  | entries
  | entries ','
  ;

entries:
    entry                                   { $$ = (ArgList){0}; PUSH($$, $1); }
  | entries ',' entry                       { $$ = $1; PUSH($$, $3); }
  ;

entry:
    expr ':' expr                           { $$ = arg_entry($1, $3); }
  ;

%%

static int weft_yylex(WEFT_YYSTYPE *value, Span *at, Parser *p)
{
    if (p->next < 0) {
        *at = (Span){p->part.file, 0, 0};
        p->next = 0;
        return p->expression ? TOK_START_EXPR : TOK_START_FILE;
    }
    const Token *t = &p->layout.tokens.at[p->next];
    if (p->next < p->layout.tokens.n - 1)
        p->next++;
    value->token = t;
    *at = t->span;
    return t->kind;
}

/* Reached when bison's stack is exhausted only: syntax errors go the other way. */
static void weft_yyerror(const Span *at, Parser *p, const char *text)
{
    (void)text;
    unsupported_at(p->diag, *at, "this is nested too deeply to be read");
}

static int yyreport_syntax_error(const yypcontext_t *context, Parser *p)
{
    yysymbol_kind_t symbols[YYNTOKENS];
    const char *expected[YYNTOKENS];
    int n = yypcontext_expected_tokens(context, symbols, YYNTOKENS);
    for (int i = 0; i < n; i++)
        expected[i] = yysymbol_name(symbols[i]);
    const Token *found = &p->layout.tokens.at[p->next > 0 ? p->next - 1 : 0];
    if (yypcontext_token(context) == YYSYMBOL_YYEOF)
        found = &p->layout.tokens.at[p->layout.tokens.n - 1];
    parser_unexpected(p, found, expected, n > 0 ? n : 0);
    return 0;
}
