"""Do pseudo-labels help? NEU-Seg with 15 % of the pictures labelled, three draws.

    python benchmarks/pseudo_gain.py [--folder pseudo_gain] [--draws 0 1 2] [--epochs 16] [--sure 0.8] [--table]

Each draw deals the pictures anew, groups of duplicates whole: 15 % labelled, 25 % to test, the rest a pool whose masks nobody looks at.
Four runs of two folds on the same split, scored on the test pictures by the mean of both nets:

    base    E epochs on the labelled pictures
    longer  2E epochs: as many steps as the two below have at most
    pseudo  E epochs with data.pseudo of base, at most as many pseudo-labelled pictures as labelled ones
    second  E epochs with data.pseudo of `pseudo`: a second round

Differences are paired by picture and drawn by group; the pictures of all draws are put together. A finished run is not made again, one that was
broken off is continued. Writes benchmarks/results/pseudo_gain.json and .md. Best called once for each draw: 25 to 40 minutes of one core each (143 CPU milliseconds for a picture learnt from and one validated on, on a busy machine).
"""
import argparse
import json
from pathlib import Path

import bootstrap  # noqa: F401  one thread, this tree
import numpy as np
import pandas as pd
from common import HERE, environment, shared
from evidence import SMALL, finished, train_one

ARMS = {'base': '', 'longer': '', 'pseudo': 'base', 'second': 'pseudo'}


def keys(root, seed, tiny=False, **more):
    "What all trainings here share."
    weights = shared().parent/'weights'/'mobilenet_v2.smp.safetensors'
    net = dict(model__name='unet', model__encoder='mobilenet_v2', model__decoder_channels=SMALL, model__pretrained=weights.exists())
    if weights.exists(): net['model__weights'] = str(weights)
    if tiny: net = dict(model__name='tiny_seg', model__pretrained=False)
    return net | dict(data__root=str(root), data__num_folds=2, data__batch_size=8, data__duplicates=str(Path(root).parents[1]/'pairs.csv'), data__split_seed=0,
                      augment__hflip=.5, augment__vflip=.5, augment__brightness_contrast=.5, loss__type='combo', training__optimizer='adamw',
                      training__learning_rate=2e-3, training__encoder_lr=6e-4, training__weight_decay=1e-2, training__schedule='one_cycle',
                      training__channels_last=True, training__precision='bf16', training__seed=seed, predict__threshold=.5) | more


def neu(folder, tiny=False):
    "NEU-Seg (a third of it, to try the script) with the column `group`; the pairs of its duplicates as pairs.csv in the folder, searched for once."
    from severstal_nb.duplicates import find_duplicates, group_ids
    from severstal_nb.readers import read_data
    data, file = read_data(shared()/'neu_seg'), Path(folder)/'pairs.csv'
    if tiny: data = data.subset(np.arange(0, len(data), 3))
    if not file.exists():
        pairs, names = find_duplicates(data), data.images.image_id.to_numpy()
        pd.DataFrame(dict(a=names[pairs.a], b=names[pairs.b])).to_csv(file, index=False)
    return data.assign(group=group_ids(data, file))


def links(folder, data, rows, masks=True):
    "The pictures of some rows, and their masks, as links in images/ and masks/."
    for i in rows:
        file = Path(data.images.path[i])
        for o in [file, *[file.parent.parent/'masks'/f'{file.stem}.png']*masks]:
            link = Path(folder)/o.parent.name/o.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists(): link.symlink_to(o)
    return Path(folder)


def score(run, test, file):
    "Pixel counts [N,K,3] of the test pictures, by the mean of the run's nets; kept in a file."
    from severstal_nb.metrics.masks import pair_counts
    from severstal_nb.runs.predictor import Predictor
    if not Path(file).exists():
        nets = Predictor(run)
        counts = np.stack([pair_counts(nets.masks(p)[None] > 0, test.mask(p.i)[None] > 0)[0] for p in nets.stream(test)])
        np.save(file, counts)
    return np.load(file)


def dices(counts):
    "Dice of every picture: over its pairs with each class, and over those with a defect alone."
    from severstal_nb.metrics.masks import counts_dice
    d, has = counts_dice(counts), counts[..., 2] > 0
    return d.mean(1), np.where(has, d, 0).sum(1)/np.maximum(has.sum(1), 1)


def difference(a, b, groups):
    from severstal_nb.metrics.masks import paired_bootstrap
    d = paired_bootstrap(np.concatenate(a), np.concatenate(b), groups=np.concatenate(groups))
    return dict(diff=float(d[0]), low=float(d[1]), high=float(d[2]))


def deal(data, seed, fractions):
    "Rows of labelled pictures, pool and test, groups whole, every class in proportion."
    from severstal_nb.splits import make_holdout
    part = make_holdout(data, fractions, data.images.group, seed)
    return [np.flatnonzero(part == o) for o in ('train', 'valid', 'test')]


