/* The prelude's definitions are found by a scan and parsed one by one: against its files parsed
 * whole, nothing is missed, named otherwise or read otherwise. */
#include "sema/internal.h"

#include <stdlib.h>
#include <string.h>

extern const char *const prelude_files[][2];

static int failed, definitions;

static const char *tree(Arena *a, const Stmt *stmt)
{
    File f = {.items = {0}};
    list_push(a, &f.items, (Stmt *)stmt);
    return ast_text(a, &f);
}

static unsigned kinds_named(const char *word)
{
    unsigned kinds = 0;
    for (int k = 0; k < NDEF; k++)
        kinds |= strcmp(def_kind_name((DefKind)k), word) == 0 ? 1u << k : 0;
    return kinds;
}

static void compare(Arena *a, const Definitions *scanned, const Stmt *stmt)
{
    const Definition *d = definition_find(scanned, stmt->name, kinds_named(stmt->word));
    bool ok = d && d->stmt && strcmp(d->name, stmt->name) == 0;
    /* an optimizer has been given the arguments that all of them take */
    if (ok && d->kind != DEF_optimizer)
        ok = strcmp(tree(a, d->stmt), tree(a, stmt)) == 0 &&
             d->stmt->span.lo == stmt->span.lo && d->stmt->span.hi == stmt->span.hi;
    if (ok)
        ok = (stmt->doc != NULL) == (d->stmt->doc != NULL) &&
             (!stmt->doc || strcmp(stmt->doc, d->stmt->doc) == 0);
    if (!ok) {
        printf("FAILED: %s %s is not what its file says\n", stmt->word, stmt->name);
        failed++;
    }
    definitions++;
}

int main(void)
{
    Arena *a = arena_new();
    Diag diag = {.arena = a}, whole = {.arena = a};
    Session *s = session_new(a, &diag, DT_f32);
    const Definitions *scanned = prelude_definitions(s);
    for (int i = 0; scanned->at.n && i < scanned->at.n; i++)
        if (scanned->at.at[i]->stmt) {
            printf("FAILED: %s was parsed before it was looked up\n", scanned->at.at[i]->name);
            failed++;
        }
    for (int i = 0; prelude_files[i][0]; i++) {
        const char *text = prelude_files[i][1];
        int32_t source = diag_source(&whole, prelude_files[i][0], text, strlen(text), true);
        const File *f = parse_source(a, &whole, source);
        for (int k = 0; k < f->items.n; k++)
            compare(a, scanned, f->items.at[k]);
    }
    if (!diag_ok(&diag) || !diag_ok(&whole) || definitions != scanned->at.n || definitions < 100) {
        printf("FAILED: %d definitions in the files, %d found\n", definitions, scanned->at.n);
        failed++;
    }
    arena_free(a);
    return failed != 0;
}
