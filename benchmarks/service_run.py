"The tiny run that the service's fuzz and load test serve."
from pathlib import Path

import torch

from severstal_nb.core.files import write_json
from severstal_nb.models import create_model, save_model
from severstal_nb.runs.config import load_config
from severstal_nb.runs.folder import init_run, load_run
from severstal_nb.runs.predictor import Predictor


def tiny_run(folder):
    "A run folder with an untrained net of one convolution, four classes."
    path, classes = Path(folder)/'tiny', list('1234')
    (path/'fold_0').mkdir(parents=True)
    init_run(path, load_config('demo', overrides={'training.device': 'cpu', 'predict.tta': []}).to_dict(), classes, 'segmentation')
    torch.manual_seed(1)
    save_model(create_model('tiny_seg', 4, classes=classes), path/'fold_0'/'best_model.safetensors')
    write_json(path/'fold_0'/'results.json', {})
    write_json(path/'thresholds.json', dict(pixel=.55, min_size=4))
    return load_run(path)


def tiny_predictor(folder):
    "Its `Predictor`."
    return Predictor(tiny_run(folder), num_workers=0)
