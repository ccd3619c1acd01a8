"""Training against shifts: does it help under shifts that training did not contain? NEU-CLS and NEU-Seg, one fold, two seeds.

    python benchmarks/robust.py run --seed 1 [--folder robust_runs]     # twelve nets, 1.7 hours of one core
    python benchmarks/robust.py run --seed 2 [--folder robust_runs]     # the same, at the same time on the other core
    python benchmarks/robust.py table [--folder robust_runs]            # writes benchmarks/results/robust.json and robust.md
    python benchmarks/robust.py run --small --folder small_runs         # does it run? tiny nets, some minutes; then table --small --folder small_runs

The kinds of shift form four groups. Six nets for each seed: `none` learns from flips alone; `all` from every group, with the values of
the preset `robust`; `no-GROUP` from the other three groups. Leaving one out is the main table: a kind of shift is judged on the net
that has seen neither it nor its relatives. Runs are made one after the other, each in a process of its own; finished ones are not
made again, broken ones are continued, and `severstal stress` goes on where it was. The images are those of fold 0 of 3, duplicates
kept together, and the intervals draw groups of duplicates. The score is accuracy on NEU-CLS and mean Dice over (image, class) pairs
at threshold 0.5 on NEU-Seg, the mean of both seeds. CPU seconds are user and system time of the process that trains and measures.

One seed takes about 34 CPU minutes for NEU-CLS and 65 for NEU-Seg.
"""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import common  # noqa: F401
import numpy as np
from evidence import CLS, DATA, LITE, NEU, finished, keep_cpu, train_one

GROUPS = dict(light=('brightness', 'contrast', 'gamma', 'light', 'exposure'), blur=('blur', 'motion'),
              noise=('noise', 'jpeg', 'specks', 'drops'), geometry=('margins', 'roll', 'scale', 'rotation'))
KEYS = dict(light=('brightness_contrast', 'brightness_limit', 'contrast_limit', 'gamma', 'light', 'exposure'), blur=('blur', 'motion'),
            noise=('noise', 'jpeg', 'specks', 'drops'), geometry=('side_bars', 'shift', 'scale', 'rotate'))
NETS = ('none', 'all', *(f'no-{g}' for g in GROUPS))
SEEDS = 1, 2
SETS = dict(
    cls=CLS | dict(data__root=str(DATA/'neu_cls'), data__split_strategy='kfold', data__num_folds=3, data__fold=0, data__split_seed=0,
                   model__backbone='tf_efficientnet_lite0', model__weights=LITE[0], training__num_epochs=6),
    seg=NEU | dict(model__weights=LITE[0], training__num_epochs=8, predict__threshold=.5))
IMAGES = dict(cls=300, seg=200) # that are judged
SCORE = dict(cls='accuracy', seg='mean Dice')


def augment(net):
    "Keys of a net: the preset's, less those of the group that is left out."
    from severstal_nb.runs.config import load_config
    preset, out = load_config('robust').to_dict()['augment'], dict(augment__hflip=.5, augment__vflip=.5, augment__brightness_contrast=0.)
    for g, names in KEYS.items():
        if net == 'none' or net == f'no-{g}': continue
        for k, v in preset.items():
            if k in names or k.removesuffix('_limit') in names: out[f'augment__{k}'] = v
    return out


def judged(net):
    "The families a net is measured under: those of the group it has not seen."
    return [f for g, names in GROUPS.items() for f in names if net in ('none', 'all', f'no-{g}')]


def keys(which, net, seed, small):
    out = SETS[which] | augment(net) | dict(training__seed=seed, predict__tta=[])
    tiny = dict(model__name=f'tiny_{which}', model__pretrained=False, model__weights=None, model__encoder=None, model__backbone=None, model__decoder_channels=None,
                data__limit=60, data__duplicates='none', training__num_epochs=1)
    return out | (tiny if small else {})


def prepare(args):
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder, f'{args.which}-{args.net}-{args.seed}'


def learn(args):
    "Train a net in this process."
    folder, name = prepare(args)
    train_one(folder, name, keys(args.which, args.net, args.seed, args.small))


def judge(args):
    "Measure a net that has been trained, in this process."
    from severstal_nb.robust.shifts import stress
    folder, name = prepare(args)
    note = keep_cpu(folder/f'{name}.judge.cpu.json')
    stress(finished(folder, name), families=judged(args.net), images=8 if args.small else IMAGES[args.which], progress=False, batch_size=32)
    note()
    (folder/f'{name}.done').touch()


