#!/bin/sh
# Regenerates the models and tensors of testdata and compares them with SHA256SUMS; `all.sh bless` rewrites that list.
set -eu
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1
python="${PYTHON:-python3}"
"$python" -c 'import numpy, onnx, onnxruntime, sklearn'
rm -rf ../ops ../bad
for script in digits_cnn digits_mlp digits_resnet_tiny ops bad; do
    "$python" "$script.py"
done
cd ..
if [ "${1:-}" = bless ]; then
    find . \( -name '*.onnx' -o -name '*.npy' \) -type f | LC_ALL=C sort | xargs sha256sum > SHA256SUMS
fi
sha256sum --quiet --check SHA256SUMS
echo "all files equal SHA256SUMS"
