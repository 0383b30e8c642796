/* The interpreter's words of four bytes, and what products read of them. */
#include "ir/eval_in.h"

#include <string.h>

enum { BYTES = 4 };

/* The nearest whole number within -127 and 127, ties to even; NaN gives -127. */
static int rounded(float x)
{
    const float magic = 0x1.8p23f; /* the numbers from here on are whole, their low byte is x's */
    uint32_t bits;
    x = x > -127 ? x : -127;
    x = x < 127 ? x : 127;
    x += magic;
    memcpy(&bits, &x, sizeof bits);
    return (int8_t)(bits & 0xff);
}

void eval_words(Eval *e, const Node *n, const Value *const *in, Value *out)
{
    (void)e;
    const Value *x = in[0];
    int axis = (int)attr_int(n, ATTR_axis, 0), more = attr_int(n, ATTR_unsigned, 0) ? 128 : 0;
    float by = (float)attr_get(n, ATTR_value)->u.f;
    int64_t inner = 1, extent = x->dim[axis], words = out->dim[axis];
    for (int i = axis + 1; i < x->rank; i++)
        inner *= x->dim[i];
    for (int64_t i = 0; i < out->count; i++) {
        int64_t first = i / inner % words * BYTES, lead = i / (inner * words);
        uint32_t word = 0;
        for (int64_t k = 0; k < BYTES; k++) {
            int64_t at = (lead * extent + first + k) * inner + i % inner;
            int v = first + k >= extent    ? 0
                    : x->dtype == DT_f32 ? rounded(((const float *)x->data)[at] * by)
                                         : ((const int8_t *)x->data)[at];
            word |= (uint32_t)((v + more) & 0xff) << 8 * k;
        }
        ((uint32_t *)out->data)[i] = word;
    }
}

const int32_t *eval_widened(Arena *a, const Value *x, bool is_unsigned, int *each)
{
    const uint8_t *from = x->data;
    *each = x->dtype == DT_i8 ? 1 : BYTES;
    int64_t count = x->count * *each;
    int32_t *to = arena_alloc(a, sizeof *to * (size_t)(count + 1));
    for (int64_t i = 0; i < count; i++)
        to[i] = is_unsigned ? from[i] : (int8_t)from[i];
    return to;
}
