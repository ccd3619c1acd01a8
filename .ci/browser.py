"""Every page of the app in a real browser, on a run of one epoch.

    python .ci/browser.py                 in a phone's width and a wide window, light and dark
    python .ci/browser.py --shots DIR     and pictures of what was seen
    python .ci/browser.py --only look     one page, or several with commas

Playwright drives Debian's Chromium. Where one of the two is missing the check says so and is passed over; with CI=true it fails. A page fails the check
by an error in the console or the page, a request to another machine, a control without effect, text of too little contrast, or width that has to be scrolled.
"""
import argparse, os, re, shutil, subprocess, sys, tempfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

SIZES, TOKEN = {'phone': (360, 740), 'wide': (1600, 1000)}, 'a token for the browser check'.replace(' ', '-')

# Text whose contrast to what lies behind it is below 4.5 (3 from 24 pixels), and whether the page is wider than the window.
LOOKS = """() => {
    const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgba = css => { c.clearRect(0, 0, 1, 1); c.fillStyle = css; c.fillRect(0, 0, 1, 1); const d = c.getImageData(0, 0, 1, 1).data; return [...d]; };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
    const behind = e => { for (; e; e = e.parentElement) { const b = rgba(getComputedStyle(e).backgroundColor); if (b[3] > 250) return b; } return [255, 255, 255]; };
    const bad = new Set(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const e = walk.currentNode.parentElement, s = getComputedStyle(e);
        if (!walk.currentNode.data.trim() || !e.checkVisibility({opacityProperty: true, visibilityProperty: true}) || e.closest(':disabled, [data-busy], svg, .toast')) continue;
        const a = light(rgba(s.color)), b = light(behind(e)), k = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (k < (parseFloat(s.fontSize) >= 24 ? 3 : 4.5)) bad.add(`${e.tagName} ${walk.currentNode.data.trim().slice(0, 30)}: ${k.toFixed(2)}`);
    }
    const over = document.documentElement.scrollWidth - innerWidth;
    return [[...bad], over];
}"""


def chromium():
    "The browser of this machine, or None."
    return next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)


def missing():
    "Why there can be no browser; None where there can."
    if not find_spec('playwright'): return 'playwright is not installed'
    if not chromium(): return 'there is no chromium'


def small_run(folder):
    "A run of one epoch whose stored maps are blurred truth, an untrained classifier with attention, and a folder of strips that neither has seen."
    import cv2, numpy as np
    from severstal_nb.core.files import write_json, write_table
    from severstal_nb.ensembling import OOFStore
    from severstal_nb.experiment import train
    from severstal_nb.models import create_model, save_model
    from severstal_nb.quality.labels import check_labels
    from severstal_nb.reports.run import find_data
    from severstal_nb.runs.config import load_config
    from severstal_nb.runs.folder import init_run
    from severstal_nb.synthetic import make_kaggle
    strips = make_kaggle(folder/'strips', 48, 8, height=128, width=800)
    run = train('demo', data__root=str(strips), data__mode='full', data__num_workers=0, data__split_strategy='kfold', data__num_folds=2, data__image_size=None, training__num_epochs=1, model__name='tiny_seg',
                model__encoder=None, model__pretrained=False, predict__threshold=.5, run__root=str(folder/'runs'), run__name='demo', verbose=False)
    data, *_ = find_data(run)
    for k in run.folds:
        store, rng = OOFStore(run.fold_path(k)/'oof', 'r+'), np.random.default_rng(k)
        for j, i in enumerate(np.flatnonzero(data.images.part == str(k))):
            noise = cv2.GaussianBlur(rng.normal(size=(4, 128*800)).astype(np.float32).reshape(4, 128, 800).transpose(1, 2, 0), (0, 0), 9).transpose(2, 0, 1)
            sure = [cv2.GaussianBlur(m.astype(np.float32)*7, (0, 0), 3) - 4 + 45*n for m, n in zip(data.mask(i), noise)]
            store.write(j, np.rint(255/(1 + np.exp(-np.stack(sure)))).astype(np.uint8), k)
    check_labels(run, n=1)
    labels = folder/'runs'/'labels'
    (labels/'fold_0').mkdir(parents=True)
    over = {'training.device': 'cpu', 'predict.tta': [], 'data.root': str(strips), 'data.image_size': None}
    init_run(labels, load_config('multi_backbone', overrides=over).to_dict(), data.classes, 'multilabel', data=strips)
    save_model(create_model('resnet18_cbam', 4, classes=data.classes), labels/'fold_0'/'best_model.safetensors')
    write_json(labels/'fold_0'/'results.json', {})
    write_json(labels/'thresholds.json', dict(label=.5))
    write_table(labels/'split.csv', data.images[['image_id']].assign(part='0'))
    return [run.path, labels], strips/'test_images'


