/* Every message about models: tests/errors/NAME.model is a file with a mistake;
 * its last comment block, lines after "# expect", is the exact output.
 * With BLESS=1 in the environment the blocks are written anew. */
#include "sema/sema.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER "tests/errors"
#define MARK "# expect\n"

static char *slurp(Arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = arena_alloc(a, 1 << 20);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    fclose(f);
    text[n] = 0;
    return text;
}

static const DataField fields[] = {
    {"image", DT_u8, 2, {28, 28}},
    {"label", DT_u8, 0, {0}},
    {"series", DT_f32, 2, {12, 5}},
};
static const DataSchema schema = {3, fields, 60000, 10000, 10, NULL, NULL};

static const DataSchema *open_schema(void *context, Diag *d, Span at, const char *reader,
                                     const ReaderArg *args, int nargs)
{
    (void)context, (void)d, (void)at, (void)reader, (void)args, (void)nargs;
    return &schema;
}

/* The messages for a file, as the command line prints them. */
static char *messages(const char *path, Arena *keep)
{
    Arena *a = arena_new();
    Diag d = {.arena = a};
    Session *s = session_new(a, &d, DT_f32);
    s->schema = open_schema;
    Unit *u = unit_open(s, path);
    size_t size;
    char *text;
    FILE *f = open_memstream(&text, &size);
    if (u)
        fprintf(f, "no error\n");
    diag_print(&d, f);
    fclose(f);
    char *out = arena_strdup(keep, text);
    free(text);
    arena_free(a);
    return out;
}

static char *as_comment(Arena *a, const char *text)
{
    char *out = arena_strdup(a, "");
    while (*text) {
        int n = (int)strcspn(text, "\n");
        out = arena_printf(a, "%s#%s%.*s\n", out, n ? " " : "", n, text);
        text += n + (text[n] == '\n');
    }
    return out;
}

static bool check(const char *path, bool bless)
{
    Arena *a = arena_new();
    char *text = slurp(a, path), *mark = strstr(text, MARK);
    char *got = as_comment(a, messages(path, a));
    bool ok = mark && !strcmp(mark + strlen(MARK), got);
    if (!ok && bless) {
        FILE *f = fopen(path, "wb");
        if (mark)
            *mark = 0;
        fprintf(f, "%s%s%s", text, MARK, got);
        fclose(f);
        ok = true;
    }
    if (!ok)
        printf("%s: found\n%sexpected\n%s\n", path, got, mark ? mark + strlen(MARK) : "nothing");
    arena_free(a);
    return ok;
}

int main(void)
{
    int bad = 0, n;
    struct dirent **files;
    bool bless = getenv("BLESS") != NULL;
    n = scandir(FOLDER, &files, NULL, alphasort);
    if (n <= 0) {
        printf("no files in " FOLDER "\n");
        return 1;
    }
    for (int i = 0; i < n; i++) {
        char path[512];
        snprintf(path, sizeof path, FOLDER "/%s", files[i]->d_name);
        size_t len = strlen(path);
        if (len > 6 && !strcmp(path + len - 6, ".model"))
            bad += !check(path, bless);
        free(files[i]);
    }
    free(files);
    printf("%d wrong\n", bad);
    return bad != 0;
}
