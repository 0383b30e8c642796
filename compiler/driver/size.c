/* What an object takes of a device: weft compile --report, --max-ram. */
#include "driver/deploy.h"

#include "progress.h"

#include <stdio.h>
#include <stdlib.h>

static const Span nowhere;

/* What is kept from call to call: of stateful layers or of one stream. */
static int64_t state_bytes(const Deploy *d)
{
    return d->spec.blob[BLOB_state].bytes + deploy_stream_bytes(d);
}

/* What the caller must have in memory that can be written. */
static int64_t ram(const Deploy *d)
{
    const ObjectSpec *o = &d->spec;
    return (o->embed ? 0 : o->blob[BLOB_params].bytes) + state_bytes(d) +
           (d->train ? o->blob[BLOB_optimizer].bytes : 0) + deploy_workspace(d) + o->stack;
}

bool size_check(const Deploy *d)
{
    const char *text = d->job->options->value[OPT_max_ram];
    if (!text)
        return true;
    char *end;
    long long most = strtoll(text, &end, 10);
    int shift = *end == 'k' || *end == 'K' ? 10 : *end == 'm' || *end == 'M' ? 20 : 0;
    if (end == text || most < 0 || most > 1LL << 40 || end[shift > 0])
        return error_at(d->job->diag, nowhere, "--max-ram %s: expected bytes, as 65536, 64k or 2M",
                        text);
    most <<= shift;
    return ram(d) <= most ||
           error_at(d->job->diag, nowhere, "this takes %lld bytes of RAM (state %lld, workspace "
                    "%lld, stack %lld), more than --max-ram %s; a smaller --batch may help",
                    (long long)ram(d), (long long)state_bytes(d), (long long)deploy_workspace(d),
                    (long long)d->spec.stack, text);
}

static const char *helpers(const Deploy *d)
{
    const char *all = "";
    for (int i = 0; i < d->spec.helpers.n; i++)
        all = arena_printf(d->arena, "%s%s%s", all, i ? " " : "", d->spec.helpers.at[i]);
    return all;
}

void size_report(const Deploy *d)
{
    const ObjectSpec *o = &d->spec;
    const struct { const char *name, *json, *doc; int64_t bytes; } rows[] = {
        {"code", "code", "", o->code},
        {"read-only data", "constants", o->embed ? "parameters among them" : "", o->constants},
        {"parameters", "parameters", o->embed ? "in the read-only data" : "the caller's",
         o->blob[BLOB_params].bytes},
        {"state", "state", "the caller's", state_bytes(d)},
        {"optimizer state", "optimizer", "the caller's",
         d->train ? o->blob[BLOB_optimizer].bytes : 0},
        {"workspace", "workspace", "the caller's, most of all functions", deploy_workspace(d)},
        {"stack", "stack", "at most", o->stack},
        {"RAM in all", "ram", "", ram(d)}};
    enum { ROWS = sizeof rows / sizeof *rows };
    int nversion = o->versions ? NVERSION : 0;
    if (d->job->json) {
        JsonField f[ROWS + NVERSION + 3] = {json_field_text("model", o->name),
                                            json_field_text("target", o->target)};
        for (int i = 0; i < ROWS; i++)
            f[i + 2] = json_field_integer(rows[i].json, rows[i].bytes);
        f[ROWS + 2] = json_field_text("helpers", helpers(d));
        for (int v = 0; v < nversion; v++)
            f[ROWS + 3 + v] = json_field_integer(
                arena_printf(d->arena, "code_%s", version_names[v]), o->version_code[v]);
        json_line(stdout, "compile", f, ROWS + 3 + nversion);
        return;
    }
    printf("%s for %s, batches of up to %lld\n", o->name, o->target, (long long)d->batch);
    for (int i = 0; i < ROWS; i++) {
        printf("  %-16s %12s  %s\n", rows[i].name, text_count(d->arena, rows[i].bytes),
               rows[i].doc);
        for (int v = 0; i == 0 && v < nversion; v++)
            printf("    of %-11s %12s\n", version_names[v],
                   text_count(d->arena, o->version_code[v]));
    }
    if (o->helpers.n)
        printf("  calls helpers of the compiler that links it: %s\n", helpers(d));
}
