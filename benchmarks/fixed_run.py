"""Four small fixed trainings, their histories and the digests of what they wrote.

    python benchmarks/fixed_run.py --write    trains and stores benchmarks/results/fixed_run.json
    python benchmarks/fixed_run.py            trains again and compares; exit code 1 where something differs

Learning rates are compared to 1e-12 and metrics to 1e-4 everywhere. The digests of weights, probabilities and
submissions are compared bit by bit where processor and versions are those of the stored run; elsewhere rounding differs.
"""
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'
STORED = Path(__file__).with_name('results')/'fixed_run.json'
STRIPS = dict(n_train=24, n_test=8, height=64, width=256, batch_size=4, num_folds=2, fold=0, num_workers=0, mode='full')
FLIPS = dict(hflip=.5, vflip=.5)
# What the preset `demo` was when the histories were stored
LOSS = dict(type='bce_dice_pos_weight', dice='pair', pos_weight=None)
ADAM = dict(optimizer='adam', learning_rate=6e-4, encoder_lr=None)
PLAIN = dict(hflip=.5, vflip=.5, brightness_contrast=0.)
RUNS = dict(
    one_cycle=dict(config='demo', data=STRIPS, augment=PLAIN, loss=LOSS, training=ADAM | dict(num_epochs=2),
                   model=dict(name='linknet', encoder='resnet18', pretrained=False)),
    cosine=dict(config='multi_backbone', data=STRIPS | dict(root='synthetic', balanced=True, split_strategy='kfold'), augment=FLIPS,
                model=dict(name='mobilenetv3_small_050', backbone=None, pretrained=False),
                training=dict(num_epochs=3, schedule='cosine', warmup_epochs=1, optimizer='adamw', weight_decay=.01,
                              learning_rate=1e-3, encoder_lr=3e-4, accumulate=2, clip=1., freeze_epochs=1,
                              precision='bf16', average_best=2)),
    plateau=dict(config='demo', data=STRIPS | dict(mode='crops', crop_height=64, crop_width=128, crop_stride=64, crop_to_defect=0.),
                 model=dict(name='tiny_seg', encoder=None), augment=PLAIN, loss=LOSS,
                 training=ADAM | dict(num_epochs=8, schedule='reduce_on_plateau', optimizer='sgd', learning_rate=1.)),
    constant=dict(config='demo', data=STRIPS | dict(mode='precropped', crop_height=64, crop_width=128, crop_stride=128, crop_to_defect=0.),
                  model=dict(name='tiny_seg', encoder=None), augment=PLAIN, loss=LOSS,
                  training=ADAM | dict(num_epochs=3, schedule='constant', warmup_epochs=2, optimizer='radam', save_best_only=False)),
)


def digest(*parts):
    "Sixteen letters of the sha256 of some bytes."
    h = hashlib.sha256()
    for o in parts: h.update(o)
    return h.hexdigest()[:16]


def machine():
    "What has to be equal for results to be equal to the bit."
    import torch, timm, albumentations, numpy
    return dict(cpu=torch.backends.cpu.get_cpu_capability(), torch=torch.__version__, numpy=numpy.__version__,
                timm=timm.__version__, albumentations=albumentations.__version__)


def weights(path):
    "Digest of the tensors of a safetensors file, names in order."
    from safetensors.numpy import load_file
    return digest(*(k.encode() + v.tobytes() for k,v in sorted(load_file(path).items())))


def run(name, folder):
    "Train one of `RUNS`, predict its test strips; history and digests."
    import logging
    import numpy as np
    import torch
    from severstal_nb.runs.config import as_config
    from severstal_nb.experiment import predict, train
    from severstal_nb.synthetic import make_kaggle
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    kw = dict(RUNS[name])
    done = train(as_config(kw.pop('config'), **kw, run=dict(root=str(folder), name=name)), verbose=False)
    history = done.history(0).drop(columns=['seconds', 'memory_mb'])
    test = folder/'strips'
    if not test.exists(): make_kaggle(test, 1, 6, height=64, width=256, seed=1, n_workers=0)
    csv = predict(done, test/'test_images', folder/f'{name}.csv', every_row=True, num_workers=0, progress=False)
    fold = done.fold_path(0)
    found = {p.stem: weights(p) for p in sorted(fold.glob('*.safetensors'))}
    oof = fold/'oof'
    if done.task == 'segmentation':
        from severstal_nb.ensembling import OOFStore
        store = OOFStore(oof)
        found['oof'] = digest(*(np.ascontiguousarray(store[i]).tobytes() for i in range(len(store))))
    else: found['oof'] = digest((oof/'predictions.csv').read_bytes())
    return dict(history=history.to_dict('list'), digests=found | dict(csv=digest(Path(csv).read_bytes())))


def compare(old, new, bits):
    "Lines saying what differs."
    import math
    wrong = []
    for name,o in old.items():
        for column,values in o['history'].items():
            got, tol = new[name]['history'].get(column), 1e-12 if column == 'lr' else 1e-4
            if got is None: wrong.append(f'{name}: the history has no {column}')
            elif len(got) != len(values) or any(
                    not (a == b or abs(a-b) <= tol or (math.isnan(a) and math.isnan(b))) for a,b in zip(values, got)):
                wrong.append(f'{name}: {column} was {values}, is {got}')
        if bits: wrong += [f'{name}: {k} is not the stored one' for k,v in o['digests'].items()
                           if new[name]['digests'].get(k) != v]
    return wrong


def main():
    "Write, or compare."
    with tempfile.TemporaryDirectory() as d: new = {k: run(k, Path(d)) for k in RUNS}
    here = machine()
    if '--write' in sys.argv:
        STORED.write_text(json.dumps(dict(machine=here, runs=new)) + '\n')
        return 0
    stored = json.loads(STORED.read_text())
    bits = stored['machine'] == here
    wrong = compare(stored['runs'], new, bits)
    print('\n'.join(wrong) or f'the same learning rates and metrics{", and the same bits" if bits else "; bits not compared: " + str(here)}')
    return int(bool(wrong))


if __name__ == '__main__': sys.exit(main())
