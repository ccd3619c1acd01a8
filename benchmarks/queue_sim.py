"""Does the queue find better pictures to label than chance? NEU-Seg, from 5 % labelled, four rounds, at equal budget.

    python benchmarks/queue_sim.py [--folder queue_sim] [--seeds 0 1 2] [--images 800] [--table]

Each seed deals the pictures, groups of duplicates whole: 5 % labelled, 25 % to test, the rest a pool. A run of two folds is trained on what is labelled. Then `label_queue`
picks as many pictures again, or chance does, their masks are looked up, and a new run is trained from the start; four times. Every training
sees the same number of pictures (--images, in each fold), however many are labelled, from the same ImageNet weights with the encoder frozen. Chance draws from the whole
pool; the queue leaves out copies of labelled pictures, as it does for a user. The test pictures are scored by the mean of both nets.

Differences are paired by picture and drawn by group; the pictures of all seeds are put together. What is finished is not done again. Writes
benchmarks/results/queue_sim.json and .md. 27 trainings of 800 pictures in each of two folds, at some 77 CPU milliseconds for a picture learnt from and one validated on (measured on a busy machine): about an
hour of one core. The sum stands in the table.
"""
import argparse
import json
from pathlib import Path

import bootstrap  # noqa: F401  one thread, this tree
import numpy as np
from common import HERE, environment
from evidence import cpu, finished, train_one
from pseudo_gain import deal, dices, difference, keys, links, neu, score

ARMS, DEALT = ('queue', 'random'), (.05, .7, .25)


def train_on(home, name, data, rows, test, seed, images, tiny):
    "A run on the labelled rows, scored."
    root, start = links(home/f'{name}_data', data, rows), cpu()
    more = {} if tiny else dict(model__freeze_backbone=True)
    train_one(home, name, keys(root, seed, tiny, training__num_epochs=max(1, round(2*images/len(rows))), **more))
    run = finished(home, name)
    score(run, data.subset(test), home/f'{name}.npy')
    return run, cpu() - start


def pick(arm, run, home, name, data, pool, n, seed):
    "Rows of the pool to label next."
    if arm == 'random': return np.random.default_rng([seed, len(pool)]).permutation(pool)[:n]
    from severstal_nb.quality.queue import label_queue
    t = label_queue(run, links(home/f'{name}_pool', data, pool, masks=False)/'images', n)
    return np.flatnonzero(data.images.image_id.isin(t.file))


def one_seed(folder, data, seed, rounds, images, tiny):
    home = Path(folder)/f'seed{seed}'
    first, rest, test = deal(data, seed, DEALT)
    note = home/'rounds.json'
    done = json.loads(note.read_text()) if note.exists() else {'start': dict(rows=first.tolist(), seconds=0.)}
    for arm in ARMS:
        last = 'start'
        for r in range(rounds + 1):
            name, rows = last, np.array(done[last]['rows'])
            run, seconds = train_on(home, name, data, rows, test, seed, images, tiny)
            done[name]['seconds'] += seconds
            if r < rounds:
                last, start = f'{arm}{r + 1}', cpu()
                if last not in done:
                    pool = np.setdiff1d(rest, rows)
                    more = pick(arm, run, home, name, data, pool, len(first), seed)
                    done[last] = dict(rows=np.union1d(rows, more).tolist(), seconds=cpu() - start)
            note.write_text(json.dumps(done))


def table(folder, data, rounds):
    seeds = [int(o.parent.name[4:]) for o in sorted(Path(folder).glob('seed*/rounds.json')) if all((o.parent/f'{a}{rounds}.npy').exists() for a in ARMS)]
    if not seeds: return print('no seed is finished')
    notes = {s: json.loads((Path(folder)/f'seed{s}'/'rounds.json').read_text()) for s in seeds}
    groups = [data.images.group.to_numpy()[deal(data, s, DEALT)[2]] for s in seeds]
    def of(name): return [dices(np.load(Path(folder)/f'seed{s}'/f'{name}.npy')) for s in seeds]
    rows, all_rounds = [], {a: np.zeros((2, sum(map(len, groups)))) for a in ARMS}
    for r in range(rounds + 1):
        found = {a: of(f'{a}{r}' if r else 'start') for a in ARMS}
        n = [len(notes[s][f'queue{r}' if r else 'start']['rows']) for s in seeds]
        row = dict(round=r, labelled=float(np.mean(n)))
        for j, what in enumerate(('dice', 'defect_dice')):
            v = {a: [o[j] for o in found[a]] for a in ARMS}
            row |= {f'{what} {a}': float(np.concatenate(v[a]).mean()) for a in ARMS} | {what: difference(v['queue'], v['random'], groups)}
            if r:
                for a in ARMS: all_rounds[a][j] += np.concatenate(v[a])/rounds
        rows.append(row)
    mean = {what: difference([all_rounds['queue'][j]], [all_rounds['random'][j]], [np.concatenate(groups)]) for j, what in enumerate(('dice', 'defect_dice'))}
    seconds = sum(o['seconds'] for n in notes.values() for o in n.values())
    out = dict(seeds=seeds, rows=rows, mean_of_rounds=mean, seconds=seconds, environment=environment())
    (HERE/'results'/'queue_sim.json').write_text(json.dumps(out, indent=1) + '\n')
    def cell(o): return f'{o["diff"]:+.4f} ({o["low"]:+.4f} to {o["high"]:+.4f})'
    lines = ['# The queue against chance on NEU-Seg', '', 'Written by `python benchmarks/queue_sim.py`; what it does stands in its first lines.', '',
             f'{len(seeds)} seeds, {sum(map(len, groups))} test pictures in all; intervals of 95 % by group; {seconds/60:.0f} CPU minutes.', '',
             '| round | labelled | mean Dice, queue | random | difference | Dice where there is a defect, queue | random | difference |', '|---|---|---|---|---|---|---|---|']
    lines += [f'| {r["round"]} | {r["labelled"]:.0f} | {r["dice queue"]:.4f} | {r["dice random"]:.4f} | {cell(r["dice"])} | {r["defect_dice queue"]:.4f} | '
              f'{r["defect_dice random"]:.4f} | {cell(r["defect_dice"])} |' for r in rows]
    lines += [f'| 1 to {rounds} | | | | {cell(mean["dice"])} | | | {cell(mean["defect_dice"])} |']
    (HERE/'results'/'queue_sim.md').write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--folder', type=lambda o: Path(o).resolve(), default=Path('queue_sim').resolve())
    p.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    p.add_argument('--rounds', type=int, default=4)
    p.add_argument('--images', type=int, default=800, help='that the nets of a run see in training, each')
    p.add_argument('--tiny', action='store_true', help='a net of one convolution: does the script work?')
    p.add_argument('--table', action='store_true', help='only write the table')
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    data = neu(a.folder, a.tiny)
    for s in a.seeds if not a.table else (): one_seed(a.folder, data, s, a.rounds, a.images, a.tiny)
    table(a.folder, data, a.rounds)


if __name__ == '__main__': main()
