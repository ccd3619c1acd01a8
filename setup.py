"Packaging reads `settings.ini`; nothing is repeated here."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']


def lines(key):
    "The non-empty lines of a multi-line setting."
    return [o.strip() for o in cfg.get(key, '').splitlines() if o.strip()]


setup(
    version=cfg['version'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    keywords=cfg['keywords'].split(),
    packages=find_packages(include=['severstal_nb', 'severstal_nb.*']),
    package_data={'severstal_nb': ['presets/*.yaml']},
    install_requires=lines('requirements'),
    extras_require={'dev': lines('dev_requirements')},
    entry_points={'console_scripts': lines('console_scripts'), 'nbdev': ['severstal_nb=severstal_nb._modidx:d']},
)
