# weft compile --multiversion: each version's bits are those of an object for its processor alone
# (so AVX2's and AVX-512's are the interpreter's), in every form of an object; who is chosen where.
source "$(dirname "$0")/lib.bash"
readonly names=(sse2 avx2 avx512) alone=(x86-64 x86-64-v3 x86-64-v4)
[ "$(uname -m)" = x86_64 ] || { echo "this machine is not x86-64"; exit 77; }
fitted_net
twenty_pictures
weft 0 predict run raw.idx --quiet --no-cache --interpret --out y.npy
tail -c 800 y.npy >interpreted.bin

# near FILE FILE: within 1e-5 of the largest.
near() {
    paste <(od -An -v -tf4 -w4 "$1") <(od -An -v -tf4 -w4 "$2") |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= worst)) worst = d
               if ($2 > most) most = $2 } END { exit !(NR > 0 && worst <= 1e-5 * most) }'
}

# program_of SOURCE.c FILE FLAG...: ./program from it and the object or library.
program_of() {
    gcc $flags -I. "$here/$1" "$2" -o program "${@:3}" || fail "$1 does not link with $2"
}

# ---- who is chosen ----
weft 0 compile run --multiversion -o net.o --report
out_has '^net for x86-64 \(sse2, avx2, avx512\)'
for name in "${names[@]}"; do
    out_has "^    of $name  +[0-9,]+"
done
nothing_missing net.o net
program_of versions.c net.o
./program >here || fail "the choice fails: $(cat here)"
best=$(cut -d: -f1 here)
want="$best:"
for v in 0 1 2; do
    [ "$v" -le "$best" ] && want+=' 0' || want+=' 3'
done
[ "$(cat here)" = "$want" ] || fail "asked for versions it answers $(cat here)"
level=0 # by what the kernel lists
has() { for f; do grep -qw "$f" <(grep -m1 ^flags /proc/cpuinfo) || return 1; done; }
has avx2 fma bmi1 bmi2 f16c movbe abm && level=1
[ $level = 1 ] && has avx512f avx512bw avx512cd avx512dq avx512vl && level=2
[ "$best" = "$level" ] || fail "version $best is chosen, and the processor can do $level"
g++ -x c++ $flags -I. "$here/versions.c" -x none net.o -o program || fail "C++ does not take it"
[ "$(./program)" = "$want" ] || fail "C++ gets another answer"
if command -v qemu-x86_64 >/dev/null; then
    gcc $flags -static -I. "$here/versions.c" net.o -o program || fail "no static program"
    for row in '0 qemu64' '0 Nehalem' '0 SandyBridge' '1 Haswell' '1 max' '0 Haswell,-fma' \
        '0 Haswell,-movbe' '0 Haswell,-bmi2' '0 Haswell,-abm' '0 Haswell,-xsave' '0 max,-avx2'; do
        got=$(qemu-x86_64 -cpu "${row#* }" ./program 2>/dev/null) || fail "on $row: $got"
        [ "${got%%:*}" = "${row%% *}" ] || fail "on ${row#* } version $got is chosen"
    done
else
    echo "no qemu-x86_64: the choice is tested on this processor only"
fi

# ---- what they compute ----
macros=()
# compared "ARGUMENTS" SOURCE.c OPTION...: what the program writes (to the argument OUT) with an
# object of $of for one processor, it writes with that version, too: left in NAME.bin of each.
compared() {
    local arguments=$1 source=$2 v
    shift 2
    for v in $(seq 0 "$best"); do
        weft 0 compile "${of-run}" --target "${alone[v]}" "$@" -o net.o
        program_of "$source" net.o "${macros[@]}"
        ./program ${arguments/OUT/${names[v]}.bin} >status || fail "${alone[v]}: $(cat status)"
    done
    weft 0 compile "${of-run}" --multiversion "$@" -o net.o
    nothing_missing net.o net
    tabled
    program_of "$source" net.o "${macros[@]}"
    for v in $(seq 0 "$best"); do
        VERSION=$v ./program ${arguments/OUT/got.bin} >status || fail "$v: $(cat status)"
        cmp -s got.bin "${names[v]}.bin" || fail "${names[v]} has other bits than ${alone[v]}"
    done
    for v in $(seq 2 "$best"); do
        cmp -s "${names[v]}.bin" avx2.bin || fail "${names[v]} and avx2 differ"
    done
}
compared '20 raw OUT' forms.c
[ "$(cat status)" = 0 ] || fail "the self test gives $(cat status)"
cp "${names[best]}.bin" best.bin
near sse2.bin interpreted.bin || fail "sse2 is not near the interpreter"
[ "$best" = 0 ] || cmp -s avx2.bin interpreted.bin || fail "avx2 has not the interpreter's bits"
if command -v qemu-x86_64 >/dev/null; then
    gcc $flags -static -I. "$here/forms.c" net.o -o program || fail "no static program"
    for row in '0 Nehalem' '1 Haswell'; do
        qemu-x86_64 -cpu "${row#* }" ./program 20 raw got.bin >status 2>/dev/null || fail "$row"
        [ "$(cat status)" = 0 ] || fail "on ${row#* } the self test gives $(cat status)"
        [ "${row%% *}" -gt "$best" ] || cmp -s got.bin "${names[${row%% *}]}.bin" ||
            fail "emulated, ${row#* } gives other bits"
    done
