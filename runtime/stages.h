/* Where the time goes before the first step of a training: a list of what was done, from when
 * to when, by all threads. */
#ifndef WEFT_STAGES_H
#define WEFT_STAGES_H

#include <stdbool.h>
#include <stdio.h>

typedef struct Stages Stages;

/* `zero` (of system_seconds) is where the process began, the calling thread the main one. */
Stages *stages_new(double zero);
void stages_free(Stages *s);

/* The time for stage_end; where s is null, neither does anything. */
double stage_begin(const Stages *s);
/* Notes what the calling thread did since `from`. `name` must outlive s. Any thread may. */
void stage_end(Stages *s, const char *name, double from);

/* A table in the order in which stages began: for people milliseconds, stages within another
 * of their thread behind it and set in, other threads' marked; with `json` an object a line. */
void stages_print(const Stages *s, FILE *out, bool json);

#endif
