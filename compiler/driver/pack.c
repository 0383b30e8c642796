/* weft pack: parameters in a file as an object takes them (runtime/packed.h), and such files
 * where weights are read. */
#include "driver/deploy.h"
#include "packed.h"
#include "progress.h"

#include <stdio.h>
#include <string.h>

static const Span nowhere;

_Static_assert((int)PACKED_ALIGN == (int)OBJECT_ALIGN, "places in files are those in objects");

const uint8_t *pack_head(const Deploy *d)
{
    const ObjectBlob *b = &d->spec.blob[BLOB_params];
    PackedLayout l = {0};
    uint8_t *head = arena_alloc(d->arena, PACKED_HEAD);
    for (int i = 0; i < b->n; i++) {
        const ObjectTensor *t = &b->at[i];
        if (packed_place(&l, t->name, t->dtype, t->rank, t->dim) != t->offset)
            bug("'%s' lies elsewhere in a file than in an object", t->name);
    }
    packed_head(head, job_hash(d->job, d->arena), &l);
    return head;
}

/* ---- writing ---- */

static bool write_pack(Deploy *d, const char *path)
{
    const ObjectBlob *b = &d->spec.blob[BLOB_params];
    uint8_t *head = (uint8_t *)pack_head(d), *bytes = NEW_ARRAY(d->arena, uint8_t, b->bytes + 1);
    for (int i = 0; i < b->n; i++)
        memcpy(bytes + b->at[i].offset, b->at[i].value, (size_t)b->at[i].bytes);
    packed_put(head, PACKED_sum, 4, packed_sum(bytes, (size_t)b->bytes));
    Bytes parts[] = {{head, PACKED_HEAD}, {bytes, (size_t)b->bytes}};
    if (!file_write(d->job->diag, nowhere, path, parts, 2))
        return false;
    if (d->job->json) {
        JsonField f[] = {json_field_text("model", d->unit->name), json_field_text("file", path),
                         json_field_text("hash", job_hash(d->job, d->arena)),
                         json_field_integer("parameters", b->bytes),
                         json_field_integer("bytes", PACKED_HEAD + b->bytes)};
        json_line(stdout, "pack", f, sizeof f / sizeof *f);
    }
    return true;
}

int command_pack(Job *j)
{
    const char *path = j->options->value[OPT_out];
    Deploy *d = deploy_open(j, NULL);
    if (!d)
        return 1;
    d->init = unit_init(d->unit);
    if (!path)
        path = arena_printf(d->arena, "%s.weights", d->unit->name);
    if (d->init && deploy_weights(d) && deploy_quantize(d) && deploy_blobs(d))
        write_pack(d, path);
    return diag_exit_code(j->diag);
}

/* ---- reading ---- */

bool pack_is(const char *path)
{
    char begin[PACKED_MAGIC];
    FILE *f = fopen(path, "rb");
    bool is = f && fread(begin, PACKED_MAGIC, 1, f) == 1 &&
              memcmp(begin, PACKED_WORD, PACKED_MAGIC) == 0;
    if (f)
        fclose(f);
    return is;
}

/* What the file should have at its beginning, and the store's tensors at their places in it. */
static Weights *lay_out(Job *j, const Store *s, const uint8_t *file, PackedLayout *l)
{
    Weights *w = NEW(j->arena, Weights);
    for (int i = 0; i < s->at.n; i++) {
        const Kept *k = &s->at.at[i];
        if (k->role != ROLE_param && k->role != ROLE_buffer)
            continue;
        int64_t at = packed_place(l, k->name, k->dtype, k->rank, k->dim);
        weights_add(j->arena, w, k->file_name, k->dtype, k->rank, k->dim, file + PACKED_HEAD + at);
    }
    return w;
}

Weights *pack_read(Job *j, const Store *s, const char *path)
{
    const int64_t most = (int64_t)1 << 40;
    PackedLayout l = {0};
    size_t size;
    const uint8_t *file = (uint8_t *)file_read(j->arena, j->diag, nowhere, path, most, &size);
    const char *hash = job_hash(j, j->arena);
    if (!file)
        return NULL;
    Weights *w = lay_out(j, s, file, &l);
    const char *wrong = NULL;
    if (size < PACKED_HEAD)
        wrong = arena_printf(j->arena, "is cut off: it has %zu bytes", size);
    else if (packed_field(file, PACKED_form, 4) != PACKED_FORM ||
             packed_field(file, PACKED_form + 4, 4) != PACKED_HEAD)
        wrong = arena_printf(j->arena, "is of form %d, and this Weft knows form %d",
                             (int)packed_field(file, PACKED_form, 4), PACKED_FORM);
    else if (memcmp(file + PACKED_model, hash, PACKED_layout - PACKED_model) != 0)
        wrong = arena_printf(j->arena, "is of another model: its hash is %.16s, that of %s %s",
                             (const char *)file + PACKED_model, j->unit->name, hash);
    else if (packed_field(file, PACKED_layout, 8) != l.hash)
        wrong = arena_printf(j->arena, "holds other types or shapes than %s has here (--dtype, "
                             "--set, --quantize)", j->unit->name);
    else if (size != PACKED_HEAD + (size_t)l.bytes)
        wrong = arena_printf(j->arena, "has %zu bytes, but %zu are expected", size,
                             PACKED_HEAD + (size_t)l.bytes);
    else if (packed_sum(file + PACKED_HEAD, (size_t)l.bytes) != packed_field(file, PACKED_sum, 4))
        wrong = "is damaged: the sum of its parameters is not the one it holds";
    if (wrong)
        error_at(j->diag, nowhere, "%s %s", path, wrong);
    return wrong ? NULL : w;
}
