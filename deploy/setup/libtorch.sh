#!/usr/bin/env bash
# Puts a CPU libtorch into the cache and links it at .cache/libtorch, where
# .cargo/config.toml looks for it. PyPI's wheel for Linux x86-64 is the CUDA
# build; on a machine without a GPU only its CPU half is unpacked, with two
# small NVIDIA libraries that libtorch_cpu.so names, and an empty libtorch.so
# (torch-sys links against that name). With REEVE_LIBTORCH=DIR an existing
# libtorch, CUDA included, is linked instead.
set -euo pipefail

readonly torch_version=2.11.0
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${REEVE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/reeve}
target=${REEVE_LIBTORCH:-$cache/libtorch-$torch_version}

fetch() {
  local work=$1
  python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$work" \
    "torch==$torch_version"
  if [ "$(uname -sm)" = "Linux x86_64" ]; then
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$work" \
      nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
  fi
}

unpack() {
  python3 - "$1" "$2" <<'PYTHON'
import pathlib, shutil, sys, zipfile
work, into = map(pathlib.Path, sys.argv[1:])
wanted = ("libtorch_cpu", "libc10.", "libgomp", "libtorch.dylib", "libomp",
          "libcudart.so.13", "libcupti.so.13")
(into / "lib").mkdir(parents=True)
for wheel in work.glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("torch/include/") and not name.endswith("/"):
                path = into / name.removeprefix("torch/")
            elif "/lib/" in name and name.rsplit("/", 1)[-1].startswith(wanted):
                path = into / "lib" / name.rsplit("/", 1)[-1]
            else:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(path, "wb") as sink:
                shutil.copyfileobj(source, sink)
PYTHON
}

if [ ! -e "$target/lib/.complete" ] && [ -z "${REEVE_LIBTORCH:-}" ]; then
  echo "libtorch: fetching torch $torch_version from PyPI (about 530 MB, once)"
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/libtorch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  fetch "$work"
  unpack "$work" "$work/libtorch"
  if [ "$(uname -s)" = Linux ] && [ ! -e "$work/libtorch/lib/libtorch.so" ]; then
    echo | cc -shared -x c - -o "$work/libtorch/lib/libtorch.so" -Wl,-soname,libtorch.so \
      -Wl,--no-as-needed -L"$work/libtorch/lib" -l:libtorch_cpu.so -l:libc10.so \
      -Wl,-rpath,'$ORIGIN' -Wl,--allow-shlib-undefined
  fi
  touch "$work/libtorch/lib/.complete"
  rm -rf "$target"
  mv "$work/libtorch" "$target"
fi

mkdir -p "$root/.cache"
ln -sfn "$target" "$root/.cache/libtorch"
