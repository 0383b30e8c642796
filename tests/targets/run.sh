#!/bin/bash
# Links an object with what runs it, and runs it: run.sh DIR FLOATS TRIPLE CPU ABI RUNNER SOURCE... [FLAG...]
# DIR holds the objects; what the sources' target_run puts is left in DIR/out.bin. Exit code 77 with
# a reason on stdout where a tool is missing, 78 where the object was only looked at.
set -u
here=$(cd "$(dirname "$0")" && pwd)
dir=$1 floats=$2 triple=$3 cpu=$4 abi=$5 runner=$6
shift 6

need() {
    command -v "$1" >/dev/null || { echo "no $1 here"; exit 77; }
}
tool() { # a tool of LLVM's by its versioned name, else by the plain one
    command -v "$1-19" || command -v "$1" || echo "$1"
}
clang=$(tool clang) lld=$(tool ld.lld)
need "$clang"
need "$(tool llvm-nm)"
cd "$dir" || exit 1

# Nothing is called that is not inside but, where floats need it, the compiler's helpers.
helpers=$("$(tool llvm-nm)" -u --quiet ./*.o | sed -n 's/^ *[Uw] *//p' | sort -u | tr '\n' ' ')
allowed=
[ "$floats" -ne 0 ] || allowed='__aeabi_[a-z0-9]+ '
if [ -n "$(sed -E "s/($allowed)//g" <<<"$helpers")" ]; then
    echo "undefined: $helpers"
    exit 1
fi
[ -z "$helpers" ] || echo "the compiler's helpers: $helpers"

compile=("$clang" "--target=$triple" -O1 -ffreestanding -fno-builtin -fno-stack-protector -Wall
         -Werror "-I$here" -I. -c "$@" "$here/memory.c")
case $triple in
    x86_64*) compile+=("-march=x86-64") ;;
    aarch64*) ;;
    riscv32*) compile+=(-march=rv32gc -mabi="$abi") ;;
    riscv64*) compile+=(-march=rv64gc -mabi="$abi") ;;
    armv7*) compile+=(-mcpu=cortex-a8 -mfloat-abi=hard) ;;
    thumb*) compile+=(-mcpu="$cpu") ;;
esac

case $triple in
    *linux*)
        need "$lld"
        "${compile[@]}" "$here/start_linux.c" || exit 1
        "$lld" -static -o program *.o || exit 1
        [ -z "$runner" ] || need "${runner%% *}"
        $runner ./program >out.bin ;;
    thumb*)
        need "$lld"
        need "${runner%% *}"
        libraries=()
        if [ -n "$helpers" ]; then
            need arm-none-eabi-gcc # its library has them
            libraries=("$(arm-none-eabi-gcc -mcpu="$cpu" -mthumb -print-libgcc-file-name \
                -mfloat-abi=soft)")
        fi
        code=0x00000000 data=0x20000000
        [ "$cpu" = cortex-m33 ] && code=0x10000000 data=0x80000000
        "${compile[@]}" "$here/start_bare.c" || exit 1
        "$lld" -static -T "$here/bare.ld" --defsym=CODE=$code --defsym=DATA=$data -o program \
            *.o "${libraries[@]}" || exit 1
        $runner -nographic -monitor none -serial none -semihosting-config enable=on,target=native \
            -kernel program </dev/null ;;
    wasm*)
        need "$(tool wasm-ld)"
        need node
        "${compile[@]}" "$here/start_wasm.c" || exit 1
        "$(tool wasm-ld)" --no-entry -z stack-size=262144 -o program.wasm *.o || exit 1
        node "$here/run.mjs" program.wasm >out.bin ;;
    *windows*)
        "${compile[@]}" "$here/start_windows.c" || exit 1
        printf 'LIBRARY KERNEL32.dll\nEXPORTS\nGetStdHandle\nWriteFile\nExitProcess\n' >k.def
        need "$(tool llvm-dlltool)"
        need "$(tool lld-link)"
        "$(tool llvm-dlltool)" -m i386:x86-64 -d k.def -l k.lib || exit 1
        "$(tool lld-link)" /nologo /subsystem:console /entry:start /out:program.exe *.o k.lib || exit 1
        wine=$(command -v wine64 || ls /usr/lib/wine/wine64 2>/dev/null || command -v wine)
        need "${wine:-wine64}"
        WINEPREFIX=$PWD/wine WINEDEBUG=-all "$wine" ./program.exe >out.bin 2>wine.log || {
            status=$?
            tail -3 wine.log
            exit $status
        } ;;
    *macos*) # nothing here runs it, but it is what a Mac's linker takes
        "$(tool llvm-readobj)" --file-headers object.o |
            grep -E "^Format: Mach-O ($([[ $triple == arm64* ]] && echo arm64 || echo .*x86-64))$" ||
            exit 1
        exit 78 ;;
    *)
        echo "nothing here runs $triple"
        exit 1 ;;
esac
