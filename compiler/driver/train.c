/* weft train: sets a training up, or a stopped one up again, and runs it. */
#include "driver/train.h"

#include "system.h"

#include <string.h>

static const Span nowhere;

/* ---- what is trained on ---- */

static bool check_train_block(Training *t)
{
    Job *j = t->job;
    Diag *d = j->diag;
    t->unit = j->unit;
    t->info = j->unit->train;
    if (!t->info)
        return error_at(d, j->unit->span, "%s has no train block: nothing says how to train it",
                        j->path);
    if (!j->data)
        return error_at(d, t->info->span, "the training has no data");
    t->validation = validation_count(t->unit);
    t->samples = j->data->count - t->validation;
    t->validate_test = t->info->validation_test;
    if (t->validate_test) {
        if (t->validation)
            return error_at(d, t->info->span,
                            "validation_split and validation_data exclude each other");
        t->validation = j->data->test_count;
        if (!t->validation)
            return error_at(d, t->info->span, "validation_data: the data have no test part");
    }
    t->batch = t->info->batch_size;
    t->epochs = t->info->epochs;
    if (t->samples <= 0)
        return error_at(d, t->info->span, "there are no training samples%s",
                        t->validation ? ": validation takes all of them" : "");
    if (t->batch > t->samples)
        return error_at(d, t->info->span,
                        "batch_size is %lld, but there are only %lld training samples%s",
                        (long long)t->batch, (long long)t->samples,
                        t->validation && !t->validate_test ? " beside those for validation" : "");
    return true;
}

static bool is_figure(const Unit *u, const char *name, bool validation)
{
    if (strncmp(name, "val_", 4) == 0) {
        if (!validation)
            return false;
        name += 4;
    }
    if (strcmp(name, "loss") == 0)
        return true;
    for (int i = 0; i < u->nmetric; i++)
        if (strcmp(u->metric[i].name, name) == 0)
            return true;
    return false;
}

/* What is watched must be computed. */
static bool check_monitors(Training *t)
{
    const TrainInfo *i = t->info;
    t->monitor = i->stop.on ? i->stop.monitor : t->validation ? "val_loss" : "loss";
    t->mode = i->stop.on ? i->stop.mode : STOP_min;
    const char *watched[] = {t->monitor, i->plateau.on ? i->plateau.monitor : NULL};
    for (int k = 0; k < 2; k++)
        if (watched[k] && !is_figure(t->unit, watched[k], t->validation > 0))
            return error_at(t->job->diag, i->span, "monitor '%s' is never computed%s", watched[k],
                            strncmp(watched[k], "val_", 4) == 0 && !t->validation
                                ? ": there are no validation data" : "");
    return 2 * (1 + t->unit->nmetric) <= FIGURES_MOST ||
           unsupported_at(t->job->diag, i->span, "%d metrics; at most %d", t->unit->nmetric,
                          FIGURES_MOST / 2 - 1);
}

static bool check_memory(Training *t, size_t more, const char *what)
{
    size_t have = system_memory(), need = t->store->bytes + more;
    if (!have || need <= have)
        return true;
    return error_at(t->job->diag, t->unit->span,
                    "this would need %.2f GB of memory (parameters and optimizer %.2f GB, %s %.2f "
                    "GB), and %.2f GB are available",
                    1e-9 * (double)need, 1e-9 * (double)t->store->bytes, what, 1e-9 * (double)more,
                    1e-9 * (double)have);
}

/* ---- programs ---- */

bool train_prepare(const Training *t, Engine *e, const int64_t *lengths)
{
    return engine_prepare(e, t->batch, lengths, t->job->threads) ||
           error_at(t->job->diag, t->unit->span,
                    "not enough memory for batches of %lld samples; %.2f GB are available",
                    (long long)t->batch, 1e-9 * (double)system_memory());
}

static bool compile(Training *t, bool *stopped)
{
    Job *j = t->job;
    double start = system_seconds();
    t->engine = job_engine(j, PIPELINE_step, stopped);
    if (!t->engine || !job_lengths(j, engine_graph(t->engine), t->lengths))
        return false;
    if (!train_prepare(t, t->engine, t->lengths))
        return false;
    t->compile_seconds = system_seconds() - start;
    return true;
}