class App:
    "The command `severstal app` in a process of its own."
    def __init__(self, *args):
        command = [sys.executable, '-W', 'ignore', '-m', 'severstal_nb.cli', 'app', *map(str, args), '--port', '0']
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = re.search(r'http://[^/ ]+', self.process.stdout.readline())[0]
    def __enter__(self): return self
    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(60) == 0, 'the app did not stop by itself'


class Tab:
    "A page of the browser that keeps everything that goes wrong."
    def __init__(self, browser, url, size, scheme):
        self.url, self.size, self.wrong = url, size, []
        self.context = browser.new_context(viewport=dict(zip(('width', 'height'), SIZES[size])), color_scheme=scheme, has_touch=size == 'phone', permissions=['clipboard-read', 'clipboard-write'])
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on('request', lambda r: None if urlsplit(r.url).hostname in (urlsplit(url).hostname, None) else self.wrong.append(f'a request to {r.url}'))
        self.page.on('console', lambda m: self.wrong.append(f'console: {m.text}') if m.type in ('error', 'warning') else None)
        self.page.on('pageerror', lambda e: self.wrong.append(f'page: {e}'))
    def open(self, name):
        self.page.goto(f'{self.url}/#/{name}')
        self.page.wait_for_selector(f'body[data-ready={name}]')
        self.calm()
    def calm(self):
        "Wait until nothing is being computed, and what was is drawn."
        self.page.wait_for_function("() => !document.querySelector('[data-busy]')")
        self.page.evaluate('() => new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))')
    def key(self, *keys):
        for k in keys: self.page.keyboard.press(k)
        self.calm()
    def answered(self, path, do):
        "Do something that asks `path`, and wait for the answer."
        with self.page.expect_response(lambda r: path in r.url): do()
        self.calm()
    def check(self, what, ok): self.wrong.extend([] if ok else [what])
    def looks(self, where):
        "Contrast and width."
        bad, over = self.page.evaluate(LOOKS)
        self.wrong += [f'{where}: contrast of {o}' for o in bad] + [f'{where}: {over} pixels wider than the window']*(over > 0)
    def rings(self, where, n=12):
        "What has the focus is seen to have it."
        for _ in range(n):
            self.page.keyboard.press('Tab')
            seen = self.page.evaluate("() => { const e = document.activeElement; return e === document.body || parseFloat(getComputedStyle(e).outlineWidth) >= 2 && getComputedStyle(e).outlineStyle !== 'none' || e.outerHTML.slice(0, 90) }")
            self.check(f'{where}: no ring around {seen}', seen is True)
    def sliders(self, where, path, form):
        "Every slider, to both ends; each movement must ask the server."
        for i in range(self.page.locator(form).count()):
            one = self.page.locator(form).nth(i)
            one.focus()
            for key in ('End', 'Home', 'ArrowRight'):
                before = one.input_value()
                self.page.keyboard.press(key)
                if one.input_value() != before:
                    with self.page.expect_response(lambda r: path in r.url): pass
            self.calm()
            self.check(f'{where}: slider {i} does not move', one.input_value() not in ('', None))
        self.page.evaluate('() => document.activeElement.blur()')


def pixels(page):
    "The bytes of the strip as it is drawn."
    return page.evaluate("() => document.querySelector('canvas.strip').toDataURL()")


