/* Tensors in files: the safetensors format.
 *
 *   u64 header size | JSON {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {}} | data
 *
 * Written whole or not at all (file_write). Read with distrust: every number of the header is
 * checked against the file before it is used.
 */
#ifndef WEFT_WEIGHTS_H
#define WEFT_WEIGHTS_H

#include "base/diag.h"
#include "base/type.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name;     /* "lstm/kernel" */
    Dtype dtype;          /* I64 is read as i32 where it fits, F16 and BF16 as f32 */
    int rank;
    int64_t dim[RANK_MOST];
    const void *data;     /* row-major */
} Tensor;

typedef struct { const char *key, *value; } WeightsNote; /* an entry of __metadata__ */

typedef struct {
    LIST(Tensor) tensors;
    LIST(WeightsNote) notes;
} Weights;

/* Elements and bytes of a tensor. */
int64_t tensor_elements(const Tensor *t);
size_t tensor_bytes(const Tensor *t);

/* Adds without copying: name, value and data must outlive the Weights. */
void weights_add(Arena *a, Weights *w, const char *name, Dtype dtype, int rank,
                 const int64_t *dim, const void *data);
void weights_note(Arena *a, Weights *w, const char *key, const char *value);

/* Null when there is none of that name or key. */
const Tensor *weights_find(const Weights *w, const char *name);
const char *weights_get_note(const Weights *w, const char *key);

/* Writes in the order added, data aligned to 8 bytes. Reports and returns false. */
bool weights_write(Diag *d, Span at, const char *path, const Weights *w);
/* Everything in the arena. Reports and returns null. */
Weights *weights_read(Arena *a, Diag *d, Span at, const char *path);

#endif
