"""How many strips a second an exported file predicts, beside its run in PyTorch.

    python benchmarks/engines.py [--nets A,B] [--strips 8] [--size 256 1600] [--repeats 5] [--batch 4] [--out FILE]

For each net an untrained run is made and exported for free sizes (the export compares it with the run and refuses where they differ).
Then the same strips, decoded before, go through `stream` of the run's `Predictor` and of the file opened by ONNX Runtime and OpenVINO,
in turn, one thread each. The clock is processor time, so a busy machine changes little, and the ratio is taken repeat by repeat.
Rows go to benchmarks/results/engines.json in the form of speed.json; rows of nets that are measured replace those that are there.
"""
import os

for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'): os.environ[name] = '1'
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')

import argparse, json, sys, tempfile, time, warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
warnings.simplefilter('ignore')

import numpy as np
import torch

import common
from severstal_nb.core.feed import ImageList
from severstal_nb.core.files import write_json
from severstal_nb.deploy.export import export_onnx
from severstal_nb.engines.runtime import ENGINES, load_model
from severstal_nb.models import create_model, save_model
from severstal_nb.runs.config import load_config
from severstal_nb.runs.folder import create_run, init_run
from severstal_nb.runs.predictor import Predictor
from severstal_nb.synthetic import make_strip

NETS = {'unet-mobilenet_v2': 1.8, 'deeplabv3plus-efficientnet-b3': 1.8, 'convnext_tiny_cbam': 1.2} # least ratio aimed at


def make_run(net, root):
    "A run whose net was not trained; its batch statistics are moved away from 0 and 1, as training would."
    task = 'segmentation' if '-' in net or net == 'tiny_seg' else 'multilabel'
    config = load_config('demo' if task == 'segmentation' else 'multi_backbone', overrides={'training.device': 'cpu', 'predict.tta': []}).to_dict()
    config['data']['image_size'] = None
    classes = [str(k) for k in range(1, 5)]
    path = init_run(create_run(net, root), config, classes, task)
    (path/'fold_0').mkdir()
    torch.manual_seed(0)
    model = create_model(net, 4, classes=classes)
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d): m.running_mean.normal_(0, .1), m.running_var.uniform_(.8, 1.2)
    save_model(model, path/'fold_0'/'best_model.safetensors')
    write_json(path/'fold_0'/'results.json', {})
    write_json(path/'thresholds.json', dict(pixel=.5, label=0.) if task == 'segmentation' else dict(label=.5))
    return path


def measure(net, least, images, args):
    "A row for each engine."
    with tempfile.TemporaryDirectory() as root:
        path, start = make_run(net, root), time.perf_counter()
        file = export_onnx(path, Path(root)/'net.onnx')
        exported = round(time.perf_counter() - start, 1)
        kw = dict(batch_size=args.batch, num_workers=0)
        models = {'torch': Predictor(path, device='cpu', **kw)} | {k: load_model(file, k, threads=1, **kw) for k in ENGINES}
        torch.set_num_threads(1)
        times = common.race({k: lambda m=m: [None for _ in m.stream(images)] for k, m in models.items()}, args.repeats, per=len(images))
        h, w = images.image(0).shape
        for k in ENGINES:
            env = common.environment()
            yield dict(name=f'engine {net} {k}', what=f'{net}, {h}×{w}, exported, {models[k].options["engine"]}', beside='the run in PyTorch', aim=f'≥ {least}× PyTorch',
                       **common.versus(times, k, 'torch', least), data=f'{len(images)} synthetic strips in batches of {args.batch}, one thread, free size',
                       figures={'strips a second': round(1/times[k]['cpu']['median'], 2), 'strips a second in PyTorch': round(1/times['torch']['cpu']['median'], 2),
                                'MB of the file': round(file.stat().st_size/1e6, 1), 'seconds to export': exported}, date=env['date'], load=env['load'])


def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--nets', default=','.join(NETS))
    p.add_argument('--strips', type=int, default=8)
    p.add_argument('--size', type=int, nargs=2, default=(256, 1600), metavar=('HEIGHT', 'WIDTH'))
    p.add_argument('--repeats', type=int, default=5)
    p.add_argument('--batch', type=int, default=4)
    p.add_argument('--out', type=Path, default=HERE/'results'/'engines.json')
    args = p.parse_args(argv)
    images = ImageList([make_strip(s, *args.size)[0] for s in range(args.strips)])
    rows = json.loads(args.out.read_text())['rows'] if args.out.exists() else []
    for net in args.nets.split(','):
        for row in measure(net, NETS.get(net, 1.8), images, args):
            rows = [o for o in rows if o['name'] != row['name']] + [row]
            print(f"{row['what']}: {row['ratio']['median']:.2f}× ({row['ratio']['low']:.2f} to {row['ratio']['high']:.2f}), "
                  f"{row['figures']['strips a second']} strips a second", flush=True)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(dict(environment=common.environment(), rows=rows), indent=1, ensure_ascii=False) + '\n')


if __name__ == '__main__': main()
