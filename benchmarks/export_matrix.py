"""Every kind of net, exported: with the run's own answers at any size, at one size, or refused with the reason. There must be no fourth case.

    python benchmarks/export_matrix.py [CASE…] [--fresh] [--out benchmarks/results/export_matrix.json]

Each case is an untrained net with perturbed batch-norm statistics in a run folder of its own, exported by `export_onnx` in a process of its own: for any
size first, and where that is refused for one size. What is done already is not done again. Writes a JSON file after each case and, beside it, a table in markdown.
"""
import argparse, json, logging, os, subprocess, sys, tempfile, time
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

ARCHS = 'unet unetplusplus fpn linknet pspnet deeplabv3 deeplabv3plus manet pan upernet segformer'.split()
CASES = {f'{a}-resnet18': {} for a in ARCHS} | { # case → options of the run
    'dpt-tu-vit_tiny_patch16_224': {},
    'upernet-tu-convnext_atto': {},
    'unet-mobilenet_v2, two heads': dict(two_head=True),
    'deeplabv3plus-mobilenet_v2, two heads': dict(two_head=True),
    'unet-resnet18, grey layer': dict(grey='adapt'),
    'unet-resnet18, colour': dict(color='rgb'),
    'unet-mobilenet_v2, 2 folds': dict(folds=2),
    'fpn-efficientnet-b0, 3 folds': dict(folds=3),
    'resnet18': {}, 'resnet18, CBAM': dict(cbam_stages=(3, 4)), 'resnet18, one label': dict(task='singlelabel'),
    'densenet121': {}, 'densenet121, CBAM': dict(cbam_stages=(3, 4)), 'efficientnet_b0': {}, 'efficientnet_b0, CBAM': dict(cbam_stages=(3, 4)),
    'convnext_tiny': {}, 'convnext_tiny_cbam': {}, 'convnext_tiny_cbam, 2 folds': dict(folds=2),
    'vit_tiny_patch16_224': dict(size=(224, 224)), 'swin_tiny_patch4_window7_224': dict(size=(224, 224)),
    'tiny_seg': {}, 'tiny_cls': {},
}


def make_run(path, name, task=None, folds=1, color='grey', **kw):
    "A run folder of untrained nets."
    import torch
    from severstal_nb.core.files import write_json
    from severstal_nb.models import create_model, save_model
    from severstal_nb.runs.config import load_config
    from severstal_nb.runs.folder import init_run
    classes = ['a', 'b', 'c']
    path.mkdir(parents=True)
    for k in range(folds):
        torch.manual_seed(k)
        model = create_model(name, 3, 3 if color == 'rgb' else 1, classes=classes, **kw)
        for m in model.modules():
            if isinstance(m, torch.nn.BatchNorm2d): m.running_mean.normal_(0, .1), m.running_var.uniform_(.5, 1.5)
        (path/f'fold_{k}').mkdir()
        save_model(model, path/f'fold_{k}'/'best_model.safetensors')
        write_json(path/f'fold_{k}'/'results.json', {})
    task = task or ('multilabel' if model.task == 'classification' else 'segmentation')
    config = load_config('demo' if task == 'segmentation' else 'multi_backbone', overrides={'training.device': 'cpu', 'predict.tta': []})
    init_run(path, config.to_dict(), classes, task, color)
    write_json(path/'thresholds.json', dict(pixel=.5, label=0. if task == 'segmentation' else .5))
    return path, getattr(model, 'least', 1)


def one(case):
    "Export one case, in this process; prints what came of it as JSON."
    from severstal_nb.deploy.export import ExportError, export_onnx
    quiet, options, found = logging.getLogger('quiet'), dict(CASES[case]), {}
    quiet.setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as d:
        size = options.pop('size', None)
        run, least = make_run(Path(d)/'run', case.partition(',')[0], **options)
        file, h = Path(d)/'x.onnx', max(64, least)
        for outcome, at in (('any size', None), ('one size', size or (h, h + 32))):
            try: export_onnx(run, file, size=at, log=quiet)
            except ExportError as e:
                why = str(e).replace(str(run), 'RUN').removeprefix('nothing written: RUN ').partition('. At one size')[0]
                found['reason'] = '; '.join(filter(None, [found.get('reason'), why]))
                assert sorted(o.name for o in Path(d).iterdir()) == ['run'], 'something was left behind'
                continue
            import onnx
            model = onnx.load(file)
            info = json.loads({o.key: o.value for o in model.metadata_props}['severstal_nb'])
            engines = {k: {n: o[n] for n in ('bytes', 'byte_max', 'pixels', 'final', 'labels', 'label_off', 'between') if n in o}
                       for k,o in info['parity']['engines'].items()}
            found |= dict(outcome=outcome, size=info['size'], mb=round(file.stat().st_size/1e6, 1), nodes=len(model.graph.node), engines=engines)
            break
        else: found['outcome'] = 'refused'
    print('\n' + json.dumps(found | dict(cpu=round(time.process_time(), 1))))


def table(rows):
    "The results in markdown."
    lines = ['| net | exported for | MB | bytes that differ by one, per million | CPU s | remark |', '|---|---|---|---|---|---|']
    for k,r in rows.items():
        size = '×'.join(map(str, r['size'])) + ' only' if r.get('size') else r['outcome']
        off = ', '.join(f'{n} {1e6*o["bytes"]/o["pixels"]:.0f}' if 'bytes' in o else f'{n} labels {o["label_off"]:.0e}' for n,o in r.get('engines', {}).items())
        lines.append(f'| {k} | {size} | {r.get("mb", "")} | {off} | {r.get("cpu", "")} | {r.get("reason", "")} |')
    return '\n'.join(lines) + '\n'


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('cases', nargs='*', metavar='CASE', help='a case, or the beginning of some (all)')
    p.add_argument('--fresh', action='store_true', help='do again what is done')
    p.add_argument('--out', type=Path, default=Path(__file__).parent/'results'/'export_matrix.json')
    p.add_argument('--one', help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.one: return one(a.one)
    kept = json.loads(a.out.read_text()) if a.out.exists() else dict(rows={})
    rows = kept['rows']
    for case in (k for k in CASES if not a.cases or any(k.startswith(o) for o in a.cases)):
        if case in rows and not a.fresh: continue
        print(case, end=' … ', flush=True)
        r = subprocess.run([sys.executable, __file__, '--one', case], capture_output=True, text=True)
        try: rows[case] = json.loads(r.stdout.strip().splitlines()[-1])
        except (IndexError, ValueError): rows[case] = dict(outcome='crashed', reason=(r.stderr.strip().splitlines() or [f'exit code {r.returncode}'])[-1][:300])
        print(rows[case]['outcome'], rows[case].get('reason', ''), flush=True)
        from importlib.metadata import version
        kept |= dict(command='python benchmarks/export_matrix.py', versions={o: version(o) for o in ('torch', 'onnx', 'onnxscript', 'onnxruntime', 'openvino')},
                     rows={k: rows[k] for k in CASES if k in rows})
        a.out.write_text(json.dumps(kept, indent=1) + '\n')
        a.out.with_suffix('.md').write_text(table(kept['rows']))
    bad = [k for k,o in rows.items() if o['outcome'] == 'crashed']
    print(f'{len(rows)} of {len(CASES)} cases' + (f'; neither exported nor refused: {", ".join(bad)}' if bad else ''))
    return int(bool(bad))


if __name__ == '__main__': sys.exit(main())
