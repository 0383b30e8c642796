source "$(dirname "$0")/lib.bash"
tiny_model
weft 1 trian tiny.model
err_has "no command 'trian'; did you mean 'train'"
weft 1 tiny.model
err_has 'weft train tiny.model'
weft 1 train tiny.model --epoch 3
err_has 'did you mean --epochs'
weft 1 check tiny.model --resume x
err_has '--resume is an option of weft train'
weft 1 train tiny.model --epochs
err_has '--epochs needs a value'
weft 1 train tiny.model --set epochs
err_has 'expected NAME=VALUE'
weft 1 train tiny.model --threads many
err_has '--threads many: expected an integer'
weft 1 train tiny.model --threads 0
err_has 'from 1 to'
weft 1 train tiny.model --json=yes
err_has '--json takes no value'
weft 1 train
err_has 'takes one FILE.model'
weft 1 train -x
err_has 'two dashes'
weft 1 check no_such.model
err_has 'no_such.model'
weft 1 check tiny.model --dtype float16
err_has 'expected float32 or float64'
weft 1 graph tiny.model --stop-after=simplfy
err_has "did you mean 'simplify'"
weft 1 graph tiny.model --backward --disable=grad
err_has 'pass optimizer needs what it gives'
