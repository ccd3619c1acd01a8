"Where a net is involved: training steps, prediction, peak memory, the GPU."
import json, time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np

from common import child, many_files, quartiles, race, row, strips, temp, versus

NETS = {'unet-resnet18': dict(task='segmentation', loss='bce_dice_pos_weight', size=(128, 128), batch=4),
        'convnext_tiny_cbam': dict(task='classification', loss='focal_loss', size=(96, 192), batch=4)}


class Batches:
    "A fixed list of batches in the form fastai and a plain loop both take; notes when each is asked for."
    def __init__(self, batches): self.batches, self.n, self.walls, self.cpus, self.dataset = batches, len(batches), [], [], batches
    def __len__(self): return self.n
    def tick(self):
        self.walls.append(time.perf_counter()); self.cpus.append(time.process_time())
    def __iter__(self):
        for b in self.batches:
            self.tick()
            yield b
        self.tick()
    def steps(self):
        "Seconds of each whole step after the first two, on both clocks; forgets them."
        w, c = np.diff(self.walls)[2:].tolist(), np.diff(self.cpus)[2:].tolist()
        self.walls, self.cpus = [], []
        return w, c


def step_times(name, task, loss, size, batch, n=7, rounds=3, device='cpu', **fit_kw):
    "Steps through `fit` and in a plain loop, in turn: {ours, peer: {wall, cpu}} and whether the weights agree."
    import torch
    from peers import bare_loop
    from severstal_nb.losses import create_loss
    from severstal_nb.models import create_model
    from severstal_nb.training import fit
    rng = torch.Generator().manual_seed(0)
    shape = (4,) if task == 'classification' else (4, *size)
    data = [(torch.randint(0, 256, (batch, 1, *size), generator=rng, dtype=torch.uint8).to(device),
             (torch.rand(batch, *shape, generator=rng) < .1).to(torch.uint8).to(device)) for _ in range(n)]
    torch.manual_seed(0)
    model = create_model(name, n_classes=4, in_chans=1).to(device)
    start = {k: v.clone() for k, v in model.state_dict().items()}
    make_loss = lambda: create_loss(loss, task=task, labels=np.eye(4, dtype=bool)).to(device)
    got = {k: dict(wall=[], cpu=[], raw=dict(wall=[], cpu=[])) for k in ('ours', 'peer')}
    for r in range(rounds):
        for k in (('ours', 'peer'), ('peer', 'ours'))[r % 2]:
            loader = Batches(data)
            model.load_state_dict(start)
            torch.manual_seed(0)
            if k == 'peer': bare_loop(model, data, make_loss(), tick=loader.tick)
            else:
                with temp() as folder:
                    fit(model, (loader, Batches(data[:1])), make_loss(), folder=folder, epochs=1, schedule='constant', lr=1e-3,
                        monitor='train_loss', progress=False, device=device, **fit_kw)
            w, c = loader.steps()
            got[k]['raw']['wall'].append(float(np.median(w))); got[k]['raw']['cpu'].append(float(np.median(c)))
            got[k].setdefault('weights', {n: v.clone() for n, v in model.state_dict().items()})
    off = max(float((got['ours']['weights'][n].double() - got['peer']['weights'][n].double()).abs().max()) for n in start)
    for k in got: got[k] = dict(raw=got[k]['raw'], **{c: quartiles(got[k]['raw'][c]) for c in ('wall', 'cpu')})
    return got, off


def step_row(name, least):
    "The fields of a training-step row."
    spec = NETS[name]
    t, off = step_times(name, **spec)
    size = '{}×{}'.format(*spec['size'])
    return versus(t, 'ours', 'peer', least, data=f'{name}, {spec["batch"]} images of {size}, 7 steps a round, in memory',
                  figures={'largest difference of a weight after 7 steps': off})


@row('train_step_unet', 'training step through our Learner, U-Net', 'a bare PyTorch loop', '≤ 1.03× its time', 1/1.03, heavy=True)
def train_step_unet_row(least): return step_row('unet-resnet18', least)


@row('train_step_cbam', 'training step through our Learner, CBAM classifier', 'a bare PyTorch loop', '≤ 1.03× its time', 1/1.03, heavy=True)
def train_step_cbam_row(least): return step_row('convnext_tiny_cbam', least)


def a_run(folder, name='tiny_seg', **kw):
    "A run of one epoch on a few small strips: its weights matter to nobody."
    from severstal_nb.experiment import train
    arch, _, encoder = name.partition('-')
    run = train('demo', model__name=arch, model__encoder=encoder or None, data__n_train=20, training__num_epochs=1,
                data__height=64, data__width=256, data__mode='full', training__channels_last=False, predict__tta=[],
                run__root=str(folder), verbose=False, **kw)
    return run


