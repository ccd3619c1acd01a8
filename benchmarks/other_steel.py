"""How far does a trained net carry to other steel, and how far do synthetic strips carry: about two hours of one core.

    python benchmarks/other_steel.py [--folder other_steel_runs] [--tiny] [--threads 1] [--only source,few,strips,table]

source: a classifier learns inclusion, patches and scratches from NEU-CLS, and is asked about the pictures of NEU-Seg that show one class: all of them
(zero-shot), and without those that NEU-CLS has too, whole or in part, turned or mirrored. Half of the groups of the latter are the test side, for everything that follows.
few: the net learns on from 5, 20 and 100 pictures of the other half (or all of it, where it is smaller), five draws each, and from all there are (those that both sets show too); beside it a net
that has not seen NEU-CLS. strips: a U-Net learns from 2,000 synthetic crops 256×512 and then from 18 of the 27 real strips, in three folds; beside it one without
the synthetic crops. Every run is kept in --folder and not made again; one that was broken off is continued. `table` writes benchmarks/results/other_steel.json and .md.
"""
import argparse, json, os, sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np
import pandas as pd

from evidence import CLS, NEUCLS, RECIPE, STRIPS, finished, train_one
from severstal_nb.readers import shared_data

DATA = Path(shared_data() or 'no_data') # SEVERSTAL_SHARED
NAMES = {'1': 'inclusion', '2': 'patches', '3': 'scratches'}
SHOTS, DRAWS = (5, 20, 100), 5
BASE = CLS | NEUCLS['cls-lite0'] | dict(data__duplicates='none', data__num_workers=0)
PRE = RECIPE | dict(data__n_train=2000, data__height=256, data__width=512, data__mode='full', data__balanced=True, data__split_strategy='none', data__duplicates='none', training__num_epochs=2,
                    predict__threshold=.5, model__weights=STRIPS['strips-lite0']['model__weights'])
REAL = STRIPS['strips-lite0'] | dict(data__root=str(DATA/'severstal'), data__crop_width=512, data__crop_stride=256, training__num_epochs=8)


def link(folder, files):
    "A folder of links, CLASS/name → file, made anew."
    for name, file in files:
        (folder/name).mkdir(parents=True, exist_ok=True)
        if not (to := folder/name/Path(file).name).exists(): to.symlink_to(Path(file).resolve())
    return folder


def pictures(o):
    "NEU-CLS folder of three classes; NEU-Seg pictures with one class as folders named by the value in the mask."
    from severstal_nb.readers import read_data
    cls, seg = read_data(DATA/'neu_cls'), read_data(DATA/'neu_seg')
    keep = [cls.classes.index(n) for n in NAMES.values()]
    rows = np.flatnonzero(cls.labels[:, keep].any(1))
    one = np.flatnonzero(seg.labels.sum(1) == 1)
    if o.tiny: rows, one = rows[::40], one[::40]
    link(o.folder/'neu_cls', [(cls.classes[cls.labels[i].argmax()], cls.images.path[i]) for i in rows])
    return link(o.folder/'neu_cls', []), link(o.folder/'neu_seg', [(str(seg.labels[i].argmax() + 1), seg.images.path[i]) for i in one])


def score(run, data, out, duplicates='none'):
    "The evaluation of a run, made once."
    from severstal_nb.commands.evaluate import Evaluation, evaluate
    if (out/'results.json').exists(): return Evaluation(out)
    return evaluate(run, [f'data.root={data}', 'data.map=' + ','.join(f'{k}={v}' for k, v in NAMES.items()), f'data.duplicates={duplicates}'] if 'neu' in str(data) or 'side' in str(data) else [f'data.root={data}'],
                    out, progress=False)


def short(o, keys): return keys | (dict(training__num_epochs=1) if o.tiny else {})


