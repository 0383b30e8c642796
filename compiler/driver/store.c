/* What a model keeps between steps, and its way into and out of files. */
#include "driver/store.h"

#include "ir/eval.h"
#include "parallel.h"

#include <math.h>
#include <omp.h>
#include <string.h>

static const Span nowhere;

static void add(Store *s, Role role, const char *name, Dtype dtype, int rank, const int64_t *dim)
{
    Kept k = {.role = role, .name = name, .file_name = name, .dtype = dtype, .rank = rank};
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        k.dim[i] = dim[i];
        count *= dim[i];
    }
    if (role == ROLE_slot || role == ROLE_state)
        k.file_name = arena_printf(s->arena, role == ROLE_slot ? "optimizer/%s" : "state/%s", name);
    k.bytes = (size_t)count * (size_t)dtype_size(dtype);
    s->bytes += k.bytes;
    list_push(s->arena, &s->at, k);
}

Store *store_new(Arena *a, const Graph *init, bool with_slots)
{
    Store *s = NEW(a, Store);
    s->arena = a;
    for (int i = 0; i < init->outputs.n; i++) {
        const Output *o = &init->outputs.at[i];
        if (o->role == ROLE_slot && !with_slots)
            continue;
        int64_t dim[RANK_MOST];
        for (int j = 0; j < o->node->shape.rank; j++)
            if (!dim_const(o->node->shape.d[j], &dim[j]))
                bug("%s %s has no fixed shape", role_name(o->role), o->name);
        add(s, o->role, o->name, o->node->dtype, o->node->shape.rank, dim);
    }
    return s;
}

/* Memory is taken when first needed, so that sizes can be judged before. */
static void *memory_of(Store *s, Kept *k)
{
    if (!k->memory)
        k->memory = aligned_memory(s->arena, k->bytes);
    return k->memory;
}

void *store_add(Store *s, Role role, const char *name, Dtype dtype, int rank, const int64_t *dim)
{
    add(s, role, name, dtype, rank, dim);
    return memory_of(s, &s->at.at[s->at.n - 1]);
}

void store_add_states(Store *s, const Engine *e, int64_t rows, const int64_t *lengths)
{
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *p = engine_port(e, i);
        if (p->role != ROLE_state || store_find(s, ROLE_state, p->name))
            continue;
        int64_t dim[RANK_MOST], at[SYM_MOST] = {0};
        if (lengths)
            memcpy(at, lengths, sizeof at);
        at[SYM_N] = rows;
        for (int j = 0; j < p->shape.rank; j++)
            dim[j] = dim_value(p->shape.d[j], at);
        add(s, ROLE_state, p->name, p->dtype, p->shape.rank, dim);
    }
}

void store_reset_states(Store *s)
{
    for (int i = 0; i < s->at.n; i++)
        if (s->at.at[i].role == ROLE_state)
            memset(memory_of(s, &s->at.at[i]), 0, s->at.at[i].bytes);
}

void store_begin_streams(Store *s, const Store *from, const Graph *reset, int64_t rows)
{
    Arena *a = arena_new();
    int64_t lengths[SYM_MOST] = {[SYM_N] = rows};
    Value *in = NEW_ARRAY(a, Value, reset->inputs.n + 1);
    Value *out = NEW_ARRAY(a, Value, reset->outputs.n + 1);
    for (int i = 0; i < reset->inputs.n; i++) {
        const Node *n = reset->inputs.at[i];
        Role role = (Role)attr_int(n, ATTR_role, NROLE);
        Kept *k = (Kept *)store_find(from, role, attr_str(n, ATTR_name));
        if (!k)
            bug("%s %s has no value", role_name(role), attr_str(n, ATTR_name));
        in[i] = (Value){.dtype = k->dtype, .rank = k->rank, .count = 1, .data = k->memory};
        for (int d = 0; d < k->rank; d++) {
            in[i].dim[d] = k->dim[d];
            in[i].count *= k->dim[d];
        }
    }
    graph_eval(a, reset, (EvalSizes){lengths, SYM_MOST}, in, out, false);
    for (int i = 0; i < reset->outputs.n; i++) {
        Kept *k = (Kept *)store_find(s, ROLE_state, reset->outputs.at[i].name);
        if (k)
            memcpy(memory_of(s, k), out[i].data, k->bytes);
    }
    arena_free(a);
}

