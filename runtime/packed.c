/* Files of packed parameters: their head and their sum. */
#include "packed.h"

#include <string.h>
#include <xxhash.h>

int64_t packed_place(PackedLayout *l, const char *name, Dtype dtype, int rank, const int64_t *dim)
{
    int64_t at = l->bytes, bytes = dtype_size(dtype);
    const char *type = dtype_name(dtype);
    l->hash = XXH64(name, strlen(name) + 1, l->hash);
    l->hash = XXH64(type, strlen(type) + 1, l->hash);
    for (int i = 0; i < rank; i++) {
        uint8_t extent[8];
        packed_put(extent, 0, 8, (uint64_t)dim[i]);
        l->hash = XXH64(extent, sizeof extent, l->hash);
        bytes *= dim[i];
    }
    l->bytes += (bytes + PACKED_ALIGN - 1) / PACKED_ALIGN * PACKED_ALIGN;
    return at;
}

void packed_put(uint8_t *head, int at, int bytes, uint64_t value)
{
    for (int i = 0; i < bytes; i++)
        head[at + i] = (uint8_t)(value >> 8 * i);
}

uint64_t packed_field(const uint8_t *head, int at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)head[at + i] << 8 * i;
    return value;
}

void packed_head(uint8_t head[PACKED_HEAD], const char *model, const PackedLayout *l)
{
    memset(head, 0, PACKED_HEAD);
    memcpy(head, PACKED_WORD, PACKED_MAGIC);
    packed_put(head, PACKED_form, 4, PACKED_FORM);
    packed_put(head, PACKED_form + 4, 4, PACKED_HEAD);
    memcpy(head + PACKED_model, model, PACKED_layout - PACKED_model);
    packed_put(head, PACKED_layout, 8, l->hash);
    packed_put(head, PACKED_bytes, 8, (uint64_t)l->bytes);
}

static uint32_t rotated(uint32_t v, int by)
{
    return v << by | v >> (32 - by);
}

/* Austin Appleby's MurmurHash3_x86_32. */
uint32_t packed_sum(const void *at, size_t bytes)
{
    uint32_t h = 0;
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        uint32_t k = (uint32_t)packed_field((const uint8_t *)at + i, 0, 4);
        h ^= rotated(k * 0xcc9e2d51u, 15) * 0x1b873593u;
        h = rotated(h, 13) * 5 + 0xe6546b64u;
    }
    h ^= (uint32_t)bytes;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}
