"""Checks that .ci/run calls, each by name: python .ci/checks.py NAME [ARG…]. Prints what is wrong; exit code 1 if anything is."""
import ast
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r'^```(?:sh|bash)\n(.*?)^```', re.M | re.S)
MACHINE = re.compile(r'(?<![\w.~>-])/(?:home|root|Users|work|mnt|tmp|private|opt)/(?!ann\b|you\b|\w\b)[\w.-]+')
LIB, PACKAGE = 'severstal_nb', ROOT/'severstal_nb'
MOST_NAMES, MOST_LINES = 720, 20000 # distinct entries of all `__all__`; lines inside exported cells, without their #| lines
FIG_ALT_REQUIRED = True # every stored picture says what is seen
DOORS = ('rle data readers synthetic cbam models losses splits training crops inference ensembling experiment cli metrics runs'.split())
FACES = [*(f'import {LIB}.{o}' for o in DOORS), f'from {LIB}.metrics import kaggle_dice', f'from {LIB}.runs import load_run']


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
    wrong, paths = [], re.compile(MACHINE.pattern.encode())
    binary = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.npy', '.npz', '.pt', '.pth', '.safetensors', '.pkl', '.zip', '.csv'}
    for o in tracked():
        name, raw = o.relative_to(ROOT).as_posix(), o.read_bytes()
        if len(raw) > 300_000 and name != 'severstal_nb/_modidx.py': wrong.append(f'{name}: {len(raw)//1000} kB')
        allowed = name.startswith('index_files/')
        if o.suffix.lower() in binary and not allowed: wrong.append(f'{name}: data do not belong in the repository')
        if o.suffix.lower() not in binary and name not in ('.ci/checks.py', 'LICENSE') and paths.search(raw):
            wrong.append(f'{name}: machine path {paths.search(raw)[0].decode()}')
    return wrong


def books():
    "Every notebook is in the sidebar, keeps imports and code apart, and ends as agreed."
    text, wrong = (ROOT/'_quarto.yml').read_text(), []
    if not (ROOT/'nbs'/'_quarto.yml').is_symlink(): wrong.append('nbs/_quarto.yml is not a link to the root one')
    for o in notebooks():
        name = o.relative_to(ROOT/'nbs').as_posix()
        if f'- {name}\n' not in text: wrong.append(f'{name} is not in the sidebar: run python .ci/make_readme.py')
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


class Book:
    "What the checks of the house ask of a notebook: its module, chapter, exported cells and what they define."
    def __init__(self, path):
        self.path, self.name = path, path.relative_to(ROOT/'nbs').as_posix()
        self.cells = [(c['cell_type'], ''.join(c['source']), c) for c in json.loads(path.read_text(encoding='utf-8'))['cells']]
        code = [s for kind,s,_ in self.cells if kind == 'code']
        found = re.search(r'^#\|\s*default_exp\s+(\S+)', '\n'.join(code), re.M)
        self.module = found and found[1]
        self.folder = self.module.rpartition('.')[0] if self.module else ''
        number = re.match(r'(\d+)([a-z]*)_', path.name)
        self.chapter, self.letter = (int(number[1]), number[2]) if number else (0, '')
        self.exported = [s for s in code if re.search(r'^#\|\s*exports?i?\b', s, re.M)]
        self.trees = [ast.parse(re.sub(r'^\s*[%!].*$', 'pass', s, flags=re.M)) for s in self.exported]

    def defined(self):
        "Names that exported cells define at their top level."
        found = set()
        for node in (o for t in self.trees for o in t.body):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): found.add(node.name)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                found |= {o.id for o in ast.walk(node) if isinstance(o, ast.Name) and isinstance(o.ctx, ast.Store)}
        return found

    def imports(self):
        "(module, name or None, inside a function?) of every import of this package in an exported cell."
        for t in self.trees:
            inside = {id(o) for f in ast.walk(t) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                      for o in ast.walk(f)}
            for o in ast.walk(t):
                lazy = id(o) in inside
                if isinstance(o, ast.Import):
                    yield from ((a.name[len(LIB)+1:], None, lazy) for a in o.names if a.name.split('.')[0] == LIB)
                elif isinstance(o, ast.ImportFrom):
                    base = o.module or ''
                    if o.level: # relative, from the place of this module
                        up = f'{LIB}.{self.module}'.split('.')[:-o.level]
                        base = '.'.join([*up, *([base] if base else [])])
                    if base.split('.')[0] == LIB: yield from ((base[len(LIB)+1:], a.name, lazy) for a in o.names)
                elif isinstance(o, ast.Call) and re.search(r'\b(import_module|__import__)$', ast.unparse(o.func)):
                    text = getattr(o.args[0], 'value', None) if o.args else None
                    if isinstance(text, str) and text.startswith(f'{LIB}.'): yield text[len(LIB)+1:], None, lazy


