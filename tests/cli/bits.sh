# Compiled code and the reference interpreter train to the same bits, for any
# number of threads: several networks, every optimizer.
source "$(dirname "$0")/lib.bash"
tiny_model
check() { # NAME ARGUMENTS...
    local name=$1
    shift
    weft 0 train "$name.model" --quiet --epochs 1 --run-dir i --interpret "$@"
    for threads in 1 2 3; do
        weft 0 train "$name.model" --quiet --epochs 1 --run-dir c$threads --threads $threads "$@"
        same_bits i/last.safetensors c$threads/last.safetensors
    done
    rm -rf i c1 c2 c3
}
network() { sed "s/LSTM(4)/$1/" tiny.model >net.model; }
check tiny
check tiny --dtype float64
for optimizer in 'SGD()' 'SGD(momentum=0.9, nesterov=true)' 'Adagrad()' 'Adadelta()' 'RMSprop()' \
    'RMSprop(momentum=0.5, centered=true)' 'Adamax()' 'Nadam()' 'Adam(amsgrad=true)' \
    'Adam(global_clipnorm=0.5)' 'Adam(clipnorm=0.1, weight_decay=0.01)'; do
    check tiny --set "train.optimizer=$optimizer"
done
for layers in 'SimpleRNN(5)' 'GRU(3)' 'Bidirectional(LSTM(3))' \
    'LSTM(3, return_sequences=true); LSTM(4)' \
    'Flatten(); Dense(7, activation=relu); Dropout(0.5)' \
    'LSTM(4, dropout=0.2, recurrent_dropout=0.3)' 'LSTM(3, go_backwards=true)'; do
    network "$layers"
    check net
done