static bool bind(Training *t)
{
    Job *j = t->job;
    store_add_states(t->store, t->engine, t->batch, t->lengths);
    store_bind(t->store, t->store, t->engine);
    job_bind_data(j, t->engine, false);
    scalars_bind(t->arena, &t->scalars, t->engine);
    scalars_set(&t->scalars, "seed", (double)t->state.seed);
    scalars_set(&t->scalars, "learning_rate_scale", t->state.learning_rate);
    t->tally = tally_new(t->arena, t->unit, t->engine, t->batch, t->lengths);
    t->order = NEW_ARRAY(t->arena, int64_t, t->samples);
    return true;
}

/* ---- initial state ---- */

static bool choose_seed(Training *t)
{
    int64_t seed = t->info->has_seed ? t->info->seed : 0;
    if (!option_integer(t->job->options, t->job->diag, OPT_seed, 0, INT32_MAX, &seed))
        return false;
    t->state.seed = seed;
    return true;
}

static bool start_fresh(Training *t)
{
    Job *j = t->job;
    t->state.learning_rate = 1;
    t->state.target = engine_target(t->engine);
    t->state.model_hash = job_hash(j, t->arena);
    store_init(t->store, t->init, (int32_t)t->state.seed);
    if (!option_on(j->options, OPT_weights))
        return job_fit(j, t->store, t->samples);
    return job_weights_path(j) && job_read_weights(j, t->store, job_weights_path(j));
}

/* The same bits are promised only for the same model and type ... */
static bool check_resumed(Training *t, const char *path)
{
    Diag *d = t->job->diag;
    const TrainState *s = &t->state;
    if (s->model_hash && strcmp(s->model_hash, job_hash(t->job, t->arena)) != 0)
        return error_at(d, nowhere, "%s was trained with another model than %s is now", path,
                        t->job->path);
    if (s->position > t->samples)
        return error_at(d, nowhere, "%s stopped after %lld samples of an epoch, and there are only "
                        "%lld now: the data are not the same", path, (long long)s->position,
                        (long long)t->samples);
    return true;
}

/* Reads the state first, before memory is bound: the seed is needed. */
static Weights *open_resumed(Training *t, const char *dir)
{
    Diag *d = t->job->diag;
    t->run = run_open(t->arena, d, nowhere, dir);
    if (!t->run)
        return NULL;
    Weights *w = weights_read(t->arena, d, nowhere, t->run->last);
    if (!w || !train_state_load(t->arena, d, nowhere, t->run->last, w, &t->state))
        return NULL;
    if (!check_resumed(t, t->run->last))
        return NULL;
    t->resumed = true;
    return w;
}

/* Once states have memory: everything from the file, to the bit. The same bits are promised only
 * for the same target, too. */
static bool restore(Training *t, const Weights *w)
{
    const char *was = t->state.target, *is = engine_target(t->engine);
    if (was && strcmp(was, is) != 0)
        warning_at(t->job->diag, nowhere, "%s was trained on %s, this is %s: results may differ "
                   "in the last bits", t->run->last, was, is);
    if (!store_load(t->store, t->job->diag, t->run->last, w, true))
        return false;
    if (!tally_load(t->tally, t->state.nsum, t->state.sums))
        return error_at(t->job->diag, nowhere, "%s: the sums of its unfinished epoch are of other "
                        "metrics than the model's", t->run->last);
    scalars_set(&t->scalars, "seed", (double)t->state.seed);
    return true;
}

