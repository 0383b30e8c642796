# The example without a system, as its head says, on an emulated Cortex-M7: the answers of weft
# predict --stream.
source "$(dirname "$0")/lib.bash"
for tool in arm-none-eabi-gcc qemu-system-arm; do
    command -v $tool >/dev/null || { echo "no $tool here"; exit 77; }
done
deploy=${WEFT_MODELS:?}/deploy
weft 0 train "$deploy/stream.model" --quiet --epochs 2 --set waves.count=600 --run-dir run
weft 0 compile run --stream --target cortex-m7 --size --max-ram 32k -o stream.o
arm-none-eabi-gcc -mcpu=cortex-m7 -mfloat-abi=hard -O2 -nostdlib -ffreestanding -Wall -Wextra \
    -Werror -I. -T "$deploy/bare.ld" "$deploy/bare.c" stream.o -o bare.elf 2>log ||
    fail "the example is not built: $(cat log)"
timeout 60 qemu-system-arm -M mps2-an500 -nographic -monitor none -serial none \
    -semihosting-config enable=on,target=native -kernel bare.elf </dev/null >got 2>&1 ||
    fail "the example fails: $(cat got)"
awk 'BEGIN { for (t = 0; t < 48; t++) print t % 12 < 6 ? -1 : 1 }' >wave.csv
weft 0 predict run --stream --quiet <wave.csv
tail -n +2 out | awk -F, '{ best = 2; for (k = 3; k <= 4; k++) if ($k > $best) best = k
    split("sine square saw-tooth", name, " "); print NR - 1, name[best - 1], $best }' >want
[ "$(wc -l <want)" = 48 ] || fail "$(wc -l <want) answers of weft predict"
# Three decimals here, all of them there.
paste -d' ' got want | awk '{ d = $3 - $6; if ($1 != $4 || $2 != $5 || d * d > 0.0006 ^ 2) bad = 1 }
    END { exit bad || NR != 48 }' || fail "other answers: $(paste got want)"
