"""Twenty kills at seeded random moments, twenty exact resumes; and a kill at every place that writes.

    python benchmarks/kills.py [--kills 20] [--seed 0] [--out benchmarks/kills.json]
    python benchmarks/kills.py --sites [N]    all places that write, or N of them drawn at random

Each case trains a small net of a preset once without interruption. Then a process that trains the same is killed with
SIGKILL at a random moment, often more than once, and continued by `train(resume=RUN)`. Weights, history (but times and memory),
out-of-fold predictions, thresholds and results must equal the uninterrupted run's byte for byte. Writes a JSON file and,
beside it, a table in markdown. Processes are forked, so that libraries are loaded once. Linux and macOS, CPU.

With `--sites` a tiny net trains, is continued in several ways, and predicts, while every call that writes is watched: rename, mkdir,
unlink, rmdir, fsync, chmod, opening a file to write, and writing. A call is known by the three innermost
lines of this package that led to it. For each of
these places, in training, resuming and predicting, one process is killed before the first such call (in the middle of it, where bytes are written) and one after it. The same
command is given again, and must end in the files of an undisturbed run, byte for byte.
"""
import argparse, builtins, hashlib, io, json, logging, multiprocessing, os, platform, random, shutil, signal, sys, tempfile, time
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

SIZE = {'data.n_train': 32, 'data.height': 32, 'data.width': 128, 'data.balanced': True, 'data.mode': 'full'}
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
    found = [p.parent for p in Path(root).glob('*/run.json') if not p.parent.name.startswith('.')]
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
        if p.name == 'digests.json': raw = json.dumps({k: v for k, v in json.loads(raw).items() if not k.endswith('.pt')}).encode()
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


