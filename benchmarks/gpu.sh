#!/bin/bash
# Everything that needs a GPU, in one call and under 8 minutes on an H100:
#
#   benchmarks/gpu.sh DATA
#
# DATA is CIFAR-10 as a class-per-folder tree packed as .tar.gz (…/train/<class>/*, …/test/<class>/*), or a data folder (as
# --data-dir takes it). It runs from the source tree; privaudit need not be installed. A section that fails or takes too
# long does not stop the next. PYTHON names the interpreter [python3]; GPU_SECTIONS what is run [tests score speed
# resnet18]; GPU_KEEP a folder that keeps the audit's store and report [none]; GPU_SECONDS the time for everything [470].
set -u
data=${1:?usage: benchmarks/gpu.sh CIFAR10.tar.gz|DATA_DIR}
data=$(realpath "$data")
cd "$(dirname "$0")/.." || exit 2
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
keep=${GPU_KEEP:-$work}
sections=${GPU_SECTIONS:-tests score speed resnet18}
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

folder=$data
if [ -f "$data" ]; then
    section "unpack" 60 bash -c unpack
    folder=$work/data
fi

wanted() { case " $sections " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
model() { # NAME SECONDS OPTIONS…
    local name=$1 limit=$2
    shift 2
    section "$name" "$limit" "$python" benchmarks/gpu.py --dataset cifar10 --data-dir "$folder" "$@"
}

if wanted tests; then
    # Side by side where pytest-xdist is: most of each test is the processor's work.
    many=$("$python" -c "import os, xdist; print(f'-n {max(1, min(6, (os.cpu_count() or 1) // 2))}')" 2>/dev/null)
    # shellcheck disable=SC2086
    section "tests" 170 "$python" -m pytest -m gpu -p no:benchmark -p no:cacheprovider -q --durations=8 $many tests/test_gpu.py
fi
if wanted score; then
    section "score" 200 "$python" -m privaudit score --dataset cifar10 --data-dir "$folder" --samples 50000 --epochs 24 \
        --shadows 16 --invert 0 --device cuda --network airbench --store "$keep/store" --out "$keep/out"
fi
if wanted speed; then
    model "airbench, fixed kernels" 90 --network airbench --seconds 20
    model "airbench, fastest kernels" 90 --network airbench --cudnn fast --seconds 20
fi
if wanted resnet18; then
    # What is left, but for the start and the attack: a section that is cut short says nothing.
    model "resnet18" 300 --network resnet18 --seconds $((whole - SECONDS > 280 ? 240 : whole - SECONDS - 40))
fi

if [ "${#failed[@]}" -ne 0 ]; then
    printf 'failed: %s\n' "${failed[@]}"
    exit 1
fi
echo "all sections ended well after $SECONDS s"
