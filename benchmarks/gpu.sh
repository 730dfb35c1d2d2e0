#!/bin/bash
# Everything that needs a GPU, in one call and under 8 minutes on an H100:
#
#   benchmarks/gpu.sh DATA
#
# DATA is CIFAR-10 as a class-per-folder tree packed as .tar.gz (…/train/<class>/*, …/test/<class>/*), a data folder
# (as --data-dir takes it), or an .npz of benchmarks/gpu.py --write. PYTHON names the interpreter [python3]. It runs from the
# source tree; privaudit need not be installed. A section that fails or takes too long does not stop the next.
set -u
data=${1:?usage: benchmarks/gpu.sh CIFAR10.tar.gz|DATA_DIR|FILE.npz}
data=$(realpath "$data")
cd "$(dirname "$0")/.." || exit 2
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()
whole=${GPU_SECONDS:-470} # for everything

section() { # NAME SECONDS COMMAND…: told when it begins and ends; remembered where it fails
    local name=$1 limit=$2 begun=$SECONDS status=0
    shift 2
    if [ "$limit" -gt $((whole - SECONDS)) ]; then limit=$((whole - SECONDS)); fi
    if [ "$limit" -lt 5 ]; then
        echo "== $name: no time left"
        failed+=("$name")
        return
    fi
    echo "== $name"
    timeout --kill-after=10 "$limit" "$@" || status=$?
    echo "== $name: exit $status after $((SECONDS - begun)) s, $SECONDS s in all"
    if [ "$status" -ne 0 ]; then failed+=("$name"); fi
}

unpack() {
    mkdir -p "$work/unpacked" "$work/data"
    tar -xzf "$data" -C "$work/unpacked" || return
    local train
    train=$(find "$work/unpacked" -type d -name train -print -quit)
    [ -n "$train" ] || { echo "no folder named train in $data" >&2; return 1; }
    mv "$(dirname "$train")" "$work/data/cifar10"
}
# Run by timeout, which takes no functions of the shell.
export -f unpack
export work data

npz=$work/cifar10.npz
folder=$data
case $data in
*.npz) npz=$data ;;
*)
    if [ -f "$data" ]; then
        section "unpack" 60 bash -c unpack
        folder=$work/data
    fi
    section "read images" 90 "$python" benchmarks/gpu.py --write "$npz" --dataset cifar10 --data-dir "$folder"
    ;;
esac

model() { # NAME SECONDS OPTIONS…
    local name=$1 limit=$2
    shift 2
    section "$name" "$limit" "$python" benchmarks/gpu.py --dataset "$npz" "$@"
}

section "tests" 150 "$python" -m pytest -m gpu -p no:benchmark -p no:cacheprovider -q --durations=8 tests/test_gpu.py
has() { "$python" -c "import sys; from privaudit.networks import NETWORKS; sys.exit('$1' not in NETWORKS)"; }
if has airbench; then
    model "airbench, fixed kernels" 150 --network airbench
    model "airbench, fastest kernels" 90 --network airbench --cudnn fast --seconds 20
fi
# What is left, but for the start and the attack: a section that is cut short says nothing.
model "resnet18" 300 --network resnet18 --seconds $((whole - SECONDS > 280 ? 240 : whole - SECONDS - 40))

if [ "${#failed[@]}" -ne 0 ]; then
    printf 'failed: %s\n' "${failed[@]}"
    exit 1
fi
echo "all sections ended well after $SECONDS s"
