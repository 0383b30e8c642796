/* Every mistake in a train or data block has its own message: the exact text of
 * the first one is checked, and that no second one follows from it. */
#include "sema_train.h"

static const char *const head =
    "data d = set()\n"
    "layer Pass { input x\n output x }\n"
    "layer Scale { input x\n param w[dim(x)] = ones\n output x * w }\n"
    "model net { input x[3]\n Scale() }\n";

typedef struct { const char *text, *message; } Case;

/* Lines of the train block. */
static const Case lines[] = {
    {"target = y\nloss = mse\nbatch_sice = 3\n",
     "a train block has no attribute 'batch_sice'; did you mean batch_size"},
    {"target = y\nloss = mse\nverbose = 1\n",
     "a train block has no attribute 'verbose': progress suits the terminal or log by itself; "
     "--json is for programs"},
    {"target = y\nloss = mse\nlearning_rate = 1\n",
     "a train block has no attribute 'learning_rate': it is an argument of the optimizer: "
     "optimizer = Adam(learning_rate=0.001)"},
    {"target = y\nloss = mse\nepochs = 1\nepochs = 2\n", "epochs is given twice"},
    {"target = y\nloss = mse\nepochs = 0\n", "epochs is 0; it must be at least 1"},
    {"target = y\nloss = mse\nbatch_size = -3\n", "batch_size is -3; it must be at least 1"},
    {"target = y\nloss = mse\nbatch_size = 601\n",
     "batch_size is 601, but there are only 600 training samples"},
    {"target = y\nloss = mse\nvalidation_split = 1.5\n",
     "validation_split is 1.5; it must be at least 0 and less than 1"},
    {"target = y\nloss = mse\nvalidation_split = 0.001\n",
     "validation_split = 0.001 of 600 samples is none"},
    {"target = y\nloss = mse\nvalidation_split = 0.1\nvalidation_data = d.test\n",
     "validation_data and validation_split cannot both be given"},
    {"target = y\nloss = mse\nvalidation_data = d\n",
     "validation_data is the training set itself; write d.test, or validation_split = 0.1"},
    {"target = y\nloss = mse\ndtype = float16\n",
     "dtype must be float32 or float64, found float16"},
    {"target = y\nloss = mze\n", "unknown loss 'mze'; did you mean 'mse'?"},
    {"target = y\nloss = mse\noptimizer = Adan\n",
     "unknown optimizer 'Adan'; did you mean 'Adam'?"},
    {"target = y\nloss = mse\noptimizer = Adam(beta_3=1)\n",
     "Adam has no argument 'beta_3'; did you mean 'beta_1'?"},
    {"target = y\nloss = mse\noptimizer = Adam(learning_rate=fast)\n", "unknown name 'fast'"},
    {"target = y\nloss = mse\noptimizer = SGD(clipnorm=1, clipvalue=1)\n",
     "only one of clipnorm, clipvalue and global_clipnorm can be given"},
    {"target = y\nloss = mse\noptimizer = Adam(learning_rate=0)\n",
     "learning_rate is 0; it must be positive"},
    {"target = y\nloss = mse\noptimizer = Adam(-0.1)\n",
     "learning_rate is -0.1; it must be positive"},
    {"target = y\nloss = mse\noptimizer = Adam(learning_rate=\"a\")\n",
     "learning_rate must be a number or an expression in step and epoch, not \"a\""},
    {"target = y\nloss = mse\noptimizer = Adam([0.1, 0.2])\n",
     "learning_rate must be one number, not [2]"},
    {"target = y\nloss = mse\noptimizer = SGD(momentum=1.5)\n",
     "momentum is 1.5; it must be at least 0 and less than 1"},
    {"target = y\nloss = mse\noptimizer = SGD(clipnorm=-1)\n",
     "clipnorm is -1; it must not be negative"},
    {"target = y\nloss = mse\noptimizer = SGD(gradient_accumulation_steps=2.5)\n",
     "gradient_accumulation_steps is 2.5; it must be a whole number"},
    {"target = y\nloss = mse\noptimizer = {scalle: SGD(), default: Adam()}\n",
     "optimizer: no layer 'scalle' has trainable parameters; did you mean scale"},
    {"target = y\nloss = mse\noptimizer = {other: SGD()}\n",
     "optimizer: no layer 'other' has trainable parameters"},
    {"target = y\nloss = mse\nmodel = 3\n", "model must be a name"},
    {"target = y\nloss = mse\noptimizer = {}\n", "no optimizer is given; write optimizer = Adam()"},
    {"target = z\nloss = mse\n", "the data has no field 'z'; its fields are x, y, label, wide"},
    {"target = lable\nloss = mse\n",
     "the data has no field 'lable'; did you mean label; its fields are x, y, label, wide"},
    {"target = label\nloss = mse\n", "the output is [3] but its target 'label' is []"},
    {"target = label\nloss = categorical_crossentropy\n",
     "the output is [3] but its target 'label' is []; write label = one_hot(label, 3) in the data "
     "block, or use the sparse_ form"},
    {"target = y\nloss = sparse_categorical_crossentropy\n",
     "the output is [3] but its target 'y' is [3]; the target must be the class's number, without "
     "a dimension of its own (categorical_crossentropy takes one_hot targets)"},
    {"target = wide\nloss = mse\n",
     "the output is [3] but its target 'wide' is [5]; the last layer should give 5 values"},
    {"target = y\nloss = mse\nbatch_size = 10000000000\n",
     "batch_size is 10000000000; the most is 2147483647"},
    {"target = y\nloss = mse\nvalidation_data = (x, y)\n",
     "validation_data must be a data block, not 2 values; write d.test, or validation_split = 0.1"},
    {"loss = mse\n",
     "there is a loss but no target; write target = FIELD (the data's fields are x, y, label, "
     "wide)"},
    {"target = y\n", "there is a target but no loss"},
    {"optimizer = Adam\n",
     "there is nothing to minimise; write loss = NAME, or add_loss in the model"},
    {"target = y\nloss = mse\nmetrics = [acuracy]\n",
     "unknown metric 'acuracy'; did you mean 'accuracy'?"},
    {"target = y\nloss = mse\nmetrics = [sparse_categorical_accuracy]\n",
     "sparse_categorical_accuracy needs a target of the shape [] for an output of the shape [3], "
     "found [3]"},
    {"target = {out: y}\nloss = mse\n", "target: the model has no output 'out'"},
    {"target = y\nloss = mse\nearly_stopping = EarlyStopping(patience=3)\n",
     "monitor=val_loss needs validation_data or validation_split"},
    {"target = y\nloss = mse\nvalidation_split = 0.5\nearly_stopping = EarlyStopping(patiense=3)\n",
     "EarlyStopping has no argument 'patiense'; did you mean patience"},
    {"target = y\nloss = mse\nvalidation_split = 0.5\n"
     "early_stopping = EarlyStopping(monitor=val_los)\n",
     "nothing is called 'val_los' here to be monitored; did you mean val_loss"},
    {"target = y\nloss = mse\nvalidation_split = 0.5\n"
     "early_stopping = EarlyStopping(monitor=val_loss, mode=best)\n",
     "mode is 'best'; it must be auto, min or max"},
    {"target = y\nloss = mse\nvalidation_split = 0.5\n"
     "callbacks = [ReduceLROnPlateau(factor=2)]\n",
     "factor is 2; it must lie between 0 and 1"},
    {"target = y\nloss = mse\ncallbacks = [ModelCheckpoint(\"best.keras\")]\n",
     "ModelCheckpoint is not needed: a run keeps the best and the last weights"},
    {"target = y\nloss = mse\ncallbacks = [EarlyStoping()]\n",
     "unknown callback EarlyStoping; did you mean EarlyStopping; there are EarlyStopping and "
     "ReduceLROnPlateau"},
    {"target = y\nloss = mse\nclass_weight = {7: 2}\n",
     "class_weight names class 7, but there are 3 classes"},
};

