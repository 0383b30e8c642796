# Compiled code is kept and found again; LLVM is loaded only to compile.
source "$(dirname "$0")/lib.bash"
tiny_model

# train NAME ARGUMENTS...: a training into folder NAME, with the cache in folder c.
train() {
    local name=$1
    shift
    rm -rf "$name"
    weft 0 train tiny.model --json --run-dir "$name" --cache-dir c "$@"
}
cached() { [ "$(json start from_cache)" = "$1" ] || fail "from_cache is not $1"; }
entries() { find c -name '*.weft' | sort; }
# loads ARGUMENTS...: whether a command opens LLVM's library.
loads() { LD_DEBUG=files "$WEFT" "$@" 2>&1 >/dev/null | grep -q 'libLLVM.*needed'; }

# A second run compiles nothing and gives the same bits as a first one and as the interpreter.
train first
cached false
[ "$(stat -c %a c)" = 700 ] || fail "others may look into the cache"
[ "$(entries | wc -l)" -eq 2 ] || fail "training step and evaluation are not two entries"
train second
cached true
same_bits first/last.safetensors second/last.safetensors
train anew --no-cache
cached false
same_bits first/last.safetensors anew/last.safetensors
train slow --interpret
same_bits first/last.safetensors slow/last.safetensors
[ "$(sed -n 's/.*"target": *"\([^"]*\)".*/\1/p' first/run.json)" = \
  "$(sed -n 's/.*"target": *"\([^"]*\)".*/\1/p' second/run.json)" ] || fail "the targets differ"
weft 0 train tiny.model --run-dir words --cache-dir c
err_has 'code from the cache in [0-9]+ ms for x86-64'

# What is compiled decides: another batch size does not, another width does.
train other --batch-size 16
cached true
sed 's/LSTM(4)/LSTM(5)/' tiny.model >wide.model
weft 0 train wide.model --json --run-dir wide --cache-dir c
cached false
rm -rf c wide

# To look inside, it is compiled.
train first
for how in --debug --emit-dump=kernel; do
    train inside $how
    cached false
    same_bits first/last.safetensors inside/last.safetensors
done