typedef struct {
    Store *store;
    const Graph *init;
    const Value *in;
    int threads;          /* that one output's operations may use */
} Init;

/* One output by itself: what it needs is computed, copied and forgotten. */
static void init_output(void *context, int i)
{
    const Init *t = context;
    const Output *o = &t->init->outputs.at[i];
    const Kept *k = store_find(t->store, o->role, o->name);
    if (!k)
        return;
    Arena *a = arena_new();
    int64_t lengths[SYM_MOST] = {0};
    Graph part = *t->init;
    Value out;
    part.outputs.at = &t->init->outputs.at[i];
    part.outputs.n = 1;
    int threads = omp_get_max_threads();
    omp_set_num_threads(t->threads);
    graph_eval(a, &part, (EvalSizes){lengths, SYM_MOST}, t->in, &out, false);
    omp_set_num_threads(threads);
    memcpy(k->memory, out.data, k->bytes);
    arena_free(a);
}

void store_init(Store *s, const Graph *init, int32_t seed)
{
    Arena *a = arena_new();
    Value *in = NEW_ARRAY(a, Value, init->inputs.n + 1);
    for (int i = 0; i < init->inputs.n; i++) {
        in[i] = value_new(a, init->inputs.at[i]->dtype, 0, NULL);
        const char *name = attr_str(init->inputs.at[i], ATTR_name);
        value_set(&in[i], 0, name && strcmp(name, "seed") == 0 ? seed : 0);
    }
    for (int i = 0; i < s->at.n; i++)
        memory_of(s, &s->at.at[i]); /* the arena is this thread's */
    /* A matrix to be made orthogonal takes longer than everything else: several share the
     * threads among them, a single one has them all. */
    int matrices = 0, share = omp_get_max_threads();
    for (int i = 0; i < init->nodes.n; i++)
        matrices += init->nodes.at[i]->op == OP_orthogonal;
    share = matrices > 1 ? share / matrices : share;
    Init t = {s, init, in, share > 1 ? share : 1};
    parallel_each(init->outputs.n, init_output, &t);
    arena_free(a);
}

void store_bind(Store *s, Store *states, Engine *e)
{
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *p = engine_port(e, i);
        if (p->role != ROLE_param && p->role != ROLE_buffer && p->role != ROLE_slot &&
            p->role != ROLE_state)
            continue;
        Store *from = p->role == ROLE_state ? states : s;
        Kept *k = (Kept *)store_find(from, p->role, p->name);
        if (!k)
            bug("%s %s has no initial value", role_name(p->role), p->name);
        if (k->dtype != p->dtype)
            bug("%s %s is %s, its initial value %s", role_name(p->role), p->name,
                dtype_name(p->dtype), dtype_name(k->dtype));
        engine_bind(e, i, memory_of(from, k));
    }
}

void store_save(Arena *a, const Store *s, Weights *w)
{
    for (int i = 0; i < s->at.n; i++) {
        const Kept *k = &s->at.at[i];
        weights_add(a, w, k->file_name, k->dtype, k->rank, k->dim, k->memory);
    }
}

static bool is_finite(const Kept *k)
{
    size_t n = k->bytes / (size_t)dtype_size(k->dtype);
    for (size_t e = 0; e < n; e++)
        if ((k->dtype == DT_f32 && !isfinite(((const float *)k->memory)[e])) ||
            (k->dtype == DT_f64 && !isfinite(((const double *)k->memory)[e])))
            return false;
    return true;
}

void store_save_averages(Arena *a, const Store *s, Weights *w)
{
    for (int i = 0; i < s->at.n; i++) {
        const Kept *k = &s->at.at[i], *from = NULL;
        if (k->role == ROLE_param)
            from = store_find(s, ROLE_slot, arena_printf(a, "%s/ema", k->name));
        if (k->role == ROLE_param || k->role == ROLE_buffer)
            weights_add(a, w, k->file_name, k->dtype, k->rank, k->dim, (from ? from : k)->memory);
    }
}

