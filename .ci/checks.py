"""Checks that .ci/run calls, each by name: python .ci/checks.py NAME [ARG…]. Prints what is wrong; exit code 1 if anything is."""
import ast
import json
import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r'^```(?:sh|bash)\n(.*?)^```', re.M | re.S)


def tracked():
    "Files git knows."
    out = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT/o for o in out.split('\0') if o]


def notebooks():
    "Source notebooks."
    return sorted(o for o in (ROOT/'nbs').rglob('*.ipynb') if not any(p[0] in '._' for p in o.relative_to(ROOT/'nbs').parts))


def command(word):
    "Print the README's one-line command that contains `word`, so that CI runs what readers copy."
    lines = [l.strip() for block in CODE.findall((ROOT/'README.md').read_text()) for l in block.splitlines()]
    found = [l for l in lines if word in l and 'pip install' in l]
    if len(found) != 1: return [f'README.md: expected one command line with pip install and {word!r}, found {len(found)}']
    print(found[0])
    return []


def demo(folder):
    "What `severstal demo` leaves: a valid submission, and pictures with something in them."
    from PIL import Image
    from severstal_nb.decide.submission import validate_submission
    folder, wrong = Path(folder), []
    files = sorted(folder.rglob('submission.csv'))
    if not files: return [f'{folder}: no submission.csv']
    images = next((o for o in sorted(folder.rglob('test_images')) if o.is_dir()), None)
    if images is None: return [f'{folder}: no test_images to check the submission against']
    for f in files:
        problems = validate_submission(f, images=images)
        wrong += [f'{f}: {len(problems)} problems, first: {problems.iloc[0].to_dict()}'] if len(problems) else []
        if len(f.read_text().splitlines()) < 2: wrong.append(f'{f}: empty')
    pictures = [o for o in folder.rglob('*.png') if 'images' not in o.parent.name]
    if len(pictures) < 2: wrong.append(f'{folder}: expected an overlay and a curve picture, found {len(pictures)}')
    for o in pictures:
        with Image.open(o) as im:
            if all(a == b for a,b in im.convert('RGB').getextrema()): wrong.append(f'{o}: one flat colour')
    return wrong


def metadata():
    "Version, description and lowest Python agree wherever they are written."
    ini = ConfigParser(delimiters=['='], interpolation=None)
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    ini = ini['DEFAULT']
    project = tomllib.loads((ROOT/'pyproject.toml').read_text())['project']
    version = re.search(r'__version__ = "(.*?)"', (ROOT/'severstal_nb'/'__init__.py').read_text())[1]
    pairs = [('version', ini['version'], version), ('description', ini['description'], project['description']),
             ('lowest Python', f'>={ini["min_python"]}', project['requires-python']),
             ('name', ini['lib_name'], project['name']), ('licence', ini['license'], project['license'])]
    changes = (ROOT/'CHANGELOG.md').read_text()
    wrong = [f'{k}: settings.ini says {a!r}, elsewhere {b!r}' for k,a,b in pairs if a != b]
    return wrong + ([] if f'## {version}' in changes else [f'CHANGELOG.md has no section for {version}'])


def stray():
    "Nothing large, no data beside README's pictures, no machine paths."
    wrong, paths = [], re.compile(rb'(?<![\w.~>-])/(?:home|root|Users|work|mnt|tmp|private|opt)/(?!ann\b|you\b|\w\b)[\w.-]+')
    binary = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.npy', '.npz', '.pt', '.pth', '.safetensors', '.pkl', '.zip', '.csv'}
    for o in tracked():
        name, raw = o.relative_to(ROOT).as_posix(), o.read_bytes()
        if len(raw) > 300_000: wrong.append(f'{name}: {len(raw)//1000} kB')
        allowed = name.startswith('index_files/')
        if o.suffix.lower() in binary and not allowed: wrong.append(f'{name}: data do not belong in the repository')
        if o.suffix.lower() not in binary and name not in ('.ci/checks.py', 'LICENSE') and paths.search(raw):
            wrong.append(f'{name}: machine path {paths.search(raw)[0].decode()}')
    return wrong


def books():
    "Every notebook is in the sidebar, exports what it should, keeps imports and code apart, and ends as agreed."
    text, wrong = (ROOT/'_quarto.yml').read_text(), []
    if not (ROOT/'nbs'/'_quarto.yml').is_symlink(): wrong.append('nbs/_quarto.yml is not a link to the root one')
    for o in notebooks():
        name = o.relative_to(ROOT/'nbs').as_posix()
        if f'- {name}\n' not in text: wrong.append(f'{name} is not in the sidebar (_quarto.yml)')
        code = [''.join(c['source']) for c in json.loads(o.read_text())['cells'] if c['cell_type'] == 'code']
        wrong += [f'{name}: a cell mixes imports and code: {c.splitlines()[0]}' for c in code if mixed(c)]
        if o.name[:2].isdigit() and not any('nbdev_export' in c for c in code[-1:]): wrong.append(f'{name}: last cell')
    for o in re.findall(r'- ([\w/.-]+\.ipynb)\n', text):
        if not (ROOT/'nbs'/o).exists(): wrong.append(f'_quarto.yml names {o}, which is not there')
    return wrong


def mixed(code):
    "Does a cell hold imports beside code? (The docs build executes import cells.)"
    if re.search(r'^#\|\s*(hide|eval:\s*false)', code, re.M): return False
    try: body = ast.parse(re.sub(r'^\s*[%!].*$', 'pass', code, flags=re.M)).body
    except SyntaxError: return False
    imports = [isinstance(o, (ast.Import, ast.ImportFrom)) for o in body]
    return any(imports) and not all(imports)


def count():
    "Print the number of notebooks."
    print(len(notebooks()))
    return []


def main():
    "Run one check."
    name, *args = sys.argv[1:]
    wrong = dict(command=command, demo=demo, metadata=metadata, stray=stray, books=books, count=count)[name](*args)
    for o in wrong: print(o, file=sys.stderr)
    return int(bool(wrong))


if __name__ == '__main__': sys.exit(main())