def one_draw(folder, data, seed, epochs, sure, tiny):
    from severstal_nb.quality.pseudo import pseudo
    home = Path(folder)/f'draw{seed}'
    known, pool, test = deal(data, seed, (.15, .6, .25))
    root, more = links(home/'labelled', data, known), links(home/'pool', data, pool, masks=False)/'images'
    notes = {}
    for arm, labels in ARMS.items():
        own = dict(training__num_epochs=2*epochs if arm == 'longer' else epochs)
        if labels:
            counts = pseudo(finished(home, labels), more, home/f'labels_{labels}', sure=sure, progress=False)
            notes[arm] = counts.to_dict('records')
            own['data__pseudo'] = str(home/f'labels_{labels}')
        train_one(home, arm, keys(root, seed, tiny, **own))
        score(finished(home, arm), data.subset(test), home/f'{arm}.npy')
    (home/'notes.json').write_text(json.dumps(dict(labelled=len(known), pool=len(pool), test=len(test), kept=notes, right=right(home, data))))


def right(home, data):
    "Dice of the pseudo-labels that were kept, beside the masks that nobody looked at: {arm: {set: mean over pictures}}."
    from severstal_nb.metrics.masks import counts_dice, pair_counts
    from severstal_nb.rle import rle_decode
    at, out = {n: i for i, n in enumerate(data.images.image_id)}, {}
    for arm, labels in ARMS.items():
        if not labels: continue
        t = pd.read_csv(home/f'labels_{labels}'/'labels.csv', dtype=str, keep_default_na=False)
        for name, rows in t[t.class_id != ''].groupby('fold'):
            found = []
            for image, o in rows.groupby('image_id'):
                i = at[image]
                mask = np.zeros((data.K, *data.shape(i)), np.uint8)
                for k, rle in zip(o.class_id, o.rle):
                    if k != '0': mask[int(k) - 1] = rle_decode(rle, data.shape(i))
                found.append(counts_dice(pair_counts(mask[None] > 0, data.mask(i)[None] > 0)).mean())
            out.setdefault(arm, {})[name] = float(np.mean(found))
    return out


def table(folder, data):
    "The table of the draws that are finished."
    draws = [int(o.parent.name[4:]) for o in sorted(Path(folder).glob('draw*/notes.json'))]
    if not draws: return print('no draw is finished')
    tests = {s: deal(data, s, (.15, .6, .25))[2] for s in draws}
    groups = [data.images.group.to_numpy()[tests[s]] for s in draws]
    both = {arm: list(zip(*(dices(np.load(Path(folder)/f'draw{s}'/f'{arm}.npy')) for s in draws))) for arm in ARMS}
    rows = [dict(run=arm, dice=float(np.concatenate(both[arm][0]).mean()), defect_dice=float(np.concatenate(both[arm][1]).mean()),
                 **{f'against {o}': difference(both[arm][0], both[o][0], groups) for o in ('base', 'longer') if o != arm}) for arm in ARMS]
    notes = {s: json.loads((Path(folder)/f'draw{s}'/'notes.json').read_text()) for s in draws}
    out = dict(draws=draws, rows=rows, notes=notes, environment=environment())
    (HERE/'results'/'pseudo_gain.json').write_text(json.dumps(out, indent=1) + '\n')
    def cell(o): return '' if o is None else f'{o["diff"]:+.4f} ({o["low"]:+.4f} to {o["high"]:+.4f})'
    lines = ['# Pseudo-labels on NEU-Seg', '', 'Written by `python benchmarks/pseudo_gain.py`; what it does stands in its first lines.', '',
             f'{len(draws)} draws, {sum(n["test"] for n in notes.values())} test pictures in all; intervals of 95 % by group.', '',
             '| run | mean Dice | Dice where there is a defect | against base | against longer |', '|---|---|---|---|---|']
    lines += [f'| {r["run"]} | {r["dice"]:.4f} | {r["defect_dice"]:.4f} | {cell(r.get("against base"))} | {cell(r.get("against longer"))} |' for r in rows]
    lines += ['', '| draw | labelled | pool | labels of | set | kept | their Dice with the truth |', '|---|---|---|---|---|---|---|']
    for s, n in notes.items():
        lines += [f'| {s} | {n["labelled"]} | {n["pool"]} | {ARMS[arm]} | {o["set"]} | {o["kept"]} | {n["right"].get(arm, {}).get(o["set"], float("nan")):.4f} |'
                  for arm, sets in n['kept'].items() for o in sets]
    (HERE/'results'/'pseudo_gain.md').write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--folder', type=lambda o: Path(o).resolve(), default=Path('pseudo_gain').resolve())
    p.add_argument('--draws', type=int, nargs='+', default=[0, 1, 2])
    p.add_argument('--epochs', type=int, default=16)
    p.add_argument('--sure', type=float, default=.8, help='least certainty of a pseudo-label')
    p.add_argument('--tiny', action='store_true', help='a net of one convolution: does the script work?')
    p.add_argument('--table', action='store_true', help='only write the table')
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    data = neu(a.folder, a.tiny)
    for s in a.draws if not a.table else (): one_draw(a.folder, data, s, a.epochs, a.sure, a.tiny)
    table(a.folder, data)


if __name__ == '__main__': main()