def look(tab, shot, image):
    "Strips: masks, layers, zoom, list, thresholds, an upload."
    p = tab.page
    tab.open('look')
    p.wait_for_function("() => document.querySelector('.look').dataset.shown !== undefined")
    tab.calm()
    shot()
    first = p.locator('h1').text_content()
    tab.key('ArrowRight'); tab.check('→ shows no other strip', p.locator('h1').text_content() != first)
    tab.key('ArrowLeft'); tab.check('← does not go back', p.locator('h1').text_content() == first)
    p.locator('.look .find select').select_option('defects')
    p.wait_for_function("() => document.querySelector('.look .num').textContent.includes('of')")
    tab.calm()
    tab.key('f') # a phone begins with a part of the strip
    last = pixels(p)
    for key, what in (('m', 'filled masks'), ('m', 'no masks'), ('m', 'contours'), ('l', 'labels'), ('l', 'labels again'), ('p', 'heat'), ('p', 'no heat'), ('+', 'nearer'), ('Shift+ArrowRight', 'along the strip'), ('f', 'the whole strip')):
        tab.key(key)
        if key == 'p': tab.calm(); shot('heat') if what == 'heat' else None
        now = pixels(p)
        tab.check(f'{key} ({what}) changes nothing', now != last)
        last = now
    tab.key('0'); tab.check('0 hides nothing', pixels(p) != last)
    tab.key('0', '1', '1')
    box = p.locator('canvas.strip').bounding_box()
    last = pixels(p)
    p.mouse.move(box['x'] + box['width']/2, box['y'] + box['height']/2); p.mouse.wheel(0, -500); tab.calm()
    tab.check('the wheel changes nothing', pixels(p) != last)
    last = pixels(p)
    p.mouse.down(); p.mouse.move(box['x'] + box['width']/2 - 60, box['y'] + box['height']/2 - 4, steps=4); p.mouse.up(); tab.calm()
    tab.check('dragging changes nothing', pixels(p) != last)
    shot('near')
    tab.key('f')
    table = lambda: p.locator('.look table').text_content()
    before = table()
    tab.sliders('look', '/api/look/strip', '.look .fields input[type=range]')
    tab.check('the sliders change nothing', table() != before)
    tab.answered('/api/look/strip', lambda: p.get_by_role('button', name='reset').click())
    tab.check('reset does not bring back what was', table() == before)
    p.locator('.sliders .tabs button').nth(2).click()
    copy = p.locator('.look td button:not(:disabled)')
    if copy.count():
        copy.first.click()
        tab.check('no run lengths were copied', re.fullmatch(r'\d+ \d+( \d+ \d+)*', p.evaluate('() => navigator.clipboard.readText()')))
    tab.rings('look')
    tab.looks('look')
    p.get_by_role('combobox', name='Run', exact=True).select_option('1')
    p.wait_for_function("() => document.querySelector('.look .said').textContent.includes('learnt from this image')")
    tab.calm()
    last = pixels(p)
    tab.key('a'); tab.check('a (attention) changes nothing', pixels(p) != last)
    shot('attention')
    tab.key('a')
    tab.sliders('look labels', '/api/look/strip', '.look .fields input[type=range]')
    p.get_by_role('combobox', name='Run', exact=True).select_option('0')
    p.get_by_role('combobox', name='Images', exact=True).select_option('2')
    p.wait_for_function("() => document.querySelector('.look .said').textContent.includes('mean of 2 nets')")
    tab.calm()
    p.locator('.look input[type=file]').set_input_files(image)
    p.wait_for_function("() => document.querySelector('h1').textContent === 'picture 1'")
    tab.calm()
    p.keyboard.press('/'); p.keyboard.type('nothing of this name'); p.wait_for_function("() => document.querySelector('.look .num').textContent.startsWith('0 of')"); p.keyboard.press('Escape')
    p.keyboard.press('?')
    p.wait_for_selector('dialog.help')
    shot('keys')
    tab.looks('keys')
    p.keyboard.press('Escape')


def decide(tab, shot, image):
    "Sliders of budget, recall and cost; saving."
    p = tab.page
    tab.open('decide')
    tab.check('no curve', p.locator('.chart polyline').count() > 0)
    shot()
    for key in 'brc':
        tab.answered('/api/decide/choose', lambda: p.keyboard.press(key))
        before = p.locator('.says').text_content()
        tab.sliders(f'decide {key}', '/api/decide/choose', '.decide .form input[type=range]')
        tab.check(f'decide {key}: the sliders change nothing', p.locator('.says').text_content() != before)
        tab.looks(f'decide {key}')
    shot('cost')
    tab.answered('/api/decide/choose', lambda: p.keyboard.press('b'))
    name = f'{tab.size}-{p.evaluate("() => matchMedia(`(prefers-color-scheme: dark)`).matches")}'.lower()
    p.keyboard.press('s'); p.keyboard.type(name)
    tab.answered('/api/decide/save', lambda: p.keyboard.press('Enter'))
    tab.check('the point is not listed', p.locator('.decide table b').filter(has_text=name).count() == 1)
    p.keyboard.press('Escape'); p.keyboard.press('s'); p.keyboard.type(name); p.keyboard.press('Enter')
    p.wait_for_selector('dialog.ask'); p.get_by_role('button', name='Cancel').click()
    p.evaluate('() => document.activeElement.blur()')
    tab.rings('decide')