# Damaged, cut and foreign entries are made anew.
mkdir whole
cp c/*.weft whole
damage() {
    for entry in $(entries); do "$1" "$entry"; done
    train again
    cached false
    same_bits first/last.safetensors again/last.safetensors
    for entry in $(entries); do
        cmp -s "$entry" "whole/${entry#c/}" || fail "$entry was not made anew after: $1"
    done
    train again
    cached true
}
flip() { printf '\377' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") / 2)) conv=notrunc 2>dd.txt; }
cut() { truncate -s $(($(stat -c %s "$1") / 2)) "$1"; }
empty() { : >"$1"; }
noise() { head -c 5000 /dev/urandom >"$1"; }
swap() { cp "$(find whole -name '*.weft' | grep -v "${1#c/}")" "$1"; }
away() { rm "$1"; ln -s /dev/zero "$1"; }
for how in flip cut empty noise swap away; do damage $how; done

# Several processes that find it empty.
rm -rf c
for i in 1 2 3; do
    "$WEFT" train tiny.model --quiet --run-dir "at$i" --cache-dir c 2>"at$i.err" &
done
wait
for i in 1 2 3; do same_bits first/last.safetensors "at$i/last.safetensors"; done
[ "$(find c -type f | wc -l)" -eq 2 ] || fail "something else was left in the cache"
train again
cached true

# The default place; without any, it works all the same.
XDG_CACHE_HOME=$PWD/home "$WEFT" train tiny.model --quiet --run-dir xdg
exists home/weft
(unset XDG_CACHE_HOME; HOME=$PWD/me "$WEFT" train tiny.model --quiet --run-dir home-run)
exists me/.cache/weft
(unset XDG_CACHE_HOME HOME; "$WEFT" train tiny.model --quiet --run-dir none 2>err) ||
    fail "without a home"
nothing_on_stderr

# Where there is no room it works all the same, and leaves nothing behind.
(ulimit -f 16; "$WEFT" train tiny.model --quiet --run-dir full --cache-dir small 2>err) ||
    fail "a full disk"
nothing_on_stderr
[ -z "$(find small -type f)" ] || fail "a part of the code was kept"
same_bits first/last.safetensors full/last.safetensors

# A folder that is not safe, or none, is said and not used.
mkdir -m 777 open
weft 0 train tiny.model --run-dir o1 --cache-dir open
err_has 'warning: compiled code is not kept in open: other users may write there'
[ -z "$(ls open)" ] || fail "the unsafe folder was used"
weft 0 train tiny.model --run-dir o2 --cache-dir tiny.model/x
err_has 'compiled code is not kept in tiny.model/x: Not a directory'
weft 0 train tiny.model --run-dir o3 --cache-dir tiny.model
err_has 'compiled code is not kept in tiny.model: it is a file'

# LLVM is loaded to compile, and for nothing else.
loads train tiny.model --run-dir x1 --no-cache || fail "compiling does not load LLVM?"
! loads train tiny.model --run-dir x2 --cache-dir c || fail "LLVM is loaded for cached code"
! loads train tiny.model --run-dir x3 --interpret || fail "LLVM is loaded to interpret"
! loads check tiny.model || fail "LLVM is loaded to check"
! loads summary tiny.model || fail "LLVM is loaded for a summary"
! loads graph tiny.model --backward || fail "LLVM is loaded for a graph"

# Compile time does not depend on the length of the sequence: 28 steps against 2,800.
for t in 28 2800; do
    cat >long.model <<END
data d = generate(64, seed=1) { x = uniform(0, 1, [$t, 4]) }
model long { input x[$t, 4]; LSTM(8); Dense(4) }
train { data = d; target = x[0]; loss = mse; epochs = 1; batch_size = 32 }
END
    for i in 1 2 3 4 5; do
        weft 0 train long.model --json --no-cache --run-dir "long$t$i"
        json start compile_seconds
    done | sort -g | head -n 1 >"time$t"
done
awk -v a="$(cat time28)" -v b="$(cat time2800)" 'BEGIN { exit b > 1.5 * a + 0.05 }' ||
    fail "compiling takes $(cat time28) s at T = 28 and $(cat time2800) s at T = 2800"

# Where the compiler is not beside the program; what is in the cache still runs.
mkdir alone
cp "$WEFT" alone/weft
code=0
alone/weft train tiny.model --run-dir y1 --no-cache >out 2>err || code=$?
[ $code -eq 1 ] || fail "without its compiler"
err_has 'the compiler cannot be loaded: there is no lib/weft/emit.so'
printf 'not a library' >alone/emit.so
mkdir -p alone/lib/weft && mv alone/emit.so alone/lib/weft
code=0
alone/weft train tiny.model --run-dir y2 --no-cache >out 2>err || code=$?
[ $code -eq 1 ] || fail "with another file for its compiler"
err_has 'the compiler cannot be loaded: .*emit.so'

# A system that denies executable memory (prctl 157, PR_SET_MDWE 65), where it can be told to.
command -v perl >perl.txt && [ "$(uname -m)" = x86_64 ] &&
    perl -e 'exit(syscall(157, 65, 1, 0, 0, 0) != 0)' || exit 0
cat >denied.pl <<'END'
syscall(157, 65, 1, 0, 0, 0);
exec @ARGV;
END
for more in "--cache-dir c" --no-cache; do
    code=0
    perl denied.pl "$WEFT" train tiny.model --run-dir z1 $more >out 2>err || code=$?
    [ $code -eq 1 ] || fail "exit code $code where memory cannot be executable"
    err_has 'this system does not let a program run code that it made: Permission denied'
done
perl denied.pl "$WEFT" train tiny.model --quiet --run-dir z2 --interpret || fail "interpreted"
same_bits first/last.safetensors z2/last.safetensors
