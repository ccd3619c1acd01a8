"""Three backbones, with CBAM and without, on 1,000 synthetic strips of 64×400: F1 on the test part, with intervals.

    python benchmarks/multilabel.py [--folder multilabel_runs] [--epochs 10] [--strips 1000] [--backbones a,b,c]

All is the same but the backbone: strips, split (70/15/15), seed, epochs, augmentation. The threshold of each class is chosen on
the validation part and reported on the test part. A run that is finished
is not made again, one that was broken off is continued. The last column is the difference that CBAM makes to the same
backbone's F1 on the same test strips, with the interval of the paired bootstrap.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from severstal_nb.experiment import train
from severstal_nb.metrics.masks import interval, resamples
from severstal_nb.metrics.labels import presence_metrics
from severstal_nb.runs.folder import load_run

BACKBONES = 'resnet18,efficientnet_b0,convnext_atto'


def one_run(folder, backbone, cbam, args):
    "The run of one row: finished before, continued, or new."
    made = sorted(Path(folder).glob(f'{backbone}_{"cbam" if cbam else "plain"}-*'))
    if made and (made[-1]/'results.json').exists(): return load_run(made[-1])
    if made: return train(resume=made[-1])
    return train('multi_backbone', data__n_train=args.strips, data__balanced=True, data__height=64, data__width=400,
                 data__num_workers=0, augment__hflip=.5, augment__vflip=.5, model__backbone=backbone, model__pretrained=False,
                 model__cbam_stages=[3, 4] if cbam else None, training__num_epochs=args.epochs,
                 training__channels_last=True, predict__threshold='tuned', run__root=str(folder), run__name=f'{backbone}_{"cbam" if cbam else "plain"}')


def test_table(run):
    "Probabilities and truth [N,K] of the test strips."
    t = pd.read_csv(run.path/'test_predictions.csv')
    return [t[[f'{o}_{c}' for c in run.classes]].to_numpy() for o in ('prob', 'true')]


def f1(probs, targ, run): return presence_metrics(probs, targ, run.classes, run.thresholds.label)['f1_macro']


def gain(off, on):
    "F1 with CBAM minus without, and its paired bootstrap interval."
    (p, t), (q, u) = test_table(off), test_table(on)
    assert (t == u).all(), 'the two runs have other test strips'
    drawn = [f1(q[i], t[i], on) - f1(p[i], t[i], off) for i in resamples(len(t), 500, 0)]
    return f1(q, t, on) - f1(p, t, off), *interval(drawn)


def row(run):
    "What is shown of one run."
    m = run.results['test']
    per = {f'F1 {c}': m[f'f1_{c}'] for c in run.classes}
    h = run.history(0)
    seconds = h['seconds'].sum() if 'seconds' in h else np.nan
    return {'macro F1': m['f1_macro'], 'low': m['f1_macro_low'], 'high': m['f1_macro_high'], **per,
            'AUROC': m['auroc_macro'], 'training seconds': seconds}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--folder', default='multilabel_runs')
    p.add_argument('--epochs', type=int, default=10)
    p.add_argument('--strips', type=int, default=1000)
    p.add_argument('--backbones', default=BACKBONES)
    p.add_argument('--threads', type=int, default=None)
    args = p.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    rows = {}
    for b in args.backbones.split(','):
        off, on = (one_run(args.folder, b, cbam, args) for cbam in (False, True))
        rows[b], rows[f'{b} + CBAM'] = row(off), row(on)
        rows[f'{b} + CBAM']['CBAM gains'] = '{:+.3f} ({:+.3f} to {:+.3f})'.format(*gain(off, on))
        print(pd.DataFrame(rows).T.to_string(float_format='{:.3f}'.format), flush=True)


if __name__ == '__main__': main()
