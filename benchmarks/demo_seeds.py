"""The demo on five other seeds: are the defects found, and how long does it take?

    python benchmarks/demo_seeds.py [--seeds 101 102 103 104 105] [--folder FOLDER]

Each seed is `severstal demo FOLDER/SEED --seed SEED` in a process of its own: other strips, another split, other random numbers. Nothing is
chosen on these seeds; the preset's settings were found on seed 0. The unseen strips of all seeds are put together. A finished seed is
not run again. Writes benchmarks/results/demo_seeds.json and demo_seeds.md; best alone on the machine, since it is timed.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from common import HERE, environment


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--seeds', type=int, nargs='+', default=[101, 102, 103, 104, 105])
    p.add_argument('--folder', type=Path, default=Path('demo_seeds'))
    a = p.parse_args()
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(HERE.parent), os.environ.get('PYTHONPATH', '')])}
    for s in a.seeds:
        if (note := a.folder/f'{s}.json').exists(): continue
        start = time.perf_counter()
        subprocess.run([sys.executable, '-m', 'severstal_nb.cli', 'demo', str(a.folder/str(s)), '--seed', str(s)], check=True, env=env, stdout=subprocess.DEVNULL)
        note.write_text(json.dumps(dict(seconds=time.perf_counter() - start)))
    from severstal_nb.commands.demo import _demo_tables, _score_unseen
    from severstal_nb.core.files import markdown_table
    from severstal_nb.metrics.masks import counts_dice
    import pandas as pd
    counts, parts = zip(*(_score_unseen(a.folder/str(s))[2:] for s in a.seeds))
    pooled, each = _demo_tables(dict.fromkeys(('dice', 'dice_low', 'dice_high')), np.concatenate(counts), np.concatenate(parts), list('1234'))
    pooled = pooled.drop('ours (out of fold)')
    rows = [dict(seed=s, gain=float(counts_dice(c).mean() - (c[..., 2] == 0).mean()), seconds=json.loads((a.folder/f'{s}.json').read_text())['seconds'])
            for s, c in zip(a.seeds, counts)]
    tables = [t.reset_index().to_dict('list') for t in (pooled, each, pd.DataFrame(rows))]
    out = dict(zip(('pooled', 'classes', 'seeds'), tables), environment=environment())
    (HERE/'results'/'demo_seeds.json').write_text(json.dumps(out, indent=1, default=str) + '\n')
    lines = ['# The demo on five other seeds', '', 'Written by `python benchmarks/demo_seeds.py`; what it does stands in its first lines.']
    for t in (pooled.reset_index(), each.reset_index(), pd.DataFrame(rows)): lines += ['', markdown_table(t.columns, t.astype(object).values.tolist()).rstrip()]
    (HERE/'results'/'demo_seeds.md').write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))


if __name__ == '__main__': main()
