/* A job's data set: read in a thread of its own while the model is compiled, kept in the cache
 * by another while the training runs, bound to engines, checked against what the graph asks of
 * labels. */
#include "driver/job.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

/* The thread has the data set's arena and a diag of its own; both are the
 * job's again once it is joined. */
struct Loader {
    pthread_t thread;
    Dataset *data;
    Stages *stages;
    Diag diag;
    bool running, ok;
    pthread_t keeper;
    bool keeping;
};

static void *load(void *p)
{
    Loader *l = p;
    double from = stage_begin(l->stages);
    l->ok = dataset_load(l->data, &l->diag);
    stage_end(l->stages, "read the data", from);
    return NULL;
}

static void *keep(void *p)
{
    const Loader *l = p;
    dataset_keep(l->data);
    return NULL;
}

/* This program, by its file: another may make other samples. */
static const char *build_text(Arena *a)
{
    struct stat st;
    if (stat("/proc/self/exe", &st) != 0)
        return NULL;
    return arena_printf(a, "%s %lld %lld.%09ld", weft_version, (long long)st.st_size,
                        (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

const DataCache *job_data_cache(Job *j)
{
    job_open_caches(j);
    if (j->data_cache.cache && !j->data_cache.build)
        j->data_cache.build = build_text(j->arena);
    return j->data_cache.build ? &j->data_cache : NULL;
}

void job_load_data(Job *j)
{
    if (!j->data || j->loader)
        return;
    const DataCache *cache = job_data_cache(j);
    if (cache)
        dataset_use_cache(j->data, cache);
    Loader *l = NEW(j->arena, Loader);
    l->data = j->data;
    l->stages = j->stages;
    l->diag = (Diag){.arena = j->data_arena, .sources = j->diag->sources};
    l->running = pthread_create(&l->thread, NULL, load, l) == 0;
    j->loader = l;
}

void job_end(Job *j)
{
    Loader *l = j->loader;
    if (l && l->running)
        pthread_join(l->thread, NULL);
    if (l && l->keeping)
        pthread_join(l->keeper, NULL);
    if (j->data)
        dataset_close(j->data);
    j->data = NULL;
    if (j->data_arena)
        arena_free(j->data_arena);
    stages_free(j->stages);
    j->loader = NULL;
    j->data_arena = NULL;
    j->stages = NULL;
}

bool job_data(Job *j)
{
    if (!j->data)
        return error_at(j->diag, j->unit->span, "this needs data, and the file names none");
    job_load_data(j);
    Loader *l = j->loader;
    double from = stage_begin(j->stages);
    if (l->running)
        pthread_join(l->thread, NULL);
    else if (!l->ok)
        load(l);
    l->running = false;
    stage_end(j->stages, "wait for the data", from);
    diag_move(j->diag, &l->diag);
    if (l->ok && !l->keeping)
        l->keeping = pthread_create(&l->keeper, NULL, keep, l) == 0;
    return l->ok;
}

/* ---- binding ---- */

static const DataArray *field_of(const Job *j, const char *name)
{
    int i = dataset_field(j->data, name);
    if (i < 0)
        bug("the graph asks for a field '%s' that the data have not", name);
    return &j->data->field[i];
}

void job_bind_data(const Job *j, Engine *e, bool test)
{
    for (int i = 0; i < engine_nport(e); i++) {
        const Port *p = engine_port(e, i);
        if (p->role != ROLE_data)
            continue;
        const DataArray *f = field_of(j, p->name);
        if (f->dtype != p->dtype || f->rank + 1 != p->shape.rank)
            bug("field '%s' is %s of rank %d, its port %s of rank %d", f->name,
                dtype_name(f->dtype), f->rank, dtype_name(p->dtype), p->shape.rank - 1);
        engine_bind(e, i, (void *)(test ? f->test : f->train));
    }
}

bool job_lengths(const Job *j, const Graph *g, int64_t lengths[SYM_MOST])
{
    memset(lengths, 0, sizeof *lengths * SYM_MOST);
    for (int i = 0; i < g->inputs.n; i++) {
        const Node *n = g->inputs.at[i];
        if (attr_int(n, ATTR_role, -1) != ROLE_data)
            continue;
        const DataArray *f = field_of(j, attr_str(n, ATTR_name));
        for (int k = 0; k < f->rank && k + 1 < n->shape.rank; k++) {
            Dim d = n->shape.d[k + 1];
            if (d.sym < SYM_length || d.mul != 1 || d.div != 1 || d.add != 0)
                continue;
            if (lengths[d.sym] && lengths[d.sym] != f->dim[k])
                return error_at(j->diag, j->unit->span,
                                "the length %s is %lld in one field and %lld in '%s'",
                                g->lengths.at[d.sym - SYM_length], (long long)lengths[d.sym],
                                (long long)f->dim[k], f->name);
            lengths[d.sym] = f->dim[k];
        }
    }
    return true;
}

/* ---- labels ---- */

/* The data input that n is, seen through conversions and views; null: none. */
static const Node *data_behind(const Node *n)
{
    while (n->op == OP_cast || n->op == OP_reshape || n->op == OP_broadcast || n->op == OP_slice ||
           n->op == OP_transpose)
        n = n->in[0];
    bool is_data = n->op == OP_input && attr_int(n, ATTR_role, -1) == ROLE_data;
    return is_data ? n : NULL;
}

/* The extent of the iota that n is, seen through conversions and views; 0: none. */
static int64_t classes_behind(const Node *n)
{
    while (n->op == OP_cast || n->op == OP_reshape || n->op == OP_broadcast)
        n = n->in[0];
    int64_t extent;
    if (n->op != OP_iota || n->shape.rank < 1 ||
        !dim_const(n->shape.d[attr_int(n, ATTR_axis, 0)], &extent))
        return 0;
    return extent;
}

bool job_check_labels(const Job *j, const Graph *g)
{
    bool ok = true;
    for (int i = 0; i < g->nodes.n && ok; i++) {
        const Node *n = g->nodes.at[i], *field = NULL;
        int64_t classes = 0;
        if (n->op == OP_eq && (classes = classes_behind(n->in[1])) > 0)
            field = data_behind(n->in[0]);
        else if (n->op == OP_eq && (classes = classes_behind(n->in[0])) > 0)
            field = data_behind(n->in[1]);
        else if (n->op == OP_gather && dim_const(n->in[0]->shape.d[0], &classes))
            field = data_behind(n->in[1]);
        if (field)
            ok = dataset_check_classes(j->data, j->diag, n->span,
                                       dataset_field(j->data, attr_str(field, ATTR_name)), classes);
    }
    return ok;
}
