"What others do, written from its description: the habits of Kaggle notebooks, and plain loops that give the same answers."
import os

os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
import cv2
import numpy as np


def kaggle_decode(text, shape=(256, 1600)):
    "The habit: split, every second word a start, fill slice by slice, reshape the columns."
    words = text.split()
    starts, lengths = np.asarray(words[0::2], dtype=int) - 1, np.asarray(words[1::2], dtype=int)
    flat = np.zeros(shape[0]*shape[1], dtype=np.uint8)
    for a, n in zip(starts, lengths): flat[a:a + n] = 1
    return flat.reshape(shape, order='F')


def kaggle_encode(mask):
    "The habit: pad the flattened transpose with zeros, find where neighbours differ, join the numbers."
    flat = np.concatenate([[0], mask.T.flatten(), [0]])
    at = np.where(flat[1:] != flat[:-1])[0] + 1
    at[1::2] -= at[::2]
    return ' '.join(str(v) for v in at)


def coco_counts(text, n_pixels):
    "Kaggle's runs in COCO's uncompressed form: lengths of background and mask in turn."
    a = np.array(text.split(), dtype=np.int64)
    starts, ends = a[::2] - 1, a[::2] - 1 + a[1::2]
    edges = np.stack([starts, ends], 1).ravel()
    return np.diff(np.concatenate([[0], edges, [n_pixels]])).tolist()


class KaggleStrips:
    "The usual data set: colour decode, four strings parsed into float masks, an albumentations pipeline."
    def __init__(self, paths, rles, transform): self.paths, self.rles, self.transform = paths, rles, transform
    def __len__(self): return len(self.paths)
    def __getitem__(self, i):
        image = cv2.imread(self.paths[i])
        masks = np.zeros((256, 1600, 4), dtype=np.float32)
        for k, text in enumerate(self.rles[i]):
            if text: masks[:, :, k] = kaggle_decode(text)
        out = self.transform(image=image, mask=masks)
        return out['image'], out['mask'].permute(2, 0, 1)


def kaggle_transform(p=.5, crop=None):
    "Flips, brightness and contrast, ImageNet normalisation, tensor; a random crop first where asked for."
    import albumentations as A
    from albumentations.pytorch import ToTensorV2
    first = [A.RandomCrop(*crop)] if crop else []
    return A.Compose([*first, A.HorizontalFlip(p=p), A.VerticalFlip(p=p), A.RandomBrightnessContrast(p=p),
                      A.Normalize(), ToTensorV2()])


def small_by_scipy(mask, least):
    "Label, count, look up."
    from scipy import ndimage
    parts, n = ndimage.label(mask, np.ones((3, 3), int))
    keep = np.bincount(parts.ravel(), minlength=n + 1) >= least
    keep[0] = False
    return keep[parts].astype(np.uint8)


def small_by_cv2(mask, least):
    "The usual loop over OpenCV's components."
    n, parts = cv2.connectedComponents(mask, connectivity=8)
    out = np.zeros(mask.shape, np.uint8)
    for c in range(1, n):
        part = parts == c
        if part.sum() >= least: out[part] = 1
    return out


def small_by_cv2_stats(mask, least):
    "OpenCV's components with its own counts, one look-up."
    n, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = (stats[:, cv2.CC_STAT_AREA] >= least).astype(np.uint8)
    keep[0] = 0
    return keep[parts]


def small_by_cc3d(mask, least):
    "connected-components-3d's own function."
    import cc3d
    return cc3d.dust(mask, threshold=least, connectivity=8, in_place=False)


def brute_search(probs, masks, cuts, min_areas):
    "Mean Dice of every class, threshold and smallest area: mask after mask, one after the other. [K,C,M]"
    K = probs.shape[1]
    out = np.zeros((K, len(cuts), len(min_areas)))
    for k in range(K):
        for c, cut in enumerate(cuts):
            for m, least in enumerate(min_areas):
                total = 0.
                for p, t in zip(probs[:, k], masks[:, k]):
                    pred = p >= cut
                    if pred.sum() < least: pred[:] = False
                    both = pred.sum() + t.sum()
                    total += 1. if both == 0 else 2*(pred & t).sum()/both
                out[k, c, m] = total/len(probs)
    return out


def sklearn_folds(labels, groups, n_folds=5, seed=0):
    "StratifiedGroupKFold on the combination of classes, as a table's column."
    import pandas as pd
    from sklearn.model_selection import StratifiedGroupKFold
    table = pd.DataFrame(dict(kind=labels @ (1 << np.arange(labels.shape[1])), group=groups))
    fold = np.zeros(len(table), int)
    cv = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for f, (_, valid) in enumerate(cv.split(table, table.kind, table.group)): fold[valid] = f
    return fold


def bare_loop(model, batches, loss, lr=1e-3, tick=lambda: None):
    "The loop of every tutorial: forward, loss, backward, step, clear."
    import torch
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    model.train()
    for x, y in batches:
        tick()
        value = loss(model(x), y)
        value.backward()
        opt.step()
        opt.zero_grad()
        value.item()
    tick()
    return model
