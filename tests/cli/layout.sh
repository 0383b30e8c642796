# Rows or features in the vector lanes: the same bits, and a choice that can be asked for.
source "$(dirname "$0")/lib.bash"
tiny_model
for layout in rows columns; do
    weft 0 train tiny.model --quiet --layout $layout --run-dir $layout --threads 2
done
same_bits rows/last.safetensors columns/last.safetensors
weft 0 train tiny.model --quiet --layout columns --run-dir one --threads 1
same_bits rows/last.safetensors one/last.safetensors
weft 1 train tiny.model --layout diagonal
err_has '--layout diagonal: expected rows or columns'
lacks runs

# A batch of 50 would fill 64 lanes: features take their place.
weft 0 train tiny.model --batch-size 50 --stop-after=layout
out_has 'columns 50'
weft 0 train tiny.model --batch-size 64 --stop-after=layout
out_lacks 'columns'
