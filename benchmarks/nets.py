"""What the nets of the sweep nets.yaml cost on this machine, and that each takes a training step. Nothing is trained: their weights come from a hub.

    python benchmarks/nets.py [--only 0,3]

Each net is built as its job builds it, with random weights, in a process of its own. Parameters, GMAC and the memory that a strip of 256×1600 keeps for the
backward pass come from shapes (`model_cost`). The forward pass of a strip is in float32 with one thread, the best of three; a net that sees crops has as
many as a strip is wide. The step is one of the job's loss and AdamW on two synthetic crops of 256×512, best of two. Writes benchmarks/results/nets.json
and .md; about six minutes.
"""
import bootstrap  # noqa: F401  one thread, this tree
import argparse
import json

from common import HERE, child, environment

ONE = '''
import sys, time
import torch
from severstal_nb.reports.compare import _net_cost
from severstal_nb.runs.build import build_loss, build_model
from severstal_nb.runs.config import load_config, model_name, sweep_rows
from severstal_nb.synthetic import synthetic_data
torch.set_num_threads(1)
def best(f, n):
    times = []
    for _ in range(n):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times[1:])
row = sweep_rows('nets.yaml')[int(sys.argv[1])]
cfg = load_config(file='nets.yaml', overrides=row + ['model.pretrained=false'])
strips = synthetic_data(8, 256, 1600, balanced=True)
model = build_model(cfg, strips)
cost = _net_cost(model.eval(), (256, 1600))
crops, masks = (torch.stack([torch.as_tensor(f(i)).reshape(-1, 256, 1600)[..., :512] for i in range(2)]) for f in (strips.image, strips.mask))
loss, opt = build_loss(cfg, strips.labels), torch.optim.AdamW(model.parameters(), 1e-4)
model.train()
values = []
def step():
    value = loss(model(crops), masks)
    value.backward(); opt.step(); opt.zero_grad()
    values.append(value.item())
result = dict(net=model_name(cfg), window=cfg.predict.window, step_s=best(step, 3), **cost)
assert all(v == v for v in values), values
'''


def main():
    from severstal_nb.core.files import markdown_table
    from severstal_nb.runs.config import sweep_rows
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', default='', help='numbers of jobs, with commas: shown, not stored')
    a = p.parse_args()
    only, rows = [int(o) for o in a.only.split(',') if o], []
    for i in only or range(len(sweep_rows('nets.yaml'))):
        rows.append(child(ONE, i, env={'CUDA_VISIBLE_DEVICES': ''}))
        print(json.dumps(rows[-1]), flush=True)
    if only: return
    (HERE/'results'/'nets.json').write_text(json.dumps(dict(rows=rows, environment=environment()), indent=1) + '\n')
    cells = [(o['net'], o['window'], f'{o["M parameters"]:.1f}', f'{o["GMAC"]:.1f}', f'{o["MB in training"]:.0f}', f'{o["ms on cpu"]:.0f}', f'{o["step_s"]:.1f}', f'{o["peak_mb"]:.0f}') for o in rows]
    text = ['# The nets of nets.yaml: what they cost', '',
            'Written by `python benchmarks/nets.py`; random weights, nothing is trained. Scores are not known: the sweep needs weights from a hub, and a GPU.', '',
            markdown_table(['net', 'predicts', 'M parameters', 'GMAC a strip', 'MB kept in training', 'ms a strip, one core', 's a step of two crops', 'MB of the process'], cells)]
    (HERE/'results'/'nets.md').write_text('\n'.join(text).rstrip() + '\n')
    print('\n'.join(text))


if __name__ == '__main__': main()
