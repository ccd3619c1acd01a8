"""One GPU, less than eight minutes: is half precision right, how fast is it fed, how fast does it predict, what fits.

    python benchmarks/gpu.py                              every stage
    python benchmarks/gpu.py --only correct,fed           some
    python benchmarks/gpu.py --device cpu --tiny --out F  a rehearsal on a CPU, at the smallest sizes

Stages: correct, step, largest, fed, predict, neuseg. Each is kept in benchmarks/results/gpu.json as soon as it is done, with card, driver, date and
command; a stage that has not been run says so there. Nothing is begun after `--minutes` (7). `neuseg` trains NEU-Seg's fold 0 by the recipe of
evidence.py, where SEVERSTAL_SHARED has the data. The page reference/speed shows the rows.
"""
import os

for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'): os.environ.setdefault(name, '1')
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')

import argparse, json, sys, time, traceback, warnings
from contextlib import nullcontext
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np
import torch

from common import environment, race, temp, versus
from rows_models import card, predict_row

FULL = dict(nets=('unet-resnet34', 'deeplabv3plus-efficientnet-b3', 'convnext_tiny_cbam'), net='unet-resnet34', size=(256, 1600), n=16, batch=16, steps=60, strips=64, files=256, epochs=20, most=4096)
TINY = dict(nets=('unet-resnet18', 'resnet10t'), net='unet-resnet18', size=(32, 64), n=2, batch=2, steps=2, strips=4, files=4, epochs=1, most=4)
HALF = dict(bf16=torch.bfloat16, fp16=torch.float16)
STAGES = {}


def stage(what, aim=''):
    "Decorator: a stage, a function of options that returns the fields of its row."
    def add(f):
        STAGES[f.__name__] = (f, what, aim)
        return f
    return add


def sync(o):
    if o.device == 'cuda': torch.cuda.synchronize()


def cast(o, precision): return torch.autocast(o.device, HALF[precision]) if precision in HALF else nullcontext()


def images(o, n):
    "Synthetic strips as they are read, on the device."
    from severstal_nb.synthetic import make_strip, synth_labels
    made = [make_strip((0, i), *o.size, l)[0] for i, l in enumerate(synth_labels(n, balanced=True))]
    return torch.from_numpy(np.stack(made))[:, None].to(o.device)


@stage('probabilities in bf16 and fp16 beside those in f32, with TF32 switched off')
def correct(o):
    from severstal_nb.models import create_model
    old = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    x, found = images(o, o.n), {}
    try:
        for name in o.nets:
            torch.manual_seed(0)
            model = create_model(name).to(o.device).eval()
            with torch.inference_mode():
                torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
                full = model(x).sigmoid()
                torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = old
                ways = dict(usual=('f32', False), bf16=('bf16', False), fp16=('fp16', False), **{'bf16, channels_last': ('bf16', True)})
                for way, (precision, last) in ways.items():
                    if last: model = model.to(memory_format=torch.channels_last)
                    with cast(o, precision): p = model(x).float().sigmoid()
                    cut = full.flatten(2).median(2).values[..., None, None] if full.ndim == 4 else full.median()
                    found[f'{name}, {way}'] = dict(largest_difference=float((p - full).abs().max()), mean_difference=float((p - full).abs().mean()),
                                                   flipped_per_million=1e6*float(((p >= cut) != (full >= cut)).float().mean()), finite=bool(p.isfinite().all()))
    finally: torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = old
    return dict(met=all(v['finite'] and (v['mean_difference'] < .01) for v in found.values()), figures=found)