def run(args):
    for which in SETS:
        for net in NETS:
            if (Path(args.folder)/f'{which}-{net}-{args.seed}.done').exists(): continue
            start = time.time()
            words = ['--which', which, '--net', net, '--seed', str(args.seed), '--folder', args.folder, *['--small']*args.small]
            for step in ('learn', 'judge'): subprocess.run([sys.executable, __file__, step, *words], check=True)
            print(f'{which} {net} seed {args.seed}: {time.time() - start:.0f} s', flush=True)


# ---- tables

def per_image(folder, which, net, seed):
    "The score of each image as it is [N], and under each family the mean over its strengths [N]; scores by strength; the rows; groups."
    from severstal_nb.metrics.masks import counts_dice
    from severstal_nb.robust.shifts import FAMILIES, Stress
    s = Stress(finished(folder, f'{which}-{net}-{seed}').path/'sections'/'stress')
    def value(rows): return rows.all(-1).any(-1).astype(float) if which == 'cls' else counts_dice(rows[..., :3]).mean(1)
    images = s.images
    by = {f: np.stack([value(s.rows(f, t)) for t in FAMILIES[f].strengths]) for f in judged(net)}
    return dict(clean=value(s.rows('clean')), families=by, group=images.group.to_numpy() if 'group' in images else np.arange(len(images)),
                ids=images.image_id.tolist())


def collect(folder, which, seeds):
    "Per-image scores, the mean of the seeds: net → clean [N], families [F][5,N]."
    out, ids = {}, None
    for net in NETS:
        each = [per_image(folder, which, net, s) for s in seeds]
        ids = ids or each[0]['ids']
        assert all(o['ids'] == ids for o in each), 'the nets were measured on other images'
        out[net] = dict(clean=np.mean([o['clean'] for o in each], 0), families={f: np.mean([o['families'][f] for o in each], 0) for f in each[0]['families']})
    return out, each[0]['group']


def difference(a, b, group):
    from severstal_nb.metrics.masks import paired_bootstrap
    d = paired_bootstrap(a, b, groups=group)
    return dict(diff=d.diff, low=d.lo, high=d.hi)


def measure(folder, which, seeds):
    "Everything the tables show, as numbers."
    nets, group = collect(folder, which, seeds)
    def loss(net, f): return nets[net]['clean'] - nets[net]['families'][f].mean(0)
    def unseen(f): return next(f'no-{g}' for g, names in GROUPS.items() if f in names)
    rows = {}
    for f in judged('all'):
        rows[f] = {n: float(loss(net, f).mean()) for n, net in (('none', 'none'), ('unseen', unseen(f)), ('seen', 'all'))}
        rows[f] |= {f'{n}_change': difference(loss(net, f), loss('none', f), group) for n, net in (('unseen', unseen(f)), ('seen', 'all'))}
    everything = judged('all')
    total = {n: np.mean([loss(net(f), f) for f in everything], 0) for n, net in (('none', lambda f: 'none'), ('unseen', unseen), ('seen', lambda f: 'all'))}
    out = dict(images=len(group), groups=len(np.unique(group)), seeds=list(seeds), families=rows, mean={k: float(v.mean()) for k, v in total.items()},
               unseen_change=difference(total['unseen'], total['none'], group), seen_change=difference(total['seen'], total['none'], group),
               clean={n: float(nets[n]['clean'].mean()) for n in NETS}, clean_change={n: difference(nets[n]['clean'], nets['none']['clean'], group) for n in NETS[1:]},
               groups_change={g: difference(np.mean([loss(f'no-{g}', f) for f in fs], 0), np.mean([loss('none', f) for f in fs], 0), group) for g, fs in GROUPS.items()})
    from severstal_nb.robust.shifts import FAMILIES
    at = {'blur, sigma 1': ('blur', 1.), 'noise, sigma 10': ('noise', 10)}
    out['asked'] = {k: {n: float(nets[n]['families'][f][FAMILIES[f].strengths.index(t)].mean()) for n in ('none', f'no-{"blur" if f == "blur" else "noise"}', 'all')} for k, (f, t) in at.items()}
    cpu = lambda net, s, end: json.loads((Path(folder)/f'{which}-{net}-{s}{end}.cpu.json').read_text())['cpu']
    out['cpu'] = {n: float(np.mean([cpu(n, s, '') for s in seeds])) for n in NETS}
    out['cpu_judge'] = {n: float(np.mean([cpu(n, s, '.judge') for s in seeds])) for n in NETS}
    return out


