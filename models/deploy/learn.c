/* Learns digits on the device that uses them: goes through labelled images a number of times and
 * keeps what was learnt in a file, from which the next call goes on as if it had never ended.
 *   learn WEIGHTS IMAGES LABELS [EPOCHS]
 *   weft compile models/deploy/digits.model --train -o digits.o
 *   cc -O2 models/deploy/learn.c digits.o -I. -o learn
 * WEIGHTS may also be a file of `weft pack`, from which it begins. The file is whole at any time: a
 * new one is written beside it, reaches the disk, and takes its name. What is not such a file of
 * this model is refused. */
#define _POSIX_C_SOURCE 200809L
#include "digits.h"
#include "idx.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What the file holds: what `weft pack` writes, then the optimizer's state and its sum. */
typedef struct {
    _Alignas(WEFT_ALIGN) unsigned char head[DIGITS_WEIGHTS_HEAD];
    _Alignas(WEFT_ALIGN) unsigned char params[DIGITS_PARAMS_BYTES];
    _Alignas(WEFT_ALIGN) unsigned char optimizer[DIGITS_OPTIMIZER_BYTES];
    uint64_t sum;
} Learnt;

static Learnt learnt;
static _Alignas(WEFT_ALIGN) unsigned char workspace[DIGITS_WORKSPACE_BYTES];

/* FNV-1a, 64 bits. */
static uint64_t sum_of(const void *p, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)p)[i]) * 1099511628211u;
    return h;
}

/* Over what learnt holds: weights alone, or with the optimizer's state. True when there is no
 * file, too; false after a message. */
static int load(const char *path)
{
    static const char *const wrong[] = {[WEFT_FORM] = "is no file of weights",
                                        [WEFT_MODEL] = "is of another model",
                                        [WEFT_SIZE] = "is cut off or too long",
                                        [WEFT_DAMAGED] = "is damaged"};
    FILE *f = fopen(path, "rb");
    if (!f && errno == ENOENT)
        return 1;
    if (!f) {
        perror(path);
        return 0;
    }
    size_t got = fread(&learnt, 1, sizeof learnt, f);
    int more = fgetc(f) != EOF, all = got == sizeof learnt;
    fclose(f);
    int status = digits_weights_check(&learnt, all ? (size_t)DIGITS_WEIGHTS_BYTES : got);
    if (status == WEFT_OK && more)
        status = WEFT_SIZE;
    if (status == WEFT_OK && all && sum_of(learnt.optimizer, sizeof learnt.optimizer) != learnt.sum)
        status = WEFT_DAMAGED;
    if (status != WEFT_OK)
        fprintf(stderr, "%s %s\n", path, wrong[status]);
    return status == WEFT_OK;
}

/* Makes the new name of a file in path's folder last. */
static int sync_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY);
    if (fd < 0)
        return -1;
    int status = fsync(fd);
    return close(fd) != 0 ? -1 : status;
}

static int save(const char *path)
{
    char fresh[4096];
    learnt.sum = sum_of(learnt.optimizer, sizeof learnt.optimizer);
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh) {
        fprintf(stderr, "%s: the name is too long\n", path);
        return -1;
    }
    FILE *f = fopen(fresh, "wb");
    int ok = f && digits_weights_head(learnt.params, learnt.head) == WEFT_OK &&
             fwrite(&learnt, sizeof learnt, 1, f) == 1 && fflush(f) == 0 && fsync(fileno(f)) == 0;
    ok = f && fclose(f) == 0 && ok && rename(fresh, path) == 0 && sync_folder(path) == 0;
    if (!ok) {
        perror(fresh);
        if (f)
            remove(fresh);
        return -1;
    }
    return 0;
}

/* Once through the images; a batch whose loss is no number changes nothing and ends it. */
static int epoch(const uint8_t *images, const uint8_t *labels, uint32_t count)
{
    double sums[DIGITS_METRICS] = {0}, figures[DIGITS_FIGURES];
    for (uint32_t i = 0; i < count; i += DIGITS_BATCH) {
        int n = count - i < DIGITS_BATCH ? (int)(count - i) : DIGITS_BATCH;
        int status = digits_train_step(learnt.params, learnt.optimizer,
                                       images + (size_t)i * DIGITS_IN_image, labels + i, n,
                                       DIGITS_LEARNING_RATE, workspace, sums);
        if (status != WEFT_OK) {
            fprintf(stderr, "a training step gives status %d\n", status);
            return -1;
        }
    }
    if (digits_figures(sums, figures, workspace) != WEFT_OK)
        return -1;
    printf("loss %.4f accuracy %.4f\n", figures[0], figures[1]);
    return 0;
}

int main(int argc, char **argv)
{
    uint32_t shape[3], count[1];
    uint8_t *images, *labels;
    int epochs = argc == 5 ? atoi(argv[4]) : 1;
    if (argc < 4 || argc > 5 || epochs < 1) {
        fprintf(stderr, "usage: learn WEIGHTS IMAGES LABELS [EPOCHS]\n");
        return 2;
    }
    if (!(images = idx_read(argv[2], 3, shape)) || !(labels = idx_read(argv[3], 1, count)))
        return 1;
    if ((uint64_t)shape[1] * shape[2] != DIGITS_IN_image || count[0] != shape[0]) {
        fprintf(stderr, "%u images of %u x %u and %u labels: the model takes 28 x 28 and a label "
                "for each\n", shape[0], shape[1], shape[2], count[0]);
        return 1;
    }
    if (digits_init(learnt.params, learnt.optimizer, 1, workspace) != WEFT_OK || !load(argv[1]))
        return 1;
    for (int i = 0; i < epochs; i++)
        if (epoch(images, labels, shape[0]) != 0 || save(argv[1]) != 0)
            return 1;
    free(images);
    free(labels);
    return 0;
}
