"Packaging reads `settings.ini`; nothing is repeated here."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_namespace_packages, setup

root = Path(__file__).parent
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
repo = f'{cfg["user"]}/{cfg["lib_name"]}'


def lines(key):
    "The non-empty lines of a multi-line setting."
    return [o.strip() for o in cfg.get(key, '').splitlines() if o.strip()]


def readme():
    "README with whole addresses: a package index knows no folders."
    text = (root/'README.md').read_text(encoding='utf-8')
    text = re.sub(r'!\[(.*?)\]\((?!https?:)', rf'![\1](https://raw.githubusercontent.com/{repo}/main/', text)
    return re.sub(r'(?<!!)\[([^\]]*)\]\((?!https?:|#)', rf'[\1](https://github.com/{repo}/blob/main/', text)


setup(
    version=cfg['version'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    keywords=cfg['keywords'].split(),
    long_description=readme(),
    long_description_content_type='text/markdown',
    packages=find_namespace_packages(include=['severstal_nb', 'severstal_nb.*'], exclude=['*.__pycache__', '*.__pycache__.*']),
    package_data={'': ['*.yaml', '*.html', '*.css', '*.js', '*.svg']},
    install_requires=lines('requirements'),
    extras_require={'dev': [o for k in ('dev', 'report', 'weights', 'search', 'cluster', 'export', 'openvino', 'app', 'ray') for o in lines(f'{k}_requirements')],
                    **{k: lines(f'{k}_requirements') for k in ('report', 'tensorboard', 'weights', 'search', 'cluster', 'export', 'openvino', 'app', 'ray')}},
    entry_points={'console_scripts': lines('console_scripts'), 'nbdev': ['severstal_nb=severstal_nb._modidx:d']},
)
