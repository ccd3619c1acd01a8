"""Does a store of decoded images pay? CPU seconds of an epoch, from image files and from the store, end to end.

    python benchmarks/feeding.py [--strips 96] [--rounds 3]

Writes benchmarks/results/feeding.json and feeding.md. One process and one thread for each figure, 256×1600 synthetic strips in JPEG files, CPU seconds of
the process (user and system). The floor is decoding every file to grey and nothing else. The nets see 16 strips, in batches of 8 (U-Net: 2). Ways: `files` decodes each image when it
is asked for, `new store` builds the store and then reads it (a first epoch), `store` finds it built (every later epoch and run).
"""
import argparse
import json
from pathlib import Path

import numpy as np
from common import HERE, child, environment, quartiles, temp

EPOCH = '''
import sys, time
root, way, net, folder = sys.argv[1:5]
import cv2, torch
cv2.setNumThreads(0); torch.set_num_threads(1); torch.manual_seed(0)
from severstal_nb.learn.augment import make_augment
from severstal_nb.learn.dataset import SteelDataset, StepLoader
from severstal_nb.learn.store import precrop
from severstal_nb.models import create_model
from severstal_nb.losses import create_loss
from severstal_nb.readers import read_data
data = read_data(root)
if net not in ('floor', 'images', 'none'): data = data.subset(range(16))
masks = net.startswith('unet')
model = loss = opt = None
if net not in ('none', 'floor', 'images'):
    model = create_model(net, data.n_classes, 1, **(dict(decoder_channels=(96, 64, 32, 16, 16)) if masks else {})).to(memory_format=torch.channels_last)
    loss, opt = create_loss('bce' if masks else 'bce_with_logits'), torch.optim.AdamW(model.parameters(), 1e-3)
    model(torch.zeros(2, 1, 64, 64, dtype=torch.uint8))
start = time.process_time()
if net == 'floor':
    for i in range(len(data)): data.image(i)
else:
    if way != 'files': data = precrop(data, folder, 1)
    aug = None if net == 'images' else make_augment(256, 1600, hflip=.5, vflip=.5, brightness_contrast=.5)
    for batch in StepLoader(SteelDataset(data, augment=aug, target=None if net == 'images' else 'masks' if masks or not model else 'labels'), 2 if masks and model else 8, shuffle=True):
        if not model: continue
        x, y = batch[:2]
        l = loss(model(x), y)
        opt.zero_grad(); l.backward(); opt.step()
result = dict(ms=1000*(time.process_time() - start)/len(data))
'''
NETS = {'images': 'images alone', 'none': 'images, masks, augmentation',  'mobilenetv3_small_050': 'a cheap classifier, mobilenetv3_small_050', 'unet-timm-tf_efficientnet_lite0': 'U-Net on EfficientNet-Lite0'}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--strips', type=int, default=256)
    p.add_argument('--rounds', type=int, default=3)
    a = p.parse_args()
    from severstal_nb.synthetic import make_kaggle
    got = {}
    with temp() as folder:
        root, built = make_kaggle(Path(folder)/'data', a.strips, n_workers=1, balanced=True), Path(folder)/'built'
        child(EPOCH, root, 'store', 'none', built)
        for r in range(a.rounds):
            got.setdefault(('floor', ''), []).append(child(EPOCH, root, '', 'floor', '')['ms'])
            for net in NETS:
                for way in ('files', 'new store', 'store'):
                    where = built if way == 'store' else Path(folder)/f'new-{r}-{net}'
                    got.setdefault((net, way), []).append(child(EPOCH, root, way, net, where)['ms'])
    floor = np.array(got['floor', ''])
    rows = [dict(net=net, way=way, ms=quartiles(t), floor=quartiles(np.array(t)/floor), files=quartiles(np.array(t)/np.array(got[net, 'files'])))
            for (net, way), t in got.items() if net != 'floor']
    out = dict(strips=a.strips, rounds=a.rounds, floor=quartiles(floor), rows=rows, environment=environment())
    (HERE/'results'/'feeding.json').write_text(json.dumps(out, indent=1, default=str) + '\n')
    f = lambda q, d: f'{q["median"]:.{d}f} ({q["low"]:.{d}f} to {q["high"]:.{d}f})'
    lines = ['# Feeding: image files or a store of decoded images', '', f'Written by `python benchmarks/feeding.py --strips {a.strips} --rounds {a.rounds}`; how it is measured stands in its first lines.',
             '', f'Decoding alone, the floor: {f(out["floor"], 2)} CPU ms a strip.', '', '| net | pixels from | CPU ms a strip | times the floor | times files |', '|---|---|---|---|---|',
             *(f'| {NETS[o["net"]]} | {o["way"]} | {f(o["ms"], 2)} | {f(o["floor"], 2)} | {f(o["files"], 3)} |' for o in rows)]
    (HERE/'results'/'feeding.md').write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))


if __name__ == '__main__': main()
