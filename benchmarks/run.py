"""All speed and memory figures by one command.

    python benchmarks/run.py                    every row; less than a quarter of an hour on two quiet cores
    python benchmarks/run.py --only rle         rows whose name begins so; several names with commas
    python benchmarks/run.py --growth           the growth chart as well (long)
    python benchmarks/run.py --growth --only -  the growth chart alone; each point is kept as soon as it is measured
    python benchmarks/run.py --list             names of the rows

Results go to benchmarks/results/speed.json, or where --out says: rows that were run replace those that are there.
The real strips of SEVERSTAL_SHARED are used where that is set, else synthetic ones. kills.py is another story.
"""
import os

for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'): os.environ.setdefault(name, '1')
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')

import argparse, json, sys, time, traceback, warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
if path := os.environ.get('PYTHONPATH'): sys.path[:0] = path.split(os.pathsep)

import common
import rows_loading, rows_masks, rows_models  # each registers its rows

ORDER = ('rle_decode rle_encode rle_encode_columns sample_full sample_crop sample_store train_step_unet train_step_cbam gpu_feed '
         'gpu_precision predict gpu_predict memory_predict memory_oof memory_train small_components threshold_search open_kaggle folds '
         'imports help first_batch synthetic').split()


def options(argv=None):
    "The command line."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', help='beginnings of names, with commas')
    p.add_argument('--growth', action='store_true', help='also the growth chart')
    p.add_argument('--out', default=HERE/'results'/'speed.json', type=Path)
    p.add_argument('--list', action='store_true')
    return p.parse_args(argv)


def run_row(name):
    "One row's fields, with what it is about and when and how long it ran."
    r = common.ROWS[name]
    start = time.perf_counter()
    fields = r['f'](r['least'])
    env = common.environment()
    return dict(name=name, what=r['what'], beside=r['beside'], aim=r['aim']) | fields | dict(
        seconds=round(time.perf_counter() - start, 1), date=env['date'], load=env['load'])


def save(path, rows, growth=()):
    "Put new rows, and points of the growth chart, among those in the file."
    old = json.loads(path.read_text()) if path.exists() else dict(rows=[], growth=[])
    by_name = {r['name']: r for r in [*old['rows'], *rows]}
    points = {(g['job'], g['strips']): g for g in [*old['growth'], *growth]}
    new = dict(environment=common.environment(), rows=[by_name[n] for n in ORDER if n in by_name],
               growth=[points[k] for k in sorted(points)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(new, indent=1, ensure_ascii=False) + '\n')


def line(r):
    "A row as one line of text."
    if 'not_run' in r: return f"{r['name']:20s} not run: {r['not_run']}"
    unit, verdict = r['unit'], {True: 'met', False: 'MISSED', None: ''}[r['met']]
    peer = f"beside {r['peer']['median']:.4g} {unit}, ratio {r['ratio']['median']:.3g}" if 'peer' in r else ''
    floor = f"; floor {r['floor']['value']:.4g} {unit}, {r['floor']['times']:.3g}× above" if 'floor' in r else ''
    return f"{r['name']:20s} {r['ours']['median']:.4g} {unit} {peer}{floor}  {verdict} ({r['seconds']:.0f} s)"


def main(argv=None):
    "Run rows, print a line for each, keep the results."
    o = options(argv)
    names = [n for n in ORDER if not o.only or any(n.startswith(p) for p in o.only.split(','))]
    if o.list: return print('\n'.join(names))
    if not names and not o.growth: sys.exit(f'no row begins with {o.only!r}; --list names them')
    warnings.filterwarnings('ignore')
    common.one_thread()
    failed = []
    for n in names:
        try: r = run_row(n)
        except Exception:
            traceback.print_exc()
            failed.append(n)
            continue
        print(line(r), flush=True)
        save(o.out, [r])
    if o.growth:
        from growth import grow
        def keep(point):
            print(point, flush=True)
            save(o.out, [], [point])
        grow(keep=keep)
    if failed: sys.exit(f'failed: {", ".join(failed)}')


if __name__ == '__main__': main()
