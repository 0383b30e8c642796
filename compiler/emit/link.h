/* From objects to an image of code. */
#ifndef WEFT_LINK_H
#define WEFT_LINK_H

#include "code.h"

/* Joins n objects into an image in arena a and writes into p's tasks where their
 * functions lie. bug() on what the emitter never makes: data that can be written,
 * names from outside, absolute addresses. */
void image_link(Arena *a, const Bytes *object, int n, Program *p, CodeImage *image);

#endif
