#!/usr/bin/env bash
# Make or renew the virtual environment of make demo and make test.
#
# usage: tools/make_environment.sh FOLDER EXTRA [PYTHON [ESPNET]]
#   EXTRA    of setup.cfg: recipe or test
#   PYTHON   a Python to run; default: the newest supported one that runs here
#   ESPNET   a version such as 202511, or an ESPnet checkout, which stays as it is;
#            default: the version in constraints/ for that Python
set -e
set -u
set -o pipefail

folder=$1
extra=$2
python=${3:-}
espnet=${4:-}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

tree=
version=${espnet}
if [ -d "${espnet}" ]; then
    tree=$(cd "${espnet}" && pwd)
    version=$(cat "${tree}/version.txt" "${tree}/espnet/version.txt" 2> /dev/null | head -n 1)
fi
if [ ! -x "${folder}/bin/python" ]; then
    if [ -z "${python}" ]; then
        versions="3.13 3.12 3.11"
        if [ -n "${version}" ]; then  # ESPnet of 2026 needs Python 3.12
            versions="3.12 3.13"
            [ "${version}" -ge 202601 ] || versions=3.11
        fi
        python=$("${root}/tools/find_python.sh" ${versions})
    fi
    "${python}" -m venv "${folder}"
fi
python=${folder}/bin/python
minor=$("${python}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
known=${root}/constraints/python${minor}.txt
if [ ! -f "${known}" ]; then
    echo "no constraints/python${minor}.txt: Python ${minor} is not supported" >&2
    exit 2
fi
set_=${folder}/constraints.txt
cp "${known}" "${set_}"
if [ -n "${version}" ] && [ -z "${tree}" ]; then
    sed -i "s/^espnet==.*/espnet==${version}/" "${set_}"
fi
echo "$("${python}" -V), $(grep ^espnet== "${set_}")${tree:+ replaced by ${tree}}:" \
    "installing into ${folder}, some minutes and 6 GB on first use"
"${python}" -m pip install -q -c "${set_}" -e "${root}[espnet,${extra}]"
if [ -n "${tree}" ]; then
    "${python}" -m pip uninstall -q -y espnet
    "${python}" - "${tree}" <<'PTH'
import pathlib
import sys
import sysconfig

site = pathlib.Path(sysconfig.get_path("purelib"))
(site / "espnet_tree.pth").write_text(sys.argv[1] + "\n")
PTH
fi
