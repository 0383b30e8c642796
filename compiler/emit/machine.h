/* LLVM's code generator for a target. */
#ifndef WEFT_MACHINE_H
#define WEFT_MACHINE_H

#include "emit/target.h"

/* The machine that this runs on, its strings in the arena. */
void machine_host(Arena *a, Target *t);
/* Registers LLVM's generator for the target; once, before threads call machine_new. */
void machine_prepare(const Target *t);
/* An LLVMTargetMachineRef, which the caller disposes of. bug() when LLVM has no such
 * generator. */
struct LLVMOpaqueTargetMachine *machine_new(const Target *t);
/* Sets vectors, registers, fma, floats, divides and the control word to what code made for
 * the processor shows: LLVM tells its features in no other way. */
void machine_probe(Target *t);
/* Does LLVM know the target's processor and features? Else the word that it does
 * not know, in the arena, is left in *unknown, and *is_cpu says which it is. */
bool machine_knows(Arena *a, const Target *t, const char **unknown, bool *is_cpu);
/* The processors that LLVM knows for the target. LLVM tells it once in a process:
 * none after that. */
typedef LIST(const char *) Names;
Names machine_processors(Arena *a, const Target *t);

#endif
