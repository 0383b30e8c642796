# What a row predicts does not depend on the rows beside it, and evaluation says what training said.
source "$(dirname "$0")/lib.bash"
# 300 pictures of bytes that look random, as IDX; any of them alone, and the first few.
LC_ALL=C awk 'BEGIN { s = 1; for (i = 0; i < 300*784; i++) { s = (s*16807) % 2147483647
    printf "%c", s % 7 < 3 ? 1 + int(s / 8421505) : 1 } }' >pixels
# pictures FILE FIRST COUNT
pictures() {
    { printf '\0\0\010\003'; printf "\\x$(printf %08x $3 | sed 's/../&\\x/g; s/..$//')"
      printf '\0\0\0\034\0\0\0\034'; tail -c +$(($2 * 784 + 1)) pixels | head -c $(($3 * 784)); } >$1
}
pictures all.idx 0 300
pictures few.idx 0 7
pictures alone.idx 263 1

for model in lstm gru bidirectional rnn cells mlp masked graph; do
    for dtype in float32 float64; do
        train run "$MODELS/$model.model" --dtype $dtype --epochs 1
        weft 0 predict run all.idx --quiet --json --threads 2
        grep prediction out | sed 's/"sample": *[0-9]*//' >all.txt
        [ "$(grep -c . all.txt)" -ge 300 ] || fail "$(grep -c . all.txt) predictions"
        per=$(($(grep -c . all.txt) / 300))
        for part in few:0:7 alone:263:1; do
            IFS=: read name first count <<<"$part"
            for engine in --threads=1 --interpret; do
                weft 0 predict run $name.idx --quiet --json $engine
                grep prediction out | sed 's/"sample": *[0-9]*//' >part.txt
                sed -n "$((first * per + 1)),$(((first + count) * per))p" all.txt |
                    cmp -s - part.txt || fail "$model: a row depends on the rows beside it"
            done
        done
        weft 0 predict run all.idx --quiet --out all.csv
        cp all.csv compiled.csv
        weft 0 predict run all.idx --quiet --out all.csv --interpret
        cmp -s all.csv compiled.csv || fail "$model: answers differ by the interpreter's"
    done
done
