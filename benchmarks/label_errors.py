"""Do the queues of `severstal labels` find label errors that were planted, beside cleanlab and chance?

    python benchmarks/label_errors.py synthetic | neuseg | memory | table [--folder label_error_runs] [--seeds 0,1,2] [--tiny]

Each part plants 40 errors of each kind (a mask removed, added, given to another class, displaced; one in an image at most), trains two folds on the
spoilt labels (at most 20 minutes) and looks at the first n suggestions of each queue, n being the errors that belong there. A suggestion is right when
the label of its image and class was spoilt. A finished run is not made again, one that was broken off is continued. `table` writes
benchmarks/results/label_errors.json and .md from what is there. Real labels have errors of their own, which count against every way.
"""
import bootstrap
import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from evidence import DATA, LITE, RECIPE, finished, net, train_one
from bootstrap import HERE

ERRORS = 40
BOTH = RECIPE | net('timm-tf_efficientnet_lite0', LITE[0]) | dict(data__num_folds=2, data__split_strategy='kfold', data__duplicates='none', predict__tta=['h'])
PARTS = dict(synthetic=dict(preset='demo', data__duplicates='none', training__num_epochs=10), neuseg=BOTH | dict(training__num_epochs=5))
STRIPS = dict(n_train=640, height=128, width=200, balanced=True)
TINY = dict(model__name='tiny_seg', model__encoder=None, model__pretrained=False, model__weights=None, model__decoder_channels=None,
            training__num_epochs=1, training__encoder_lr=None)


def make_data(folder, part, seed, tiny):
    "Folder with images and the CSV of spoilt labels; planted.csv says what was spoilt."
    from severstal_nb.quality.labels import plant_errors
    from severstal_nb.readers import read_data, read_kaggle
    from severstal_nb.synthetic import make_kaggle
    root = Path(folder)/f'{part}-{seed}-data'
    if (root/'planted.csv').exists(): return root
    shutil.rmtree(root, ignore_errors=True)
    if part == 'synthetic':
        make_kaggle(root, **STRIPS | (dict(n_train=120, height=32, width=64) if tiny else {}), seed=1000 + seed)
        data = read_kaggle(root)
    else:
        data = read_data(DATA/'neu_seg')
        if tiny: data = data.subset(np.arange(0, len(data), 7))
        (root/'train_images').mkdir(parents=True)
        for name, path in zip(data.images.image_id, data.images.path): (root/'train_images'/name).symlink_to(path)
    spoilt, planted = plant_errors(data, 8 if tiny else ERRORS, seed)
    spoilt.to_kaggle(root/'train.csv')
    planted.assign(**{'class': [1 + data.classes.index(o) for o in planted['class']]}).to_csv(root/'planted.csv', index=False)
    return root


def second_opinion(run, data):
    "cleanlab's label quality of whole images, one class at a time, from the highest probability of each; as queues."
    from cleanlab.rank import get_label_quality_scores
    from severstal_nb.runs.evaluate import oof_masks
    rows, top = zip(*((i, p.reshape(len(p), -1).max(1)/255) for i, p in oof_masks(run, data, run.finished)))
    probs, given, names, out = np.stack(top).clip(1e-6, 1 - 1e-6), data.labels[list(rows)], data.images.image_id.to_numpy()[list(rows)], []
    for k, c in enumerate(data.classes):
        quality = get_label_quality_scores(given[:, k].astype(int), np.stack([1 - probs[:, k], probs[:, k]], 1))
        out += [(f, c, 'spurious' if g else 'missing', 1 - q) for f, g, q in zip(names, given[:, k], quality)]
    return pd.DataFrame(out, columns=['file', 'class', 'queue', 'score']).sort_values('score', ascending=False, kind='stable')


def hits(queues, planted):
    "queue → (right, of)"
    wrong = planted[['file', 'class']].drop_duplicates()
    return {q: (len(queues[queues.queue == q].head(n).merge(wrong)), int(n)) for q, n in planted.queue.value_counts().items()}


def one(folder, part, seed, tiny):
    "One planting: what the ways found."
    file = Path(folder)/f'{part}-{seed}.json'
    if file.exists(): return
    from severstal_nb.quality.labels import run_queues
    root = make_data(folder, part, seed, tiny)
    keys = PARTS[part] | dict(data__root=str(root), training__seed=seed, data__split_seed=seed) | (dict(data__classes=['auto']) if part == 'neuseg' else {}) | (TINY if tiny else {})
    train_one(folder, f'{part}-{seed}', keys)
    run = finished(folder, f'{part}-{seed}')
    data, queues = run_queues(run)
    planted = pd.read_csv(root/'planted.csv', dtype=str)
    rng, names = np.random.default_rng(seed), data.images.image_id.to_numpy()
    labelled = [(f, c, 'spurious' if on else 'missing') for f, row in zip(names, data.labels) for c, on in zip(data.classes, row)]
    chance = pd.DataFrame(rng.permutation(labelled), columns=['file', 'class', 'queue'])
    chance = pd.concat([chance, chance[chance.queue == 'spurious'].assign(queue='border')])
    ways = dict(queues=hits(queues, planted), cleanlab=hits(second_opinion(run, data), planted[planted.queue != 'border']), chance=hits(chance, planted))
    for q in ('missing', 'spurious', 'border'): # which of the errors of each kind are among the first
        first = queues[queues.queue == q].head((planted.queue == q).sum())
        ways[f'found in {q}'] = {k: (len(t.merge(first[['file', 'class']])), len(t)) for k, t in planted[planted.queue == q].groupby('kind')}
    cpu = json.loads((Path(folder)/f'{part}-{seed}.cpu.json').read_text())['cpu']
    file.write_text(json.dumps(dict(ways=ways, cpu=cpu, images=len(data), dice_defect=run.results['metrics']['dice_defect'], tiny=tiny)))
    print(part, seed, ways, flush=True)