class Sites:
    "Watches every call that writes below a folder: notes its site, or kills the process at the first call from one site."
    OPS = ('replace', 'rename', 'mkdir', 'unlink', 'remove', 'rmdir', 'fsync', 'chmod', 'open')
    def __init__(self, below, kill=None, when=None): self.below, self.seen, self.kill, self.when, self.real = str(below), {}, kill, when, os.kill
    def site(self, op):
        "The three innermost lines of this package that led to a call; where there are none, the last line of any."
        f, ours, last = sys._getframe(2), [], None
        while f:
            name = f.f_code.co_filename
            where = f'{Path(name).stem}.{f.f_code.co_name}:{f.f_lineno}'
            if last is None and 'kills.py' not in name and 'pathlib' not in name: last = where
            if f'{os.sep}severstal_nb{os.sep}' in name: ours.append(where)
            f = f.f_back
        return f"{op} {' < '.join(ours[:3]) or last}"
    def hit(self, op, when):
        "Is this the call to die at?"
        site = self.site(op)
        self.seen[site] = self.seen.get(site, 0) + 1
        return site == self.kill and self.when == when
    def die(self): self.real(os.getpid(), signal.SIGKILL)
    def ours(self, a, k):
        "Does a call concern a file below the folder? One with a descriptor does."
        if k.get('dir_fd') is not None or isinstance(a[0], int): return True
        return os.path.abspath(os.fsdecode(os.fspath(a[0]))).startswith(self.below)
    def around(self, op, f):
        def g(*a, **k):
            writes = op != 'open' or a[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not writes or not self.ours(a, k): return f(*a, **k)
            if self.hit(op, 'before'): self.die()
            try: return f(*a, **k)
            finally: # also where there was nothing to unlink
                if self.hit(op, 'after'): self.die()
        return g
    def opened(self, real):
        def g(file, mode='r', *a, **k):
            f = real(file, mode, *a, **k)
            if not isinstance(file, int) and set(mode) & set('wax+') and self.ours((file,), {}):
                if self.hit('open', 'before') or self.hit('open', 'after'): self.die() # the file is there, and empty
                write = f.write
                def watched(data):
                    if self.hit('write', 'before'): write(data[:len(data)//2]); f.flush(); self.die()
                    n = write(data)
                    if self.hit('write', 'after'): f.flush(); self.die()
                    return n
                f.write = watched
            return f
        return g
    def __enter__(self):
        for op in self.OPS: setattr(os, op, self.around(op, getattr(os, op)))
        builtins.open = io.open = self.opened(io.open)
        return self
    def __exit__(self, *_): pass # the process ends


TINY = {**SIZE, 'data.n_train': 12, 'data.num_folds': 2, 'data.batch_size': 4, 'training.num_epochs': 2, 'training.schedule': 'constant',
        'model.pretrained': False, 'data.duplicates': 'none'}
MASKS = {**TINY, 'model.name': 'tiny_seg', 'training.save_best_only': False, 'training.average_best': 2}
LABELS = {**TINY, 'model.name': 'tiny_cls', 'training.average_best': 2, 'training.num_epochs': 3, 'data.n_train': 24}


def resume(run, **kw):
    "Continue a run with keys."
    from severstal_nb.experiment import train
    train(resume=run, verbose=False, **kw)


def halfway(root):
    "A run killed in the second epoch of its second fold."
    from severstal_nb.core.files import kept_path
    run = run_in(root)
    for f in ('results.json', 'fold_1/results.json'): (run/f).unlink()
    with kept_path(run/'fold_1/checkpoints/last.pt') as part: shutil.copy(run/'fold_1/checkpoints/epoch_000.pt', part)


def csv_of(root, n=None):
    "Predict strips; cut off after `n` of them."
    from severstal_nb.experiment import predict
    from severstal_nb.synthetic import synthetic_data
    data = synthetic_data(8, 32, 128, 1, True)
    if n:
        read = data.image
        def image(i, box=None):
            if i >= n: raise KeyboardInterrupt
            return read(i, box)
        data.image = image
    predict(run_in(root), data, root/'out.csv', progress=False, batch_size=2)


def begun_csv(root):
    "A prediction that was cut off."
    try: csv_of(root, 5)
    except KeyboardInterrupt: pass


def again(root, keys):
    "What a user types after a kill of `train`: go on, or begin where there is no run yet."
    resume(run_in(root)) if run_in(root) else begin(None, keys, root)


def finished(root):
    "The run below `root` that has come to its end, and lies deepest: a copy where there is one."
    return max((p.parent for p in root.rglob('results.json') if (p.parent/'run.json').exists()), key=lambda p: len(p.parts))


ACTIONS = { # name, of a group → state before (None: empty), what is done to it, how, and again after a kill
    'train masks': (None, None, lambda r: again(r, MASKS)),
    'train labels': (None, None, lambda r: again(r, LABELS)),
    'resume': ('masks', halfway, lambda r: resume(run_in(r))),
    'resume with more epochs': ('masks', None, lambda r: resume(run_in(r), training__num_epochs=3)),
    'resume from epoch 0': ('masks', None, lambda r: resume(run_in(r)/'fold_0/checkpoints/epoch_000.pt')),
    'resume in a copy': ('masks', halfway, lambda r: resume(run_in(r), run__root=str(r/'more/copies'))),
    'predict': ('masks', None, csv_of),
    'predict the rest': ('masks', begun_csv, csv_of),
    'predict labels': ('labels', None, csv_of),
}


def outcome(root):
    "Digests of what an action made."
    out = root/'out.csv'
    return {'out.csv': hashlib.sha256(out.read_bytes()).hexdigest()} if out.exists() else contents(finished(root))


def watched(action, root, note=None, kill=None, when=None):
    "Do it under watch; the sites go to a file."
    with Sites(root, kill, when) as s: action(root)
    if note: note.write_text(json.dumps(s.seen))


def wait(p):
    p.join()
    return p.exitcode


def site_kills(n, seed, tmp):
    "Kill at every site, or at `n` drawn ones: a row for each kill."
    states, todo, wants, rows, known = {}, [], {}, [], set()
    for name, keys in (('masks', MASKS), ('labels', LABELS)):
        states[name] = tmp/f'state {name}'
        if wait(in_fork(begin, None, keys, states[name])): raise SystemExit(f'{name}: training failed')
    def fresh(name, to):
        state, change, _ = ACTIONS[name]
        shutil.copytree(states[state], to) if state else to.mkdir()
        if change and wait(in_fork(change, to)): raise SystemExit(f'{name}: could not be prepared')
        return to
    for name, (*_, action) in ACTIONS.items():
        root, note = fresh(name, tmp/f'whole {name}'), tmp/f'sites {name}'
        if wait(in_fork(watched, action, root, note)): raise SystemExit(f'{name}: failed')
        wants[name] = outcome(root)
        sites = [o for o in json.loads(note.read_text()) if (name.split()[0], o) not in known] # once in train, resume and predict each
        known |= {(name.split()[0], o) for o in sites}
        todo += [(name, site, when) for site in sites for when in ('before', 'after')]
        print(f'{name}: {len(sites)} places', flush=True)
    chosen = random.Random(seed).sample(todo, min(n, len(todo))) if n else todo
    for i, (name, site, when) in enumerate(chosen):
        root, action = fresh(name, tmp/'killed'), ACTIONS[name][2]
        code = wait(in_fork(watched, action, root, None, site, when))
        end = wait(in_fork(action, root))
        got = {} if end else outcome(root)
        differ = sorted(k for k in wants[name].keys() | got.keys() if wants[name].get(k) != got.get(k))
        rows.append(dict(action=name, site=site, when=when, killed=code == -signal.SIGKILL, exit=end, differ=differ))
        if differ or not rows[-1]['killed']: print(f'{i+1}/{len(chosen)}', rows[-1], flush=True)
        shutil.rmtree(root)
    return rows


def site_table(rows):
    "The kills at sites, by action, as markdown."
    out = ['| action | places | kills | ended in the same bytes |', '|---|---|---|---|']
    for name in ACTIONS:
        mine = [r for r in rows if r['action'] == name]
        out.append(f"| {name} | {len({r['site'] for r in mine})} | {sum(r['killed'] for r in mine)} | {sum(not r['differ'] for r in mine if r['killed'])} |")
    return '\n'.join([*out, ''])


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
    a.add_argument('--sites', type=int, nargs='?', const=0, default=None, metavar='N', help='kill at all places that write, or at N of them')
    a = a.parse_args()
    import torch
    import severstal_nb.commands.check, severstal_nb.experiment  # noqa: F401 loaded once, before forking
    torch.set_num_threads(1)
    if a.sites is not None:
        import severstal_nb.runs.stream, matplotlib.pyplot  # noqa: F401
        with tempfile.TemporaryDirectory() as tmp: rows = site_kills(a.sites, a.seed, Path(tmp).resolve())
        if not a.sites: Path(a.out).with_name('kill_sites.md').write_text(site_table(rows))
        print(site_table(rows))
        return 0 if all(not r['differ'] for r in rows) else 1
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
