"""Press "Run all" as a reader would: each notebook alone in an empty folder, a fresh kernel, no real data, no network.
python .ci/run_all.py NOTEBOOK… Every code cell is run, whatever its directives say, because Jupyter, Colab and Kaggle
do not know them. The package must be importable as it is installed. Exit code 1 if a cell raises or runs too long."""
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

LIMIT = 900 # seconds for one cell
NOWHERE = 'http://127.0.0.1:9' # a proxy that does not answer, so that what asks for the network fails at once


def bare(folder):
    "Environment of a kernel that knows nothing of this machine but Python and its packages."
    dropped = ('SEVERSTAL_', 'KAGGLE_', 'HF_', 'TORCH_HOME', 'XDG_', 'JUPYTER', 'IPYTHON', 'IN_TEST', 'NO_PROXY', 'PWD')
    env = {k: v for k, v in os.environ.items() if not k.upper().startswith(dropped)}
    paths = [str(Path(o).resolve()) for o in env.get('PYTHONPATH', '').split(os.pathsep) if o]
    if paths: env['PYTHONPATH'] = os.pathsep.join(paths)
    for o in ('home', 'tmp', 'work'): (folder/o).mkdir()
    env |= {k: str(folder/'home') for k in ('HOME', 'USERPROFILE')} | {'TMPDIR': str(folder/'tmp')}
    env |= {o: NOWHERE for o in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY')}
    return env | {'PIP_RETRIES': '0', 'PIP_TIMEOUT': '2'}


def run_all(path):
    "Run one notebook; None, or what went wrong where."
    with tempfile.TemporaryDirectory(prefix='run_all_') as folder:
        folder = Path(folder).resolve()
        env = bare(folder)
        work = folder/'work'
        nb = nbformat.read(shutil.copy(path, work), as_version=4)
        client = NotebookClient(nb, timeout=LIMIT, kernel_name='python3', resources={'metadata': {'path': str(work)}},
                                extra_arguments=['--Application.log_level=ERROR'])
        try: client.execute(cwd=str(work), env=env)
        except Exception as e: return f'{type(e).__name__}: {e}' # a cell raised, ran too long, or killed its kernel


def main():
    "Run the notebooks named on the command line."
    bad, notebooks = 0, sys.argv[1:]
    if not notebooks: sys.exit(__doc__)
    for o in notebooks:
        start = time.perf_counter()
        wrong = run_all(o)
        print(f"{'FAILED' if wrong else 'ok'} {o} {time.perf_counter() - start:.0f} s", flush=True)
        if wrong: print(wrong[-3000:], file=sys.stderr)
        bad += bool(wrong)
    sys.exit(bad > 0)


if __name__ == '__main__': main()
