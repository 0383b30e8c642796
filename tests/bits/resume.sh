# A training that was stopped, between epochs or by a signal in the midst of one, goes on to the
# bit: weights, optimizer, random numbers, figures, early stopping, schedules. Also on another
# number of threads.
source "$(dirname "$0")/lib.bash"
# In parts: 1 epoch, 2 more, the rest.
for model in gru mlp stateful masked; do
    options="--set train.shuffle=true"
    train whole "$MODELS/$model.model" $options --epochs 5 --threads 1
    train parts "$MODELS/$model.model" $options --epochs 1 --threads 2
    weft 0 train $options --quiet --resume parts --epochs 3 --threads 3
    weft 0 train $options --quiet --resume parts --epochs 5 --threads 1
    same_runs whole parts
done

# What counts epochs and steps: schedules, plateaus, early stopping, averages of weights,
# gradients that are summed over batches.
counting=(
    "train.optimizer=SGD(CosineDecay(0.1, decay_steps=60), momentum=0.9)"
    "train.reduce_lr=ReduceLROnPlateau(monitor=val_loss, factor=0.3, patience=1, min_delta=0.2)"
    "train.optimizer=Adam(0.05 / (1 + epoch), use_ema=true, ema_momentum=0.9)"
    "train.optimizer=Adam(0.01, gradient_accumulation_steps=7, global_clipnorm=1)"
    "train.early_stopping=EarlyStopping(monitor=val_loss, patience=3, min_delta=0.1)"
)
for setting in "${counting[@]}"; do
    train whole "$MODELS/mlp.model" --set "$setting" --epochs 6
    train parts "$MODELS/mlp.model" --set "$setting" --epochs 2
    weft 0 train --quiet --resume parts --epochs 3
    weft 0 train --quiet --resume parts --epochs 6
    same_runs whole parts
done
