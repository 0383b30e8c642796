# The forms of an object (static and shared library, assembly, LLVM's), its self test, the data's
# transforms, what it takes.
source "$(dirname "$0")/lib.bash"
fitted_net
twenty_pictures
weft 0 predict run raw.idx --quiet --no-cache --out y.npy

# answers WHAT FILE...: linked with these the program gives what weft predict gives.
answers() {
    local what=$1
    shift
    gcc $flags -I. "$here/forms.c" "$@" -o program || fail "$what does not link"
    rm -f y.bin
    ./program 20 raw y.bin >status || fail "$what: the program fails"
    [ "$(cat status)" = 0 ] || fail "$what: the self test gives $(cat status)"
    tail -c 800 y.npy | cmp -s - y.bin || fail "$what: other bits than weft predict"
}

weft 0 compile run -o net.o
grep -q 'standardize(image / 255, axis=none)' net.h || fail "the header has no transforms"
answers object net.o
# Weights that are not those compiled: the self test tells.
at=$(readelf -SW net.o | sed 's/\[ */[/' | awk '$2 == ".rodata" { print $5 }')
head -c 4096 /dev/zero | tr '\0' '\377' |
    dd of=net.o bs=1 seek=$((16#$at + 2048)) conv=notrunc status=none
gcc $flags -I. "$here/forms.c" net.o -o program || fail "the changed object does not link"
./program 20 raw y.bin >status
[ "$(cat status)" = 6 ] || fail "the self test of a changed object gives $(cat status)"

weft 0 compile run -o libnet.a
answers 'static library' libnet.a
weft 0 compile run --shared -o ./libnet.so
answers 'shared library' ./libnet.so -Wl,-rpath,.
[ -z "$(nm -uD libnet.so)" ] || fail "the shared library refers to something"
weft 0 compile run --emit asm
answers assembly net.s
weft 0 compile run --emit llvm
grep -q '^define i32 @net_predict(' net.ll || fail "no net_predict in LLVM's text"
if command -v clang-19 >/dev/null; then # another version may read another text
    clang-19 -march=native -c -fPIC -x ir net.ll -o ll.o 2>log || fail "$(cat log)"
    answers "LLVM's text" ll.o
fi
weft 0 compile run --no-self-test -o bare.o
[ -z "$(nm bare.o | grep self_test)" ] || fail "a self test that was not wanted"

# What it takes.
weft 0 compile run --report -o net.o
out_has '^  code  +[0-9,]+'
out_has '^  RAM in all  +[0-9,]+'
weft 0 compile run --json -o net.o
[ "$(json compile workspace)" = "$(header NET_WORKSPACE_BYTES)" ] || fail "another workspace"
[ "$(json compile code)" = $((16#$(size -A -x net.o | awk '$1 == ".text" { print substr($2, 3) }'))) ] ||
    fail "the code has $(json compile code) bytes, size says $(size -A -x net.o)"
# The code is generated on all cores, and has the same bytes on one; what its parts call of each
# other is local.
taskset -c "$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')" "$WEFT" compile run -o one.o
cmp net.o one.o || fail "on one core the object has other bytes"
nothing_missing net.o net
nm net.o | grep -q ' t predict\.' || fail "no function of predict"
rm net.o net.h
weft 1 compile run --max-ram 2k -o net.o
err_has 'this takes [0-9]+ bytes of RAM \(state 0, workspace [0-9]+, stack [0-9]+\), more than --max-ram 2k'
lacks net.o
lacks net.h
weft 0 compile run --max-ram 64M -o net.o
weft 1 compile run --max-ram much
err_has '--max-ram much: expected bytes, as 65536, 64k or 2M'
weft 1 compile run --emit elf
err_has '--emit elf: expected llvm or asm'
weft 1 compile run --emit asm --shared
err_has '--emit and --shared exclude each other'
mkdir none
PATH=none weft 1 compile run --shared -o other.so
err_has '--shared needs a linker: ld.lld'
lacks other.so
printf '#!/bin/sh\nexit 1\n' >none/ld.lld
chmod +x none/ld.lld
PATH=none:/bin weft 1 compile run --shared -o other.so
err_has '--shared: ld.lld failed'
lacks other.so
