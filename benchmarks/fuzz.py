"""Damaged input of every kind, beside naive references: read right, or refused in one line.

    python benchmarks/fuzz.py                      more than 20,000 inputs, some minutes
    python benchmarks/fuzz.py --mini               a few of each kind, for CI
    python benchmarks/fuzz.py --only coco,rle      kinds whose name begins so
    python benchmarks/fuzz.py --only rle --case 17 one input, with its traceback

Each input is made from a sound one by a seeded random generator: bytes changed, cut, put in or taken out, fields replaced, parts
left out. What the package reads from it is compared with a naive reference (Pillow, json, csv, minidom, pycocotools, plain loops). An
outcome is one of:
  equal       accepted, and what the reference reads
  refused     a ValueError or OSError of one line, or a line in the problems
  traceback   any other exception, or a message of several lines
  hang        no answer after 60 seconds
  wrong       accepted without a word, and not what the reference reads
Ends with exit code 1 if there is any of the last three. Results go to benchmarks/results/fuzz.json, or where --out says:
kinds that were tried replace those that are there; --mini stores nothing.
"""
from bootstrap import HERE # before anything heavy

import argparse, contextlib, json, logging, os, random, signal, sys, tempfile, time, traceback, warnings
from pathlib import Path

import common
from fuzz_kinds import KINDS, Wrong

SECONDS = 60
BAD = ('traceback', 'hang', 'wrong')


class Hang(BaseException):
    "Raised by the alarm; nothing catches it by accident."


def alarm(*_): raise Hang


@contextlib.contextmanager
def quiet():
    "Decoders write to the standard error of the process: into nothing with it."
    sys.stderr.flush()
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try: yield
    finally:
        os.dup2(kept, 2)
        os.close(kept), os.close(null)


def one(kind, i, seed, tmp, show=False):
    "The outcome of one input, and what to say about it."
    rng = random.Random(f'{seed} {kind} {i}')
    signal.alarm(SECONDS)
    try: return KINDS[kind].case(rng, tmp), ''
    except Hang: return 'hang', f'more than {SECONDS} s'
    except Wrong as e: return 'wrong', str(e)
    except (ValueError, OSError) as e:
        text = str(e)
        if show: traceback.print_exc()
        return ('traceback', f'{type(e).__name__} of several lines: {text[:200]!r}') if '\n' in text.strip() or not text else ('refused', text)
    except Exception as e:
        if show: traceback.print_exc()
        at = traceback.extract_tb(e.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(e.__traceback__) if 'severstal_nb' in f.filename and 'fuzz' not in f.filename]
        return 'traceback', f'{type(e).__name__}: {str(e)[:120]} ({Path(at.filename).name}:{at.lineno}, {ours[-1].name if ours else "?"})'
    finally: signal.alarm(0)


def run_kind(kind, n, seed, keep=8):
    "Counts of outcomes, and the first few bad ones."
    k, counts, bad, start = KINDS[kind], dict.fromkeys(('equal', 'refused', *BAD), 0), [], time.monotonic()
    with tempfile.TemporaryDirectory() as tmp, quiet():
        tmp = Path(tmp)
        if k.prepare: k.prepare(tmp)
        for i in range(n):
            what, why = one(kind, i, seed, tmp)
            counts[what] += 1
            if what in BAD: bad.append((i, what, why.replace(str(tmp), '…')))
    return dict(kind=kind, what=k.what, reference=k.reference, inputs=n, **counts, bad=list({(what, why[:40]): (i, what, why) for i, what, why in reversed(bad)}.values())[:keep], seconds=round(time.monotonic()-start, 1))


def table(report):
    "The report as lines of text."
    head = ('kind', 'inputs', 'equal', 'refused', *BAD)
    rows = [head, *([str(r[h]) for h in head] for r in report['kinds'])]
    rows.append(['all', *(str(sum(r[h] for r in report['kinds'])) for h in head[1:])])
    return '\n'.join(f'{r[0]:14}' + ''.join(f'{c:>10}' for c in r[1:]) for r in rows)


def save(path, report):
    "Kinds that were tried replace those in the file."
    old = json.loads(path.read_text())['kinds'] if path.exists() else []
    rows = {r['kind']: r for r in [*old, *report['kinds']]}
    path.write_text(json.dumps(report | dict(kinds=[rows[k] for k in KINDS if k in rows]), indent=1, ensure_ascii=False) + '\n')


def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--mini', action='store_true', help='one in a hundred inputs, at least eight of a kind')
    p.add_argument('--only', help='beginnings of names, with commas')
    p.add_argument('--case', type=int, help='only this input of each kind')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--out', type=Path, default=HERE/'results'/'fuzz.json')
    o = p.parse_args(argv)
    warnings.filterwarnings('ignore')
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, alarm)
    common.one_thread()
    kinds = [k for k in KINDS if not o.only or any(k.startswith(s) for s in o.only.split(','))]
    if not kinds: sys.exit(f'no kind begins with {o.only!r}: {", ".join(KINDS)}')
    if o.case is not None:
        for k in kinds:
            with tempfile.TemporaryDirectory() as tmp:
                if KINDS[k].prepare: KINDS[k].prepare(Path(tmp))
                print(k, *one(k, o.case, o.seed, Path(tmp), show=True))
        return 0
    report = dict(seed=o.seed, environment=common.environment(), kinds=[])
    for k in kinds:
        n = KINDS[k].n
        report['kinds'].append(r := run_kind(k, max(8, n//100) if o.mini else n, o.seed))
        print(f"{k}: {r['inputs']} inputs, {r['seconds']} s", *(f'\n   {i}: {what}: {why}' for i, what, why in r['bad']), flush=True)
    print(table(report))
    if not o.mini: save(o.out, report)
    return int(any(r[b] for r in report['kinds'] for b in BAD))


if __name__ == '__main__': sys.exit(main())
