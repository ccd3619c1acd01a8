"""The contents of the book, from the titles and descriptions of the notebooks: the sidebar of the docs (_quarto.yml) and the
table in nbs/index.ipynb, from which README.md is made. Chapters stand in the order of number and letter, whatever their folder.

    python .ci/contents.py           writes both, and the way back from the finished report to the docs
    python .ci/contents.py --check   changes nothing; exit code 1 when something is not as it would be written

.ci/make_readme.py does this first.
"""
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS, SIDEBAR, INDEX = ROOT/'nbs', ROOT/'_quarto.yml', ROOT/'nbs'/'index.ipynb'
START = ['index', 'tutorials/getting_data', 'commands/11a_demo', '11_cli', 'tutorials/segmentation']
FIRST = dict(tutorials=['getting_data', 'segmentation', 'data_exploration', 'convnext_cbam', 'backbones', 'neu', 'scale_out'],
             reference=['presets', 'options', 'originals', 'speed']) # the others follow by name
REPORT = 'reports/example.html'
WAY_BACK = '<p class="home"><a href="../index.html">severstal_nb</a></p>\n'
REPORT_TITLE = 'A finished report: a small net on synthetic strips'
BEGIN, END = '# contents: written by .ci/contents.py', '# end of contents'
TABLE_BEGIN, TABLE_END = '<!-- contents: written by .ci/contents.py -->', '<!-- end of contents -->'


def notebooks():
    "Source notebooks, as name (path under nbs/ without suffix) → path."
    found = (o for o in NBS.rglob('*.ipynb') if not any(p[0] in '._' for p in o.relative_to(NBS).parts))
    return {o.relative_to(NBS).with_suffix('').as_posix(): o for o in found}


def title(path):
    "Title and description: the first cell."
    text = ''.join(json.loads(path.read_text(encoding='utf-8'))['cells'][0]['source'])
    found = re.match(r'# (.+)\n+> (.+)', text)
    if not found: raise SystemExit(f'{path.relative_to(ROOT)}: the first cell has to be a title (# …) and a description (> …)')
    return found[1].strip(), found[2].strip()


def number(name):
    "('06', 'a') of learn/06a_augment; None where a file name has no number."
    found = re.match(r'(\d\d)([a-z]*)_', name.rpartition('/')[2])
    return found and (found[1], found[2])


def sections():
    "Heading → names of notebooks: Tutorials, the chapters by number and letter, Reference."
    books = notebooks()
    def listed(folder):
        names, first = [o for o in books if o.startswith(f'{folder}/')], FIRST[folder]
        rank = lambda o: first.index(o.partition('/')[2]) if o.partition('/')[2] in first else len(first)
        return sorted(names, key=lambda o: (rank(o), o))
    chapters = {}
    for o in sorted((o for o in books if number(o)), key=lambda o: (number(o), o)): chapters.setdefault(number(o)[0], []).append(o)
    found = {'Tutorials': listed('tutorials')}
    for k, names in chapters.items():
        head = names[0] # the notebook without a letter, or else a wing of its own
        name = title(books[head])[0] if not number(head)[1] or '/' not in head else head.partition('/')[0].capitalize()
        found[f'{k} {name}'] = names
    found['Reference'] = listed('reference')
    lost = set(books) - {'index'} - {o for names in found.values() for o in names}
    if lost: raise SystemExit(f'no place in the contents for {", ".join(sorted(lost))}: a number, tutorials/ or reference/')
    return {k: v for k, v in found.items() if v}


def sidebar():
    "The lines of the sidebar in _quarto.yml. A notebook stands there once."
    known, there = sections(), notebooks()
    out = ['      - section: Start', '        contents:'] + [f'          - {o}.ipynb' for o in START if o in there]
    for k, names in known.items():
        names = [o for o in names if o not in START]
        if not names: continue
        out += [f'      - section: {json.dumps(k, ensure_ascii=False)}', '        contents:'] + [f'          - {o}.ipynb' for o in names]
        if k == 'Reference' and (NBS/REPORT).exists(): out += ['          - text: A finished report', f'            href: {REPORT}']
    return out


def table():
    "The table of all notebooks, in markdown, for nbs/index.ipynb."
    out, there, site = ['## The notebooks'], notebooks(), 'https://severstal-nb.github.io/severstal_nb'
    for k, names in sections().items():
        out += ['', f'### {k}', '', '| | |', '|:---------|:--------------------|']
        for o in names:
            head, text = (t.replace('|', r'\|') for t in title(there[o]))
            out.append(f'| [{"".join(number(o) or "")} {head}]({o}.ipynb) | {text} |'.replace('[ ', '['))
        if k == 'Reference' and (NBS/REPORT).exists():
            out.append(f'| [A finished report]({site}/{REPORT}) | What `severstal report` makes of a run: one page with everything inside |')
    return out


def between(lines, begin, end, new):
    "`lines` with `new` between the two marks."
    marks = [o.strip() for o in lines]
    if marks.count(begin) != 1 or marks.count(end) != 1: raise SystemExit(f'expected one line {begin!r} and one {end!r}')
    return lines[:marks.index(begin) + 1] + new + lines[marks.index(end):]


def report():
    "The finished report with a title and a way back; None where there is none."
    if not (NBS/REPORT).exists(): return None
    text = (NBS/REPORT).read_text(encoding='utf-8')
    for tag in 'title', 'h1': text = re.sub(rf'<{tag}\b[^>]*>.*?</{tag}>', f'<{tag}>{REPORT_TITLE}</{tag}>', text, count=1, flags=re.S)
    return text if WAY_BACK in text else re.sub(r'<body[^>]*>\n?', lambda m: m[0] + WAY_BACK, text, count=1)


def make():
    "Path → text of every file that holds contents."
    quarto = between(SIDEBAR.read_text(encoding='utf-8').splitlines(), BEGIN, END, sidebar())
    nb = json.loads(INDEX.read_text(encoding='utf-8'))
    cells = [c for c in nb['cells'] if c['cell_type'] == 'markdown' and TABLE_BEGIN in ''.join(c['source'])]
    if len(cells) != 1: raise SystemExit(f'nbs/index.ipynb: expected one cell with {TABLE_BEGIN!r}, found {len(cells)}')
    lines = between(''.join(cells[0]['source']).splitlines(), TABLE_BEGIN, TABLE_END, ['', *table(), ''])
    cells[0]['source'] = '\n'.join(lines).splitlines(True)
    files = {SIDEBAR: '\n'.join(quarto) + '\n', INDEX: json.dumps(nb, sort_keys=True, indent=1, ensure_ascii=False) + '\n'}
    if (page := report()) is not None: files[NBS/REPORT] = page
    return files


def update(check=False):
    "Write what differs, or name it."
    files = {o: text for o, text in make().items() if o.read_text(encoding='utf-8') != text}
    for o, text in files.items():
        if check: print(f'{o.relative_to(ROOT)} is not as the notebooks have it: run python .ci/make_readme.py')
        else: o.write_text(text, encoding='utf-8')
    return int(check and bool(files))


if __name__ == '__main__': sys.exit(update('--check' in sys.argv))
