/* Run folders. Every file in one is written whole or not at all; a folder that could not be
 * begun is removed again. */
#define _GNU_SOURCE
#include "run.h"

#include "system.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const Span nowhere = {0, 0, 0};

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static Run *run_new(Arena *a, const char *dir)
{
    Run *r = NEW(a, Run);
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    r->dir = arena_strndup(a, dir, n);
    r->model = arena_printf(a, "%s/model.model", r->dir);
    r->json = arena_printf(a, "%s/run.json", r->dir);
    r->history = arena_printf(a, "%s/history.csv", r->dir);
    r->last = arena_printf(a, "%s/last.safetensors", r->dir);
    r->best = arena_printf(a, "%s/best.safetensors", r->dir);
    r->average = arena_printf(a, "%s/average.safetensors", r->dir);
    return r;
}

/* ---- creating ---- */

/* The greatest n of the folders root/<name>-<n>, 0 when there is none. */
static int64_t last_number(const char *root, const char *name)
{
    DIR *dir = opendir(root);
    size_t n = strlen(name);
    int64_t most = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *end;
        if (strncmp(e->d_name, name, n) || e->d_name[n] != '-')
            continue;
        int64_t v = strtoll(e->d_name + n + 1, &end, 10);
        if (!*end && v > most && v < INT64_MAX)
            most = v;
    }
    if (dir)
        closedir(dir);
    return most;
}

/* Makes a folder and those around it; counts those made, so that they can be taken back. */
static bool make_folders(Arena *a, Diag *d, const char *path, int *made)
{
    for (const char *p = path;; p++) {
        p += strcspn(p, "/");
        char *part = arena_strndup(a, path, (size_t)(p - path));
        if (*part && !is_folder(part)) {
            if (mkdir(part, 0777) != 0 && !(errno == EEXIST && is_folder(part)))
                return error_at(d, nowhere, "cannot make the run folder '%s': %s", part,
                                errno == EEXIST ? "a file of that name is there" : strerror(errno));
            ++*made;
        }
        if (!*p)
            return true;
    }
}

static void remove_folders(Arena *a, const char *path, int made)
{
    char *p = arena_strdup(a, path);
    while (made-- > 0 && rmdir(p) == 0) {
        char *slash = strrchr(p, '/');
        if (!slash || slash == p)
            return;
        *slash = 0;
    }
}

/* Two trainings that begin at once must not get the same folder: mkdir decides. */
static Run *make_numbered(Arena *a, Diag *d, const char *root, const char *name, int *made)
{
    if (!make_folders(a, d, root, made))
        return NULL;
    for (int64_t n = last_number(root, name) + 1;; n++) {
        char *dir = arena_printf(a, "%s/%s-%" PRId64, root, name, n);
        if (mkdir(dir, 0777) == 0) {
            ++*made;
            return run_new(a, dir);
        }
        if (errno != EEXIST) {
            error_at(d, nowhere, "cannot make the run folder '%s': %s", dir,
                     errno == ENOSPC ? "no space is left on the disk" : strerror(errno));
            remove_folders(a, root, *made);
            return NULL;
        }
    }
}

/* A link that is replaced in one step; without it the run is still whole, so only a warning. */
static void link_last(Arena *a, Diag *d, const char *root, const Run *r)
{
    char *link = arena_printf(a, "%s/last", root);
    char *temporary = arena_printf(a, "%s/.last-%ld", root, (long)getpid());
    unlink(temporary);
    if (symlink(strrchr(r->dir, '/') + 1, temporary) == 0 && rename(temporary, link) == 0)
        return;
    warning_at(d, nowhere, "cannot point '%s' to '%s': %s", link, r->dir, strerror(errno));
    unlink(temporary);
}

Run *run_create(Arena *a, Diag *d, const char *root, const char *dir, const char *model_name,
                const char *resolved)
{
    int made = 0;
    Run *r = NULL;
    root = root ? root : "runs";
    if (!dir) {
        r = make_numbered(a, d, root, model_name, &made);
    } else if (run_is(dir)) {
        error_at(d, nowhere, "'%s' holds a run already; resume it, or name another folder", dir);
    } else {
        r = run_new(a, dir);
        if (!make_folders(a, d, r->dir, &made))
            r = NULL;
    }
    if (!r)
        return NULL;
    if (!file_write(d, nowhere, r->model, &(Bytes){resolved, strlen(resolved)}, 1)) {
        unlink(r->model);
        remove_folders(a, r->dir, made);
        return NULL;
    }
    if (!dir)
        link_last(a, d, root, r);
    return r;
}