static bool open_run(Training *t)
{
    Job *j = t->job;
    if (t->run)
        return true;
    const EarlyStopping *stop = &t->info->stop;
    t->run = run_create(t->arena, j->diag, NULL, j->options->value[OPT_run_dir], t->unit->name,
                        unit_resolved(t->unit, t->arena));
    if (!t->run)
        return false;
    JsonField f[] = {
        json_field_text("model", t->unit->name),
        json_field_text("hash", t->state.model_hash),
        json_field_text("dtype", dtype_name(j->session->real)),
        json_field_integer("seed", t->state.seed),
        json_field_text("target", t->state.target),
        json_field_text("weft", weft_version),
        json_field_text("optimizer", t->info->optimizer),
        json_field_text("loss", t->info->loss),
        json_field_text("model_dir", job_model_dir(j, t->arena)),
        json_field_text("data_dir", j->places.data_dir),
        json_field_text("weights", stop->has_restore_best && !stop->restore_best ? "last" : "best"),
        json_field_text("data_facts", job_data_facts(j, t->arena)),
    };
    return run_describe(j->diag, t->run, f, sizeof f / sizeof *f);
}

/* ---- the command ---- */

static bool set_up(Training *t, const char *resume, bool *stopped)
{
    Job *j = t->job;
    if (!check_train_block(t) || !check_monitors(t) || !choose_seed(t))
        return false;
    double from = stage_begin(j->stages);
    t->init = unit_init(t->unit);
    stage_end(j->stages, "graph of the initial values", from);
    if (!t->init)
        return false;
    t->store = store_new(t->arena, t->init, true);
    if (!check_memory(t, dataset_bytes(j->data), "data"))
        return false;
    Weights *w = resume ? open_resumed(t, resume) : NULL;
    if (resume && !w)
        return false;
    job_load_data(j);
    if (!compile(t, stopped) || !job_data(j))
        return false;
    from = stage_begin(j->stages);
    Graph *forward = unit_forward(t->unit, FORWARD_evaluate);
    if (!forward || !job_check_labels(j, forward))
        return false;
    stage_end(j->stages, "check the labels", from);
    from = stage_begin(j->stages);
    if (!resume && !start_fresh(t))
        return false;
    stage_end(j->stages, "initial values", from);
    from = stage_begin(j->stages);
    bool ok = bind(t) && watch_open(t) && (!w || restore(t, w)) && open_run(t);
    stage_end(j->stages, "run folder", from);
    return ok;
}

static int train(Training *t, const char *resume)
{
    Job *j = t->job;
    bool stopped = false;
    if (!set_up(t, resume, &stopped))
        return stopped ? 0 : 1;
    diag_print(j->diag, stderr);
    ProgressMode mode = j->json || j->quiet ? PROGRESS_none : PROGRESS_auto;
    t->progress = progress_new(t->arena, stderr, mode);
    report_start(t);
    if (j->stages)
        stages_print(j->stages, j->json ? stdout : stderr, j->json);
    remove(t->run->average); /* of a run that is resumed: it is so no more */
    LoopEnd how = train_loop(t);
    if (how != LOOP_failed && how != LOOP_stopped && !train_save_average(t))
        how = LOOP_failed;
    if (how == LOOP_failed) {
        if (!t->resumed)
            run_discard(t->run);
        return 1;
    }
    report_end(t, how);
    return how == LOOP_stopped ? 128 + system_stopping() : 0;
}

int command_train(Job *j)
{
    const Options *o = j->options;
    const char *resume = o->value[OPT_resume];
    if (o->args.n > 1 || (o->args.n == 0 && !resume)) {
        error_at(j->diag, nowhere, "weft train takes one FILE.model%s", o->args.n > 1
                 ? "" : ", or --resume RUN");
        return 1;
    }
    if (resume && (option_on(o, OPT_weights) || option_on(o, OPT_run_dir) ||
                   option_on(o, OPT_seed))) {
        error_at(j->diag, nowhere, "--resume goes on with the weights, folder and seed of the run; "
                 "--weights, --run-dir and --seed do not go with it");
        return 1;
    }
    /* From here on, so that a signal during set-up, too, ends with everything saved. */
    system_catch_signals();
    const char *path = o->args.n ? o->args.at[0] : resume;
    Dtype real;
    if (!job_dtype(j, resume ? resume : path, &real) || !job_open(j, path, real, false))
        return 1;
    Training t = {.job = j, .arena = j->arena};
    int code = train(&t, resume);
    if (t.evaluator)
        evaluator_free(t.evaluator);
    watch_close(&t);
    engine_free(t.engine);
    return code;
}
