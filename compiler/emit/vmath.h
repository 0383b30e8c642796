/* The tables of polynomials, a width each. */
#ifndef WEFT_EMIT_VMATH_H
#define WEFT_EMIT_VMATH_H

#include "emit/emit.h"

typedef struct { const char *name; V (*one)(Emit *, V); V (*two)(Emit *, V, V); } VmathEntry;
extern const VmathEntry vmath32[], vmath64[];

#endif