void run_discard(const Run *r)
{
    if (access(r->last, F_OK) == 0 || access(r->best, F_OK) == 0)
        return;
    unlink(r->history);
    unlink(r->json);
    unlink(r->model);
    if (rmdir(r->dir) != 0)
        return;
    char link[PATH_MAX], to[PATH_MAX];
    const char *slash = strrchr(r->dir, '/');
    int root = slash ? (int)(slash - r->dir) : 0;
    snprintf(link, sizeof link, "%.*s%slast", root, r->dir, slash ? "/" : "");
    ssize_t n = readlink(link, to, sizeof to - 1);
    if (n < 0)
        return;
    to[n] = 0;
    if (!strcmp(to, slash ? slash + 1 : r->dir))
        unlink(link);
}

/* ---- reading ---- */

bool run_is(const char *path)
{
    Arena *scratch = arena_new();
    bool is = is_folder(path) && access(run_new(scratch, path)->model, F_OK) == 0;
    arena_free(scratch);
    return is;
}

Run *run_open(Arena *a, Diag *d, Span at, const char *dir)
{
    if (run_is(dir))
        return run_new(a, dir);
    if (is_folder(dir))
        error_at(d, at, "'%s' is no run folder: there is no model.model in it", dir);
    else
        error_at(d, at, "there is no run folder '%s'", dir);
    return NULL;
}

char *run_model_text(Arena *a, Diag *d, const Run *r)
{
    size_t size;
    return file_read(a, d, nowhere, r->model, (size_t)64 << 20, &size);
}

bool run_describe(Diag *d, const Run *r, const JsonField *fields, int n)
{
    char *text = json_fields_lines(d->arena, fields, n);
    return file_write(d, nowhere, r->json, &(Bytes){text, strlen(text)}, 1);
}

/* ---- history.csv ---- */

enum { COLUMNS_MOST = 256 };

/* A table of texts: lines of cells, the first line the header. */
typedef struct { int n; const char *name[COLUMNS_MOST]; } Columns;
typedef struct { int64_t epoch; const char *cell[COLUMNS_MOST]; } Line;

static int find_column(Arena *a, Columns *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->name[i], name))
            return i;
    if (c->n == COLUMNS_MOST)
        return -1;
    c->name[c->n] = arena_strdup(a, name);
    return c->n++;
}

static int split(char *line, const char **cell)
{
    int n = 0;
    for (char *p = line; p && n < COLUMNS_MOST;) {
        cell[n++] = strsep(&p, ",");
    }
    return n;
}

static const char *figure_cell(Arena *a, double v)
{
    return isnan(v) ? "" : arena_printf(a, "%.10g", v);
}

static char *join_line(Arena *a, const char *const *cell, int n)
{
    char *s = arena_strdup(a, "");
    for (int i = 0; i < n; i++)
        s = arena_printf(a, "%s%s%s", s, i ? "," : "", cell[i] ? cell[i] : "");
    return arena_printf(a, "%s\n", s);
}

/* The whole table again: columns may have come, and epochs may have been taken back. */
bool run_history(Diag *d, const Run *r, int64_t epoch, const Figure *figures, int n)
{
    Arena *a = arena_new();
    Columns col = {1, {"epoch"}};
    LIST(Line) lines = {0};
    size_t size = 0;
    char *text = NULL;
    if (access(r->history, F_OK) == 0 &&
        !(text = file_read(a, d, nowhere, r->history, (size_t)64 << 20, &size))) {
        arena_free(a);
        return false;
    }
    for (char *line; text && (line = strsep(&text, "\n"));) {
        Line l = {0};
        int cells = split(line, l.cell);
        l.epoch = strtoll(l.cell[0], NULL, 10);
        if (!strcmp(l.cell[0], "epoch"))
            for (int i = 1; i < cells; i++)
                find_column(a, &col, l.cell[i]);
        else if (*l.cell[0] && l.epoch < epoch)
            list_push(a, &lines, l);
    }
    Line now = {epoch, {arena_printf(a, "%" PRId64, epoch)}};
    for (int i = 0; i < n; i++) {
        int k = find_column(a, &col, figures[i].name);
        if (k >= 0)
            now.cell[k] = figure_cell(a, figures[i].value);
    }
    list_push(a, &lines, now);
    Bytes *parts = NEW_ARRAY(a, Bytes, lines.n + 1);
    for (int i = 0; i <= lines.n; i++) {
        char *s = join_line(a, i ? lines.at[i - 1].cell : col.name, col.n);
        parts[i] = (Bytes){s, strlen(s)};
    }
    bool ok = file_write(d, nowhere, r->history, parts, lines.n + 1);
    arena_free(a);
    return ok;
}
