# predict of objects: C and C++ programs, two compilers, the bits of weft predict.
source "$(dirname "$0")/lib.bash"
trained_net 200 1 'image / 255' 'LSTM(20, return_sequences=true)' 'GRU(12)'
for batch in 1 8 32 70; do
    weft 0 compile run --batch $batch -o net.o
    nothing_missing net.o net
    build gcc predict.c net image output '28, 28'
    same_answers run
done
build clang predict.c net image output '28, 28'
same_answers run
build 'g++ -x c++' predict.c net image output '28, 28' -x none
same_answers run
# Weights beside a model file, and an object named by the model.
weft 0 compile net.model --weights run/best.safetensors
[ -s net.o ] && [ -s net.h ] || fail "no net.o and net.h"
same_answers run
weft 1 compile net.model -o other.o
err_has 'brings no weights'
[ ! -e other.o ] || fail "an object without weights"
weft 1 compile run -o nowhere/net.o
err_has "cannot write 'nowhere/net.o'"
weft 1 compile run net.model
err_has 'weft compile takes one FILE.model or run folder, found 2 arguments'
# A run-time length needs a bound.
cat >long.model <<'END'
model long { input x[time, 2]; GRU(3); Dense(2) }
END
weft 1 compile long.model --no-embed -o long.o
err_has 'the length time has no bound, and an object needs one'
lacks long.o
