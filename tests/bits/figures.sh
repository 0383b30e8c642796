# Evaluation gives the figures that training printed, and predicted classes the accuracy.
source "$(dirname "$0")/lib.bash"
for model in gru mlp stateful graph; do
    for part in validation test; do
        cp "$MODELS/$model.model" net.model
        [ $part = validation ] ||
            sed -i 's/validation_split = 0.1/validation_data = hand.test/' net.model
        rm -rf run
        weft 0 train net.model --json --run-dir run
        grep '"epoch":' out | tail -n 1 >epoch.txt
        weft 0 evaluate run --json --split $part --weights run/last.safetensors --threads 1
        for figure in $(grep -oE '"val_[a-z_]*"' epoch.txt | tr -d '"'); do
            trained=$(grep -oE "\"$figure\": *[^,}]*" epoch.txt | sed 's/.*: *//')
            [ "$trained" = "$(json evaluate ${figure#val_})" ] ||
                fail "$model, $part: $figure is $trained in training"
        done
    done
done