MEMORY = '''
import sys, time
import numpy as np
from severstal_nb.data import concat
from severstal_nb.quality.labels import label_queues
from severstal_nb.synthetic import synthetic_data
n, times = int(sys.argv[1]), int(sys.argv[2])
data = synthetic_data(n, 256, 1600, balanced=True)
def probs(i):
    rng = np.random.default_rng(i)
    noise = rng.integers(0, 90, (4, 32, 200), np.uint8).repeat(8, 1).repeat(8, 2)
    return np.maximum((data.mask(i % n)*int(rng.integers(60, 250))).astype(np.uint8), noise)
t = time.process_time()
q = label_queues(probs, concat([data]*times))
result = dict(rows=len(q), ms=1000*(time.process_time() - t)/(n*times), images=n*times)
'''


def memory(folder, tiny):
    "CPU milliseconds an image and peak memory, for 200 full strips and the same ten times over."
    from common import child
    n = 8 if tiny else 200
    rows = {str(k): child(MEMORY, n, k) for k in (1, 10)}
    (Path(folder)/'memory.json').write_text(json.dumps(rows))
    print(rows, flush=True)


def table(folder):
    from severstal_nb.metrics.masks import wilson
    kept, lines = {}, ['# Planted label errors', '', 'Written by `python benchmarks/label_errors.py table`; protocol and commands in its first lines.', '',
                       '| data | way | queue | right among the first n | share (95 % interval) | plantings |', '|---|---|---|---|---|---|']
    for part in PARTS:
        found = [json.loads(o.read_text()) for o in sorted(Path(folder).glob(f'{part}-?.json'))]
        kept[part] = found
        if not found: lines.append(f'| {part} | not run | | | | |')
        for way in ('queues', 'cleanlab', 'chance'):
            for q in ('missing', 'spurious', 'border'):
                each = [o['ways'][way][q] for o in found if q in o['ways'][way]]
                if not each: continue
                k, n = map(sum, zip(*each))
                low, high = wilson(k, n)
                lines.append(f'| {part} | {way} | {q} | {k} of {n} | {k/n:.2f} ({low:.2f} to {high:.2f}) | {", ".join(f"{a/b:.2f}" for a, b in each)} |')
    lines += ['', '| data | queue | planted as | among the first n |', '|---|---|---|---|']
    for part, found in kept.items():
        for q in ('missing', 'spurious', 'border'):
            for kind in sorted({k for o in found for k in o['ways'][f'found in {q}']}):
                k, n = map(sum, zip(*(o['ways'][f'found in {q}'][kind] for o in found)))
                lines.append(f'| {part} | {q} | {kind} | {k} of {n} |')
    for part, found in kept.items():
        if not found: continue
        minutes, dice = (', '.join(f'{o[k]/by:{form}}' for o in found) for k, by, form in (('cpu', 60, '.0f'), ('dice_defect', 1, '.2f')))
        dry = ' A dry run: nothing here means anything.'*any(o['tiny'] for o in found)
        lines += ['', f'{part}: {found[0]["images"]} images; CPU minutes of the runs: {minutes}; their Dice on defects, of the spoilt labels: {dice}.{dry}']
    if (file := Path(folder)/'memory.json').exists():
        kept['memory'] = json.loads(file.read_text())
        lines += ['', *(f'{o["images"]} strips of 256×1600: {o["ms"]:.0f} CPU ms a strip, {o["peak_mb"]:.0f} MB at most.' for o in kept['memory'].values())]
    out = HERE/'results' if not any(o['tiny'] for f in kept.values() if isinstance(f, list) for o in f) else Path(folder)
    (out/'label_errors.json').write_text(json.dumps(kept, indent=1) + '\n')
    (out/'label_errors.md').write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('stage', choices=[*PARTS, 'memory', 'table'])
    p.add_argument('--folder', default='label_error_runs', type=lambda o: Path(o).resolve())
    p.add_argument('--seeds', default='0,1,2')
    p.add_argument('--tiny', action='store_true', help='a dry run in a minute')
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    if a.stage == 'table': return table(a.folder)
    if a.stage == 'memory': return memory(a.folder, a.tiny)
    import torch
    torch.set_num_threads(1)
    for seed in map(int, a.seeds.split(',')): one(a.folder, a.stage, seed, a.tiny)


if __name__ == '__main__': main()
