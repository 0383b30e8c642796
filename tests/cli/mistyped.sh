# Slips on the command line: each has its message, exit 1, and nothing is written.
source "$(dirname "$0")/lib.bash"
tiny_model
weft 0 train tiny.model --run-dir run --epochs 1
says() { # says TEXT ARGUMENTS...
    local text=$1
    shift
    weft 1 "$@"
    err_has "error: .*$text"
    [ "$(grep -c error: err)" = 1 ] || fail "more than one message"
    lacks runs
}
# commands
says "there is no command 'trian'; did you mean 'train'\?" trian tiny.model
says "there is no command 'frobnicate'; weft help lists them" frobnicate
says "'tiny.model' is no command; write for example: weft train tiny.model" tiny.model
says "there is no command, definition or reader 'LSTN'; did you mean 'LSTM'\?" help LSTN
# arguments
says "weft train takes one FILE.model, or --resume RUN" train
says "weft train takes one FILE.model" train tiny.model tiny.model
for command in summary data gradcheck graph; do
    says "weft $command takes one FILE.model, found 2 arguments" "$command" tiny.model tiny.model
done
says "weft evaluate takes one FILE.model or run folder, found 0 arguments" evaluate
says "weft predict takes a FILE.model or run folder and then one or more files of samples" predict run
says "weft fmt takes one or more files, or - for stdin" fmt
says "cannot read 'nowhere.model'" check nowhere.model
# options
says "weft train has no option --epoch; did you mean --epochs\?" train tiny.model --epoch 3
says "weft train has no option --frobnicate; weft help train lists them" train tiny.model --frobnicate
says "there is no option -e; options are spelled with two dashes" train tiny.model -e 3
says "--epochs needs a value: --epochs N" train tiny.model --epochs
says "--json takes no value, found '3'" train tiny.model --json=3
says "--threads 0: expected an integer from 1 to 4096" train tiny.model --threads 0
says "--seed x: expected an integer" train tiny.model --seed x
says "--seed 99999999999999999999: expected an integer from 0 to 2147483647" train tiny.model --seed 99999999999999999999
says "--dtype half: expected float32 or float64" train tiny.model --dtype half
says "--emit-dump all: expected kernel, llvm or asm" train tiny.model --emit-dump all
# settings
says "--set train.epochs: expected NAME=VALUE, as in --set train.epochs=2" train tiny.model --set train.epochs
says "--set train.epoch: nothing has this name; did you mean 'train.epochs'\?" train tiny.model --set train.epoch=2
says "--set train.optimizer.learningrate: nothing has this name; did you mean 'train.optimizer.learning_rate'\?" train tiny.model --set train.optimizer.learningrate=2
says "unexpected \`8\`, expected the end of the line" train tiny.model --set 'train.epochs=8 8'
says "epochs is -1; it must be at least 1" train tiny.model --epochs=-1
says "batch_size must be a whole number, found 10.5" train tiny.model --batch-size 10.5
says "learning_rate is -1; it must be positive" train tiny.model --learning-rate=-1
says "the file has no model 'tinny'" train tiny.model --model tinny
says "the file has no train 'fine'" train tiny.model --train fine
# runs and weights
says "there is no run folder 'nowhere'" train tiny.model --resume nowhere
says "'.' is no run folder: there is no model.model in it" train tiny.model --resume .
says "--resume goes on with the weights, folder and seed of the run" train tiny.model --resume run --seed 3
says "tiny.model brings no weights: give a run folder, or --weights" evaluate tiny.model
mkdir empty && cp run/model.model run/run.json empty
says "empty holds no weights yet \(neither best nor last.safetensors\)" evaluate empty
sed 's/tanh/relu/; s/LSTM(4)/LSTM(4, activation=relu)/' tiny.model >relu.model
says "run/last.safetensors was trained with another model than relu.model is now" train relu.model --resume run
# evaluate, predict, gradcheck, graph
says "--split validaton: expected train, validation or test; did you mean '?validation'?\?" evaluate run --split validaton
says "--split validation: the train block sets no part aside" evaluate run --split validation --set train.validation_split=0
sed 's/test=50/test=0/' tiny.model >untested.model
says "--split test: the data have no test part" evaluate untested.model --weights run --split test
sed '/^train/,$d' tiny.model >plain.model
says "plain.model has no train block: nothing says what its loss and metrics are" evaluate plain.model --weights run
says "plain.model has no train block: nothing says how to train it" train plain.model
says "--backward: plain.model has no train block" graph plain.model --backward
sed '/^data/,/^}/d' plain.model >bare.model
says "there is nothing to check: no definitions and no train block with data" gradcheck bare.model
says "file names (none|no data)" data bare.model
says "cannot read 'nowhere.png'" predict run nowhere.png
head="{'descr': '|u1', 'fortran_order': False, 'shape': (1, 28, 28), }"
size=$(printf '\\x%02x' $((${#head} + 1)))
{ printf "\x93NUMPY\x01\x00$size\x00%s\n" "$head"; head -c 784 /dev/zero; } >zero.npy
weft 0 predict run zero.npy
says "--out x.txt: expected a name that ends in .csv or .npy" predict run zero.npy --out x.txt
lacks x.txt