def home(module, name, books):
    "The notebooks an import leads to: module or folder `module`, name `name` of it."
    full = f'{module}.{name}'.strip('.')
    if name and full in books: return [books[full]] # from severstal_nb.core import files
    if module in books: return [books[module]]
    inside = [b for m,b in books.items() if m.startswith(f'{module}.')] if module else []
    return [b for b in inside if name in b.defined()] or inside # a folder hands on names of its modules


def house():
    "The rules of the house for exported cells, and the size of the whole."
    shelf = [Book(o) for o in notebooks()]
    books = {b.module: b for b in shelf if b.module}
    wrong, between = [], {}
    for b in books.values():
        front = b.module == 'cli' # the command, whose functions may import anything
        for module, name, lazy in b.imports():
            said = f'{b.name}: import of {".".join(o for o in (module, name) if o)}'
            if module == 'all' or module.startswith('all.'): wrong.append(f'{said}: all is for users')
            for target in home(module, name, books):
                if target is b: continue
                if target.chapter > b.chapter and not (front and lazy):
                    wrong.append(f'{said} leads up to chapter {target.chapter:02d} ({target.name})')
                if b.folder and target.folder and b.folder != target.folder:
                    between.setdefault((b.folder, target.folder), f'{b.name} imports {target.module}')
                if name and name.startswith('_') and not name.startswith('__') and b.folder != target.folder:
                    wrong.append(f'{said}: a private name of another folder')
    wrong += [f'folders {a} and {b} import each other: {text}; {between[b, a]}' for (a,b),text in sorted(between.items())
              if a < b and (b, a) in between]
    wrong += modules(set(books))
    names, lines = {o for f in PACKAGE.rglob('*.py') for o in entries(f)}, sum(length(s) for b in shelf for s in b.exported)
    print(f'{len(names)} distinct names in all __all__ (at most {MOST_NAMES}), {lines} lines in exported cells (at most {MOST_LINES})')
    if len(names) > MOST_NAMES: wrong.append(f'{len(names)} public names: at most {MOST_NAMES}')
    if lines > MOST_LINES: wrong.append(f'{lines} exported lines: at most {MOST_LINES}')
    return wrong


def length(source):
    "Lines of an exported cell, without its directives."
    return sum(not o.startswith('#|') for o in source.splitlines())


def entries(path):
    "What a module's `__all__` holds."
    for o in ast.parse(path.read_text(encoding='utf-8')).body:
        target = o.targets[0] if isinstance(o, ast.Assign) else getattr(o, 'target', None)
        if isinstance(target, ast.Name) and target.id == '__all__' and isinstance(o.value, (ast.List, ast.Tuple)):
            yield from (e.value for e in o.value.elts)


def modules(known):
    "No module without its notebook, no notebook without its module, and a folder is a package."
    wrong, there = [], set()
    for f in PACKAGE.rglob('*.py'):
        where = f.relative_to(PACKAGE)
        if not (f.parent/'__init__.py').exists(): wrong.append(f'{LIB}/{where.parent}: no __init__.py')
        if f.name == '__init__.py' or where.as_posix() in ('all.py', '_modidx.py'): continue
        there.add('.'.join(where.with_suffix('').parts))
    wrong += [f'{LIB}/{o.replace(".", "/")}.py has no notebook: a left-over of a move?' for o in sorted(there - known)]
    return wrong + [f'{LIB}/{o.replace(".", "/")}.py is not there: run nbdev-export' for o in sorted(known - there)]


def pages():
    "What the docs need, seen without Quarto: first cells, links, and texts for pictures."
    wrong, titles, bare, drawn = [], {}, {}, 0
    shelf = [Book(o) for o in notebooks()]
    missing = unanchored(shelf)
    for b in shelf:
        kind, first, _ = b.cells[0]
        found = re.fullmatch(r'# (\S.*)\n\n> (\S.*)\n*', first)
        if kind != 'markdown' or not found:
            wrong.append(f'{b.name}: the first cell is # title, an empty line, > description, and nothing else')
            continue
        title = found[1]
        if not title[0].isupper() and b.name != 'index.ipynb': wrong.append(f'{b.name}: the title {title!r} begins small')
        if title in titles: wrong.append(f'{b.name}: {titles[title]} has the title {title!r} too')
        titles[title] = b.name
        for name in sorted(missing & linked(b)): wrong.append(f'{b.name}: `{name}` would be linked to an entry that is not there')
        for kind, source, cell in b.cells:
            if kind == 'markdown': wrong += [f'{b.name}: dead link to {o}' for o in dead(source, b.path.parent)]
            elif pictured(cell) and not re.search(r'^#\|\s*(hide|include:\s*false)\s*$', source, re.M):
                drawn += 1
                if not re.search(r'^#\|\s*fig-alt:\s*\S', source, re.M): bare[b.name] = bare.get(b.name, 0) + 1
    for o in ROOT/'README.md', ROOT/'data'/'README.md', ROOT/'CONTRIBUTING.md':
        if o.exists(): wrong += [f'{o.relative_to(ROOT)}: dead link to {l}' for l in dead(o.read_text(encoding='utf-8'), o.parent)]
    print(f'{drawn} cells with a figure, {sum(bare.values())} without #| fig-alt:')
    if FIG_ALT_REQUIRED: wrong += [f'{k}: {n} figures without #| fig-alt:' for k,n in bare.items()]
    return wrong


