/* Maps a file of weft pack and predicts with it where it lies: pack ROWS IMAGES OUT FILE. Prints
 * what _check and _load say of the file; OUT is written where it is good. */
#define _POSIX_C_SOURCE 200809L
#include "net.h"

#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static _Alignas(WEFT_ALIGN) unsigned char workspace[NET_WORKSPACE_BYTES];

static const unsigned char *mapped(const char *path, size_t *size)
{
    struct stat s;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &s) != 0)
        exit(2);
    *size = (size_t)s.st_size;
    void *at = *size ? mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0) : workspace;
    close(fd);
    return at == MAP_FAILED ? NULL : at;
}

/* The calls that must be refused; head: the file's. */
static void refusals(const unsigned char *file, size_t size, char *params)
{
    unsigned char head[NET_WEIGHTS_HEAD];
    expect(net_weights_head(params, head) == WEFT_OK && !memcmp(head, file, sizeof head),
           "another head");
    expect(net_weights_check(NULL, size) == WEFT_NULL, "no file");
    expect(net_weights_load(NULL, file, size) == WEFT_NULL, "no parameters");
    expect(net_weights_load(params + 4, file, size) == WEFT_MISALIGNED, "misaligned parameters");
    expect(net_weights_head(params, NULL) == WEFT_NULL, "no head");
    expect(net_weights_head(params + 4, head) == WEFT_MISALIGNED, "a misaligned head");
}

static void answer(const void *params, const uint8_t *raw, int rows, const char *path)
{
    size_t bytes = sizeof(float) * NET_OUT_output * (size_t)rows;
    float *x = (float *)taken(sizeof(float) * NET_IN_image * (size_t)rows);
    float *y = (float *)taken(bytes);
    FILE *out = fopen(path, "wb");
    expect(net_prepare_image(params, raw, x, rows, workspace) == WEFT_OK &&
           net_predict(params, x, y, rows, workspace) == WEFT_OK, "a call fails");
    if (!out || fwrite(y, 1, bytes, out) != bytes || fclose(out) != 0)
        exit(2);
}

int main(int argc, char **argv)
{
    size_t size, bytes;
    if (argc != 5)
        return 2;
    int rows = atoi(argv[1]);
    const unsigned char *raw = mapped(argv[2], &bytes), *file = mapped(argv[4], &size);
    char *params = (char *)taken(NET_PARAMS_BYTES);
    int status = net_weights_check(file, size);
    printf("%d %d\n", status, (int)net_weights_load(params, file, size));
    if (!raw || bytes != (size_t)rows * NET_IN_image)
        return 2;
    for (size_t i = 0; status != WEFT_OK && i < NET_PARAMS_BYTES; i++)
        expect((unsigned char)params[i] == 0xA5, "what was refused is loaded");
    if (status != WEFT_OK)
        return failed;
    expect(memcmp(params, file + NET_WEIGHTS_HEAD, NET_PARAMS_BYTES) == 0, "other parameters");
    expect((unsigned char)params[NET_PARAMS_BYTES] == 0xA5, "more is loaded than there is");
    refusals(file, size, params);
    answer(file + NET_WEIGHTS_HEAD, raw, rows, argv[3]);
    return failed;
}
