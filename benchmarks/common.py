"Timing, child processes and inputs that all rows of the benchmark share."
import json, os, platform, resource, subprocess, sys, tempfile, time
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROWS = {}
SCALE = {'s': 1, 'ms': 1e3, 'µs': 1e6}


def row(name, what, beside, aim=None, least=None, heavy=False):
    "Decorator: a function that returns the fields of one or more rows. `least` is the ratio aimed at."
    def add(f):
        ROWS[name] = dict(f=f, what=what, beside=beside, aim=aim, least=least, heavy=heavy)
        return f
    return add


def quartiles(values):
    "Median, lower and upper quartile."
    lo, mid, hi = np.quantile(np.asarray(values, float), [.25, .5, .75]).tolist()
    return dict(median=mid, low=lo, high=hi)


def race(funcs, repeats=7, per=1, warm=1, pause=lambda: None):
    "Interleaved repeats of functions without arguments: {name: {wall, cpu}} in seconds per item, each with quartiles."
    names = list(funcs)
    times = {n: dict(wall=[], cpu=[]) for n in names}
    for _ in range(warm):
        for f in funcs.values(): f()
    for r in range(repeats):
        for n in names[r % len(names):] + names[:r % len(names)]:
            pause()
            w, c = time.perf_counter(), time.process_time()
            funcs[n]()
            times[n]['cpu'].append((time.process_time() - c)/per)
            times[n]['wall'].append((time.perf_counter() - w)/per)
    return {n: dict(wall=quartiles(t['wall']), cpu=quartiles(t['cpu']), raw=t) for n, t in times.items()}


def ratio(times, peer, ours, clock='cpu'):
    "Quartiles of peer time / our time, repeat by repeat."
    return quartiles(np.divide(times[peer]['raw'][clock], times[ours]['raw'][clock]))


def versus(times, ours, peer, least=None, unit='ms', clock='cpu', **more):
    "The fields of a row: both times, the ratio (peer / ours, above 1 we are faster), and whether the aim is met."
    scale = SCALE[unit]
    show = lambda t: {k: round(v*scale, 4) for k, v in t.items()}
    r = ratio(times, peer, ours, clock)
    return dict(unit=unit, clock=clock, ours=show(times[ours][clock]), peer=show(times[peer][clock]),
                ours_wall=show(times[ours]['wall']), peer_wall=show(times[peer]['wall']),
                ratio={k: round(v, 3) for k, v in r.items()}, repeats=len(times[ours]['raw'][clock]),
                met=None if least is None else bool(r['median'] >= least)) | more


def floor_of(times, ours, floor, what, unit='ms', clock='cpu'):
    "The floor beside our time: what nobody can leave out, and how far above it we are."
    scale = SCALE[unit]
    f, o = times[floor][clock]['median'], times[ours][clock]['median']
    return dict(floor=dict(what=what, value=round(f*scale, 4), times=round(o/f, 2)))


def peak_mb():
    "Largest memory that this process has had, in MB."
    status = Path('/proc/self/status')  # ru_maxrss begins with the parent's size
    kb = next((int(l.split()[1]) for l in status.read_text().splitlines() if l.startswith('VmHWM')), 0) if status.exists() else 0
    return (kb or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)/1024


def child(code, *args, env=None, timeout=1800):
    "Run Python code in a fresh process; returns what it printed last as JSON, with peak memory and processor time."
    tail = ("\nimport json as _j, resource as _r\nfrom common import peak_mb as _p\n_u = _r.getrusage(_r.RUSAGE_SELF)\n"
            "print('\\n' + _j.dumps(dict(globals().get('result') or {}, peak_mb=_p(), cpu=_u.ru_utime+_u.ru_stime)))")
    out = subprocess.run([sys.executable, '-c', code + tail, *map(str, args)], capture_output=True, text=True, timeout=timeout,
                         env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(HERE.parent), str(HERE), os.environ.get('PYTHONPATH', '')]),
                              'PYTHONWARNINGS': 'ignore', **(env or {})})
    if out.returncode: raise RuntimeError(f'child process failed:\n{out.stderr[-2000:]}')
    return json.loads(out.stdout.strip().splitlines()[-1])


def command_times(commands, repeats=7):
    "Interleaved runs of commands: {name: {wall, cpu}} in seconds, processor time of the child."
    times = {n: dict(wall=[], cpu=[]) for n in commands}
    for r in range(-1, repeats):
        for n, c in commands.items():
            w, u = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(c, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           env={**os.environ, 'PYTHONPATH': str(HERE.parent)})
            v = resource.getrusage(resource.RUSAGE_CHILDREN)
            if r < 0: continue
            times[n]['wall'].append(time.perf_counter() - w)
            times[n]['cpu'].append(v.ru_utime + v.ru_stime - u.ru_utime - u.ru_stime)
    return {n: dict(wall=quartiles(t['wall']), cpu=quartiles(t['cpu']), raw=t) for n, t in times.items()}


def shared():
    "The folder of real data, or None."
    from severstal_nb.readers import shared_data
    return shared_data()


def strips(n=27, balanced=True):
    "Real strips where there are some, else synthetic ones: data, and which."
    from severstal_nb.readers import read_kaggle
    from severstal_nb.synthetic import synthetic_data
    if shared(): return read_kaggle(shared()/'severstal'), 'real'
    return synthetic_data(n, 256, 1600, balanced=balanced), 'synthetic'


def mask_strings():
    "Run-length strings of real masks (those of images that are here and that are not), else of synthetic ones."
    import pandas as pd
    if root := shared():
        tables = [pd.read_csv(root/'severstal'/f) for f in ('train.csv', 'masks_without_images.csv')]
        return [r for t in tables for r in t.EncodedPixels.dropna().tolist()], 'real'
    data, kind = strips(60)
    return [r for i in range(len(data)) for k in range(4) if (r := data.rle(i, k))], kind


def many_files(folder, n, sources):
    "A folder of `n` image files that are hard links to a few: sizes and contents repeat, names do not."
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n): os.link(sources[i % len(sources)], folder/f'{i:09x}.jpg')
    return folder


def environment():
    "What the numbers depend on."
    cpu = next((l.split(':')[1].strip() for l in open('/proc/cpuinfo') if l.startswith('model name')), platform.processor()) \
        if os.path.exists('/proc/cpuinfo') else platform.processor()
    packages = {}
    for p in ('numpy', 'opencv-python-headless', 'albumentations', 'pycocotools', 'connected-components-3d', 'scipy',
              'scikit-learn', 'pandas', 'torch', 'fastai', 'severstal_nb'):
        try: packages[p] = version(p)
        except PackageNotFoundError: pass
    return dict(date=datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M UTC'), cpu=cpu, cores=os.cpu_count(),
                load=round(os.getloadavg()[0], 1), python=platform.python_version(), system=platform.system(),
                real_data=shared() is not None, packages=packages)


def one_thread():
    "Nothing runs on more than one core, and freed memory is kept, as in every `severstal` command: for us and for the peers."
    import cv2, torch
    from severstal_nb.learn.dataset import keep_memory
    keep_memory()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def temp(prefix='severstal_nb-bench-'):
    "A temporary directory, gone at the end of a `with`."
    return tempfile.TemporaryDirectory(prefix=prefix)