def runs(tab, shot, image):
    "Curves, comparison, the form and its search; in one window also a training that is started, stopped, and goes on."
    p = tab.page
    tab.open('runs')
    p.wait_for_selector('.runs .chart svg')
    shot()
    tab.looks('runs')
    before = p.locator('#curve').input_value()
    tab.key('m'); tab.check('m shows no other curve', p.locator('#curve').input_value() != before)
    tab.key('ArrowDown', 'x'); tab.check('x picks no run', p.locator('.table-part input:checked').count() == 1)
    tab.key('c'); tab.check('c leaves a run picked', p.locator('.table-part input:checked').count() == 0)
    tab.rings('runs')
    p.locator('.sort').first.click(); tab.check('the table is not sorted', p.locator('th[aria-sort]').count() == 1)
    p.evaluate('() => document.activeElement.blur()')
    p.keyboard.press('n'); p.wait_for_selector('.setting')
    whole = p.locator('.setting:visible').count()
    p.keyboard.type('learning rate')
    p.wait_for_function("() => { const n = [...document.querySelectorAll('.setting')].filter(o => o.checkVisibility()).length; return 0 < n && n < 9; }")
    p.keyboard.press('Escape')
    tab.check('the search is not left', p.locator('.setting:visible').count() == whole)
    p.locator('[id="key-data.batch_size"]').fill('0')
    p.locator('.setting.wrong', has_text='must be 1 or more').wait_for()
    tab.check('a mistake can be started', p.locator('button[type=submit]').is_disabled())
    shot('new'); tab.looks('runs new'); tab.rings('runs new')
    p.locator('[id="key-data.batch_size"]').fill('')
    if tab.size == 'wide' and not p.evaluate('() => matchMedia(`(prefers-color-scheme: dark)`).matches'): train_a_little(tab, shot, image)
    else: p.evaluate('() => document.activeElement.blur()'); p.keyboard.press('Escape'); p.wait_for_selector('.table-part:visible')


def train_a_little(tab, shot, image):
    "Start, stop, go on, compare."
    p = tab.page
    p.evaluate("() => document.querySelectorAll('.group').forEach(o => { o.open = true; })")
    for k, v in {'preset': 'demo', 'data.mode': 'full', 'data.split_strategy': 'kfold'}.items(): p.locator(f'[id="key-{k}"]').select_option(v)
    for k, v in {'data.root': image.parent.parent, 'data.num_folds': 2, 'data.num_workers': 0, 'model.name': 'tiny_seg', 'training.num_epochs': 12, 'run.name': 'page'}.items(): p.locator(f'[id="key-{k}"]').fill(str(v))
    p.locator('form footer .wide', has_text='24 epochs in all').wait_for()
    with p.expect_response(lambda r: '/api/runs/start' in r.url): p.locator('button[type=submit]').click()
    live = p.locator('.live-part')
    live.filter(has_text=re.compile('epoch [1-9]')).wait_for(timeout=180_000)
    shot('live'); tab.looks('runs live')
    p.evaluate('() => document.activeElement.blur()')
    p.keyboard.press('s'); p.wait_for_selector('dialog.ask'); p.keyboard.press('Enter')
    live.filter(has_text='was stopped').wait_for()
    p.get_by_role('button', name='Go on').click()
    live.filter(has_text='is done').wait_for(timeout=180_000)
    for o in p.locator('.table-part tbody input').all(): o.check()
    p.wait_for_selector('.whisker')
    shot('compare'); tab.looks('runs compare')
    tab.check('no setting differs', p.locator('.detail-part table td.mono').count() > 0)


def review(tab, shot, image):
    "Lists, filters, the place, verdicts by button and key."
    p = tab.page
    tab.open('review')
    p.wait_for_function("() => document.querySelector('.review').dataset.shown !== undefined")
    tab.calm()
    shot()
    lists = p.get_by_label('List', exact=True)
    tab.check('no list of spurious labels', lists.locator('option[value=spurious]').count() == 1)
    lists.select_option('worst'); tab.calm()
    first = p.locator('.review .said').text_content() + p.locator('h1').text_content()
    tab.key('ArrowDown'); tab.check('↓ shows no other place', p.locator('.review .said').text_content() + p.locator('h1').text_content() != first)
    tab.key('ArrowUp'); tab.check('↑ does not go back', p.locator('.review .said').text_content() + p.locator('h1').text_content() == first)
    lists.select_option('spurious'); tab.calm()
    last = pixels(p)
    for key, what in (('c', 'no proposal'), ('c', 'the proposal'), ('l', 'no labels'), ('l', 'labels'), ('f', 'the whole strip'), ('z', 'near the place')):
        tab.key(key); now = pixels(p)
        if key != 'f': tab.check(f'{key} ({what}) changes nothing', now != last)
        last = now
    shot('near')
    tab.key('f')
    p.get_by_label('Note', exact=True).fill('=1+1 seen in the browser'); p.keyboard.press('Enter')
    tab.answered('/api/review/item', lambda: p.keyboard.press('w'))
    tab.check('the verdict is not in the list', p.locator('.review .item [title=wrong]').count() >= 1)
    tab.answered('/api/review/item', lambda: p.locator('[data-verdict=unsure]').click())
    tab.check('the second verdict is not in the list', p.locator('.review .item [title=unsure]').count() >= 1)
    lists.select_option('worst'); tab.calm()
    count = lambda: p.locator('.review .side .num').first.text_content()
    before = count()
    with p.expect_response(lambda r: '/api/review/rows' in r.url): p.get_by_label('Class', exact=True).select_option('3')
    tab.calm(); tab.check('the class cuts nothing down', count() != before)
    with p.expect_response(lambda r: '/api/review/rows' in r.url): p.get_by_label('Least pixels').fill('999999')
    p.wait_for_function("() => document.querySelector('.review .num').textContent.startsWith('0 of')")
    tab.looks('review')
    p.evaluate('() => document.activeElement.blur()')
    tab.rings('review')