def interval(d): return f'{d["diff"]:+.3f} ({d["low"]:+.3f} to {d["high"]:+.3f})'


def lines_of(which, o):
    bar, clean = o['unseen_change'], o['clean_change']
    ok = bar['high'] < 0
    kept = [n for n in NETS[1:] if not clean[n]['low'] <= 0 <= clean[n]['high'] and clean[n]['diff'] < 0]
    name = {'cls': 'NEU-CLS, accuracy', 'seg': 'NEU-Seg, mean Dice'}[which]
    lines = [f'## {name}', '', f'{o["images"]} images in {o["groups"]} groups, {"seeds" if o["seeds"][1:] else "of two seeds only seed"} {", ".join(map(str, o["seeds"]))}. A loss is the score of the images as they are less the mean over five '
             'strengths; a change below zero is an improvement over the net that learnt from flips alone.', '',
             '**Leave one group out.** `unseen`: the net that learnt from the three other groups. `seen`: the net that learnt from all four.', '',
             '| kind of shift | loss, flips alone | loss, unseen | change | loss, seen | change |', '|---|---|---|---|---|---|']
    for g, names in GROUPS.items():
        for f in names:
            r = o['families'][f]
            lines.append(f'| {f} ({g}) | {r["none"]:.3f} | {r["unseen"]:.3f} | {interval(r["unseen_change"])} | {r["seen"]:.3f} | {interval(r["seen_change"])} |')
    m = o['mean']
    lines += [f'| **mean of all** | {m["none"]:.3f} | {m["unseen"]:.3f} | **{interval(bar)}** | {m["seen"]:.3f} | {interval(o["seen_change"])} |', '',
              f'The bar, a smaller mean loss under unseen kinds with its interval below zero: {"reached" if ok else "NOT reached"}. '
              f'The score of the images as they are: {"no net is clearly worse" if not kept else "clearly worse for " + ", ".join(kept)}.', '',
              '| left out of training | change of the mean loss under it | score as they are | change | CPU s of training |', '|---|---|---|---|---|',
              f'| all four (flips alone) | | {o["clean"]["none"]:.3f} | | {o["cpu"]["none"]:.0f} |']
    for g in GROUPS: lines.append(f'| {g} | {interval(o["groups_change"][g])} | {o["clean"][f"no-{g}"]:.3f} | {interval(clean[f"no-{g}"])} | {o["cpu"][f"no-{g}"]:.0f} |')
    lines.append(f'| nothing | | {o["clean"]["all"]:.3f} | {interval(clean["all"])} | {o["cpu"]["all"]:.0f} |')
    lines += ['', f'| {SCORE[which]} under | flips alone | its group unseen | seen |', '|---|---|---|---|']
    for k, v in o['asked'].items(): lines.append(f'| {k} | {" | ".join(f"{x:.1%}" if which == "cls" else f"{x:.3f}" for x in v.values())} |')
    return [*lines, '']


def table(args):
    seeds, done = SEEDS[:1] if args.small else SEEDS, {}
    for which in SETS:
        have = [s for s in seeds if all((Path(args.folder)/f'{which}-{n}-{s}.done').exists() for n in NETS)]
        if have: done[which] = measure(args.folder, which, have)
    place = Path(args.folder) if args.small else common.HERE/'results'
    text = ['# Training against shifts', '', 'Written by `python benchmarks/robust.py table`; protocol and commands in its first lines.', '']
    for which in SETS: text += lines_of(which, done[which]) if which in done else [f'## {which}: not run', '']
    place.mkdir(exist_ok=True)
    (place/'robust.json').write_text(json.dumps(done, indent=1) + '\n')
    (place/'robust.md').write_text('\n'.join(text).rstrip() + '\n')
    print('\n'.join(text))


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('stage', choices=('run', 'table', 'learn', 'judge'))
    p.add_argument('--folder', default='robust_runs')
    p.add_argument('--small', action='store_true', help='60 images, tiny nets, one epoch, one seed: does it run?')
    p.add_argument('--which', choices=tuple(SETS))
    p.add_argument('--net', choices=NETS)
    p.add_argument('--seed', type=int, choices=SEEDS, default=SEEDS[0])
    args = p.parse_args()
    dict(run=run, table=table, learn=learn, judge=judge)[args.stage](args)
