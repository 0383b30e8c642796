/* Parameters in a file, laid out as an object takes them (weft pack): what `params` of the
 * object points to can be the mapped file behind its head. Little-endian:
 *
 *   offset bytes
 *        0     8  "WEFTPACK"
 *        8     4  number of this form, 1
 *       12     4  bytes of this head, 64
 *       16    16  hash of the model's definitions, in hexadecimal
 *       32     8  hash of names, types, extents and places
 *       40     8  bytes of parameters
 *       48    12  zero
 *       60     4  MurmurHash3 (x86, 32 bits, seed 0) of the parameters
 *       64        the parameters, each at a multiple of 64
 */
#ifndef WEFT_PACKED_H
#define WEFT_PACKED_H

#include "base/type.h"

#include <stddef.h>
#include <stdint.h>

#define PACKED_WORD "WEFTPACK"

enum {
    PACKED_MAGIC = 8,      /* bytes of the word */
    PACKED_form = 8,       /* where each field begins */
    PACKED_model = 16,
    PACKED_layout = 32,
    PACKED_bytes = 40,
    PACKED_zero = 48,
    PACKED_sum = 60,
    PACKED_HEAD = 64,
    PACKED_ALIGN = 64,
    PACKED_FORM = 1
};

/* Where parameters lie one after the other; begins with zeros. */
typedef struct { uint64_t hash; int64_t bytes; } PackedLayout;

/* The place of the next one, behind the head. */
int64_t packed_place(PackedLayout *l, const char *name, Dtype dtype, int rank, const int64_t *dim);
/* Fills the head, all but the sum; `model` has 16 letters. */
void packed_head(uint8_t head[PACKED_HEAD], const char *model, const PackedLayout *l);
/* Of so many bytes, a multiple of 4. */
uint32_t packed_sum(const void *at, size_t bytes);
/* A field of a head, of 4 or 8 bytes. */
uint64_t packed_field(const uint8_t *head, int at, int bytes);
void packed_put(uint8_t *head, int at, int bytes, uint64_t value);

#endif
