"""The app on a data set of full size: 200 synthetic strips of 256×1600 pixels, hard-linked under 12,568 names.

    python benchmarks/browse.py                  some minutes
    python benchmarks/browse.py --strips 500     fewer names and steps; stores nothing

The server is a process of its own, `severstal app` with a net of one convolution, so that what is measured is the app: the list, the picture, the answer with its run lengths. Asked for, one
after the other on one connection, as the page does: everything of the first page; then strip after strip, picture and answer; then strips and pages of the list by chance. Where there is a
browser, keys are pressed in it too, and the time is from the key to the drawn strip with its masks. Memory is the server's. It is flat when it grows by less than 5 % in the last half of the
walk. Results go to benchmarks/results/browse.json and .md, or where --out says. Ends with exit code 1 where the first page takes 1 second, the median of the next strips 0.2, or memory grows.
"""
from bootstrap import HERE # before anything heavy

import argparse, http.client, os, random, re, subprocess, sys, time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from common import environment, many_files, temp
from load_service import cpu, memory
from service_run import tiny_run
from severstal_nb.core.files import atomic_path, markdown_table, write_json
from severstal_nb.synthetic import make_kaggle


def quantiles(seconds):
    "Median, 95th percentile and largest."
    return dict(median=float(np.median(seconds)), p95=float(np.quantile(seconds, .95)), most=float(max(seconds)))


def in_browser(url, steps):
    "Seconds of the first page, and from each key to the drawn strip; None without a browser."
    try: from playwright.sync_api import sync_playwright
    except ImportError: return None
    if not Path('/usr/bin/chromium').exists(): return None
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path='/usr/bin/chromium', args=['--no-sandbox', '--disable-dev-shm-usage'])
        page = browser.new_page(viewport=dict(width=1600, height=1000))
        start = time.perf_counter()
        page.goto(f'{url}/#/look')
        done = "() => document.querySelector('.look')?.dataset.shown !== undefined && !document.querySelector('[data-busy]')"
        page.wait_for_function(done)
        first, times = time.perf_counter() - start, []
        for _ in range(steps):
            was = page.evaluate("() => document.querySelector('.look').dataset.shown")
            start = time.perf_counter()
            page.keyboard.press('ArrowRight')
            page.wait_for_function(f"() => document.querySelector('.look').dataset.shown !== '{was}' && !document.querySelector('[data-busy]')", polling='raf')
            times.append(time.perf_counter() - start)
        browser.close()
    return first, times


def main():
    "Measure."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--strips', type=int, default=12568)
    p.add_argument('--steps', type=int, default=600, help='strips walked through')
    p.add_argument('--out', default=str(HERE/'results'/'browse.json'))
    args = p.parse_args()
    with temp() as tmp:
        tmp, rng = Path(tmp), random.Random(0)
        few = make_kaggle(tmp/'few', min(200, args.strips), 0, height=256, width=1600, seed=1)
        folder = many_files(tmp/'strips', args.strips, sorted((few/'train_images').iterdir()))
        start = time.perf_counter()
        app = subprocess.Popen([sys.executable, '-W', 'ignore', '-m', 'severstal_nb.cli', 'app', str(tiny_run(tmp).path), '--data', str(folder), '--port', '0'], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, 'PYTHONPATH': str(HERE.parent)})
        try:
            url = re.search(r'http://[^/ ]+', app.stdout.readline())[0]
            opened, one = time.perf_counter() - start, http.client.HTTPConnection('127.0.0.1', urlsplit(url).port)
            def get(path):
                one.request('GET', path)
                r = one.getresponse()
                body = r.read()
                assert r.status == 200, (path, body[:200])
                return body
            def strip(i): return get(f'/api/look/image?set=1&i={i}&run=0'), get(f'/api/look/strip?set=1&i={i}&run=0')
            def timed(f, *a):
                start = time.perf_counter()
                f(*a)
                return time.perf_counter() - start
            def first():
                for o in ('/', '/static/app.css', '/static/app.js', '/api/info', '/static/look.js', '/api/look/run?run=0', '/api/look/list?set=1&n=200'): get(o)
                strip(0)
            page = timed(first)
            again, ram, walk = timed(first), [memory(app.pid)], []
            for k in range(10):
                walk += [timed(strip, (k*args.steps//10 + j + 1) % args.strips) for j in range(args.steps//10)]
                ram.append(memory(app.pid))
            chance = [timed(strip, rng.randrange(args.strips)) for _ in range(100)]
            pages = [timed(get, f'/api/look/list?set=1&n=200&start={rng.randrange(args.strips)}&text={rng.choice(["", "", "a", "0f"])}') for _ in range(100)]
            seen, used = in_browser(url, 60), cpu(app.pid)
        finally: app.terminate()
        assert app.wait(60) == 0
    rows = {'start until the address is said': opened, 'first page, everything': page, 'the same again': again, 'next strip, picture and answer': quantiles(walk), 'any strip, picture and answer': quantiles(chance),
            'a page of the list, or a search': quantiles(pages)}
    if seen: rows |= {'in a browser: first page': seen[0], 'in a browser: from the key to the drawn strip': quantiles(seen[1])}
    grown = (ram[-1] - ram[len(ram)//2])/ram[len(ram)//2]
    table = [[k, *(f'{o:.3f}' for o in (v.values() if isinstance(v, dict) else (v, v, v)))] for k, v in rows.items()]
    text = markdown_table(['seconds', 'median', '95 %', 'most'], table)
    said = f'{args.strips} strips; memory of the server {ram[0]:.0f} MB at first, {ram[len(ram)//2]:.0f} and {ram[-1]:.0f} MB after half and all of {args.steps} strips; {used:.0f} CPU seconds.'
    print(text, said, sep='\n')
    ok = page < 1 and rows['next strip, picture and answer']['median'] < .2 and grown < .05
    if args.strips == 12568:
        write_json(args.out, dict(command='python benchmarks/browse.py', strips=args.strips, seconds=rows, memory_mb=[round(o, 1) for o in ram], grown=round(grown, 4), met=ok, environment=environment()))
        with atomic_path(Path(args.out).with_suffix('.md')) as part: part.write_text(f'# The app on a data set of full size\n\n`python benchmarks/browse.py`: {said}\n\n{text}')
    return int(not ok)


if __name__ == '__main__': sys.exit(main())