def source(o):
    "The net of NEU-CLS, zero-shot, and the two sides of NEU-Seg."
    cls, seg = pictures(o)
    train_one(o.folder, 'source', short(o, BASE | dict(data__root=str(cls), data__split_strategy='none')))
    images = score(finished(o.folder, 'source'), seg, o.folder/'zero', 'find').images
    where = {p.name: p for p in seg.glob('*/*')}
    new = images[~images.seen]
    groups = np.random.default_rng(0).permutation(new.group.unique())
    test = set(new.index[new.group.isin(groups[:len(groups)//2])])
    sides = dict(test=[n for n in images.index if n in test], pool=[n for n in new.index if n not in test], every=[n for n in images.index if n not in test])
    for side, names in sides.items(): link(o.folder/'sides'/side, [(where[Path(n).name].parent.name, where[Path(n).name]) for n in names])
    (o.folder/'sides.json').write_text(json.dumps({k: len(v) for k, v in sides.items()}))
    score(finished(o.folder, 'source'), o.folder/'sides'/'test', o.folder/'source_test')


def draw(files, n, seed):
    "`n` pictures, every class among them."
    rng = np.random.default_rng([n, seed])
    while True:
        some = [files[i] for i in rng.permutation(len(files))[:n]]
        if len({p.parent.name for p in some}) == len({p.parent.name for p in files}) or n >= len(files): return some


def few(o):
    "From few pictures and from all, with and without NEU-CLS before."
    pool = sorted((o.folder/'sides'/'pool').glob('*/*'))
    every = sorted((o.folder/'sides'/'every').glob('*/*'))
    jobs = [(f'few{n}-{d}', draw(pool, n, d)) for n in SHOTS for d in range(1 if o.tiny or n >= len(pool) else DRAWS)] + [('all', every)]
    start = str(next((finished(o.folder, 'source').path/'fold_0').glob('best_model.safetensors')))
    for name, files in jobs:
        data = link(o.folder/'drawn'/name, [(NAMES[p.parent.name], p) for p in files])
        epochs = dict(training__num_epochs=4 if name == 'all' else 12, data__batch_size=min(16, max(2, len(files)//2)))
        for kind, more in dict(neucls=dict(model__weights=start), imagenet={}).items():
            train_one(o.folder, f'{name}-{kind}', short(o, BASE | epochs | dict(data__root=str(data), data__split_strategy='none') | more))
            score(finished(o.folder, f'{name}-{kind}'), o.folder/'sides'/'test', o.folder/f'{name}-{kind}-test')


def strips(o):
    "Synthetic crops, then real strips."
    tiny = dict(data__n_train=8, data__height=64, data__width=128, training__num_epochs=1) if o.tiny else {}
    train_one(o.folder, 'synthetic', PRE | tiny)
    pre = finished(o.folder, 'synthetic')
    score(pre, DATA/'severstal', o.folder/'synthetic_real')
    for kind, weights in dict(imagenet={}, synthetic=dict(model__weights=str(pre.fold_path(0)/'best_model.safetensors'))).items():
        train_one(o.folder, f'strips-{kind}', short(o, REAL | weights | (dict(data__crop_height=64, data__crop_width=64, data__crop_stride=64, data__limit=12, data__duplicates='none', data__stratify='none') if o.tiny else {})))


def neu_rows(o):
    "The rows of stages source and few."
    from severstal_nb.commands.evaluate import Evaluation
    rows, sizes = [], json.loads((o.folder/'sides.json').read_text())
    def add(what, n, path):
        m = Evaluation(path).metrics
        rows.append(dict(what=what, pictures=n, accuracy=m['accuracy'], low=m.get('accuracy_low'), high=m.get('accuracy_high')))
    zero = Evaluation(o.folder/'zero')
    add('NEU-CLS net on all of NEU-Seg with one class', zero.info['images'], o.folder/'zero')
    if alone := zero.run.results.get('without_seen'): rows.append(dict(what='the same, without pictures that NEU-CLS has too', pictures=zero.info['images'] - zero.info['seen'], accuracy=alone['accuracy'],
                                                                      low=alone.get('accuracy_low'), high=alone.get('accuracy_high')))
    add('zero-shot, test side', sizes['test'], o.folder/'source_test')
    for kind, word in dict(neucls='after NEU-CLS', imagenet='from ImageNet').items():
        for n in SHOTS:
            found = [Evaluation(p).metrics['accuracy'] for p in sorted(o.folder.glob(f'few{n}-*-{kind}-test'))]
            if found: rows.append(dict(what=f'{min(n, sizes["pool"])} pictures, {word}: ' + (f'mean, lowest and highest of {len(found)} draws' if len(found) > 1 else 'all there are'), pictures=sizes['test'], accuracy=np.mean(found), low=min(found), high=max(found)))
        if (o.folder/f'all-{kind}-test').is_dir(): add(f'all {sizes["every"]} other pictures, {word}', sizes['test'], o.folder/f'all-{kind}-test')
    return dict(neu=rows, sides=sizes)


def strip_rows(o):
    "The rows of stage strips."
    from severstal_nb.commands.evaluate import Evaluation
    from severstal_nb.reports.compare import compare
    rows = []
    both = [finished(o.folder, f'strips-{k}') for k in ('imagenet', 'synthetic')]
    if (o.folder/'synthetic_real').is_dir():
        m = Evaluation(o.folder/'synthetic_real').metrics
        rows.append(dict(what='synthetic crops only, on the 27 real strips', **{k: m.get(k) for k in ('dice', 'dice_low', 'dice_high', 'dice_defect', 'dice_nothing')}))
    if all(both):
        t = compare(both)
        for what, r in zip(('18 real strips, from ImageNet', '18 real strips, after synthetic crops'), t.to_dict('records')):
            rows.append(dict(what=what, **{k: r.get(k) for k in ('dice', 'dice_low', 'dice_high', 'dice_defect', 'dice_nothing', 'diff', 'diff_low', 'diff_high')}))
    return dict(strips=rows)


def table(o):
    "Everything there is, as JSON and Markdown; stages that are not in the folder are as they are stored."
    from severstal_nb.core.files import markdown_table
    found = json.loads(o.out.read_text()) if o.out.exists() else dict(neu=[], sides={})
    if (o.folder/'sides.json').exists(): found |= neu_rows(o)
    if (new := strip_rows(o))['strips'] or 'strips' not in found: found |= new
    found['command'] = 'python benchmarks/other_steel.py'
    def plain(v): return None if v is None or v != v else v.item() if hasattr(v, 'item') else v
    found = {k: [{a: plain(b) for a, b in r.items()} for r in v] if isinstance(v, list) else v for k, v in found.items()}
    o.out.parent.mkdir(parents=True, exist_ok=True)
    o.out.write_text(json.dumps(found, indent=1) + '\n')
    parts = [f'# Other steel\n\n`{found["command"]}`\n']
    for k in ('neu', 'strips'):
        if found[k]: t = pd.DataFrame(found[k]); parts.append(markdown_table(t.columns, t.itertuples(index=False)))
        else: parts.append(f'{k}: not run.\n')
    o.out.with_suffix('.md').write_text('\n'.join(parts))
    print(o.out.with_suffix('.md').read_text())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--folder', type=Path, default=Path('other_steel_runs'))
    p.add_argument('--only', default='source,few,strips,table')
    p.add_argument('--tiny', action='store_true', help='a rehearsal at the smallest size')
    p.add_argument('--threads', type=int, default=1)
    p.add_argument('--out', type=Path, default=HERE/'results'/'other_steel.json')
    o = p.parse_args()
    import torch
    torch.set_num_threads(o.threads)
    o.folder.mkdir(parents=True, exist_ok=True)
    o.folder = o.folder.resolve()
    for name in o.only.split(','): dict(source=source, few=few, strips=strips, table=table)[name](o)


if __name__ == '__main__': main()
