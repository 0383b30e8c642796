# Data that take time to read are kept decoded, and found again only while they are the same.
source "$(dirname "$0")/lib.bash"

# Pictures that Weft draws, and IDX files of them as MNIST's: big enough to be worth keeping.
cat >drawn.model <<'END'
data hand = digits(train=1600, test=100, seed=3) { image = image / 255 }
model small { input image[28, 28]; LSTM(4); Dense(10, activation=softmax) }
train { data = hand; target = label; loss = sparse_categorical_crossentropy; epochs = 1 }
END
sed 's/digits(.*seed=3)/mnist("set")/' drawn.model >packed.model
mkdir set
idx() { # idx FILE COUNT KIND SEED: pictures or labels, compressed
    perl -e 'my ($n, $kind, $seed) = @ARGV; srand($seed);
             print pack("N*", $kind eq "images" ? (0x803, $n, 28, 28) : (0x801, $n));
             print map { chr(int(rand($kind eq "images" ? 256 : 10))) }
                 1 .. $n * ($kind eq "images" ? 784 : 1);' "$2" "$3" "$4" | gzip -n >"set/$1.gz"
}
command -v perl >perl.txt || exit 0
idx train-images-idx3-ubyte 1600 images 1
idx train-labels-idx1-ubyte 1600 labels 2
idx t10k-images-idx3-ubyte 100 images 3
idx t10k-labels-idx1-ubyte 100 labels 4

# train NAME MODEL ARGUMENTS...: a training into folder NAME, with the cache in folder c.
train() {
    local name=$1 model=$2
    shift 2
    rm -rf "$name"
    weft 0 train "$model" --json --run-dir "$name" --cache-dir c "$@"
}
from_cache() {
    [ "$(json start data_from_cache)" = "$1" ] || fail "data_from_cache is not $1"
}
entries() { find c/data -type f; }

for model in drawn.model packed.model; do
    rm -rf c
    train first $model
    from_cache false
    [ "$(entries | wc -l)" -eq 1 ] || fail "not one entry of data"
    [ "$(stat -c %a c/data)" = 700 ] || fail "others may look into the cache"
    train second $model
    from_cache true
    same_bits first/last.safetensors second/last.safetensors
    train anew $model --no-cache
    from_cache false
    same_bits first/last.safetensors anew/last.safetensors
    weft 0 evaluate first --data-dir . --cache-dir c --json
    weft 0 data $model --json
done

# A table is kept whole: fields, counts and classes with the samples. Its text, the test's and the
# arguments decide.
table() { # table SEED ROWS
    awk -v seed="$1" -v rows="$2" 'BEGIN {
        srand(seed)
        print "a,b,c,d,e,f,g,h,kind"
        split("plain,odd \"one\",\303\244", kind, ",")
        for (i = 0; i < rows; i++) {
            for (k = 0; k < 8; k++)
                printf "%.4f,", rand()
            k = kind[1 + int(3 * rand())]
            gsub("\"", "\"\"", k)
            print "\"" k "\""
        }
    }'
}
table 1 20000 >rows.csv
table 2 500 >more.csv
cat >table.model <<'END'
data rows = csv("rows.csv", test="more.csv")
model table { input features[8]; Dense(3, activation=softmax) }
train { data = rows; target = kind; loss = sparse_categorical_crossentropy; epochs = 1 }
END
rm -rf c
train first table.model
from_cache false
[ "$(entries | wc -l)" -eq 1 ] || fail "not one entry of a table"
train second table.model
from_cache true
same_bits first/last.safetensors second/last.safetensors
train anew table.model --no-cache
from_cache false
same_bits first/last.safetensors anew/last.safetensors
head -n 2 rows.csv | tail -n 1 | cut -d, -f1-8 >one.csv
for cache in '--no-cache' '--cache-dir c'; do
    weft 0 evaluate first --json $cache
    echo "$(json evaluate samples) $(json evaluate loss)" >>evaluated
    weft 0 predict first one.csv --json $cache
    cat out >>predicted