def trainer(o, batch, precision='bf16', last=False, compiled=False):
    "A training step on one resident batch: a function without arguments."
    from severstal_nb.losses import create_loss
    from severstal_nb.models import create_model
    torch.manual_seed(0)
    model, loss = create_model(o.net).to(o.device), create_loss('bce_with_logits')
    x, y = images(o, 2).repeat(-(-batch//2), 1, 1, 1)[:batch], torch.zeros(batch, 4, *o.size, dtype=torch.uint8, device=o.device)
    if last: model = model.to(memory_format=torch.channels_last)
    opt, net = torch.optim.AdamW(model.parameters(), 1e-4), torch.compile(model) if compiled else model
    scaler = torch.amp.GradScaler(o.device, enabled=precision == 'fp16' and o.device == 'cuda')
    def step():
        with cast(o, precision): value = loss(net(x), y)
        scaler.scale(value).backward(); scaler.step(opt); scaler.update(); opt.zero_grad()
    return step


@stage('training step on a resident batch: strips per second and peak memory, by precision')
def step(o):
    found = {}
    for name, kw in {'f32': dict(precision='f32'), 'bf16': {}, 'fp16': dict(precision='fp16'), 'bf16, channels_last': dict(last=True), 'bf16, channels_last, torch.compile': dict(last=True, compiled=True)}.items():
        if o.tiny and 'compile' in name: continue # minutes of a C++ compiler
        if o.device == 'cuda': torch.cuda.empty_cache(); torch.cuda.reset_peak_memory_stats()
        try:
            start, go = time.perf_counter(), trainer(o, o.batch, **kw)
            for _ in range(3): go()
            sync(o); ready = time.perf_counter()
            for _ in range(max(2, o.steps//3)): go()
            sync(o)
            found[name] = dict(strips_per_second=round(max(2, o.steps//3)*o.batch/(time.perf_counter() - ready), 1), ready_after_s=round(ready - start, 1))
            if o.device == 'cuda': found[name]['peak_mb'] = round(torch.cuda.max_memory_allocated()/2**20)
        except Exception as e: found[name] = dict(failed=f'{type(e).__name__}: {str(e).splitlines()[0][:120]}')
        if o.device == 'cuda': torch._dynamo.reset()
    return dict(met=None, figures=found)


@stage('the largest batch of strips that a training step takes (bf16, channels_last), by doubling')
def largest(o):
    batch = fits = 1
    while batch <= o.most:
        try:
            go = trainer(o, batch, last=True)
            go(); go(); sync(o)
            fits, batch = batch, 2*batch
        except torch.OutOfMemoryError: break
        finally:
            go = None
            if o.device == 'cuda': torch.cuda.empty_cache()
    return dict(met=None, figures=dict(batch=fits, tried=batch))


@stage("strips per second fed, beside the model's own rate on a resident batch", '≥ 0.97')
def fed(o):
    from severstal_nb.learn.augment import make_augment
    from severstal_nb.learn.dataset import SteelDataset, StepLoader
    from severstal_nb.losses import create_loss
    from severstal_nb.models import create_model
    from severstal_nb.synthetic import synthetic_data
    (h, w), total, workers = o.size, o.steps*o.batch, 0 if o.device == 'cpu' else max(1, (os.cpu_count() or 2) - 1)
    data = synthetic_data(o.strips, h, w, balanced=True)
    ds = SteelDataset(data, boxes=[(i % len(data), 0, 0, w, h) for i in range(total)], augment=make_augment(h, w, hflip=.5, vflip=.5, brightness_contrast=.5))
    loader = StepLoader(ds, o.batch, shuffle=True, drop_last=True, num_workers=workers, device=o.device)
    model, loss = create_model(o.net).to(o.device), create_loss('bce_with_logits')
    opt, one = torch.optim.Adam(model.parameters(), 1e-3), loader.one_batch()
    def over(batches):
        for x, y in batches:
            with cast(o, 'bf16'): value = loss(model(x), y)
            value.backward(); opt.step(); opt.zero_grad()
        sync(o)
    t = race(dict(ours=lambda: over(loader), peer=lambda: over([one]*o.steps)), 3, per=total)
    return versus(t, 'ours', 'peer', .97, clock='wall', data=f'{o.net}, bf16, batches of {o.batch} strips {h}×{w}, {workers} workers',
                  figures={'strips per second fed': round(1/t['ours']['wall']['median'], 1), 'strips per second, resident': round(1/t['peer']['wall']['median'], 1)})


@stage("predict, file → CSV, beside the model's forward alone", '≥ 0.95')
def predict(o): return predict_row(.95, o.net, o.files, o.device, model__pretrained=False)


@stage('NEU-Seg, fold 0 of 3, the recipe of evidence.py')
def neuseg(o):
    from evidence import NEU, NEUSEG1
    from severstal_nb.experiment import train
    from severstal_nb.readers import shared_data
    root = Path(o.data or (shared_data() or Path('data'))/'neu_seg')
    if not root.is_dir(): return dict(not_run=f'{root.name} is not at hand: SEVERSTAL_SHARED, or --data DIR')
    keys = dict(NEU) | dict(NEUSEG1['unet-lite0']) | dict(data__root=str(root), training__num_epochs=o.epochs, training__device=o.device, data__num_workers=0 if o.tiny else 8)
    if o.tiny: keys |= dict(data__limit=24, model__pretrained=False, model__weights=None, data__duplicates='none')
    if o.device == 'cuda': keys |= dict(training__precision='bf16')
    with temp() as folder:
        start = time.perf_counter()
        m = train(None, run__root=folder, run__name='neuseg', verbose=False, **keys).results['metrics']
    return dict(met=None, data=f'unet-lite0, {o.epochs} epochs', figures=dict(seconds=round(time.perf_counter() - start, 1)) | {k: m[k] for k in ('dice', 'dice_low', 'dice_high', 'dice_defect', 'iou') if k in m})


def options(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', default=','.join(STAGES), help='stages, with commas')
    p.add_argument('--device', default='cuda', choices=('cuda', 'cpu'))
    p.add_argument('--tiny', action='store_true', help='the smallest sizes')
    p.add_argument('--data', help='folder of NEU-Seg')
    p.add_argument('--minutes', type=float, default=7., help='no stage is begun after so long')
    p.add_argument('--out', type=Path, default=HERE/'results'/'gpu.json')
    o = p.parse_args(argv)
    for k, v in (TINY if o.tiny else FULL).items(): setattr(o, k, v)
    return o


def keep(path, rows, about=None):
    "Put rows among those in the file; stages that have never been run say so."
    old = json.loads(path.read_text()) if path.exists() else dict(rows=[])
    by = {r['name']: r for r in old['rows']} | {r['name']: r for r in rows}
    none = dict(not_run='no GPU yet; `python benchmarks/gpu.py` fills it')
    new = [by.get(n) or dict(name=n, what=what, aim=aim, **none) for n, (_, what, aim) in STAGES.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(environment=about or old.get('environment'), rows=new), indent=1, ensure_ascii=False) + '\n')


def main(argv=None):
    o, start = options(argv), time.perf_counter()
    warnings.filterwarnings('ignore')
    if o.device == 'cuda' and not torch.cuda.is_available():
        keep(o.out, [])
        sys.exit(f'no GPU here: {o.out} says "not run" of what has not been run; --device cpu --tiny is a rehearsal')
    about = dict(environment(), command=' '.join(['python', 'benchmarks/gpu.py', *(argv or sys.argv[1:])])) | (card() if o.device == 'cuda' else dict(card='none, a CPU'))
    for name in o.only.split(','):
        f, what, aim = STAGES[name]
        t, row = time.perf_counter(), dict(name=name, what=what, aim=aim)
        if t - start > 60*o.minutes: print(f'{name}: no time left', flush=True); continue
        try: row |= f(o)
        except Exception as e:
            traceback.print_exc()
            row |= dict(not_run=f'failed: {type(e).__name__}: {str(e).splitlines()[0][:200] if str(e) else ""}')
        row |= dict(seconds=round(time.perf_counter() - t, 1), date=about['date'], card=about['card'], driver=about.get('driver'), command=about['command'])
        print(json.dumps(row, ensure_ascii=False), flush=True)
        keep(o.out, [row], about)


if __name__ == '__main__': main()
