/* Reads digits from an IDX file and prints the class of each with its probability; with a file of
 * labels also how many are right.
 *   classify IMAGES [LABELS]
 * Built as the head of digits.model says. */
#include "digits.h"
#include "idx.h"

static _Alignas(WEFT_ALIGN) unsigned char workspace[DIGITS_WORKSPACE_BYTES];

static int largest(const float *p)
{
    int best = 0;
    for (int k = 1; k < DIGITS_OUT_output; k++)
        if (p[k] > p[best])
            best = k;
    return best;
}

/* Classes of n images, at most a batch, to stdout; how many are those of labels (or NULL), or -1. */
static long classify(const uint8_t *images, const uint8_t *labels, int n, long first)
{
    static float x[DIGITS_BATCH * DIGITS_IN_image], p[DIGITS_BATCH * DIGITS_OUT_output];
    long right = 0;
    if (digits_prepare_image(images, x, n, workspace) != WEFT_OK ||
        digits_predict(x, p, n, workspace) != WEFT_OK)
        return -1;
    for (int i = 0; i < n; i++) {
        const float *row = p + i * DIGITS_OUT_output;
        int class = largest(row);
        printf("%ld,%d,%.9g\n", first + i, class, row[class]);
        right += labels && labels[i] == class;
    }
    return right;
}

int main(int argc, char **argv)
{
    uint32_t shape[3], count[1];
    uint8_t *labels = NULL;
    long right = 0;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: classify IMAGES [LABELS]\n");
        return 2;
    }
    uint8_t *images = idx_read(argv[1], 3, shape);
    if (!images || (argc == 3 && !(labels = idx_read(argv[2], 1, count))))
        return 1;
    if ((uint64_t)shape[1] * shape[2] != DIGITS_IN_image) {
        fprintf(stderr, "%s: images of %u x %u, the model takes 28 x 28\n", argv[1], shape[1],
                shape[2]);
        return 1;
    }
    if (labels && count[0] != shape[0]) {
        fprintf(stderr, "%s: %u labels for %u images\n", argv[2], count[0], shape[0]);
        return 1;
    }
    for (uint32_t i = 0; i < shape[0]; i += DIGITS_BATCH) {
        int n = shape[0] - i < DIGITS_BATCH ? (int)(shape[0] - i) : DIGITS_BATCH;
        long now = classify(images + (size_t)i * DIGITS_IN_image, labels ? labels + i : NULL, n, i);
        if (now < 0)
            return 1;
        right += now;
    }
    if (labels)
        printf("accuracy %.4f\n", (double)right / shape[0]);
    free(images);
    free(labels);
    return 0;
}
