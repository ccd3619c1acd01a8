"""Twenty kills at seeded random moments, twenty exact resumes.

    python benchmarks/kills.py [--kills 20] [--seed 0] [--out benchmarks/kills.json]

Each case trains a small net of a preset once without interruption. Then a process that trains the same is killed with
SIGKILL at a random moment, often more than once, and continued by `train(resume=RUN)`. Weights, history (but times and memory),
out-of-fold predictions, thresholds and results must equal the uninterrupted run's byte for byte. Writes a JSON file and,
beside it, a table in markdown. Processes are forked, so that libraries are loaded once. Linux and macOS, CPU.
"""
import argparse, hashlib, json, logging, multiprocessing, os, platform, random, signal, sys, tempfile, time
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

SIZE = {'data.n_train': 32, 'data.height': 32, 'data.width': 128, 'data.balanced': True}
SEG = {**SIZE, 'model.name': 'unet', 'model.encoder': 'tu-test_resnet', 'model.pretrained': False, 'data.num_folds': 2}
CLS = {**SIZE, 'data.n_train': 60, 'model.name': 'classifier', 'model.pretrained': False}
CROPS = {'data.crop_height': 32, 'data.crop_width': 64, 'data.crop_stride': 32}
CASES = { # name → preset, keys: every preset, optimiser and schedule, 0 and 2 workers, every way of loading
    'demo': ('demo', {**SEG, 'training.num_epochs': 4}),
    'demo, 2 workers': ('demo', {**SEG, 'training.num_epochs': 3, 'data.num_workers': 2}),
    'demo, accumulate, clip, average': ('demo', {**SEG, 'training.num_epochs': 4, 'training.accumulate': 2, 'training.clip': 1.0,
                                                 'training.average_best': 2, 'training.optimizer': 'radam'}),
    'unet_baseline': ('unet_baseline', {**SEG, 'training.num_epochs': 4, 'training.early_stopping_patience': 2}),
    'unet_baseline, crops': ('unet_baseline', {**SEG, **CROPS, 'training.num_epochs': 3, 'data.mode': 'crops',
                                               'training.optimizer': 'sgd', 'training.schedule': 'cosine'}),
    'unet_baseline, precropped': ('unet_baseline', {**SEG, **CROPS, 'training.num_epochs': 3, 'data.mode': 'precropped',
                                                    'training.save_best_only': False}),
    'unet_baseline, bf16': ('unet_baseline', {**SEG, 'training.num_epochs': 3, 'training.precision': 'bf16'}),
    'convnext_cbam': ('convnext_cbam', {**CLS, 'model.name': 'test_convnext', 'training.num_epochs': 5,
                                        'training.warmup_epochs': 1}),
    'multi_backbone': ('multi_backbone', {**CLS, 'model.backbone': 'test_efficientnet', 'training.num_epochs': 5,
                                          'data.num_workers': 2}),
    'neu_convnext': ('neu_convnext', {'model.backbone': 'test_convnext', 'model.pretrained': False, 'data.num_folds': 2,
                                      'data.root': 'CLASSES', 'training.num_epochs': 4}),
}


def class_folders(root, n=14):
    "Three folders of small grey pictures: what stands in for NEU."
    import cv2, numpy as np
    for k, name in enumerate(('dark', 'striped', 'grainy')):
        (root/name).mkdir(parents=True)
        for i in range(n):
            g = np.random.default_rng(100*k + i)
            x = g.normal(90 + 20*k, 10, (40, 40)) + (40*(np.arange(40)%8 < 4) if k == 1 else 0) + (g.normal(0, 40, (40, 40)) if k == 2 else 0)
            cv2.imwrite(str(root/name/f'{name}_{i}.png'), x.clip(0, 255).astype(np.uint8))


def in_fork(f, *args):
    "A forked process that runs `f` in silence and leaves without tidying up."
    def go():
        os.setsid()
        null = os.open(os.devnull, os.O_WRONLY)
        for fd in (1, 2): os.dup2(null, fd)
        code = 1
        try: f(*args); code = 0
        finally: os._exit(code)
    p = multiprocessing.get_context('fork').Process(target=go)
    p.start()
    return p


def begin(preset, keys, root):
    "Train from the start."
    from severstal_nb.runs.config import load_config
    from severstal_nb.experiment import train
    train(load_config(preset, overrides={**keys, 'run.root': str(root), 'training.device': 'cpu'}), verbose=False)


def go_on(path):
    "Continue a run."
    from severstal_nb.experiment import train
    train(resume=path, verbose=False)


def run_in(root):
    "The run folder under `root`, once its first files are there."
    found = [p.parent for p in Path(root).glob('*/run.json')]
    return found[0] if found else None


def timed(f, *args, root):
    "Run to the end; (run folder, seconds from its first files to the end)."
    p, born = in_fork(f, *args), None
    while p.is_alive():
        born = born or (time.monotonic() if run_in(root) else None)
        time.sleep(.005)
    if p.exitcode: raise SystemExit(f'{args}: failed with exit code {p.exitcode}')
    return run_in(root), time.monotonic() - (born or time.monotonic())


