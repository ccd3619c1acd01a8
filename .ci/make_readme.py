"""README.md from nbs/index.ipynb by nbconvert, the same everywhere (Quarto is not needed); before it the contents (contents.py).

    python .ci/make_readme.py           writes the sidebar, the table in nbs/index.ipynb, README.md and its pictures (index_files/)
    python .ci/make_readme.py --check   changes nothing; exit code 1 when they differ from what the notebooks give
"""
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

import contents

ROOT = Path(__file__).resolve().parent.parent
NOTE = '<!-- Made from nbs/index.ipynb by .ci/make_readme.py; edit the notebook. -->\n\n'
HIDE = re.compile(r'^#\|\s*(hide|include:\s*false|default_exp\b.*)\s*$', re.M)
ECHO_OFF = re.compile(r'^#\|\s*echo:\s*false\s*$', re.M)
DIRECTIVE = re.compile(r'^#\|.*\n?', re.M)
RICH = ('image/png', 'image/jpeg', 'text/markdown')
NOTEBOOK = re.compile(r'\]\((?!https?:|/|nbs/)([\w/.-]+\.ipynb)(#[\w-]*)?\)')


def visible(cell):
    "Is this a cell the reader sees?"
    return not (cell.cell_type == 'code' and HIDE.search(cell.source))


def prepare(nb):
    "The notebook without hidden cells, quarto directives, or the sources of cells that show only their output."
    nb.cells = [c for c in nb.cells if visible(c)]
    nb.metadata['language_info'] = {'name': 'python'}
    for c in nb.cells:
        if c.cell_type != 'code': continue
        if ECHO_OFF.search(c.source): c.metadata['transient'] = {'remove_source': True}
        c.source = DIRECTIVE.sub('', c.source).strip()
        c.outputs = [o for o in c.outputs if o.get('name') != 'stderr']
        for o in c.outputs:
            best = next((k for k in RICH if k in o.get('data', {})), None)
            if best: o.data = {best: o.data[best]}
    return nb


def make():
    "README text and its pictures: name → bytes."
    nb = prepare(nbformat.read(ROOT/'nbs'/'index.ipynb', 4))
    resources = {'unique_key': 'picture', 'output_files_dir': 'index_files', 'global_content_filter': {}}
    text, resources = MarkdownExporter().from_notebook_node(nb, resources)
    text = NOTEBOOK.sub(r'](nbs/\1\2)', text).replace('![png](', '![](').replace('![jpeg](', '![](')
    text = re.sub(r'```python\s*```\n*', '', text)
    text = re.sub(r'[ \t]+$', '', re.sub(r'\n{3,}', '\n\n', text), flags=re.M)
    return NOTE + text.strip() + '\n', resources.get('outputs', {})


def main():
    "Write, or compare with what is there."
    wrong_contents = contents.update('--check' in sys.argv)
    text, pictures = make()
    files = {ROOT/'README.md': text.encode()} | {ROOT/k: v for k,v in pictures.items()}
    stray = set((ROOT/'index_files').glob('*')) - set(files)
    if '--check' in sys.argv:
        wrong = [o for o,v in files.items() if not o.exists() or o.read_bytes() != v] + list(stray)
        for o in wrong: print(f'{o.relative_to(ROOT)} is not what nbs/index.ipynb gives: run python .ci/make_readme.py')
        return int(bool(wrong) or wrong_contents)
    for o in stray: o.unlink()
    for o,v in files.items():
        o.parent.mkdir(exist_ok=True)
        o.write_bytes(v)


if __name__ == '__main__': sys.exit(main())