@row('predict', 'predict, file → CSV', "the model's forward alone", '≥ 0.9 of its rate on a CPU', .9, heavy=True)
def predict_row(least, name='linknet-mobilenet_v2', n=16, device='cpu', **kw):
    import torch
    from severstal_nb.core.images import read_image
    from severstal_nb.experiment import predict
    from severstal_nb.decide.postprocess import Thresholds
    data, kind = strips()
    with temp() as folder:
        folder = Path(folder)
        run = a_run(folder, name, data__split_strategy='stratified_80_10_10', **kw)
        images = many_files(folder/'images', n, data.images.path.tolist()) if not kind else folder/'images'
        images.mkdir(exist_ok=True)
        for i in range(n): (images/f'{i:03d}.jpg').write_bytes(Path(data.images.path[i % len(data)]).read_bytes())
        x = torch.from_numpy(np.stack([read_image(p) for p in sorted(images.glob('*.jpg'))]))[:, None].to(device)
        model = run.model(0).to(device).eval()
        with torch.inference_mode():
            forward = lambda: [model(x[b:b + 4]) for b in range(0, n, 4)]
            rules = Thresholds(pixel=[float(v) for v in forward()[0].sigmoid().amax((0, 2, 3)).mul(.995).cpu()], min_area=200)
            whole = lambda: predict(run, images, folder/'out.csv', thresholds=rules, batch_size=4, resume=False, progress=False, device=device)
            t = race(dict(ours=whole, peer=forward), 3, per=n)
    return versus(t, 'ours', 'peer', least, clock='cpu' if device == 'cpu' else 'wall', data=f'{n} {kind} strips, {name}, batches of 4',
                  figures={'strips per second': round(1/t['ours']['wall']['median'], 2),
                           'strips per second, forward alone': round(1/t['peer']['wall']['median'], 2)})


HEAD = '''
import sys, torch; torch.set_num_threads(1)
from common import peak_mb
run, root, *sizes = sys.argv[1:]
result = {}
'''
PREDICT = HEAD + '''
from severstal_nb.experiment import predict
for n in sizes:
    predict(run, f'{root}/{n}/train_images', f'{root}/{n}/out.csv', progress=False, resume=False)
    result[n] = peak_mb()
'''
OOF = HEAD + '''
from severstal_nb.decide.thresholds import count_pairs
from severstal_nb.readers import read_kaggle
from severstal_nb.runs.evaluate import store_masks
from severstal_nb.runs.predictor import Predictor
predictor = Predictor(run, [0])
with torch.no_grad(): predictor.nets[0].net[0].weight *= .02  # as sure as trained nets are: noise would fill the disk
for n in sizes:
    data = read_kaggle(f'{root}/{n}')
    count_pairs(store_masks(f'{root}/{n}/oof', predictor.stream(data), data, 0), data)
    result[n] = peak_mb()
'''
TRAIN = HEAD + '''
from severstal_nb.experiment import train
for n in sizes:
    train('demo', model__name='tiny_seg', model__encoder=None, training__num_epochs=3, predict__tta=[], data__root=f'{root}/{n}',
          data__duplicates='none', data__fold=0, data__mode='full', run__root=f'{root}/{n}/runs', verbose=False)
    result[n] = peak_mb()
'''


@lru_cache(maxsize=3)
def memory_peaks(codes, sizes):
    "Peak memory of a process after each of several jobs, over more and more strips; processes for several codes run side by side."
    from severstal_nb.cli import TUNABLES  # the environment of a `severstal` command
    from severstal_nb.synthetic import make_kaggle
    with temp() as folder, ThreadPoolExecutor(2) as pool:
        folder = Path(folder)
        run = a_run(folder)
        few = make_kaggle(folder/'few', 40, n_workers=1, balanced=True)
        files = sorted((few/'train_images').glob('*.jpg'))
        for n in sizes:
            many_files(folder/str(n)/'train_images', n, files)
            copy_table(few, files, n)(folder/str(n)/'train.csv')
        return list(pool.map(lambda code: child(code, run.path, folder, *sizes, env=dict(GLIBC_TUNABLES=TUNABLES), timeout=3600), codes))


def memory_row(code, codes, sizes):
    "The fields of a memory row."
    got = memory_peaks(codes, sizes)[codes.index(code)]
    first, *_, last = (got[str(n)] for n in sizes)
    return dict(unit='MB', clock='peak', ours=quartiles([last]), peer=quartiles([first]),
                ratio=dict(median=round(first/last, 4)), met=bool(last <= 1.05*first), repeats=1,
                data=f'synthetic strips 256×1600, one convolution; one process, {sizes[0]:,} strips and then {sizes[-1]:,}',
                figures={f'{n:,} strips, MB': round(got[str(n)], 1) for n in sizes} | {'processor s': round(got['cpu'], 1)})


