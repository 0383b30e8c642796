# The example without a system, as its head says, on an emulated Cortex-M7: the answers of weft
# predict --stream, bit for bit.
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
cat >bits.c <<'END'
#include <stdio.h>
#include <string.h>
int main(void)
{
    static const char *const name[] = {"sine", "square", "saw-tooth"};
    float y[3];
    for (int t = 0; scanf("%*d,%f,%f,%f", &y[0], &y[1], &y[2]) == 3; t++) {
        unsigned bits[3];
        int best = y[1] > y[0];
        best = y[2] > y[best] ? 2 : best;
        memcpy(bits, y, sizeof bits);
        printf("%d %s %.9f %08x %08x %08x\n", t, name[best], y[best], bits[0], bits[1], bits[2]);
    }
}
END
gcc $flags bits.c -o bits && tail -n +2 out | cut -d, -f1-4 | ./bits >want
[ "$(wc -l <want)" = 48 ] || fail "$(wc -l <want) answers of weft predict: $(cat out)"
cut -d' ' -f1,2,4- want | diff - <(cut -d' ' -f1,2,4- got) || fail "the device answers otherwise"
# Three decimals, rounded there without a library.
paste -d' ' got want | awk '{ d = $3 - $9; if (d * d > 0.000501 ^ 2) bad = 1 } END { exit bad }' ||
    fail "other decimals: $(paste got want)"