def plain(name):
    "A page that is only looked at."
    def visit(tab, shot, image):
        tab.open(name)
        shot()
        tab.looks(name)
    return visit


PAGES = dict(look=look, decide=decide, review=review, runs=runs)


def token_check(p, url):
    "Without the token nothing; /login lets in, and the address does not keep the token."
    page = p.new_page()
    assert page.goto(url).status == 401
    page.goto(f'{url}/login?token={TOKEN}')
    page.wait_for_selector('body[data-ready]')
    assert TOKEN not in page.url and page.evaluate('document.cookie') == '', page.url
    page.close()


def hostile_check(browser, folder, shots):
    "Class and file names that are markup stay text: nothing runs, nothing is loaded, nothing grows."
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'benchmarks'))
    from fuzz_service import NAMES, hostile_run
    run, images = hostile_run(folder)
    with App(run.path, '--data', images) as app:
        tab = Tab(browser, app.url, 'phone', 'light')
        tab.page.on('dialog', lambda d: tab.wrong.append(f'a dialog: {d.message}'))
        tab.open('look')
        tab.page.get_by_role('combobox', name='Images', exact=True).select_option('1')
        tab.page.wait_for_function("() => document.querySelector('.look').dataset.shown !== undefined")
        tab.key('ArrowRight', 'ArrowRight', 'ArrowRight')
        tab.check('a class name is not shown as it is', NAMES[1] in tab.page.locator('.look table').text_content())
        tab.check('a name became markup', tab.page.evaluate("() => document.querySelectorAll('#page img, #page script, #page svg, #page b').length") == 0)
        tab.looks('hostile names')
        if shots: tab.page.screenshot(path=shots/'hostile.png', full_page=True)
        tab.context.close()
    return [f'hostile names: {o}' for o in tab.wrong]


def main():
    "Open everything."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--shots', metavar='DIR', type=Path)
    parser.add_argument('--only', default=','.join(PAGES))
    parser.add_argument('--sizes', default=','.join(SIZES))
    parser.add_argument('--schemes', default='light,dark')
    args = parser.parse_args()
    if why := missing():
        print(f'{why}: the app is NOT tested in a browser')
        return int(os.environ.get('CI') == 'true')
    from playwright.sync_api import sync_playwright
    wrong = []
    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as play:
        runs, images = small_run(Path(tmp))
        browser = play.chromium.launch(executable_path=chromium(), args=['--no-sandbox', '--disable-dev-shm-usage'])
        with App('--data', images, '--token', TOKEN) as app: token_check(browser, app.url)
        if args.shots: args.shots.mkdir(parents=True, exist_ok=True)
        wrong += hostile_check(browser, tmp, args.shots)
        with App(*runs, '--data', images) as app:
            for size in args.sizes.split(','):
                for scheme in args.schemes.split(','):
                    tab = Tab(browser, app.url, size, scheme)
                    for name in args.only.split(','):
                        def shot(what=''):
                            if args.shots: tab.page.screenshot(path=args.shots/f'{"-".join(filter(None, [name, what, size, scheme]))}.png', full_page=not what)
                        try: PAGES[name](tab, shot, sorted(images.iterdir())[0])
                        except Exception as e: tab.wrong.append(f'{type(e).__name__}: {e}'); shot('wrong')
                        print(f'{name} {size} {scheme}: {len(tab.wrong)} wrong', flush=True)
                        wrong += [f'{name} {size} {scheme}: {o}' for o in tab.wrong]
                        tab.wrong.clear()
                    tab.context.close()
        browser.close()
    for o in dict.fromkeys(wrong): print(o, file=sys.stderr)
    return int(bool(wrong))


if __name__ == '__main__': sys.exit(main())
