"The tiny run that the service's fuzz and load test serve."
from pathlib import Path

import torch

from severstal_nb.core.files import write_json
from severstal_nb.models import create_model, save_model
from severstal_nb.runs.config import load_config
from severstal_nb.runs.folder import init_run, load_run
from severstal_nb.runs.predictor import Predictor


def tiny_run(folder):
    "A run folder with a net of one convolution by hand: four classes that mark dark and bright spots."
    path, classes = Path(folder)/'tiny', list('1234')
    (path/'fold_0').mkdir(parents=True)
    init_run(path, load_config('demo', overrides={'training.device': 'cpu', 'predict.tta': []}).to_dict(), classes, 'segmentation')
    net, state = create_model('tiny_seg', 4, classes=classes), {}
    for k, v in net.state_dict().items(): # 4 times how far the mean of 3×3 pixels is beyond a level, in standard deviations
        side, level = torch.tensor([-1., 1., -1., 1.]), torch.tensor([1.5, 1.9, 1.8, 2.3])
        state[k] = -4*level if v.ndim == 1 else (side/27*4)[:, None, None, None].expand(v.shape).clone()
    net.load_state_dict(state)
    save_model(net, path/'fold_0'/'best_model.safetensors')
    write_json(path/'fold_0'/'results.json', {})
    write_json(path/'thresholds.json', dict(pixel=.55, min_size=20))
    return load_run(path)


def tiny_predictor(folder):
    "Its `Predictor`."
    return Predictor(tiny_run(folder), num_workers=0)
