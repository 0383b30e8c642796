# An installed Weft, found by a CMake project that takes a model into its program, and by
# pkg-config.
source "$(dirname "$0")/lib.bash"
deploy=${WEFT_MODELS:?}/deploy
cmake --install "${WEFT_BUILD:?}" --prefix "$work/there" >log 2>&1 || fail "$(tail -n 5 log)"
WEFT=$work/there/bin/weft
weft 0 train "$deploy/digits.model" --quiet --epochs 1 --set hand.train=100 --set hand.test=20 \
    --run-dir run
{ printf '\0\0\010\003\0\0\0\024\0\0\0\034\0\0\0\034'; head -c 15680 "$WEFT"; } >x.idx

# configure FOLDER ARGUMENT...: into build, what it says into log.
configure() {
    local folder=$1
    shift
    rm -rf build
    cmake -S "$folder" -B build -DCMAKE_PREFIX_PATH="$work/there" "$@" >log 2>&1
}

configure "$deploy/cmake" -DDIGITS="$work/run" || fail "$(cat log)"
cmake --build build >log 2>&1 || fail "$(cat log)"
build/classify x.idx >got || fail "the program fails"
weft 0 predict run x.idx --quiet --no-cache --out y.csv
tail -n +2 y.csv | cut -d, -f-2 | cmp -s - <(cut -d, -f-2 got) || fail "other classes"
{ printf '\0\0\010\001\0\0\0\024'; head -c 20 /dev/zero; } >y.idx
build/learn w x.idx y.idx 2 >out || fail "the program that learns fails"
out_has '^loss'
cmake --build build -v >log 2>&1 || fail "$(cat log)"
! grep -q 'weft compile' log || fail "it compiles again for nothing"
touch run/best.safetensors
cmake --build build -v >log 2>&1 || fail "$(cat log)"
grep -q 'weft compile' log || fail "new weights compile nothing"

# A library for another program, of a run folder, with what else there is to say.
mkdir p
cp -r run p/net
echo '#include "net.h"
int size(void) { return DIGITS_OPTIMIZER_BYTES + DIGITS_BATCH; }' >p/size.c
echo 'int size(void); int main(void) { return size() < 7; }' >p/main.c
project() {
    { echo 'cmake_minimum_required(VERSION 3.25)
project(p LANGUAGES C)
find_package(Weft 0.1 REQUIRED)
add_library(size STATIC size.c)
add_executable(main main.c)
target_link_libraries(main PRIVATE size)'
      cat; } >p/CMakeLists.txt
}
project <<<'weft_add_model(size net TRAIN BATCH 7 SIZE OPTIONS --dtype float64)'
configure p || fail "$(cat log)"
cmake --build build >log 2>&1 || fail "$(cat log)"
build/main || fail "the program fails"
grep -q 'double \*image' build/weft/size/net.h || fail "OPTIONS are not passed on"

# refused TEXT MESSAGE [ARGUMENT...]
refused() {
    local message=$2
    project <<<"$1"
    shift 2
    configure p "$@" && fail "this configures: $(tail -n 1 p/CMakeLists.txt)"
    tr -s ' \n' ' ' <log | grep -qF -- "$message" || fail "no '$message' in $(cat log)"
}
refused 'weft_add_model(small net)' 'there is no target small'
refused 'weft_add_model(size net WEIGHT x)' "what does 'WEIGHT;x' mean? There are WEIGHTS, NAME"
refused 'weft_add_model(size net BATCH)' "what does 'BATCH' mean?"
refused 'weft_add_model(size other.model)' 'p/other.model'
refused 'weft_add_model(size net WEIGHTS w)' 'p/w'
mkdir p/empty
refused 'weft_add_model(size empty)' 'is not a finished run folder'
refused 'weft_add_model(size net)' 'TARGET is missing' -DCMAKE_SYSTEM_NAME=Generic \
    -DCMAKE_C_COMPILER_WORKS=1
refused 'find_package(Weft 7 REQUIRED)' 'compatible with requested version "7"'

# pkg-config
export PKG_CONFIG_PATH=$work/there/lib/pkgconfig
[ "$(pkg-config --modversion weft)" = "$(weft 0 --version; grep -oE '[0-9.]+' out | head -n 1)" ] ||
    fail "pkg-config has another version than weft"
"$(pkg-config --variable=weft weft)" compile run -o digits.o || fail "pkg-config has no compiler"
gcc -O1 -I. $(pkg-config --cflags weft) "$deploy/classify.c" digits.o $(pkg-config --libs weft) \
    -o classify || fail "no program with pkg-config"
./classify x.idx | cut -d, -f-2 | cmp -s - <(cut -d, -f-2 got) || fail "other classes"

# Without its program an installed package says so.
rm there/bin/weft
refused 'weft_add_model(size net)' 'there is no'
