/* The table of builtin functions: those of builtin.c, builtin_tensor.c, builtin_draw.c,
 * builtin_window.c. */
#ifndef WEFT_SEMA_BUILTIN_H
#define WEFT_SEMA_BUILTIN_H

#include "sema/internal.h"

enum { BUILTIN_ARGS = 6 };

/* Arguments by their place in the signature. */
typedef struct {
    Expander *x;
    Span at;
    const Builtin *self;
    Val arg[BUILTIN_ARGS];
    Span span[BUILTIN_ARGS];
    bool given[BUILTIN_ARGS];
    Val *rest; /* of a *name at the front */
    int nrest;
} Args;

/* signature: "x, y?; axis?": ? may be left out, after ; by name only; "*xs" first
 * takes all positional ones. */
struct Builtin {
    const char *name, *signature;
    Val (*run)(Args *a);
    Op op; /* run null: this elementwise operation */
};

extern const Builtin tensor_builtins[]; /* builtin_tensor.c; ends with a null name */
extern const Builtin draw_builtins[];   /* builtin_draw.c */
extern const Builtin window_builtins[]; /* builtin_window.c */

/* A list of sizes, or one size, as a shape without batch. */
bool sizes_of(Args *a, const Val *v, Span at, Shape *out);
/* Positional sizes: zeros(2, 3) or zeros([2, 3]). */
bool rest_sizes(Args *a, Shape *out);

/* standardize.c */
Val run_standardize(Args *a);

/* standardize.c */
Val run_standardize(Args *a);

#endif
