/* Raw bytes through prepare_image and predict: forms ROWS IMAGES OUT. Prints what the self test
 * gives. */
#include "net.h"
#include <stdio.h>
#include <stdlib.h>

static _Alignas(WEFT_ALIGN) unsigned char workspace[NET_WORKSPACE_BYTES];

int main(int argc, char **argv)
{
    int rows = argc == 4 ? atoi(argv[1]) : 0;
    uint8_t *raw = malloc((size_t)rows * NET_IN_image + 1);
    float *x = malloc(sizeof(float) * NET_IN_image * (size_t)rows + 1);
    float *y = malloc(sizeof(float) * NET_OUT_output * (size_t)rows + 1);
    FILE *in = argc == 4 ? fopen(argv[2], "rb") : NULL, *out;
    if (!in || !raw || !x || !y ||
        fread(raw, NET_IN_image, (size_t)rows, in) != (size_t)rows)
        return 2;
    if (net_prepare_image(raw, x, rows, workspace) != WEFT_OK ||
        net_predict(x, y, rows, workspace) != WEFT_OK || !(out = fopen(argv[3], "wb")))
        return 1;
    fwrite(y, sizeof(float) * NET_OUT_output, (size_t)rows, out);
    fclose(out);
    printf("%d\n", (int)net_self_test(workspace));
    return net_self_test(NULL) != WEFT_NULL;
}