static const Case files[] = {
    {"data d = set()\nmetric two { input y_true, y_pred\n sum a = 1\n sum b = a * 2\n output b }\n"
     "model m { input x[3]\n output y = x }\n"
     "train { target = y\n loss = mse\n metrics = [two] }\n",
     "a sum cannot be made of other sums; compute from them in the output"},
    {"data d = set()\noptimizer Far(learning_rate=1) { slot m\n m[t] = m[t-2]\n update m[t] }\n"
     "layer Scale { input x\n param w[3] = ones\n output x * w }\n"
     "model m { input x[3]\n Scale() }\ntrain { target = y\n loss = mse\n optimizer = Far }\n",
     "a slot remembers one step: m[t-1], not m[t-2]; keep more in further slots"},
    {"data d = set()\nlayer Scale { input x\n param w[3] = ones\n output x * w }\n"
     "model m { input x[3]\n Scale()\n Scale() }\n"
     "train { target = y\n loss = mse\n optimizer = {scale_1: SGD()} }\n",
     "no optimizer is given for scale/w; add default: Adam()"},
    {"data d = nowhere()\nmodel m { input x[3]\n y = x\n output y }\n"
     "train { target = y\n loss = mse }\n", "unknown reader 'nowhere'"},
    {"data d = set()\nmodel m { input q[4]\n output y = q }\ntrain { target = y\n loss = mse }\n",
     "no field of the data 'd' fits the input 'q'; its fields are x [3], y [3], label [], "
     "wide [5]"},
    {"data d = set() { z = standardize(3) }\nmodel m { input x[3]\n output y = x }\n"
     "train { target = y\n loss = mse }\n",
     "standardize needs a value that depends on the sample"},
    {"data d = set()\nmodel m { input x[3]\n output y = standardize(x) }\n"
     "train { target = y\n loss = mse }\n",
     "standardize belongs to a data block: its mean and deviation are fitted to the training "
     "samples"},
    {"data d = set()\nmetric bad { input y_true, y_pred\n sum a = 1\n output a / y_pred }\n"
     "layer Scale { input x\n param w[3] = ones\n output x * w }\n"
     "model m { input x[3]\n Scale() }\ntrain { target = y\n loss = mse\n metrics = [bad] }\n",
     "'y_pred' belongs to a sample; a metric's output is computed from its sums when the epoch "
     "ends"},
    {"data d = set()\noptimizer Lazy(learning_rate=1) { slot m\n update -learning_rate * grad }\n"
     "layer Scale { input x\n param w[3] = ones\n output x * w }\n"
     "model m { input x[3]\n Scale() }\ntrain { target = y\n loss = mse\n optimizer = Lazy }\n",
     "the slot 'm' is never given its next value: m[t] = ..."},
    {"data d = set()\noptimizer Early(learning_rate=1) { slot m\n update m[t]\n m[t] = grad }\n"
     "layer Scale { input x\n param w[3] = ones\n output x * w }\n"
     "model m { input x[3]\n Scale() }\ntrain { target = y\n loss = mse\n optimizer = Early }\n",
     "m[t] is read before it is defined; m[t-1] is its value before this step"},
    {"data d = set()\noptimizer Still(learning_rate=1) { m = grad }\n"
     "layer Scale { input x\n param w[3] = ones\n output x * w }\n"
     "model m { input x[3]\n Scale() }\ntrain { target = y\n loss = mse\n optimizer = Still }\n",
     "the optimizer Still never updates the weight; write update e"},
};

