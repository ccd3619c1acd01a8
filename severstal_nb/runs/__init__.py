"Settings, run folders and predictors. Names are looked up when they are asked for, so that `severstal --help` loads no pandas."
import importlib

_HOME = dict(Run='folder', RunError='folder', load_run='folder', create_run='folder', init_run='folder', run_logger='folder',
             resume_target='folder', Predictor='predictor',
             Config='config', ConfigError='config', as_config='config', load_config='config', list_presets='config')


def __getattr__(name):
    if name not in _HOME: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'.{_HOME[name]}', __name__), name)


def __dir__(): return sorted([*globals(), *_HOME])
