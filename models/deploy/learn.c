/* Learns digits on the device that uses them: goes through labelled images a number of times and
 * keeps what was learnt in a file, from which the next call goes on as if it had never ended.
 *   learn WEIGHTS IMAGES LABELS [EPOCHS]
 *   weft compile models/deploy/digits.model --train -o digits.o
 *   cc -O2 models/deploy/learn.c digits.o -I. -o learn
 * The file is whole at any time: a new one is written beside it, reaches the disk, and takes its
 * name. What is not such a file of this model is refused. */
#define _POSIX_C_SOURCE 200809L
#include "digits.h"
#include "idx.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What the file holds: this head, the parameters, the optimizer's state. */
typedef struct {
    char magic[8], model[16]; /* the model's hash, of digits_info */
    uint64_t bytes, sum;      /* of what comes after the head */
} Head;

typedef struct {
    _Alignas(WEFT_ALIGN) unsigned char params[DIGITS_PARAMS_BYTES];
    _Alignas(WEFT_ALIGN) unsigned char optimizer[DIGITS_OPTIMIZER_BYTES];
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

static Head head_of(const Learnt *l)
{
    Head h = {.magic = "LEARNT1", .bytes = sizeof *l, .sum = sum_of(l, sizeof *l)};
    const char *mark = "\"hash\":\"", *hash = strstr(digits_info(), mark);
    if (hash)
        memcpy(h.model, hash + strlen(mark), sizeof h.model);
    return h;
}

/* 1 when the file was read, 0 when there is none, -1 after a message. */
static int load(const char *path)
{
    Head h = {.magic = ""}, own;
    const char *wrong = NULL;
    FILE *f = fopen(path, "rb");
    if (!f && errno == ENOENT)
        return 0;
    if (!f) {
        perror(path);
        return -1;
    }
    size_t heads = fread(&h, sizeof h, 1, f), bodies = fread(&learnt, sizeof learnt, 1, f);
    int more = fgetc(f) != EOF;
    fclose(f);
    own = head_of(&learnt);
    if (!heads || memcmp(h.magic, own.magic, sizeof h.magic) != 0)
        wrong = "is no file of weights";
    else if (memcmp(h.model, own.model, sizeof h.model) != 0)
        wrong = "is of another model";
    else if (!bodies || more)
        wrong = "is cut off or too long";
    else if (h.bytes != own.bytes || h.sum != own.sum)
        wrong = "is damaged";
    if (wrong)
        fprintf(stderr, "%s %s\n", path, wrong);
    return wrong ? -1 : 1;
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
    Head h = head_of(&learnt);
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh) {
        fprintf(stderr, "%s: the name is too long\n", path);
        return -1;
    }
    FILE *f = fopen(fresh, "wb");
    int ok = f && fwrite(&h, sizeof h, 1, f) == 1 && fwrite(&learnt, sizeof learnt, 1, f) == 1 &&
             fflush(f) == 0 && fsync(fileno(f)) == 0;
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
    int loaded = load(argv[1]);
    if (loaded < 0 ||
        (!loaded && digits_init(learnt.params, learnt.optimizer, 1, workspace) != WEFT_OK))
        return 1;
    for (int i = 0; i < epochs; i++)
        if (epoch(images, labels, shape[0]) != 0 || save(argv[1]) != 0)
            return 1;
    free(images);
    free(labels);
    return 0;
}