done
[ "$(sort -u evaluated | wc -l)" -eq 1 ] && [ "$(sort -u predicted | wc -l)" -eq 1 ] ||
    fail "a kept table has other classes or counts: $(cat evaluated predicted)"
grep -qE '"class": ?"(plain|odd|ä)' predicted || fail "no class names: $(cat predicted)"
e=$(entries)
printf X | dd of="$e" bs=1 seek=70 conv=notrunc 2>dd.txt
train again table.model
from_cache false
same_bits first/last.safetensors again/last.safetensors
table 3 500 >more.csv
train other table.model
from_cache false
train other table.model --set rows.missing=zero
from_cache false
sed -i '2s/^[^,]*/0.5/' rows.csv
train other table.model
from_cache false

# Damaged, cut and foreign entries are made anew.
rm -rf c
train first packed.model
cp "$(entries)" whole
for how in 'printf X | dd of=$e bs=1 seek=500000 conv=notrunc 2>dd.txt' 'truncate -s 600000 $e' \
    ': >$e' 'head -c 100000 /dev/urandom >$e' 'rm $e; ln -s /dev/zero $e' 'rm $e; mkfifo $e'; do
    e=$(find c/data -name '*.weft')
    eval "$how"
    train again packed.model
    from_cache false
    same_bits first/last.safetensors again/last.safetensors
    cmp -s "$e" whole || fail "the entry was not made anew after: $how"
    train again packed.model
    from_cache true
done

# What the files hold decides, not their names, places or times; and so does what is asked for.
mv set moved
sed 's/"set"/"moved"/' packed.model >moved.model
touch moved/*
train moved_run moved.model
from_cache true
idx2() { mv moved set; idx "$@"; mv set moved; }
idx2 train-images-idx3-ubyte 1600 images 5
train changed moved.model
from_cache false
train changed moved.model
from_cache true
[ "$(bits changed/last.safetensors)" != "$(bits first/last.safetensors)" ] || fail "old data"
train first drawn.model
for more in hand.seed=4 hand.train=1601 hand.test=101; do
    train other drawn.model --set "$more"
    from_cache false
done

# Plain files are read as they are: nothing is kept of them, nor of what is small.
rm -rf c
gunzip moved/*.gz
train plain moved.model
from_cache false
same_bits plain/last.safetensors changed/last.safetensors
train small drawn.model --set hand.train=1000
[ -z "$(entries)" ] || fail "something was kept"

# Several processes that find it empty.
for i in 1 2 3; do
    "$WEFT" train drawn.model --quiet --run-dir "at$i" --cache-dir c 2>"at$i.err" &
done
wait
for i in 1 2 3; do same_bits first/last.safetensors "at$i/last.safetensors"; done
[ "$(entries | wc -l)" -eq 1 ] || fail "something else was left in the cache"

# Where there is no room it works all the same, and leaves nothing behind.
rm -rf c full
(ulimit -f 200; "$WEFT" train drawn.model --quiet --run-dir full --cache-dir c >out 2>err) ||
    fail "a full disk"
nothing_on_stderr
[ -z "$(entries)" ] || fail "a part of the data was kept"
same_bits first/last.safetensors full/last.safetensors
(unset XDG_CACHE_HOME; HOME=/proc "$WEFT" train drawn.model --quiet --run-dir home 2>err) ||
    fail "a home where nothing can be written"
nothing_on_stderr

# A folder that is not safe is said and not used.
rm -rf c
mkdir -m 700 c
mkdir -m 777 c/data
train open drawn.model
err_has 'warning: decoded data are not kept in c/data: other users may write there'
[ -z "$(entries)" ] || fail "the unsafe folder was used"
rmdir c/data
: >c/data
train file drawn.model
err_has 'warning: decoded data are not kept in c/data: it is a file'
