"""An exported file predicts where no PyTorch is installed: python .ci/no_torch.py [FILE.onnx IMAGES]. Without arguments it trains a tiny net and exports it.

The wheel is installed without its requirements into a fresh environment, beside the packages named in NEEDS. There an import of anything in
BANNED raises. `severstal predict FILE.onnx` must write the very bytes that the same engine writes here, and the CSV of the run
itself but for pixels at a threshold. Exit code 0 when it does."""
import os
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDS = 'numpy pandas scipy matplotlib pillow opencv-python-headless pyyaml fastcore tqdm'.split()
ENGINES = dict(onnx='onnxruntime', openvino='openvino')
BANNED = 'torch torchvision fastai timm segmentation_models_pytorch albumentations sklearn safetensors zarr hydra omegaconf onnx'.split()
MODULES = 'runs.stream readers decide.postprocess decide.submission decide.thresholds engines.runtime core.files core.images core.feed crops rle data'.split()
HOOK = f"""
import sys
class Banned:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {BANNED!r}: raise ImportError(f'{{name}} is not to be imported here')
sys.meta_path.insert(0, Banned())
"""


def run(*words, **kw):
    "Run a program; its output where it fails."
    done = subprocess.run([str(o) for o in words], capture_output=True, text=True, **kw)
    if done.returncode: raise SystemExit(f'{" ".join(map(str, words))[:200]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}')
    return done.stdout


def example(folder):
    "A small trained net, exported, and strips: the file, the folder of images, the run."
    from severstal_nb.deploy.export import export_onnx
    from severstal_nb.experiment import train
    from severstal_nb.synthetic import make_kaggle
    root = make_kaggle(folder/'strips', 12, 6, height=64, width=128, balanced=True, n_workers=1, progress=False)
    trained = train('demo', data__root=str(root), data__num_workers=0, model__name='tiny_seg', model__encoder=None, model__pretrained=False, run__root=str(folder/'runs'),
                    training__num_epochs=1, training__device='cpu', data__num_folds=2, verbose=False)
    return export_onnx(trained, folder/'net.onnx'), root/'test_images', trained.path


def environment(folder, engine):
    "Python of a fresh environment with the wheel and what it needs, and the hook in front of every program."
    wheels = folder/'dist'
    if not wheels.exists(): run(sys.executable, '-m', 'build', '--wheel', '--outdir', wheels, ROOT)
    home = folder/engine
    venv.create(home, with_pip=True)
    python = home/'bin'/'python'
    pins = [f'{o}=={version(o)}' for o in [*NEEDS, ENGINES[engine]]]
    run(python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', *pins)
    run(python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--no-deps', next(wheels.glob('*.whl')))
    site = Path(run(python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))').strip())
    (site/'banned.py').write_text(HOOK)
    (site/'banned.pth').write_text('import banned\n')
    return python


def differing(a, b):
    "How many rows of two submissions differ, and the pixels in them that do."
    from severstal_nb.decide.submission import read_submission
    from severstal_nb.rle import parse_runs
    both = [{(r.image_id, r.class_id): r.rle for r in read_submission(o).itertuples()} for o in (a, b)]
    keys = [k for k in both[0].keys() | both[1].keys() if both[0].get(k, '') != both[1].get(k, '')]
    on = [[{p for s,n in zip(*parse_runs(o.get(k, ''))) for p in range(s, s+n)} for k in keys] for o in both]
    return len(keys), sum(len(x ^ y) for x,y in zip(*on))


def main(argv):
    clean = {k: v for k,v in os.environ.items() if k not in ('PYTHONPATH', 'PYTHONHOME')}
    with tempfile.TemporaryDirectory() as temp:
        temp = Path(temp)
        file, images, trained = [Path(o) for o in argv] + [None] if argv else example(temp)
        if trained: run('severstal', 'predict', trained, '--images', images, '--out', temp/'run.csv', '--all-rows')
        for engine in ENGINES:
            python, out, here = environment(temp, engine), temp/f'{engine}.csv', temp/f'{engine}_here.csv'
            for module in MODULES: run(python, '-c', f'import severstal_nb.{module}', env=clean)
            if subprocess.run([python, '-c', 'import torch'], env=clean, capture_output=True).returncode == 0: raise SystemExit('the hook does not work')
            how = ['--images', images, '--engine', engine, '--all-rows']
            run(python.with_name('severstal'), 'predict', file, *how, '--out', out, env=clean | {'OMP_NUM_THREADS': '1'})
            run('severstal', 'predict', file, *how, '--out', here)
            if out.read_bytes() != here.read_bytes(): raise SystemExit(f'{engine}: the CSV is another one without PyTorch')
            said = ''
            if trained:
                rows, pixels = differing(temp/'run.csv', out)
                if pixels > 20: raise SystemExit(f'{engine}: {pixels} pixels in {rows} rows differ from the run')
                said = f'; {pixels} pixels differ from the run'
            n = len(run(python, '-m', 'pip', 'list', '--disable-pip-version-check', env=clean).splitlines()) - 2
            print(f'{engine}: the same {out.stat().st_size} bytes without PyTorch, {n} packages{said}')


if __name__ == '__main__': main(sys.argv[1:])
