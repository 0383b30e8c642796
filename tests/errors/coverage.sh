#!/bin/bash
# Every message has a test that provokes it: lists the messages of the compiler whose words stand in
# no test, and fails when one is not in unprovoked.txt (or one of those is provoked now, or gone).
# A message counts as provoked when a run of its plain words of 16 characters or more, or 22 from
# an end of the longest, stands in a test: sh tests quote a part, tests/errors the whole.
set -u
cd "$(dirname "$0")/../.."
perl - "$@" <<'PERL'
use strict;
use warnings;

sub slurp { my ($p) = @_; local $/; open my $f, '<', $p or die "$p: $!"; my $s = <$f>; return $s }
sub join_literals { my ($s) = @_; $s =~ s/"\s*\n\s*"//g; return $s }

# What the tests say: literals joined, regular expressions and comments made plain.
my $tests = '';
for my $p (sort(glob('tests/unit/*.c tests/cli/*.sh tests/errors/*.model tests/*/*.sh'))) {
    next if $p eq 'tests/errors/coverage.sh';
    my $s = join_literals(slurp($p));
    $s =~ s/\\([][(){}.*+?"'\$`|])/$1/g;
    $tests .= $s;
}
$tests =~ s/\s+/ /g;

my $call = qr/\b(?:error_at|unsupported_at|warning_at|fail|unsupported|bad|corrupt)\s*\(/;
my @missing;
for my $p (sort(glob('compiler/*/*.c grammar/*.c grammar/*.l grammar/*.y compiler/*/*.model'))) {
    my $s = slurp($p);
    if ($p =~ /\.model$/) {
        while ($s =~ /require\((?:[^"\n]|"[^"]*" (?:or|and))*\n?[^"]*"([^"]*)"[^"]*\)/g) {
            push @missing, [$p, $1] if index($tests, $1) < 0;
        }
        next;
    }
    while ($s =~ /$call/g) {
        my $rest = substr($s, pos($s), 600);
        $rest =~ s/;.*//s unless $rest =~ /^[^"]*"[^"]*;/s;
        next unless $rest =~ /^[^;{]*?"((?:[^"\\]|\\.)*(?:"\s*(?:PRI\w+\s*)?"(?:[^"\\]|\\.)*)*)"/s;
        my $format = $1;
        $format =~ s/"\s*(?:PRI\w+\s*)?"//g;
        $format =~ s/\\(["'\\])/$1/g;
        $format =~ s/\\n/ /g;
        $format =~ s/%%/%/g;
        $format =~ s{\s+$}{};
        my @parts = sort { length $b <=> length $a } split /%[-+ #0-9.*]*(?:ll|[lhzjt])?[a-zA-Z]/,
                                                          $format;
        next unless @parts && $parts[0] =~ /\w{3}/;
        my $words = $parts[0];
        $words =~ s/^\s+|\s+$//g;
        my $n = length $words;
        my $said = grep { index($tests, $_) >= 0 }
            ($words, grep { length >= 16 } @parts,
             $n > 22 ? (substr($words, 0, 22), substr($words, $n - 22)) : ());
        push @missing, [$p, $format] unless $said;
    }
}

# Those that no test can provoke, or not portably.
my %known;
my $list = slurp('tests/errors/unprovoked.txt');
$known{$_} = 1 for grep { length && !/^#/ } split /\n/, $list;
my $new = 0;
my %seen;
for my $m (@missing) {
    my ($p, $format) = @$m;
    next if $seen{$format}++;
    next if delete $known{$format};
    print "$p: no test provokes: $format\n";
    $new++;
}
print "tests/errors/unprovoked.txt: provoked now, or gone: $_\n" for sort keys %known;
exit($new || %known ? 1 : 0);
PERL
