/* The scalar algebra of op.def read as text: string literals that join. R is the
 * result, G the gradient that arrives; no gradient is a null pointer. */
#ifndef WEFT_OP_TEXT_H
#define WEFT_OP_TEXT_H

#define X "x"
#define Y "y"
#define Z "z"
#define R "r"
#define G "g"
#define ZERO NULL
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
#define BFLOAT16(a) CALL1("bfloat16", a)
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

#endif