def pictured(cell):
    "Does a stored output hold a picture?"
    return any(k.startswith('image/') for o in cell.get('outputs', []) for k in o.get('data', {}))


def prose(text):
    "Markdown without its fences, where nothing is a link."
    return re.sub(r'^ *```.*?^ *```', '', text, flags=re.M | re.S)


def dead(text, folder):
    "Relative links of a markdown text that lead nowhere."
    links = re.findall(r'\]\(([^()\s]+)\)', re.sub(r'`[^`\n]*`', '`', prose(text)))
    return [o for o in links if not re.match(r'[a-z]+:|#', o) and not (folder/o.partition('#')[0]).exists()]


def linked(book):
    "Names in backticks that nbdev may make links of: in prose, and in docstrings shown as entries."
    texts = [prose(s) for kind,s,_ in book.cells if kind == 'markdown']
    for node in (o for t in book.trees for o in t.body):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != '_': texts.append(ast.get_docstring(node) or '')
    return {o for t in texts for o in re.findall(r'`([^`\s]+?)(?:\(\))?`', t)}


def unanchored(shelf):
    "Names nbdev makes links of, though no page has an entry for them: private ones, and methods without a show_doc."
    spec = importlib.util.spec_from_file_location('_modidx', PACKAGE/'_modidx.py')
    index = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(index)
    known, shown = {}, set()
    for module, names in index.d['syms'].items():
        for o in names: known.setdefault(o.removeprefix(f'{module}.'), []).append(module.removeprefix(f'{LIB}.'))
    for b in shelf:
        for source in (s for kind,s,_ in b.cells if kind == 'code'):
            shown |= set(re.findall(r'^show_doc\(([\w.]+)', source, re.M))
        for node in (o for t in b.trees for o in t.body):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): continue
            patched = any('patch' in ast.unparse(o) for o in node.decorator_list)
            owner = node.args.args[0].annotation if patched and not isinstance(node, ast.ClassDef) and node.args.args else None
            owners = re.findall(r'\w+', ast.unparse(owner)) if owner else []
            if node.name[0] != '_' or node.name[:2] == '__': shown |= {f'{o}.{node.name}' for o in owners} or {node.name}
    return {o for o in known if o not in shown} | {f'{LIB}.{m}.{o}' for o,ms in known.items() if o not in shown for m in ms}


def processed(folder):
    "The outputs that nbdev-proc-nbs leaves for Quarto: no path of this machine, and no warning of a library's."
    wrong, count = [], 0
    for o in sorted(Path(folder).rglob('*.ipynb')):
        count += 1
        for c in json.loads(o.read_text(encoding='utf-8'))['cells']:
            text = json.dumps(list(shown(c)), ensure_ascii=False)
            wrong += [f'{o.relative_to(folder)}: {text[max(0, hit.start() - 60):hit.end() + 60]!r}'
                      for pattern in (MACHINE, re.compile('FutureWarning')) if (hit := pattern.search(text))]
    return wrong if count else [f'{folder}: no notebooks']


def shown(cell):
    "Texts of a cell's outputs."
    for o in cell.get('outputs', []):
        yield o.get('text', '')
        yield [v for k,v in o.get('data', {}).items() if not k.startswith('image/')]


def doors():
    "What users import loads in a process of its own."
    run = lambda line: subprocess.run([sys.executable, '-W', 'ignore', '-c', line], capture_output=True, text=True)
    with ThreadPoolExecutor(2) as pool: done = list(pool.map(run, FACES))
    wrong = [f'{line}: {o.stderr.strip().splitlines()[-1]}' for line,o in zip(FACES, done) if o.returncode]
    print(f'{len(FACES) - len(wrong)} of {len(FACES)} imports')
    return wrong


def count():
    "Print the number of notebooks."
    print(len(notebooks()))
    return []


def main():
    "Run one check."
    name, *args = sys.argv[1:]
    known = dict(command=command, demo=demo, metadata=metadata, stray=stray, books=books, house=house, pages=pages,
                 processed=processed, doors=doors, count=count)
    wrong = known[name](*args)
    for o in wrong: print(o, file=sys.stderr)
    return int(bool(wrong))


if __name__ == '__main__': sys.exit(main())
