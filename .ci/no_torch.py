"""An exported file predicts where no PyTorch is installed.

    python .ci/no_torch.py [DEMO]     the folder that `severstal demo DEMO` left; without it a tiny run is made, with an untrained net

The run is exported. The wheel goes without its requirements into a fresh environment, beside the packages in NEEDS and both engines, and
there an import of anything in BANNED raises. `severstal predict FILE.onnx` must write in it the very bytes that the same engine writes
here, and the CSV of the run itself but for one pixel in a thousand. Exit code 0 when it does."""
import os
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDS = 'numpy pandas scipy matplotlib pillow opencv-python-headless pyyaml fastcore tqdm'.split()
ENGINES = dict(onnx='onnxruntime', openvino='openvino') # one of them is enough
BANNED = 'torch torchvision fastai timm segmentation_models_pytorch albumentations sklearn safetensors zarr hydra omegaconf onnx'.split()
MODULES = 'runs.stream readers decide.postprocess decide.submission decide.thresholds engines.runtime core.files core.images core.feed crops data'.split()
HOOK = f"""
import sys
class Banned:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {BANNED!r}: raise ImportError(f'{{name}} is not to be imported here')
sys.meta_path.insert(0, Banned())
"""


def run(*words, **kw):
    "Run a program; ends with its output where it fails."
    done = subprocess.run([str(o) for o in words], capture_output=True, text=True, **kw)
    if done.returncode: raise SystemExit(f'{" ".join(map(str, words))[:200]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}')
    return done.stdout


def tiny(folder):
    "A run whose net is one untrained convolution, and a folder of strips."
    import cv2
    from severstal_nb.core.files import write_json
    from severstal_nb.models import create_model, save_model
    from severstal_nb.runs.config import load_config
    from severstal_nb.runs.folder import create_run, init_run
    from severstal_nb.synthetic import make_strip
    (folder/'images').mkdir()
    for i in range(6): cv2.imwrite(str(folder/'images'/f'{i}.png'), make_strip(i, 64, 192)[0])
    (folder/'images'/'broken.png').write_bytes(b'no image')
    config = load_config('demo', overrides={'training.device': 'cpu'}).to_dict()
    path = init_run(create_run('tiny', folder), config, list('1234'), 'segmentation')
    (path/'fold_0').mkdir()
    save_model(create_model('tiny_seg', 4, classes=list('1234')), path/'fold_0'/'best_model.safetensors')
    write_json(path/'fold_0'/'results.json', {})
    write_json(path/'thresholds.json', dict(pixel=.5, min_size=12))
    return path, folder/'images'


def environment(folder, clean):
    "Python of a fresh environment with the wheel and what it needs, and the hook in front of every program."
    run(sys.executable, '-m', 'build', '--wheel', '--outdir', folder/'dist', ROOT)
    venv.create(folder/'venv', with_pip=True)
    python = folder/'venv'/'bin'/'python'
    pip = [python, '-m', 'pip', '-q', '--disable-pip-version-check', 'install']
    run(*pip, *(f'{o}=={version(o)}' for o in [*NEEDS, *ENGINES.values()]), **clean)
    run(*pip, '--no-deps', next((folder/'dist').glob('*.whl')), **clean)
    site = Path(run(python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))', **clean).strip())
    (site/'banned.py').write_text(HOOK)
    (site/'banned.pth').write_text('import banned\n')
    return python


def differing(a, b):
    "How many pixels two submissions differ in, and how many are on in the first."
    import numpy as np
    from severstal_nb.decide.submission import read_submission
    from severstal_nb.rle import parse_runs
    def pixels(file):
        found = {(r.image_id, r.class_id): parse_runs(r.rle) for r in read_submission(file).itertuples()}
        return {k: {p for s,n in zip(*map(np.ravel, runs)) for p in range(int(s), int(s + n))} for k,runs in found.items()}
    a, b = pixels(a), pixels(b)
    return sum(len(a.get(k, set()) ^ b.get(k, set())) for k in a.keys() | b.keys()), sum(map(len, a.values()))


def main(argv):
    with tempfile.TemporaryDirectory() as temp:
        temp = Path(temp)
        # elsewhere, and without PYTHONPATH: the package lies here, and pip would take it for installed
        clean = dict(cwd=temp, env={k: v for k,v in os.environ.items() if k not in ('PYTHONPATH', 'PYTHONHOME')})
        if argv: trained, images = (next(Path(argv[0]).resolve().rglob(o)) for o in ('run.json', 'test_images'))
        else: trained, images = tiny(temp)
        from severstal_nb.deploy.export import export_onnx
        if argv: trained = trained.parent
        file = export_onnx(trained, temp/'net.onnx', images=images if argv else None)
        run('severstal', 'predict', trained, '--images', images, '--out', temp/'run.csv', '--all-rows')
        python = environment(temp, clean)
        n = int(run(python, '-c', 'import importlib.metadata as m; print(len({o.name for o in m.distributions()}))', **clean))
        code = '; '.join([f'import severstal_nb.{o}' for o in MODULES] + ['import sys', 'assert "onnxruntime" not in sys.modules'])
        run(python, '-c', code, **clean)
        if subprocess.run([python, '-c', 'import torch'], **clean, capture_output=True).returncode == 0: raise SystemExit('the hook does not work')
        for engine in ENGINES:
            out, here = temp/f'{engine}.csv', temp/f'{engine}_here.csv'
            how = ['--images', images, '--engine', engine, '--all-rows']
            run(python.with_name('severstal'), 'predict', file, *how, '--out', out, **clean)
            run('severstal', 'predict', file, *how, '--out', here)
            if out.read_bytes() != here.read_bytes(): raise SystemExit(f'{engine}: the CSV is another one without PyTorch')
            off, on = differing(temp/'run.csv', out)
            print(f'{engine}: the same {out.stat().st_size:,} bytes without PyTorch, {n} packages in all; {off} of {on:,} mask pixels differ from the run')
            if off > on*1e-3: raise SystemExit(f'{engine}: that is too many')


if __name__ == '__main__': main(sys.argv[1:])
