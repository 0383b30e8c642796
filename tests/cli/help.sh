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
weft 0 help --list
out_has 'LSTM'
weft 1 help LSTN
err_has "did you mean 'LSTM'"
weft 1 help trian
err_has "did you mean 'train'"
