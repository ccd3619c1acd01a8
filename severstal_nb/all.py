"The faces of the package, and what a notebook usually has beside them: `from severstal_nb.all import *`. Loads torch and fastai."
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from severstal_nb.rle import RLEError, rle_area, rle_decode, rle_encode, rle_validate
from severstal_nb.data import SteelData, concat, overlay, show_mask
from severstal_nb.readers import (read_coco, read_data, read_folders, read_images, read_kaggle, read_labelme, read_masks,
                                  read_pairs, read_supervisely, read_voc, read_yolo)
from severstal_nb.formats.coco import write_coco
from severstal_nb.formats.kaggle import write_kaggle
from severstal_nb.formats.masks import write_masks
from severstal_nb.formats.yolo import write_yolo
from severstal_nb.synthetic import make_kaggle, make_strip, synthetic_data
from severstal_nb.cbam import CBAM, add_cbam
from severstal_nb.models import create_model, freeze_encoder, load_model, model_cost, param_groups, save_model
from severstal_nb.nets.zoo import list_models, register_model
from severstal_nb.losses import SteelLoss, create_loss, list_losses, register_loss
from severstal_nb.metrics.masks import dice_per_pair, kaggle_dice, paired_bootstrap, seg_metrics
from severstal_nb.metrics.labels import auroc, confusion_matrix, presence_metrics, single_label_metrics
from severstal_nb.metrics.meters import PresenceMeter, SegmentationMeter, SingleLabelMeter, fastai_metrics
from severstal_nb.splits import SteelKFold, make_folds, make_holdout, split_report
from severstal_nb.duplicates import find_duplicates
from severstal_nb.learn.augment import make_augment
from severstal_nb.learn.dataset import SteelDataset, steel_dls
from severstal_nb.learn.store import precrop
from severstal_nb.training import fit, steel_learner
from severstal_nb.crops import crop_boxes, stitch
from severstal_nb.inference import predict_stream
from severstal_nb.ensembling import OOFStore
from severstal_nb.decide.postprocess import Thresholds, postprocess
from severstal_nb.decide.submission import read_submission, score_submission, validate_submission, write_submission
from severstal_nb.decide.thresholds import count_pairs, cross_fit
from severstal_nb.runs.config import list_presets, load_config
from severstal_nb.runs.folder import load_run
from severstal_nb.runs.predictor import Predictor
from severstal_nb.experiment import predict, train
from severstal_nb.commands.evaluate import evaluate