fi
weft 0 pack run -o net.weights
compared '20 raw OUT net.weights' pack.c --no-embed
weft 0 pack run -o net.weights --quantize int8
compared '20 raw OUT net.weights' pack.c --no-embed --quantize int8

# Libraries and text; what is stored once is.
weft 0 compile run -o net.o --json
constants=$(json compile constants)
weft 0 compile run --multiversion -o net.o --json
[ "$(json compile constants)" -lt $((constants + 6000)) ] ||
    fail "constants are $(json compile constants) bytes, of one version $constants"
[ "$(json compile code_sse2)" -gt 0 ] && [ "$(json compile code_avx512)" -gt 0 ] ||
    fail "code of versions: $(cat out)"
tabled
weft 0 compile run --multiversion -o libnet.a
weft 0 compile run --multiversion --shared -o ./libnet.so
[ -z "$(nm -uD libnet.so)" ] || fail "the shared library refers to something"
cp net.h table
weft 0 compile run --multiversion --emit asm
cp table net.h
gcc -c net.s -o assembled.o || fail "the assembly is not taken"
for form in libnet.a ./libnet.so assembled.o; do
    program_of forms.c $form -Wl,-rpath,.
    ./program 20 raw got.bin >status && cmp -s got.bin best.bin || fail "$form has other bits"
done
weft 0 compile run --multiversion --emit llvm
grep -q '^define i32 @net_select(' net.ll || fail "no net_select in LLVM's text"

# Batches of every size, on threads too; training; streams.
macros=(-DNET=net '-DNET_H="net.h"' -DIN=784 -DOUT=10 -DBATCH=NET_BATCH '-DSHAPE="28, 28"'
    -DBYTES=NET_PREDICT_BYTES -DTHREAD_BYTES=NET_PREDICT_THREAD_BYTES)
compared '40 x.npy OUT' predict.c --batch 33
g++ -x c++ $flags -I. "${macros[@]}" "$here/predict.c" -x none net.o -o program ||
    fail "C++ does not call through the table"
./program 40 x.npy got.bin && cmp -s got.bin "${names[best]}.bin" || fail "C++ gets other bits"

idx_net 1
macros=(-lm)
of=net.model compared '230 50 30 7 images labels OUT' train.c --train

cat >net.model <<'END'
data d = generate(64) { x = normal(0, 1, [9, 4]); y = normal(0, 1, [3]) }
model net { input x[9, 4]; LSTM(20); Dense(3) }
train { data = d; target = y; loss = mse; epochs = 1; batch_size = 32 }
END
weft 0 train net.model --quiet --run-dir waves
macros=(-DNET=net '-DNET_H="net.h"' -DIN=4 -DOUT=3 -DBYTES=NET_STATE_BYTES)
of=waves compared '30 x.csv OUT' stream.c --stream
cat >cross.c <<'END'
#include "net.h"
#include <string.h>
enum { STEPS = 20 };
static _Alignas(WEFT_ALIGN) unsigned char state[NET_STATE_BYTES];
int main(void)
{
    net_functions of[2];
    float x[STEPS][4], y[2][STEPS][3];
    if (net_select_version(&of[0], NET_AVX2) || net_select_version(&of[1], NET_AVX512))
        return 77;
    for (int i = 0; i < STEPS * 4; i++)
        x[i / 4][i % 4] = (float)(i % 7) / 7;
    for (int k = 0; k < 2; k++) /* the second time in the other version from step to step */
        for (int t = 0; t < STEPS; t++)
            if ((!t && of[0].reset(state)) || of[k * t % 2].step(state, x[t], y[k][t]))
                return 1;
    return memcmp(y[0], y[1], sizeof y[0]) != 0;
}
END
weft 0 compile waves --stream --multiversion -o net.o
gcc $flags -I. cross.c net.o -o program || fail "no program that goes from version to version"
./program
crossed=$?
[ $crossed = 0 ] || [ $crossed = 77 ] || fail "a state does not go on in another version: $crossed"

# ---- what is refused ----
for option in '--cpu haswell' '--features fma' --size; do
    weft 1 compile run --multiversion $option
    err_has '--multiversion has its own processors and loops: leave out --cpu, --features and --size'
done
weft 1 compile run --multiversion --target aarch64
err_has '--multiversion is for x86-64, and the target is aarch64'
weft 1 compile run --multiversion --target x86-64-v3
err_has '--target x86-64-v3 is one of the versions of --multiversion, which goes with x86-64'
weft 1 compile run --multiversion --target wasm32 --web page
err_has '--multiversion is for x86-64, and the target is wasm32'

# ---- other systems ----
for target in x86_64-windows x86_64-macos; do
    weft 0 compile run --multiversion --target $target -o other.o --json
    for name in "${names[@]}"; do
        [ "$(json compile "code_$name")" -gt 1000 ] || fail "$target: code of $name: $(cat out)"
    done
    [ "$(json compile helpers)" = '' ] || fail "$target: refers to $(json compile helpers)"
done
