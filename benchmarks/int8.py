"""INT8 by NNCF under control of the score, beside f32, bf16 and PyTorch, for finished runs.

    python benchmarks/int8.py RUN [RUN…] [--images DIR] [--folds 0] [--max-drop 0.01]

Writes benchmarks/results/int8.json and int8.md: a row for each run and score, also where the file would be refused. Scores are of images that the control
never saw, with the paired 95 % interval over groups; times are CPU seconds of one thread, in turns, the best of five, as multiples of PyTorch.
"""
import argparse, json, time
from pathlib import Path

import pandas as pd

from severstal_nb.core.files import markdown_table, write_json
from severstal_nb.deploy.export import ExportError
from severstal_nb.deploy.int8 import quantise

HERE = Path(__file__).resolve().parent/'results'


def rows_of(run, images, folds, max_drop):
    "The rows of one run."
    began = time.process_time()
    try: _, info, why = quantise(run, images, folds, max_drop=max_drop)
    except ExportError as e: return [dict(run=Path(run).name, refused=str(e).replace(str(run), Path(run).name))]
    o, speed = info['int8'], info['speed']
    more = dict(calibration=o['images']['calibration'], control=o['images']['control'], unseen=o['images']['unseen'], groups=o['images']['unseen_groups'],
                batch=speed['batch'], speed_f32=speed['f32'], speed_bf16=speed.get('bf16'), speed_int8=speed['int8'],
                cpu_seconds=round(time.process_time() - began), max_drop=max_drop, refused=why or '')
    return [dict(run=Path(run).name, score=k, **{n: round(v, 4) for n, v in s.items()}, **more) for k, s in o['scores'].items()]


def page(rows):
    "What was measured, as Markdown."
    lines = [dict(run=o['run'], verdict=o['refused']) if 'score' not in o else dict(
        run=o['run'], score=o['score'], f32=f'{o["f32"]:.4f}', INT8=f'{o["int8"]:.4f}', drop=f'{o["drop"]:.4f} ({o["low"]:.4f} to {o["high"]:.4f})',
        **{'unseen images (groups)': f'{o["unseen"]} ({o["groups"]})', 'times PyTorch: f32, bf16, INT8': ', '.join(f'{o[f"speed_{k}"]:.2f}' if o[f'speed_{k}'] else 'none' for k in ('f32', 'bf16', 'int8')),
           'verdict': o['refused'] or 'kept'}) for o in rows]
    t = pd.DataFrame(lines).fillna('')
    return markdown_table(list(t), t.astype(object).to_numpy().tolist())


if __name__ == '__main__':
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('runs', nargs='+', metavar='RUN')
    p.add_argument('--images', default=None, metavar='DIR')
    p.add_argument('--folds', type=int, nargs='+', default=None)
    p.add_argument('--max-drop', type=float, default=.01)
    a = p.parse_args()
    rows = [r for o in a.runs for r in rows_of(o, a.images, a.folds, a.max_drop)]
    write_json(HERE/'int8.json', rows)
    command = f'python benchmarks/int8.py {" ".join(Path(o).name for o in a.runs)} --max-drop {a.max_drop:g}'
    (HERE/'int8.md').write_text(f'# INT8\n\n`{command}`\n\n{page(rows)}')
    print(json.dumps(rows, indent=1))
