/* IDX files, as the MNIST digits come in: bytes with their dimensions before them. */
#ifndef IDX_H
#define IDX_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The bytes of a file with so many dimensions, shape[0] first; the caller frees them. NULL after
 * a message where the file is not what it says or ends early. */
static inline uint8_t *idx_read(const char *path, int dims, uint32_t *shape)
{
    FILE *f = fopen(path, "rb");
    uint8_t head[4], size[4], *bytes = NULL;
    uint64_t count = 1;
    if (!f) {
        perror(path);
        return NULL;
    }
    int ok = fread(head, 1, 4, f) == 4 && !head[0] && !head[1] && head[2] == 8 && head[3] == dims;
    for (int i = 0; ok && i < dims; i++) {
        ok = fread(size, 1, 4, f) == 4;
        shape[i] = (uint32_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
        ok = ok && shape[i] && count <= (1u << 30) / shape[i];
        count *= shape[i];
    }
    if (!ok)
        fprintf(stderr, "%s: not an IDX file of bytes in %d dimensions\n", path, dims);
    else if (!(bytes = malloc(count)))
        fprintf(stderr, "%s: no memory for %llu bytes\n", path, (unsigned long long)count);
    else if (fread(bytes, 1, count, f) != count) {
        fprintf(stderr, "%s: ends before its %llu bytes\n", path, (unsigned long long)count);
        free(bytes);
        bytes = NULL;
    }
    fclose(f);
    return bytes;
}

#endif
