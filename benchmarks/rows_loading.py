"From files to training samples: reading, folds, loading, synthetic strips, imports."
import json, os, subprocess, sys
from functools import lru_cache
from pathlib import Path

import numpy as np

from common import HERE, child, command_times, floor_of, many_files, quartiles, race, row, shared, strips, temp, versus
import peers

class Worker:
    "A process of `loading_worker.py`."
    def __init__(self, mode):
        env = {**os.environ, 'PYTHONWARNINGS': 'ignore', 'PYTHONPATH': os.pathsep.join(sys.path[:3])}
        self.process = subprocess.Popen([sys.executable, str(HERE/'loading_worker.py'), mode], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=env)
        self.n, self.kind = json.loads(self.process.stdout.readline())

    def __call__(self, name):
        "[wall, cpu] seconds per sample."
        self.process.stdin.write(name + '\n')
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        "End the process."
        self.process.stdin.close()
        self.process.wait()


OURS = ('full normalise_full crop normalise_crop store normalise_store masks_full decode clear_full clear_crop floats_full '
        'floats_crop copy_crop').split()


@lru_cache(maxsize=1)
def loading_times(repeats=7):
    "All loading times, interleaved: the recipe in a process of its own and again beside ours, where freed memory is kept."
    todo = [('recipe', n) for n in ('recipe_full', 'recipe_crop')] + [('ours', n) for n in ('recipe_full', 'recipe_crop', *OURS)]
    workers, got = {m: Worker(m) for m in ('recipe', 'ours')}, {k: dict(wall=[], cpu=[]) for k in todo}
    for r in range(repeats):
        for key in todo[r % len(todo):] + todo[:r % len(todo)]:
            wall, cpu = workers[key[0]](key[1])
            got[key]['wall'].append(wall)
            got[key]['cpu'].append(cpu)
    for w in workers.values(): w.close()
    n, kind = workers['ours'].n, workers['ours'].kind
    return n, kind, {k: dict(raw=t, **{c: quartiles(t[c]) for c in t}) for k, t in got.items()}


def loading_row(name, recipe, least, floors):
    "The fields of a loading row: ours with its share of the normalisation; the floor is the sum of `floors`, {what: timed name}."
    n, kind, t = loading_times()
    def total(*names):
        raw = {c: np.sum([t['ours', k]['raw'][c] for k in names], 0).tolist() for c in ('cpu', 'wall')}
        return dict(raw=raw, **{c: quartiles(raw[c]) for c in raw})
    both = dict(ours=total(name, f'normalise_{name}'), peer=t['recipe', recipe], floor=total(*floors.values()))
    ms = lambda key: round(t[key]['cpu']['median']*1e3, 3)
    ours, floor = (both[k]['cpu']['median']*1e3 for k in ('ours', 'floor'))
    return versus(both, 'ours', 'peer', least, data=f'{n} {kind} strips; the recipe in a process of its own', figures={
        'ours, loading alone, ms': ms(('ours', name)), 'ours, normalising alone, ms': ms(('ours', f'normalise_{name}')),
        'ratio without normalisation (another device does it)': round(ms(('recipe', recipe))/ms(('ours', name)), 2),
        **{f'floor, {what}, ms': ms(('ours', k)) for what, k in floors.items()},
        'ratio at the floor, if nothing else were done': round(ms(('recipe', recipe))/floor, 2),
        'the recipe where freed memory is kept, ms': ms(('ours', recipe)),
        'ratio to the recipe where freed memory is kept': round(ms(('ours', recipe))/ours, 2),
        **({'drawing the masks alone, ms': ms(('ours', 'masks_full'))} if name == 'full' else {}),
        **({'copying the finished image bytes, ms': ms(('ours', 'copy_crop'))} if name == 'store' else {})},
        **floor_of(both, 'ours', 'floor', ' + '.join(floors)))


DECODE = {'decoding the JPEG to grey': 'decode'}
WRITE = {'clearing 4 masks': 'clear_{}', 'writing 3 float channels': 'floats_{}'}
def writing(size): return {what: k.format(size) for what, k in WRITE.items()}


