source "$(dirname "$0")/lib.bash"
weft 0
out_has 'usage: weft COMMAND'
weft 0 help
out_has '^  train '
weft 0 --help
weft 0 --version
out_has '^weft [0-9]+\.[0-9]+'
weft 0 help train
out_has '--resume RUN'
weft 0 train --help
out_has 'usage: weft train FILE.model'
out_lacks '--split'
weft 0 help --man
out_has '^\.TH WEFT 1'
out_has '^\.SS "weft gradcheck'
weft 0 help LSTM
out_has 'LSTM\(units'
weft 0 help Adam
out_has 'learning_rate=0.001'
# Readers, from their tables.
for reader in mnist idx csv npy npz digits generate; do
    weft 0 help $reader
    out_has "^$reader \(data reader\)"
    out_has '^fields: '
done
weft 0 help csv
out_has '^csv\(path, target=none, columns=none, header=auto, .*missing=error, test=none\)$'
out_has '^    missing  *a text: '
weft 0 help npy
out_has '^npy\(NAME="FILE", \.\.\.\)$'
weft 1 help digit
err_has "did you mean 'digits'"
weft 0 help --list
out_has 'digits'
out_has 'LSTM'
weft 1 help LSTN
err_has "did you mean 'LSTM'"
weft 1 help trian
err_has "did you mean 'train'"
