# --web: the loader's answers in node, a page in headless Chromium that knows drawn digits, messages.
source "$(dirname "$0")/lib.bash"
trained_net 6000 6 'standardize(image / 255, axis=none)' 'LSTM(40)'
weft 1 compile net.model --no-embed --web page
err_has '--web and --no-embed exclude each other'
weft 1 compile run --web page
err_has '--web goes with --target wasm32 or wasm32-simd'
weft 1 compile run --target wasm32 --web page -o net.o
err_has '--web and --out exclude each other'
weft 1 compile run --target wasm32 --web nowhere/page
err_has "--web: cannot make the folder 'nowhere/page'"
touch file
weft 1 compile run --target wasm32 --web file
err_has "cannot write 'file/"
last_command="weft compile without a linker" code=0
PATH=$work/nothing "$WEFT" compile run --target wasm32 --web page >out 2>err || code=$?
[ "$code" -eq 1 ] || fail "exit code $code"
err_has '--web needs a linker: wasm-ld'
mkdir failing
printf '#!/bin/sh\nexit 3\n' >failing/wasm-ld
chmod +x failing/wasm-ld
PATH=$work/failing:$PATH weft 1 compile run --target wasm32 --web page
err_has '--web: wasm-ld failed'
lacks page

command -v wasm-ld >/dev/null || command -v wasm-ld-19 >/dev/null ||
    { echo "no wasm-ld here: the module is not linked"; exit 77; }
mkdir -p full/net.js # where a file cannot go
weft 1 compile run --target wasm32 --web full
err_has "cannot write 'full/net.js'"
[ "$(ls -A full)" = net.js ] || fail "left behind: $(ls -A full)"

command -v node >/dev/null || { echo "no node here: the loader is not run"; exit 77; }
twenty_pictures
weft 0 predict run raw.idx --quiet --no-cache --out y.npy
tail -c 800 y.npy >want.bin
for options in '--target wasm32' '--target wasm32 --features +simd128' \
    '--target wasm32-simd --batch 7'; do
    rm -rf page
    weft 0 compile run $options --web page
    [ "$(ls -A page | tr '\n' ' ')" = 'index.html net.d.ts net.js net.wasm ' ] ||
        fail "written: $(ls -A page)"
    cp page/net.js net.mjs # node goes by the name's ending
    node "$here/web_node.mjs" ./net.mjs page/net.wasm image 20 raw got.bin 2>err ||
        fail "$options: the loader fails"
    paste <(od -An -v -tf4 -w4 got.bin) <(od -An -v -tf4 -w4 want.bin) |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > worst || d != d) worst = d
               if ($2 > most) most = $2 }
             END { exit !(NR == 200 && worst <= 1e-5 * most) }' ||
        fail "$options: other answers than weft predict's"
done

# A run-time length is that of the values.
cat >long.model <<'END'
data made = generate(200, test=20, seed=1) { x = normal(0, 1, [9, 2]); y = uniform(0, 1, [2]) }
model long { input x[time<=20, 2]; LSTM(5); Dense(2) }
train { data = made; target = y; loss = mse; optimizer = Adam(0.01); epochs = 1; batch_size = 20 }
END
weft 0 train long.model --quiet --run-dir longrun
weft 0 compile longrun --target wasm32 --web long
cp long/net.js long.mjs
cat >long_test.mjs <<'END'
import { readFileSync, writeFileSync } from "node:fs";
import { load } from "./long.mjs";
const x = Float32Array.from({ length: 18 }, (_, i) => i / 9), net = await load(readFileSync("long/net.wasm"));
const head = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 9, 2), }".padEnd(117) + "\n";
writeFileSync("x.npy", Buffer.concat([Buffer.from("\x93NUMPY\x01\x00v\x00", "latin1"),
                                      Buffer.from(head), Buffer.from(x.buffer)]));
writeFileSync("got.bin", Buffer.from(net.predict(x).output.buffer));
for (const [values, time] of [[[1, 2, 3], 1.5], [Array(42).fill(0), 21]])
    try {
        net.predict(values);
        process.exitCode = 3;
    } catch (error) {
        if (error.message !== `time is ${time}, expected 1 to 20`)
            throw error;
    }
END
node long_test.mjs 2>err || fail "long: the loader fails"
weft 0 predict longrun x.npy --quiet --no-cache --out y.npy
paste <(od -An -v -tf4 -w4 got.bin) <(tail -c 8 y.npy | od -An -v -tf4 -w4) |
    awk '{ d = $1 - $2 } NF == 2 && d < 1e-5 && d > -1e-5 { n++ } END { exit n != 2 }' ||
    fail "long: other answers than weft predict's"

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
    { echo "no chromium here: the page is not opened"; exit 77; }
timeout 120 node "$here/web_page.mjs" "$chromium" page >out 2>err || fail "the page fails"
out_has "^note .*transforms are applied: image = standardize"
awk '/^[0-9]/ { n++; good += $1 == $2 && $3 > 50; slow += $4 >= 16 }
     END { exit !(n == 6 && good >= 5 && slow == 0) }' out ||
    fail "drawn digits are not recognised, or an answer takes longer than a frame"
cat out
timeout 120 node "$here/web_page.mjs" "$chromium" long >out 2>err || fail "the form fails"
out_has '^form -?[0-9.]+( %)? -?[0-9.]+( %)? $'
out_has "x: 'two' is no number"
out_has 'x has 3 values, expected 18'

# Colours, a picture that is no square, numbers that are no bytes. The answer is linear in the
# channels' means: half the ink is half of it, another colour another one.
cat >paint.model <<'END'
data made = generate(40, seed=1) { picture = uniform(0, 1, [8, 12, 3]); y = normal(0, 1, [3]) }
model paint { input picture[8, 12, 3]; GlobalAveragePooling2D(); Dense(3, use_bias=false) }
train { data = made; target = y; loss = mse; epochs = 1; batch_size = 20 }
END
weft 0 train paint.model --quiet --run-dir painted
weft 0 compile painted --target wasm32 --web paint
timeout 120 node "$here/web_page.mjs" "$chromium" paint >out 2>err || fail "the colours fail"
out_has '^canvas 280 187$'
sed -nE 's/^paint //p' out | sed -E 's/ %/e-2/g' >answers
awk 'function size(x) { return x < 0 ? -x : x }
     NF != 3 { exit 1 }
     { for (i = 1; i <= 3; i++) {
           v[NR, i] = $i + 0
           if (NR == 2) { most = size(v[2, i]) > most ? size(v[2, i]) : most
                          other += size(v[2, i] - v[1, i]) > 0.002 }
           if (NR == 3) bad += size(v[3, i] - v[2, i] / 2) > 0.0015
       } }
     END { exit !(NR == 3 && other && most > 0.005 && !bad) }' answers ||
    fail "colours or the amount of ink do not reach the model: $(cat answers)"