const Kept *store_find_trouble(const Store *s)
{
    for (int i = 0; i < s->at.n; i++)
        if (!is_finite(&s->at.at[i]))
            return &s->at.at[i];
    return NULL;
}

const Kept *store_find(const Store *s, Role role, const char *name)
{
    for (int i = 0; i < s->at.n; i++)
        if (s->at.at[i].role == role && strcmp(s->at.at[i].name, name) == 0)
            return &s->at.at[i];
    return NULL;
}

/* ---- loading ---- */

static char *dims_text(Arena *a, int rank, const int64_t *dim)
{
    char *s = arena_strdup(a, "[");
    for (int i = 0; i < rank; i++)
        s = arena_printf(a, "%s%s%lld", s, i ? ", " : "", (long long)dim[i]);
    return arena_printf(a, "%s]", s);
}

static bool same_dims(const Kept *k, const Tensor *t)
{
    return k->rank == t->rank && memcmp(k->dim, t->dim, sizeof *k->dim * (size_t)k->rank) == 0;
}

static void take(Store *s, Kept *k, const Tensor *t)
{
    void *to = memory_of(s, k);
    if (k->dtype == t->dtype) {
        memcpy(to, t->data, k->bytes);
        return;
    }
    int64_t n = tensor_elements(t);
    for (int64_t i = 0; i < n; i++) {
        if (k->dtype == DT_f32)
            ((float *)to)[i] = (float)((const double *)t->data)[i];
        else
            ((double *)to)[i] = ((const float *)t->data)[i];
    }
}

static bool wants(const Kept *k, bool everything)
{
    return everything || k->role == ROLE_param || k->role == ROLE_buffer;
}

/* Tensors of the file that the model has not; the first few are named. */
static bool check_extra(const Store *s, Diag *d, const char *path, const Weights *w)
{
    int extra = 0;
    for (int i = 0; i < w->tensors.n; i++) {
        const Tensor *t = &w->tensors.at[i];
        bool known = strncmp(t->name, "optimizer/", 10) == 0 || strncmp(t->name, "state/", 6) == 0;
        for (int j = 0; !known && j < s->at.n; j++)
            known = strcmp(s->at.at[j].file_name, t->name) == 0;
        if (!known && extra++ < 8)
            error_at(d, nowhere, "%s holds '%s' %s, which the model has not", path, t->name,
                     dims_text(s->arena, t->rank, t->dim));
    }
    return extra == 0;
}

bool store_load(Store *s, Diag *d, const char *path, const Weights *w, bool everything)
{
    bool ok = true;
    for (int i = 0; i < s->at.n; i++) {
        Kept *k = &s->at.at[i];
        if (!wants(k, everything))
            continue;
        const Tensor *t = weights_find(w, k->file_name);
        const char *dims = dims_text(s->arena, k->rank, k->dim);
        if (!t)
            ok = error_at(d, nowhere, "%s has no '%s'; the model needs it in shape %s", path,
                          k->file_name, dims);
        else if (!same_dims(k, t))
            ok = error_at(d, nowhere, "'%s' is %s in %s, but %s in the model", k->file_name,
                          dims_text(s->arena, t->rank, t->dim), path, dims);
        else if (k->dtype != t->dtype &&
                 (everything || !dtype_is_float(k->dtype) || !dtype_is_float(t->dtype)))
            ok = error_at(d, nowhere, "'%s' is %s in %s, but %s here%s", k->file_name,
                          dtype_name(t->dtype), path, dtype_name(k->dtype),
                          everything ? "; a training goes on in its own --dtype" : "");
    }
    ok = check_extra(s, d, path, w) && ok;
    for (int i = 0; ok && i < s->at.n; i++) {
        Kept *k = &s->at.at[i];
        if (wants(k, everything))
            take(s, k, weights_find(w, k->file_name));
    }
    for (int i = 0; ok && i < s->at.n; i++)
        if (s->at.at[i].role == ROLE_param && !is_finite(&s->at.at[i]))
            ok = error_at(d, nowhere, "'%s' in %s holds NaN or infinity", s->at.at[i].file_name,
                          path);
    return ok;
}