@row('sample_full', 'training sample, full strip: file → augmented uint8 tensor + 4 masks, normalised', 'the Kaggle recipe', '≥ 5× per core', 5)
def sample_full_row(least): return loading_row('full', 'recipe_full', least, DECODE | writing('full'))


@row('sample_crop', 'the same, 256×512 crop from JPEG', 'the recipe with RandomCrop first', '≥ 2×', 2)
def sample_crop_row(least): return loading_row('crop', 'recipe_crop', least, DECODE | writing('crop'))


@row('sample_store', 'the same, 256×512 crop from the decoded store', 'the recipe with RandomCrop first', '≥ 10×', 10)
def sample_store_row(least): return loading_row('store', 'recipe_crop', least, writing('crop'))


def area_labels(n, seed=0):
    "Class labels like those of the real training set, drawn with replacement beyond its size. bool [n,4]"
    from severstal_nb.synthetic import synth_labels
    return synth_labels(n, seed)


@row('open_kaggle', 'opening 12,568 images and their CSV', 'pandas reading the CSV alone, no image opened', 'seconds, linear')
def open_kaggle_row(least, sizes=(1000, 12568)):
    import pandas as pd
    from severstal_nb.readers import read_kaggle
    from severstal_nb.synthetic import make_kaggle
    figures, t = {}, {}
    with temp() as folder:
        few = make_kaggle(Path(folder)/'few', 48, n_workers=1)
        files, table = sorted((few/'train_images').glob('*.jpg')), pd.read_csv(few/'train.csv')
        rles = table.groupby('ImageId')
        for n in sizes:
            root = Path(folder)/str(n)
            many_files(root/'train_images', n, files)
            masks = [rles.get_group(f.name) if f.name in rles.groups else None for f in files]
            rows = [m.assign(ImageId=f'{i:09x}.jpg') for i in range(n) if (m := masks[i % len(files)]) is not None]
            pd.concat(rows).to_csv(root/'train.csv', index=False)
            def pandas():
                d = pd.read_csv(root/'train.csv')
                return d.pivot(index='ImageId', columns='ClassId', values='EncodedPixels')
            data = read_kaggle(root)
            assert len(data) == n and not len(data.problems) and data.rle(3, 2) == (pandas().get(3, {}).get(data.images.image_id[3]) or '')\
                or data.rle(3, 2) == ''
            t = race(dict(ours=lambda: read_kaggle(root), peer=pandas), 3, warm=0)
            figures[f'{n:,} images, s'] = round(t['ours']['cpu']['median'], 2)
    first, last = (figures[f'{n:,} images, s'] for n in sizes[::len(sizes) - 1])
    figures['time per image, last / first size'] = round(last/sizes[-1]/(first/sizes[0]), 2)
    return versus(t, 'ours', 'peer', None, 's', data='hard links to 48 synthetic strips', figures=figures) \
        | dict(met=last < 60 and figures['time per image, last / first size'] < 1.5)


