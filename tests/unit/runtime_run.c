/* Run folders, history, training states; files written whole or not at all. */
#include "run.h"
#include "runtime_check.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

static const Span nowhere = {0, 0, 0};

static int entries(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    if (d)
        closedir(d);
    return n;
}

static void test_create(Check *c)
{
    const char *root = path_of(c, "deep/runs");
    Run *a = run_create(c->a, &c->d, root, NULL, "net", "model net {}\n");
    Run *b = run_create(c->a, &c->d, root, NULL, "net", "second");
    EXPECT(c, a && b && strstr(a->dir, "/deep/runs/net-1") && strstr(b->dir, "net-2"));
    EXPECT(c, mkdir(path_of(c, "deep/runs/net-10"), 0777) == 0);
    Run *e = run_create(c->a, &c->d, root, NULL, "net", "third");
    EXPECT(c, e && strstr(e->dir, "net-11"));
    Run *last = run_open(c->a, &c->d, nowhere, path_of(c, "deep/runs/last/"));
    EXPECT(c, last && !strcmp(run_model_text(c->a, &c->d, last), "third"));
    EXPECT(c, run_is(b->dir) && !run_is(root) && !run_is(path_of(c, "nothing")));
    EXPECT(c, entries(b->dir) == 1 && entries(root) == 5);

    EXPECT(c, !run_open(c->a, &c->d, nowhere, root));
    REPORTED(c, "no model.model in it");
    EXPECT(c, !run_open(c->a, &c->d, nowhere, path_of(c, "nothing")));
    REPORTED(c, "there is no run folder");
    EXPECT(c, !run_create(c->a, &c->d, NULL, b->dir, "net", "x"));
    REPORTED(c, "holds a run already");
    put_text(c, "file", "x");
    EXPECT(c, !run_create(c->a, &c->d, path_of(c, "file"), NULL, "net", "x"));
    REPORTED(c, "cannot make the run folder", "a file of that name");
    EXPECT(c, !run_create(c->a, &c->d, "/proc/runs", NULL, "net", "x"));
    REPORTED(c, "cannot make the run folder '/proc/runs'");
    Run *given = run_create(c->a, &c->d, NULL, path_of(c, "a/b/mine/"), "net", "given");
    EXPECT(c, given && !strcmp(given->dir, path_of(c, "a/b/mine")) && run_is(given->dir));
}

/* A file that cannot grow leaves neither itself, nor a temporary, nor the folder. */
static void test_full(Check *c)
{
    char *big = arena_alloc(c->a, 1 << 16);
    memset(big, 'x', (1 << 16) - 1);
    struct rlimit was, small;
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = 1 << 12;
    signal(SIGXFSZ, SIG_IGN);
    const char *root = path_of(c, "full"), *kept = put_text(c, "kept", "old");
    setrlimit(RLIMIT_FSIZE, &small);
    EXPECT(c, !run_create(c->a, &c->d, root, NULL, "net", big));
    REPORTED(c, "cannot write", "net-1/model.model", "File too large");
    EXPECT(c, !file_write(&c->d, nowhere, kept, &(Bytes){big, 1 << 16}, 1));
    REPORTED(c, "cannot write");
    setrlimit(RLIMIT_FSIZE, &was);
    size_t n;
    EXPECT(c, access(root, F_OK) != 0 && !strcmp(get(c, kept, &n), "old"));
}

static void test_history(Check *c)
{
    size_t n;
    Run *r = run_create(c->a, &c->d, path_of(c, "h"), NULL, "net", "x");
    Figure f[] = {{"loss", 0.5}, {"accuracy", 0.25}};
    EXPECT(c, run_history(&c->d, r, 1, f, 2));
    f[0].value = 1.0 / 3;
    f[1].value = NAN;
    EXPECT(c, run_history(&c->d, r, 2, f, 2));
    EXPECT(c, !strcmp(get(c, r->history, &n),
                      "epoch,loss,accuracy\n1,0.5,0.25\n2,0.3333333333,\n"));
    Figure g[] = {{"loss", 3}, {"val_loss", 4}}; /* resumed after epoch 1, with validation */
    EXPECT(c, run_history(&c->d, r, 2, g, 2));
    EXPECT(c, !strcmp(get(c, r->history, &n),
                      "epoch,loss,accuracy,val_loss\n1,0.5,0.25,\n2,3,,4\n"));
    JsonField facts[] = {json_field_text("model", "n\"et"), json_field_integer("epochs", 10),
                         json_field_number("rate", 0.1), json_field_bool("ok", true),
                         json_field_number("nan", NAN), json_field_text("none", NULL)};
    EXPECT(c, run_describe(&c->d, r, facts, 6));
    EXPECT(c, !strcmp(get(c, r->json, &n),
                      "{\n  \"model\": \"n\\\"et\",\n  \"epochs\": 10,\n  \"rate\": 0.1,\n"
                      "  \"ok\": true,\n  \"nan\": null,\n  \"none\": null\n}\n"));
}

static void test_state(Check *c)
{
    TrainState s = {.epoch = 3, .step = 1407, .position = 128, .seed = -5, .target = "x86 avx512",
                    .model_hash = "0123abc", .learning_rate = 0.1, .has_best = true,
                    .best = 1.0 / 3, .best_epoch = 2, .wait = 1, .plateau_best = INFINITY,
                    .plateau_wait = 4, .cooldown = 5, .seconds = 1.5, .nsum = 2,
                    .sums = (RunningSum[]){{"loss", 0x1.123456789abcdp-3}, {"accuracy/0", 17}}};
    Weights w = {0};
    TrainState t;
    train_state_save(c->a, &w, &s);
    const char *path = path_of(c, "state.safetensors");
    EXPECT(c, weights_write(&c->d, nowhere, path, &w));
    Weights *r = weights_read(c->a, &c->d, nowhere, path);
    EXPECT(c, r && train_state_load(c->a, &c->d, nowhere, path, r, &t));
    EXPECT(c, t.epoch == 3 && t.step == 1407 && t.position == 128 && t.seed == -5);
    EXPECT(c, t.learning_rate == 0.1 && t.best == 1.0 / 3 && t.has_best && !t.has_plateau_best);
    EXPECT(c, t.plateau_best == INFINITY && t.wait == 1 && t.cooldown == 5 && t.seconds == 1.5);
    EXPECT(c, t.target && !strcmp(t.target, "x86 avx512") && !strcmp(t.model_hash, "0123abc"));
    EXPECT(c, t.nsum == 2 && t.sums[0].value == s.sums[0].value);
    EXPECT(c, t.nsum == 2 && !strcmp(t.sums[1].name, "accuracy/0"));
    Weights none = {0};
    EXPECT(c, !train_state_load(c->a, &c->d, nowhere, "f", &none, &t));
    REPORTED(c, "'f' has no state of a training", "train.epoch");
    for (int i = 0; i < w.notes.n; i++)
        if (!strcmp(w.notes.at[i].key, "train.step"))
            w.notes.at[i].value = "12x";
    EXPECT(c, !train_state_load(c->a, &c->d, nowhere, "f", &w, &t));
    REPORTED(c, "'train.step' is '12x'");
}

int main(void)
{
    Check c = check_begin();
    test_create(&c);
    test_full(&c);
    test_history(&c);
    test_state(&c);
    return check_end(&c);
}
