/* The operations as a page for people, written from op.def. */
#ifndef WEFT_OPDOC_H
#define WEFT_OPDOC_H

#include <stdio.h>

/* Markdown: a section a kind, a row an operation, then what each attribute is. */
void opdoc_print(FILE *f);

#endif
