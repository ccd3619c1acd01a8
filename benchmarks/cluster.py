"""What prediction by worker processes of Ray costs, and what of it grows with the number of strips.

    python benchmarks/cluster.py                    a LinkNet on MobileNetV2, exported, 200 synthetic strips, 2 workers
    python benchmarks/cluster.py --model FILE.onnx  a file or run folder of yours; --strips, --workers, --many

Seconds are of processors unless `wall` is in the name. Results go to benchmarks/results/cluster.json.
"""
import os

for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'): os.environ.setdefault(name, '1')
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')

import argparse, json, sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from common import child, environment, many_files, temp

LOCAL = '''
import sys
from severstal_nb.runs.stream import open_predictor, predict_images
predict_images(open_predictor(sys.argv[1], threads=1, batch_size=4), sys.argv[2], sys.argv[3], progress=False)
'''
CLUSTER = '''
import itertools, sys, threading, time
start = time.perf_counter()
from severstal_nb.deploy.cluster import predict_cluster, ray_session
model, images, out, workers = *sys.argv[1:4], int(sys.argv[4])
with ray_session(cpus=workers):
    import psutil
    up, end, seen, peak = time.perf_counter() - start, threading.Event(), {}, 0
    def watch():
        global peak
        for n in itertools.count():
            if end.wait(1): return
            now = 0
            for p in psutil.Process().children(recursive=True):
                try:
                    t = p.cpu_times()
                    seen[p.pid] = p.name(), t.user + t.system
                    if n % 5 == 4: now += p.memory_full_info().uss # slow to ask for
                except psutil.Error: pass
            peak = max(peak, now)
    t = threading.Thread(target=watch)
    t.start()
    predict_cluster(model, images, out, workers=workers, batch_size=4, progress=False)
    end.set(); t.join()
cpu = lambda work: sum(c for n,c in seen.values() if n.startswith('ray::MapWorker') == work)
result = dict(start_wall=up, wall=time.perf_counter() - start, workers_cpu=cpu(True), ray_cpu=cpu(False), children_mb=peak/2**20)
'''
MANY = '''
import sys, time, types
from pathlib import Path
import numpy as np
from severstal_nb.deploy.cluster import GatheredRows, cut_shares, write_share
from severstal_nb.engines.runtime import load_model
from severstal_nb.rle import rle_encode
from severstal_nb.runs.stream import listed_images, open_writer, write_all
model, images, out = load_model(sys.argv[1], threads=1), sys.argv[2], Path(sys.argv[3])
c = [time.process_time()]
data = listed_images(images, model)
c.append(time.process_time())
shares = cut_shares(data, 4)
c.append(time.process_time())
mask = np.zeros((256, 1600), np.uint8)
mask[40:90, 200:320] = mask[200:240, 900:950] = 1
rows = [dict(error=None, rles=[rle_encode(mask) if k == i % 8 else '' for k in range(4)], probs=[]) for i in range(64)]
for s in shares: write_share(out, s['first'], rows[:len(s['path'])])
disk = sum(p.stat().st_size for p in out.glob('*.parquet'))
c.append(time.process_time())
path = write_all(open_writer(out/'x.csv', model, data), GatheredRows(model, out, [s['first'] for s in shares]), data, False)
c.append(time.process_time())
step = np.diff(c)/len(data)
result = dict(list=step[0], cut=step[1], write=step[2], merge=step[3], rows_bytes=disk/len(data), csv_bytes=path.stat().st_size/len(data))
'''


def a_file(folder):
    "An exported LinkNet; its weights matter to nobody."
    from rows_models import a_run
    from severstal_nb.deploy.export import export_onnx
    return export_onnx(a_run(folder, 'linknet-mobilenet_v2', data__split_strategy='stratified_80_10_10'), folder/'net.onnx')


def measure(model, strips, workers, many):
    "All numbers, as plain data."
    from severstal_nb.synthetic import make_kaggle
    with temp() as folder:
        folder = Path(folder)
        model = Path(model) if model else a_file(folder)
        few = sorted((make_kaggle(folder/'few', 24, n_workers=1)/'train_images').glob('*.jpg'))
        runs, growth = [], []
        for n in (strips//4, strips): # two, so that the start can be told from what each strip costs
            images = many_files(folder/f'images{n}', n, few)
            local = child(LOCAL, model, images, folder/'local.csv')
            ray = child(CLUSTER, model, images, folder/'ray.csv', workers)
            runs.append(dict(strips=n, equal=(folder/'local.csv').read_bytes() == (folder/'ray.csv').read_bytes(), local=local, ray=ray))
        for n in many:
            (folder/f'rows{n}').mkdir()
            growth.append(dict(strips=n) | child(MANY, model, many_files(folder/f'many{n}', n, few), folder/f'rows{n}'))
        return dict(model=model.name if model.parent != folder else 'linknet-mobilenet_v2, exported', engine='auto', workers=workers, batch_size=4,
                    image_bytes=sum(p.stat().st_size for p in few)/len(few), runs=runs, growth=growth)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--model', help='exported file or run folder')
    p.add_argument('--strips', type=int, default=200)
    p.add_argument('--workers', type=int, default=2)
    p.add_argument('--many', type=int, nargs='*', default=[4000, 16000], help='strips whose listing and merging is measured')
    p.add_argument('--out', type=Path, default=HERE/'results'/'cluster.json')
    a = p.parse_args()
    found = dict(environment=environment()) | measure(a.model, a.strips, a.workers, a.many)
    a.out.write_text(json.dumps(found, indent=1) + '\n')
    print(json.dumps(found, indent=1))


if __name__ == '__main__': main()
