"Metrics on masks, on image labels, and over batches. A name's module is loaded when the name is asked for: those over batches load fastai."
import importlib


def _modules(): return (importlib.import_module(f'.{o}', __name__) for o in ('masks', 'labels', 'meters'))


def __getattr__(name):
    if name == '__all__': return [o for m in _modules() for o in m.__all__]
    for m in () if name.startswith('__') else _modules():
        if name in m.__all__: return getattr(m, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__(): return sorted([*globals(), *__getattr__('__all__')])