def copy_table(few, files, n):
    "Writes a train.csv for `n` links to the strips of `few`."
    import pandas as pd
    rles = pd.read_csv(few/'train.csv').groupby('ImageId')
    rows = [rles.get_group(f.name).assign(ImageId=f'{i:09x}.jpg') for i in range(n) if (f := files[i % len(files)]).name in rles.groups]
    return lambda path: pd.concat(rows).to_csv(path, index=False)


BOTH, MANY = (PREDICT, OOF), (100, 10_000)

@row('memory_predict', 'peak memory of predict', 'itself with fewer strips', 'flat within 5 %', heavy=True)
def memory_predict_row(least): return memory_row(PREDICT, BOTH, MANY)


@row('memory_oof', 'peak memory of out-of-fold prediction and counting', 'itself with fewer strips', 'flat within 5 %', heavy=True)
def memory_oof_row(least): return memory_row(OOF, BOTH, MANY)


@row('memory_train', 'peak memory of training, three epochs of one fold of two', 'itself with fewer strips', 'flat within 5 %', heavy=True)
def memory_train_row(least): return memory_row(TRAIN, (TRAIN,), (100, 1000))


def no_gpu(command):
    "A row that was not run, and how to run it."
    return dict(not_run=f'no GPU here; `{command}` fills it')


def cuda():
    import torch
    return torch.cuda.is_available()


@row('gpu_feed', 'on a GPU: strips per second fed / the model\'s own rate on resident data', 'the model\'s own rate', '≥ 0.97', .97)
def gpu_feed_row(least):
    if not cuda(): return no_gpu('python benchmarks/run.py --only gpu_feed')
    import os, torch
    from severstal_nb.learn.augment import make_augment
    from severstal_nb.learn.dataset import SteelDataset, StepLoader
    from severstal_nb.losses import create_loss
    from severstal_nb.models import create_model
    from severstal_nb.synthetic import synthetic_data
    data, workers = synthetic_data(64, 256, 1600, balanced=True), max(1, (os.cpu_count() or 2) - 1)
    boxes = [(i % len(data), 0, 0, 1600, 256) for i in range(960)]
    ds = SteelDataset(data, boxes=boxes, augment=make_augment(256, 1600, hflip=.5, vflip=.5, brightness_contrast=.5))
    model, loss = create_model('unet-resnet34', n_classes=4, in_chans=1).cuda(), create_loss('bce_with_logits')
    opt = torch.optim.Adam(model.parameters(), 1e-3)
    loader = StepLoader(ds, 16, shuffle=True, drop_last=True, num_workers=workers, device='cuda')
    one = loader.one_batch()
    def step(batch):
        x, y = batch
        with torch.autocast('cuda', torch.bfloat16): value = loss(model(x), y)
        value.backward(); opt.step(); opt.zero_grad()
    def over(batches):
        for b in batches: step(b)
        torch.cuda.synchronize()
    t = race(dict(ours=lambda: over(loader), peer=lambda: over([one]*60)), 3, per=960)
    return versus(t, 'ours', 'peer', least, clock='wall', data=f'unet-resnet34, bf16, batches of 16 full strips, {workers} workers',
                  figures={'strips per second fed': round(1/t['ours']['wall']['median'], 1), **card()})


@row('gpu_precision', 'on a GPU: bf16 + channels-last', 'fp32', 'figures')
def gpu_precision_row(least):
    if not cuda(): return no_gpu('python benchmarks/run.py --only gpu_precision')
    import torch
    ours, _ = step_times('unet-resnet34', 'segmentation', 'bce_with_logits', (256, 1600), 8, device='cuda', precision='bf16', channels_last=True)
    full, _ = step_times('unet-resnet34', 'segmentation', 'bce_with_logits', (256, 1600), 8, device='cuda')
    return versus(dict(ours=ours['ours'], peer=full['ours']), 'ours', 'peer', clock='wall', data='unet-resnet34, 8 full strips', figures=card())


@row('gpu_predict', 'on a GPU: predict, file → CSV', "the model's forward alone", '≥ 0.95', .95)
def gpu_predict_row(least):
    if not cuda(): return no_gpu('python benchmarks/run.py --only gpu_predict')
    fields = predict_row(least, 'unet-resnet34', 256, 'cuda', model__pretrained=False)
    return fields | dict(figures=fields['figures'] | card())


def card():
    "Name of the GPU and versions of its driver and CUDA."
    import subprocess, torch
    try: driver = subprocess.run(['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'], capture_output=True, text=True).stdout.strip()
    except OSError: driver = 'unknown'
    return dict(card=torch.cuda.get_device_name(), driver=driver, cuda=torch.version.cuda)