@row('folds', 'making grouped, stratified folds', 'pandas + StratifiedGroupKFold', 'seconds, linear')
def folds_row(least, sizes=(1000, 12568, 100_000), peer_limit=12568):
    from severstal_nb.splits import make_folds, split_report
    figures, peer = {}, None
    for n in sizes:
        labels, groups = area_labels(n), np.arange(n)
        groups[:n//50] = np.arange(n//50)//2
        t = race(dict(ours=lambda: make_folds(labels, 5, groups)), 3, warm=0)
        figures[f'{n:,} images, s'] = round(t['ours']['cpu']['median'], 3)
        if n <= peer_limit:
            p = race(dict(peer=lambda: peers.sklearn_folds(labels, groups)), 1, warm=0)
            figures[f'scikit-learn, {n:,} images, s'] = round(p['peer']['cpu']['median'], 3)
            mine, other = make_folds(labels, 5, groups), peers.sklearn_folds(labels, groups)
            off = lambda f: round(float(np.abs(split_report(labels, f)[[f'{k} off' for k in range(4)]]).max().max()), 1)
            figures[f'worst share of a class off by, %, {n:,}'] = f'{off(mine)} (scikit-learn {off(other)})'
            keep = t, p
    t, p = keep
    t = dict(ours=t['ours'] | dict(raw={c: [v['median']] for c, v in t['ours'].items() if c != 'raw'}), peer=p['peer'])
    a, b = figures[f'{sizes[1]:,} images, s'], figures[f'{sizes[-1]:,} images, s']
    return versus(t, 'ours', 'peer', None, 's', data='labels drawn as in the real set; 2 % of images in pairs', figures=figures) \
        | dict(met=b < 60 and b/a < 1.5*sizes[-1]/sizes[1])


@row('imports', '`import severstal_nb.rle`', 'importing NumPy alone', '+ < 0.1 s')
def imports_row(least):
    py = sys.executable
    t = command_times(dict(ours=[py, '-c', 'import severstal_nb.rle'], peer=[py, '-c', 'import numpy'], nothing=[py, '-c', '']), 7)
    extra = float(np.median(np.subtract(t['ours']['raw']['cpu'], t['peer']['raw']['cpu'])))
    return versus(t, 'ours', 'peer', None, 's', figures={'more than NumPy, s': round(extra, 3)}, **floor_of(t, 'ours', 'peer', 'NumPy', 's')) \
        | dict(met=extra < .1)


@row('help', '`severstal --help`', 'starting Python', '< 0.5 s')
def help_row(least):
    py = sys.executable
    t = command_times({'ours': [py, '-m', 'severstal_nb.cli', '--help'], 'peer': [py, '-c', ''],
                       'train': [py, '-m', 'severstal_nb.cli', 'train', '--help']}, 7)
    return versus(t, 'ours', 'peer', None, 's', figures={'severstal train --help, s': round(t['train']['cpu']['median'], 3)},
                  **floor_of(t, 'ours', 'peer', 'starting Python', 's')) | dict(met=t['ours']['cpu']['median'] < .5)


FIRST = '''
import sys, time
from severstal_nb.readers import read_kaggle
from severstal_nb.learn.augment import make_augment
from severstal_nb.learn.dataset import SteelDataset, StepLoader
data = read_kaggle(sys.argv[1])
batch = StepLoader(SteelDataset(data, augment=make_augment(256, 1600, hflip=.5)), 8, shuffle=True).one_batch()
result = dict(shape=list(batch[0].shape))
'''


@row('first_batch', 'a fresh process until its first training batch', 'importing torch and albumentations', 'figure')
def first_batch_row(least):
    data, kind = strips()
    got = [child(FIRST, data.root) for _ in range(3)]
    base = [child('import torch, albumentations, pandas, cv2', env={'NO_ALBUMENTATIONS_UPDATE': '1'}) for _ in range(3)]
    a, b = (quartiles([g['cpu'] for g in o]) for o in (got, base))
    return dict(unit='s', clock='cpu', ours=a, peer=b, ratio=dict(median=round(b['median']/a['median'], 3)), repeats=3, met=None,
                data=f'{len(data)} {kind} strips')


@row('synthetic', 'synthetic strips per second and core, drawn, masked, encoded, written', '–', 'figure; 12,568 in minutes on two cores')
def synthetic_row(least):
    from severstal_nb.synthetic import synth_labels, write_strip
    labels = synth_labels(40, 0)
    with temp() as folder:
        t = race(dict(ours=lambda: [write_strip(Path(folder)/f'{i}.jpg', (0, 0, i), 256, 1600, labels[i]) for i in range(40)]), 3, per=40, warm=0)
    s = t['ours']['cpu']['median']
    return dict(unit='ms', clock='cpu', ours={k: round(v*1e3, 2) for k, v in t['ours']['cpu'].items()}, repeats=3,
                figures={'strips per second and core': round(1/s, 1), '12,568 on two cores, minutes': round(12568*s/120, 1)},
                met=12568*s/120 < 15)
