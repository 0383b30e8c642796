source "$(dirname "$0")/lib.bash"
# Two columns of very different size and one that never varies; the target is linear.
# The last 30 of 120 are for validation: were they part of the fit, it would show.
awk 'BEGIN {
    print "a,b,c,y"
    for (i = 0; i < 120; i++) {
        a = (i * 37) % 101; b = 0.001 * ((i * 53) % 89)
        if (i >= 90) { a += 5000; b -= 7 }
        printf "%.9g,%.9g,%.9g,%.9g\n", a, b, 4, 0.01 * a - 3 * b + 1
    }
}' >table.csv
# The same in numbers, from the first 90.
read -r ma da mb db <<<"$(awk -F, '
    NR > 1 && NR <= 91 { n++; a += $1; b += $2; aa += $1 * $1; bb += $2 * $2 }
    END { printf "%.12g %.12g %.12g %.12g", a / n, sqrt(aa / n - (a / n) ^ 2),
                 b / n, sqrt(bb / n - (b / n) ^ 2) }' table.csv)"

model() { # NAME TRANSFORM
    cat >"$1.model" <<END
data table = csv("table.csv", target="y") {
    features = $2
    y = 2 * y
}

model linear {
    input features[3]
    Dense(4, activation=tanh)
    Dense(1)
}

train {
    data             = table
    target           = reshape(y, [1])
    loss             = mse
    optimizer        = Adam(learning_rate=0.05)
    batch_size       = 20
    epochs           = 2
    validation_split = 0.25
}
END
}
near() { # WHAT X Y: equal but for the rounding of the numbers above
    awk -v x="$2" -v y="$3" 'BEGIN { exit !(x != "" && (x - y) ^ 2 <= 1e-14 * y ^ 2) }' ||
        fail "$1: $2, $3"
}
model fitted 'standardize(features)'
model given "(features - [$ma, $mb, 4]) / [$da, $db, 1]"
weft 0 train given.model $ENGINE --dtype float64 --run-dir given --json --seed 3
loss=$(json epoch loss) val=$(json epoch val_loss)
weft 0 train fitted.model $ENGINE --dtype float64 --run-dir fitted --json --seed 3
near loss "$(json epoch loss)" "$loss"
near val_loss "$(json epoch val_loss)" "$val"

# The run keeps what was fitted: for its own data, to go on, for other files.
weft 0 evaluate fitted $ENGINE --split validation --json
near evaluate "$(json evaluate loss)" "$val"
weft 0 train fitted.model $ENGINE --dtype float64 --run-dir part --epochs 1 --seed 3
weft 0 train --resume part $ENGINE --epochs 2
same_bits part/last.safetensors fitted/last.safetensors
printf '50,0.04,4\n7,0.01,4\n' >new.csv
weft 0 predict given new.csv $ENGINE --out given.csv
weft 0 predict fitted new.csv $ENGINE --out fitted.csv
paste -d, given.csv fitted.csv | awk -F, 'NR > 1 && ($2 - $4) ^ 2 > 1e-10 { exit 1 }' ||
    fail "predictions: $(cat given.csv fitted.csv)"
mv table.csv gone.csv
weft 0 predict fitted new.csv $ENGINE --out again.csv
cmp -s again.csv fitted.csv || fail "predictions without the data"
mv gone.csv table.csv

# One use on another, one number for all, and where it does not belong.
sed 's/features = .*/features = standardize(standardize(features, axis=none) ** 3)/' \
    fitted.model >twice.model
weft 0 train twice.model $ENGINE --run-dir twice --epochs 1
sed 's/Dense(4.*/standardize(3)/' fitted.model >wrong.model
weft 1 check wrong.model
err_has 'standardize belongs to a data block'
