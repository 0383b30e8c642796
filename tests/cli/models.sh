# The models that come with Weft: well formed, formatted, and every exact pass
# proven exact on their training graphs. MNIST is not here: digits stand in.
source "$(dirname "$0")/lib.bash"
models=${WEFT_MODELS:?the folder models/}
for m in "$models"/*.model; do
    weft 0 fmt --check "$m"
    sed 's|mnist("data/mnist")|digits(train=300, test=100)|' "$m" >model.model
    weft 0 check model.model
    weft 0 graph model.model --backward --check-bits
done
# The benchmark's models, which need no download.
for m in "$models"/bench/*.model; do
    weft 0 fmt --check "$m"
    weft 0 check "$m"
done
