source "$(dirname "$0")/lib.bash"
tiny_model
weft 1 train tiny.model $ENGINE --batch-size 500
err_has 'batch_size is 500, but there are only 160 training samples'
lacks runs
sed '/^train/,$d' tiny.model >plain.model
weft 1 train plain.model $ENGINE
err_has 'no train block'
weft 1 train tiny.model $ENGINE --run-dir /proc/nowhere
err_has '/proc/nowhere'
weft 1 train tiny.model $ENGINE --set train.optimizer=Adm
err_has 'Adam'
weft 1 train tiny.model $ENGINE --set train.validation_split=1.5
err_has 'validation_split'

# A loss that is not finite names the operation that made it.
nan_model
weft 1 train nan.model $ENGINE --run-dir bad
err_has 'nan.model:9:[0-9]+: error: the loss is NaN in epoch 1, step 1.*log'
lacks bad/last.safetensors

# Too large for memory: said before anything is allocated.
sed 's/LSTM(4)/Flatten(); Dense(200000000)/' tiny.model >huge.model
weft 1 train huge.model $ENGINE
err_has 'memory'
weft 1 compile tiny.model
err_has 'tiny.model brings no weights'
