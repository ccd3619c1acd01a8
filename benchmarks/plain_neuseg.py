"""A plain training script for NEU-Seg, as a competent person writes it with smp and albumentations, without this package.

    python benchmarks/plain_neuseg.py --root data/neu_seg --split split.csv --out plain.npz --encoder timm-tf_efficientnet_lite0 --weights FILE

U-Net, four-way softmax, cross-entropy plus Dice, AdamW at one rate, one cycle, flips, quarter turns and light, the epoch with the
best validation mean IoU kept. `split.csv` has the columns file and part; part `valid` is held back. Written: the label maps of
the held-back pictures, the CPU seconds of the whole process, and the CPU milliseconds of a training picture.
"""
import argparse
import random
import resource
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import segmentation_models_pytorch as smp
import torch
from albumentations.pytorch import ToTensorV2
from torch.utils.data import DataLoader, Dataset


class NeuSeg(Dataset):
    def __init__(self, root, files, transform): self.root, self.files, self.transform = Path(root), files, transform
    def __len__(self): return len(self.files)
    def __getitem__(self, i):
        image = cv2.cvtColor(cv2.imread(str(self.root/'images'/self.files[i])), cv2.COLOR_BGR2RGB)
        mask = cv2.imread(str(self.root/'masks'/f'{Path(self.files[i]).stem}.png'), cv2.IMREAD_GRAYSCALE)
        out = self.transform(image=image, mask=mask)
        return out['image'], out['mask'].long()


def seconds():
    "CPU seconds of this process and of the loader processes that have ended."
    return sum(o.ru_utime + o.ru_stime for o in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def load_encoder(encoder, file):
    "ImageNet weights from a file; the lite nets' checkpoints have other names in the same order."
    state = torch.load(file, map_location='cpu', weights_only=True)
    if 'lite' not in file: return encoder.load_state_dict(state)
    values = [v for k, v in state.items() if 'num_batches' not in k]
    names = [k for k in encoder.state_dict() if 'num_batches' not in k]
    encoder.load_state_dict(dict(zip(names, values)), strict=False)


@torch.no_grad()
def predict(net, loader):
    net.eval()
    return np.concatenate([net(x)[..., :200, :200].argmax(1).byte().numpy() for x, _ in loader])


def mean_iou(pred, targ): return np.mean([((pred == k) & (targ == k)).sum()/((pred == k) | (targ == k)).sum() for k in (1, 2, 3)])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for o in ('root', 'split', 'out'): p.add_argument(f'--{o}', required=True)
    p.add_argument('--encoder', default='timm-tf_efficientnet_lite0')
    p.add_argument('--weights', help='a checkpoint; without it smp downloads imagenet')
    p.add_argument('--decoder', type=int, nargs=5, default=(256, 128, 64, 32, 16))
    p.add_argument('--epochs', type=int, default=12)
    p.add_argument('--batch', type=int, default=8)
    p.add_argument('--lr', type=float, default=1e-3)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--bf16', action='store_true')
    a = p.parse_args()
    random.seed(a.seed); np.random.seed(a.seed); torch.manual_seed(a.seed)
    net = smp.Unet(a.encoder, encoder_weights=None if a.weights else 'imagenet', classes=4, decoder_channels=a.decoder)
    if a.weights: load_encoder(net.encoder, a.weights)
    mean, std = ([.5]*3, [.5]*3) if 'lite' in a.encoder else ([.485, .456, .406], [.229, .224, .225])
    last = [A.Normalize(mean, std), A.PadIfNeeded(224, 224, position='top_left', border_mode=cv2.BORDER_REFLECT_101), ToTensorV2()]
    train_tfm = A.Compose([A.HorizontalFlip(p=.5), A.VerticalFlip(p=.5), A.RandomRotate90(p=.5), A.RandomBrightnessContrast(p=.5), *last])
    split = pd.read_csv(a.split)
    files = {o: split.file[split.part == o].tolist() for o in ('train', 'valid')}
    train = DataLoader(NeuSeg(a.root, files['train'], train_tfm), a.batch, shuffle=True, drop_last=True)
    valid = DataLoader(NeuSeg(a.root, files['valid'], A.Compose(last)), 2*a.batch)
    targ = np.concatenate([y[..., :200, :200].byte().numpy() for _, y in valid])
    ce, dice = torch.nn.CrossEntropyLoss(), smp.losses.DiceLoss('multiclass')
    opt = torch.optim.AdamW(net.parameters(), lr=a.lr, weight_decay=1e-2)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, a.lr, epochs=a.epochs, steps_per_epoch=len(train))
    best, kept, learning = -1., None, 0.
    for epoch in range(a.epochs):
        net.train()
        start = seconds()
        for x, y in train:
            with torch.autocast('cpu', torch.bfloat16, enabled=a.bf16): z = net(x)
            loss = ce(z.float(), y) + dice(z.float(), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
        learning += seconds() - start
        pred = predict(net, valid)
        score = mean_iou(pred, targ)
        if score > best: best, kept = score, pred
        print(f'{epoch} loss {loss.item():.3f} valid mean IoU {score:.4f} cpu {seconds():.0f} s', flush=True)
        np.savez_compressed(a.out, pred=kept, files=files['valid'], cpu=seconds(), image_ms=1000*learning/((epoch + 1)*len(train)*a.batch), epochs=epoch + 1)


if __name__ == '__main__': main()