def contents(run):
    "What must be equal, as digests: file → hash; times and places are left out."
    import pandas as pd
    out = {}
    for p in sorted(run.rglob('*')):
        name = p.relative_to(run).as_posix()
        if not p.is_file() or p.suffix in ('.log', '.pt', '.png') or '/events/' in name or name == 'environment.json': continue
        raw = p.read_bytes()
        if p.name == 'history.csv': raw = pd.read_csv(p).drop(columns=['seconds', 'memory_mb']).to_csv(index=False).encode()
        if p.name in ('results.json', 'config.yaml', 'summary.json'): raw = '\n'.join(
            o for o in raw.decode().splitlines() if not any(k in o for k in ('"seconds"', '"memory_mb"', 'root"')) and ' root:' not in o).encode()
        out[name] = hashlib.sha256(raw).hexdigest()
    return out


def progress(run):
    "Where a run was when it was killed: (finished folds, epochs of the fold in work)."
    folds = sorted(run.glob('fold_*'))
    done = [f for f in folds if (f/'results.json').exists()]
    at = [f for f in folds if f not in done]
    h = at[0]/'history.csv' if at else None
    return len(done), max(0, len(h.read_text().splitlines()) - 1) if h and h.exists() else 0


def kill_case(name, preset, keys, want, seconds, rng, tmp):
    "Begin, kill, go on until it ends; kills that came too late are drawn again."
    moments, root, late = [], tmp/f'kill-{rng.random()}', 0
    root.mkdir()
    p, hits = in_fork(begin, preset, keys, root), rng.choice((1, 1, 2, 3))
    start = time.monotonic()
    while len(moments) < hits and late < 20:
        while p.is_alive() and run_in(root) is None: time.sleep(.002)
        wait = rng.random()*seconds
        p.join(wait)
        if p.is_alive():
            os.killpg(p.pid, signal.SIGKILL)
            p.join()
            moments.append((round(wait, 3), *progress(run_in(root))))
        elif p.exitcode: raise SystemExit(f'{name}: a continued run failed with exit code {p.exitcode}')
        else: # it had ended: once more from the start
            late += 1
            if moments: break
            root = tmp/f'kill-{rng.random()}'
            root.mkdir()
            p = in_fork(begin, preset, keys, root)
            continue
        p = in_fork(go_on, run_in(root))
    p.join()
    if p.exitcode: raise SystemExit(f'{name}: the continued run failed with exit code {p.exitcode}')
    got = contents(run_in(root))
    differ = sorted(k for k in want.keys() | got.keys() if want.get(k) != got.get(k))
    return dict(case=name, preset=preset, kills=[dict(seconds=s, folds_done=f, epochs_done=e) for s, f, e in moments],
                files=len(want), differ=differ, exact=not differ, took=round(time.monotonic() - start, 1))


def table(report):
    "The report as markdown."
    rows = ['| case | killed after (s): finished folds, epochs of the next | files compared | equal |', '|---|---|---|---|']
    for r in report['runs']:
        at = '; '.join(f"{k['seconds']:.2f}: {k['folds_done']}, {k['epochs_done']}" for k in r['kills'])
        rows.append(f"| {r['case']} | {at} | {r['files']} | {'all' if r['exact'] else 'not ' + ', '.join(r['differ'])} |")
    return '\n'.join([*rows, '', f"{sum(len(r['kills']) for r in report['runs'])} kills in {len(report['runs'])} runs, "
                      f"{sum(r['exact'] for r in report['runs'])} of them exact; seed {report['seed']}, {report['date']}, "
                      f"{report['machine']}, torch {report['torch']}.", ''])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--kills', type=int, default=20, help='runs that are killed, each at least once')
    a.add_argument('--seed', type=int, default=0)
    a.add_argument('--out', default=str(Path(__file__).with_name('kills.json')))
    a = a.parse_args()
    import torch
    import severstal_nb.commands.check, severstal_nb.experiment  # noqa: F401 loaded once, before forking
    torch.set_num_threads(1)
    rng, runs, start = random.Random(a.seed), [], time.monotonic()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        class_folders(tmp/'classes')
        wanted = {}
        for i in range(a.kills):
            name = list(CASES)[i%len(CASES)]
            preset, keys = CASES[name]
            keys = {k: str(tmp/'classes') if v == 'CLASSES' else v for k, v in keys.items()}
            if name not in wanted:
                root = tmp/f'whole-{len(wanted)}'
                root.mkdir()
                run, seconds = timed(begin, preset, keys, root, root=root)
                wanted[name] = contents(run), seconds
            runs.append(kill_case(name, preset, keys, *wanted[name], rng, tmp))
            print(f"{i+1:3} {name}: {len(runs[-1]['kills'])} kills, {'exact' if runs[-1]['exact'] else runs[-1]['differ']}", flush=True)
    report = dict(seed=a.seed, date=time.strftime('%Y-%m-%d'), machine=f'{platform.system()} {platform.machine()}',
                  torch=torch.__version__, seconds=round(time.monotonic() - start), runs=runs)
    Path(a.out).write_text(json.dumps(report, indent=1) + '\n')
    Path(a.out).with_suffix('.md').write_text(table(report))
    print(table(report))
    return 0 if all(r['exact'] and r['kills'] for r in runs) else 1


if __name__ == '__main__': sys.exit(main())
