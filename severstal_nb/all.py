"Everything a notebook usually wants: `from severstal_nb.all import *`. Loads torch and fastai."
from severstal_nb.rle import *
from severstal_nb.data import *
from severstal_nb.readers import *
from severstal_nb.synthetic import make_kaggle, make_strip, synth_labels, synthetic_data
from severstal_nb.learn.augment import *
from severstal_nb.learn.dataset import *
from severstal_nb.cbam import *
from severstal_nb.models import *
from severstal_nb.losses import *
from severstal_nb.metrics.masks import *
from severstal_nb.metrics.labels import *
from severstal_nb.metrics.meters import *
from severstal_nb.splits import *
from severstal_nb.training import *
from severstal_nb.runs.settings import Config, ConfigError, config_help
from severstal_nb.runs.config import (as_config, check_config, list_presets, load_config,
                                 model_name, to_yaml)
from severstal_nb.runs.folder import *
from severstal_nb.crops import *
from severstal_nb.inference import *
from severstal_nb.decide.postprocess import *
from severstal_nb.decide.submission import *
from severstal_nb.ensembling import *
from severstal_nb.reports.figures import *
from severstal_nb.experiment import predict, train
