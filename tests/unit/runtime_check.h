/* What the runtime's tests share: a temporary folder, files in it, and errors as expected. */
#ifndef RUNTIME_CHECK_H
#define RUNTIME_CHECK_H

#include "dataset.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

typedef struct { Arena *a; Diag d; int failures; char dir[64]; } Check;

#define EXPECT(c, condition)                                                      \
    do {                                                                          \
        if (!(condition)) {                                                       \
            printf("%s:%d: expected %s\n", __FILE__, __LINE__, #condition);       \
            diag_print(&(c)->d, stdout);                                          \
            (c)->failures++;                                                      \
        }                                                                         \
    } while (0)

static inline Check check_begin(void)
{
    const char *where = getenv("TMPDIR");
    Check c = {.a = arena_new()};
    snprintf(c.dir, sizeof c.dir, "%s/weft-test-XXXXXX",
             where && strlen(where) < 40 ? where : P_tmpdir);
    c.d.arena = c.a;
    if (!mkdtemp(c.dir))
        exit(1);
    unsetenv("WEFT_DATA");
    return c;
}

static inline int check_end(Check *c)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", c->dir);
    if (system(command) != 0)
        c->failures++;
    if (c->failures)
        printf("%d failures\n", c->failures);
    arena_free(c->a);
    return c->failures != 0;
}

static inline const char *path_of(Check *c, const char *name)
{
    return arena_printf(c->a, "%s/%s", c->dir, name);
}

static inline const char *put(Check *c, const char *name, const void *bytes, size_t size)
{
    const char *path = path_of(c, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f))
        exit(1);
    return path;
}

static inline const char *put_text(Check *c, const char *name, const char *text)
{
    return put(c, name, text, strlen(text));
}

static inline const char *put_gz(Check *c, const char *name, const void *bytes, size_t size)
{
    const char *path = path_of(c, name);
    gzFile f = gzopen(path, "wb");
    if (!f || gzwrite(f, bytes, (unsigned)size) != (int)size || gzclose(f) != Z_OK)
        exit(1);
    return path;
}

static inline char *get(Check *c, const char *path, size_t *size)
{
    return file_read(c->a, &c->d, (Span){0}, path, (size_t)1 << 30, size);
}

/* One error whose text holds each of the parts (up to a null); the list is emptied. */
static inline bool reported(Check *c, ...)
{
    va_list ap;
    va_start(ap, c);
    bool ok = c->d.messages.n == 1;
    const char *text = ok ? c->d.messages.at[0].text : "";
    for (const char *part; (part = va_arg(ap, const char *));)
        if (!strstr(text, part)) {
            printf("'%s' does not say '%s'\n", text, part);
            ok = false;
        }
    va_end(ap);
    if (c->d.messages.n != 1)
        printf("%d messages\n", c->d.messages.n);
    c->d.messages.n = c->d.nerror = c->d.nunsupported = 0;
    return ok;
}
#define REPORTED(c, ...) EXPECT(c, reported(c, __VA_ARGS__, NULL))

static inline DataArg text_arg(const char *name, const char *text)
{
    return (DataArg){.name = name, .kind = DATA_text, .text = text};
}

static inline DataArg number_arg(const char *name, double v)
{
    return (DataArg){.name = name, .kind = DATA_number, .number = v};
}

static inline DataArg bool_arg(const char *name, bool v)
{
    return (DataArg){.name = name, .kind = DATA_bool, .number = v};
}

#define OPEN(c, reader, ...)                                                            \
    dataset_open((c)->a, &(c)->d, (Span){0}, &(DataPlaces){.data_dir = (c)->dir}, reader, \
                 (DataArg[]){__VA_ARGS__},                                                  \
                 (int)(sizeof((DataArg[]){__VA_ARGS__}) / sizeof(DataArg)), NULL)

/* Opened and loaded. */
static inline Dataset *load(Check *c, Dataset *ds)
{
    return ds && dataset_load(ds, &c->d) ? ds : NULL;
}

#endif
