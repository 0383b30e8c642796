/* The files that an object comes as: itself, a static library of it, a shared one. */
#include "driver/deploy.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const Span nowhere;

/* ---- static library ---- */

/* A member's head, as ar(5) has it. */
static void add_head(Text *t, const char *name, int64_t size)
{
    text_add(t, "%-16s%-12d%-6d%-6d%-8o%-10lld`\n", name, 0, 0, 0, 0644u, (long long)size);
}

static void put_word(char *to, size_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(v >> (24 - 8 * i));
}

/* Of one object, with the index that linkers look into: the number of symbols, the place of the
 * member of each, big-endian, then their names. */
bool form_static(Deploy *d, const char *path)
{
    enum { MAGIC = 8, HEAD = 60 };
    const ObjectSpec *o = &d->spec;
    Text head = {.arena = d->arena}, member = {.arena = d->arena};
    size_t names = 0, n = (size_t)o->symbols.n;
    for (int i = 0; i < o->symbols.n; i++)
        names += strlen(o->symbols.at[i]) + 1;
    size_t size = 4 + 4 * n + names, even = size + size % 2;
    char *index = NEW_ARRAY(d->arena, char, even + 1), *at = index + 4 + 4 * n;
    put_word(index, n);
    for (size_t i = 0; i < n; i++) {
        put_word(index + 4 + 4 * i, MAGIC + HEAD + even);
        strcpy(at, o->symbols.at[i]);
        at += strlen(at) + 1;
    }
    text_add(&head, "!<arch>\n");
    add_head(&head, "/", (int64_t)even);
    add_head(&member, arena_printf(d->arena, "%.13s.o/", o->name), (int64_t)o->bytes.size);
    Bytes parts[] = {{text_string(&head), (size_t)head.n}, {index, even},
                     {text_string(&member), (size_t)member.n}, o->bytes,
                     {"\n", o->bytes.size % 2}};
    return file_write(d->job->diag, nowhere, path, parts, 5);
}

/* ---- shared library ---- */

/* Runs a program that is looked up in PATH; false when there is none, *status how it ended. */
static bool run(char *const *argv, int *status)
{
    pid_t pid;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
        return false;
    while (waitpid(pid, status, 0) < 0 && errno == EINTR) {
    }
    return true;
}

/* Runs the first of the linkers (a list ended by null) that is there, with argv behind its name.
 * Its name, or null when there is none. */
static const char *link_with(const char *const *linkers, char **argv, bool *ok)
{
    for (int status = 0; *linkers; linkers++) {
        argv[0] = (char *)*linkers;
        if (!run(argv, &status) || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
            continue;
        *ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        return *linkers;
    }
    return NULL;
}

static bool link_shared(Deploy *d, const char *object, const char *library, const char *name)
{
    static const char *const linkers[] = {"ld.lld", "ld.lld-19", "ld", NULL};
    Diag *diag = d->job->diag;
    bool ok;
    char *argv[] = {NULL, "-shared", "-z", "defs", "-soname", (char *)name, "-o", (char *)library,
                    (char *)object, NULL};
    const char *by = link_with(linkers, argv, &ok);
    if (!by)
        return error_at(diag, nowhere, "--shared needs a linker: ld.lld (apt-get install lld) "
                        "or ld");
    return ok || error_at(diag, nowhere, "--shared: %s failed", by);
}

bool form_shared(Deploy *d, const char *path)
{
    Diag *diag = d->job->diag;
    const char *object = arena_printf(d->arena, "%s.%d.o", path, (int)getpid());
    const char *library = arena_printf(d->arena, "%s.%d.so", path, (int)getpid());
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!file_write(diag, nowhere, object, &d->spec.bytes, 1))
        return false;
    bool ok = link_shared(d, object, library, name);
    if (ok && rename(library, path) != 0)
        ok = error_at(diag, nowhere, "cannot write '%s': %s", path, strerror(errno));
    unlink(object);
    if (!ok)
        unlink(library);
    return ok;
}

/* ---- module ---- */

static bool link_wasm(Deploy *d, const char *object, const char *module)
{
    enum { FIXED = 9, STACK = 64 << 10 };
    static const char *const linkers[] = {"wasm-ld", "wasm-ld-19", NULL};
    const ObjectSpec *o = &d->spec;
    Diag *diag = d->job->diag;
    char **argv = NEW_ARRAY(d->arena, char *, FIXED + o->symbols.n + 1);
    char *const fixed[FIXED] = {NULL, "--no-entry", "--strip-all", "--export=__heap_base", "-z",
                                arena_printf(d->arena, "stack-size=%d", STACK), "-o",
                                (char *)module, (char *)object};
    memcpy(argv, fixed, sizeof fixed);
    for (int i = 0; i < o->symbols.n; i++)
        argv[FIXED + i] = arena_printf(d->arena, "--export=%s", o->symbols.at[i]);
    bool ok;
    const char *by = link_with(linkers, argv, &ok);
    if (!by)
        return error_at(diag, nowhere, "--web needs a linker: wasm-ld (apt-get install lld)");
    return ok || error_at(diag, nowhere, "--web: %s failed", by);
}

bool form_wasm(Deploy *d, const char *dir, Bytes *out)
{
    enum { MOST = 1 << 30 };
    Diag *diag = d->job->diag;
    const char *object = arena_printf(d->arena, "%s/.net.%d.o", dir, (int)getpid());
    const char *module = arena_printf(d->arena, "%s/.net.%d.wasm", dir, (int)getpid());
    if (!file_write(diag, nowhere, object, &d->spec.bytes, 1))
        return false;
    bool ok = link_wasm(d, object, module);
    if (ok) {
        out->at = file_read(d->arena, diag, nowhere, module, MOST, &out->size);
        ok = out->at;
    }
    unlink(object);
    unlink(module);
    return ok;
}
