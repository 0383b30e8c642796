/* Processors that code is made for. One description tells the emitter all that it
 * needs to know: the width of vectors, registers, whether multiply-add is one
 * instruction, how denormals are flushed. Nothing else asks which processor it is. */
#ifndef WEFT_TARGET_H
#define WEFT_TARGET_H

#include "base/arena.h"

#include <stdbool.h>

/* Which float types something holds for. */
enum { REAL_f32 = 1, REAL_f64 = 2, REAL_both = 3 };

/* The register whose bits make denormals zero: x86's MXCSR, aarch64's FPCR, arm's
 * FPSCR; none where denormals cannot be flushed, or floats are computed by calls. */
typedef enum { CONTROL_none, CONTROL_mxcsr, CONTROL_fpcr, CONTROL_fpscr } ControlWord;

/* How a word of four bytes is multiplied with another and the products added: smlad on halves
 * of a register; on vectors sdot, pmaddwd, vpdpbusd (which has pmaddwd, too, and takes one factor
 * without a sign); none: byte by byte. */
typedef enum { DOT_none, DOT_halfwords, DOT_signed, DOT_pairs, DOT_mixed } Dot;

typedef enum { OBJECT_elf, OBJECT_macho, OBJECT_coff, OBJECT_wasm } ObjectFormat;

typedef struct {
    const char *name;      /* as it is typed: "cortex-m7" */
    const char *aliases;   /* other spellings, separated by spaces */
    const char *triple, *cpu, *features, *abi; /* LLVM's; abi "": the triple's */
    int vector;            /* bytes of a vector; 0: a value is one element */
    int registers;         /* that hold such values */
    unsigned fma;          /* REAL_: a * b + c is one instruction; else it rounds twice */
    unsigned floats;       /* REAL_: has instructions; else the compiler's helpers are called */
    bool divides;          /* integers, by an instruction */
    Dot dot;
    ControlWord control;
    ObjectFormat format;
    bool fixed;            /* code need not be position independent */
    bool small;            /* asked for: little code, loops as written, no vectors */
    const char *run;       /* what the tests run it with; "": the machine itself, null: nothing */
} Target;

/* Versions of the code in one object, for processors of one family (x86-64): each can do all that
 * those before it can. The first is for the object's own target. */
typedef enum { VERSION_sse2, VERSION_avx2, VERSION_avx512, NVERSION } VersionKind;
typedef struct {
    const char *name;      /* of version_names */
    const Target *target;
    const char *section;   /* where its functions lie */
} Version;
static const char *const version_names[NVERSION] = {"sse2", "avx2", "avx512"};

/* The table's rows, in the order in which people read them. */
int target_count(void);
const Target *target_at(int i);

/* The target of that name (null: "host") with another processor or further features
 * (null: none; "+fma,-avx2", where + may be left out) in the arena: what they
 * change is found out by asking the code generator. Null with *why set, a whole
 * message with the list of what there is, when one is not known. */
const Target *target_find(Arena *a, const char *name, const char *cpu, const char *features,
                          const char **why);
/* The same for little code, in the arena. */
const Target *target_small(Arena *a, const Target *t);
/* Those of a target of x86-64 with vectors of 16 bytes, in the arena. */
void target_versions(Arena *a, const Target *base, Version out[NVERSION]);
/* Has it an instruction for sums of products of pairs of bfloat16 (vdpbf16ps)? Told by
 * the features alone; without it pairs are two multiply-adds, with the same bits. */
bool target_has_pairs(const Target *t);
/* Are doubles computed by functions of the object's own (soft.c), with the bits of doubles that
 * have instructions, fused multiply-add among them? */
static inline bool target_softens(const Target *t)
{
    return t->floats == REAL_f32 && !t->vector;
}
/* "x86-64 znver4 avx512", "cortex-m7": what bits are promised for. */
const char *target_text(Arena *a, const Target *t);

#endif