static void error_case(Test *t, const char *text, const char *message)
{
    Unit *u = test_open(t, text);
    if (u && diag_ok(t->d)) { /* what only shows when the loss is expanded */
        unit_forward(u, FORWARD_train);
        u = NULL;
    }
    int mistakes = 0;
    for (int k = 0; k < t->d->messages.n; k++)
        mistakes += t->d->messages.at[k].kind != DIAG_note;
    if (u || mistakes != 1 || strcmp(t->d->messages.at[0].text, message) != 0)
        test_fail(t, message, text);
}

int main(void)
{
    static const DataField fields[] = {{"x", DT_f32, 1, {3}}, {"y", DT_f32, 1, {3}},
                                       {"label", DT_u8, 0, {0}}, {"wide", DT_f32, 1, {5}}};
    int failed = 0;
    size_t nline = sizeof lines / sizeof *lines, nfile = sizeof files / sizeof *files;
    for (size_t i = 0; i < nline + nfile; i++) {
        Test t = {0};
        test_begin(&t, fields, 4);
        if (i < nline)
            error_case(&t, arena_printf(t.a, "%strain {\n%s}\n", head, lines[i].text),
                       lines[i].message);
        else
            error_case(&t, files[i - nline].text, files[i - nline].message);
        failed += t.failed;
        arena_free(t.a);
    }
    return failed != 0;
}
