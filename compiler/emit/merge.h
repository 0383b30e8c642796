/* From several relocatable objects to one. */
#ifndef WEFT_MERGE_H
#define WEFT_MERGE_H

#include "system.h"

#include "base/arena.h"

/* Joins n relocatable ELF objects of one target (32 or 64 bits, little-endian) into one, in
 * arena a: parts of a section come one after the other in the order of the objects, so that the
 * same objects give the same bytes. What one object defines and another refers to must be
 * hidden; it becomes local, exported names stay. bug() on what the code generator never makes
 * here: names defined twice, groups, common symbols. One object is copied, whatever it is. */
Bytes objects_merge(Arena *a, const Bytes *object, int n);

#endif
