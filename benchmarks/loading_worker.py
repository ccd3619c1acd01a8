"One process of the loading rows: runs what it is told to, once each time, and says how long it took. `recipe` or `ours`."
import os, sys

os.environ['OMP_NUM_THREADS'] = '1'
import json, tempfile, time, warnings
from pathlib import Path

warnings.filterwarnings('ignore')
import cv2
import numpy as np
import torch

import peers
from common import strips
from severstal_nb.learn.augment import make_augment
from severstal_nb.learn.store import DecodedStore
from severstal_nb.learn.dataset import SteelDataset
from severstal_nb.models import create_model

CROP = (256, 512)
FLIPS = dict(hflip=.5, vflip=.5, brightness_contrast=.5)


def recipe_jobs(paths, rles, n):
    "The recipe, as a notebook runs it."
    full, crop = (peers.KaggleStrips(paths, rles, peers.kaggle_transform(crop=c)) for c in (None, CROP))
    return dict(recipe_full=lambda: [full[i] for i in range(n)], recipe_crop=lambda: [crop[i] for i in range(n)])


def floor_jobs(paths, n):
    "What nobody can leave out: decoding, cleared masks, written floats; one strip or crop at a time, in memory used before."
    raw = [np.frombuffer(Path(p).read_bytes(), np.uint8) for p in paths[:n]]
    out = dict(decode=lambda: [cv2.imdecode(r, cv2.IMREAD_GRAYSCALE) for r in raw])
    for name, (h, w) in dict(full=(256, 1600), crop=CROP).items():
        masks, floats = torch.empty(8, 4, h, w, dtype=torch.uint8), torch.empty(8, 3, h, w)
        image = torch.zeros(8, 1, h, w, dtype=torch.uint8)
        out[f'clear_{name}'] = lambda masks=masks: [masks.zero_() for _ in range(n//8)]
        out[f'floats_{name}'] = lambda floats=floats: [floats.fill_(1) for _ in range(n//8)]
        out[f'copy_{name}'] = lambda image=image: [image.clone() for _ in range(n//8)]
    return out


def our_jobs(data, paths, rles, n, folder):
    "Our loading, and the normalisation of what it loaded; from here on freed memory is kept."
    model = create_model('tiny_seg', n_classes=4, in_chans=1).eval()
    def normalise(x):
        with torch.inference_mode(): return model.prepare(x)
    check_same(SteelDataset(data), peers.KaggleStrips(paths, rles, peers.kaggle_transform(0)), normalise)
    keys = [[(1, j) for j in range(a, a + 8)] for a in range(0, n, 8)]
    sets = dict(full=SteelDataset(data, augment=make_augment(256, 1600, **FLIPS)),
                crop=SteelDataset(data, crop=CROP, augment=make_augment(*CROP, **FLIPS)),
                store=SteelDataset(data, crop=CROP, store=DecodedStore.build(data, folder), augment=make_augment(*CROP, **FLIPS)))
    out = {}
    for name, ds in sets.items():
        done = [ds.batch(k)[0] for k in keys]
        out[name] = lambda ds=ds: [ds.batch(k) for k in keys]
        out[f'normalise_{name}'] = lambda done=done: [normalise(x) for x in done]
    masks = SteelDataset(data)
    out['masks_full'] = lambda: [masks.planes(i) for i in range(n)]
    return out


def jobs(mode, folder):
    "{name: function}, samples a call, and which data they are."
    data, kind = strips()
    paths, rles, n = data.images.path.tolist(), [[data.rle(i, k) for k in range(4)] for i in range(len(data))], len(data)//8*8
    out = recipe_jobs(paths, rles, n)
    if mode == 'ours': out |= our_jobs(data, paths, rles, n, folder) | floor_jobs(paths, n)
    return out, n, kind


def check_same(ds, recipe, normalise):
    "Without random parts both ways give the same numbers: masks exactly, images within 1e-5."
    for i in range(len(ds)):
        (image, mask), (x, y) = recipe[i], ds[i]
        assert (y.numpy() == mask.numpy()).all()
        assert float((normalise(x[None])[0] - image).abs().max()) < 1e-5


def main():
    "Answer each name on standard input with [wall, cpu] seconds per sample."
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        todo, n, kind = jobs(sys.argv[1], folder)
        for f in todo.values(): f()
        print(json.dumps([n, kind]), flush=True)
        for line in sys.stdin:
            w, c = time.perf_counter(), time.process_time()
            todo[line.strip()]()
            c = (time.process_time() - c)/n
            print(json.dumps([(time.perf_counter() - w)/n, c]), flush=True)


if __name__ == '__main__': main()
