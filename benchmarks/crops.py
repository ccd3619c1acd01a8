"""The three claims of the U-Net baseline about crops, each measured against the baseline's own way.

    python benchmarks/crops.py [--folder crop_runs] [--only loading|dice] [--seeds 0,1] [--epochs 12]

loading: milliseconds, and bytes allocated at the peak, for one 256×512 training sample with its four masks: the whole strip
decoded in colour, four whole masks, then cut (the baseline on the fly); crops kept as files, image and masks (the baseline
pre-cropped); ours on the fly; ours from the decoded store. Interleaved repeats on one thread.

dice: the same net and the same number of pixels seen, trained on whole strips or on crops (64×400 and 64×128; a crop is
0.32 of a strip and there are six a strip), thresholds from the fold's validation strips, scored on unseen strips. Each seed
makes its own strips and nets; the difference is paired by unseen strip. Results go to benchmarks/results/crops.json.
"""
import argparse, json, os, tempfile, time, tracemalloc
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

import cv2
import numpy as np
import torch

from severstal_nb.learn.store import DecodedStore
from severstal_nb.crops import data_boxes
from severstal_nb.learn.dataset import SteelDataset
from severstal_nb.decide.submission import score_submission
from severstal_nb.experiment import predict, train
from severstal_nb.metrics.masks import counts_dice, interval, resamples
from severstal_nb.readers import read_kaggle
from severstal_nb.rle import rle_decode
from severstal_nb.runs.folder import load_run
from severstal_nb.synthetic import make_kaggle

RESULTS = Path(__file__).resolve().parent/'results'/'crops.json'


def baseline_on_the_fly(data, rles, box):
    "Colour decode, four whole masks, cut, to tensors."
    i, x0, y0, x1, y1 = box
    image = cv2.cvtColor(cv2.imread(data.images.path[i]), cv2.COLOR_BGR2RGB)
    mask = np.stack([rle_decode(r) for r in rles[i]], -1)
    image, mask = image[y0:y1, x0:x1], mask[y0:y1, x0:x1]
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), torch.from_numpy(np.ascontiguousarray(mask.transpose(2, 0, 1)))


def write_crops(data, boxes, folder):
    "The baseline's pre-cropped files: a JPEG and a mask PNG with the classes as channels."
    for j, (i, x0, y0, x1, y1) in enumerate(boxes):
        cv2.imwrite(f'{folder}/{j}.jpg', cv2.imread(data.images.path[i])[y0:y1, x0:x1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        cv2.imwrite(f'{folder}/{j}.png', 255*data.mask(i, (x0, y0, x1, y1)).transpose(1, 2, 0))


def baseline_precropped(folder, j):
    "Colour decode of a crop and of its masks."
    image = cv2.cvtColor(cv2.imread(f'{folder}/{j}.jpg'), cv2.COLOR_BGR2RGB)
    mask = (cv2.imread(f'{folder}/{j}.png', cv2.IMREAD_UNCHANGED) > 127).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), torch.from_numpy(np.ascontiguousarray(mask.transpose(2, 0, 1)))


def peak_bytes(f, items):
    "Largest allocation during one sample, over some."
    peaks = []
    for j in items:
        tracemalloc.start()
        f(j)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return int(np.median(peaks))


def loading(n=40, repeats=5):
    "Milliseconds and peak bytes of a sample, four ways."
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as tmp:
        root = make_kaggle(f'{tmp}/strips', n, 0, progress=False)
        data = read_kaggle(root)
        boxes = data_boxes(data, (256, 512), 256)
        boxes = boxes[np.random.default_rng(0).permutation(len(boxes))]
        rles = [[data.rle(i, k) for k in range(data.n_classes)] for i in range(len(data))]
        os.mkdir(f'{tmp}/crops')
        write_crops(data, boxes, f'{tmp}/crops')
        fly = SteelDataset(data, boxes=boxes)
        store = SteelDataset(DecodedStore.build(data, f'{tmp}/store').attach(data), boxes=boxes)
        ways = {'baseline, on the fly': lambda j: baseline_on_the_fly(data, rles, boxes[j]),
                'baseline, pre-cropped': lambda j: baseline_precropped(f'{tmp}/crops', j),
                'ours, on the fly': lambda j: fly[j], 'ours, decoded store': lambda j: store[j]}
        for j in range(0, len(boxes), 40): # the same pixels before anything is timed
            same = [ways[w](j) for w in ways if 'pre-cropped' not in w]
            for image, mask in same[1:]: assert (image == same[0][0][:1]).all() and (mask == same[0][1]).all()
        times = {w: [] for w in ways}
        for _ in range(repeats):
            for w, f in ways.items():
                start = time.process_time()
                for j in range(len(boxes)): f(j)
                times[w].append(1000*(time.process_time() - start)/len(boxes))
        out = {w: dict(ms=round(float(np.median(t)), 3), low=round(min(t), 3), high=round(max(t), 3),
                       peak_kb=peak_bytes(ways[w], range(0, len(boxes), 12))//1000) for w, t in times.items()}
    first = out['baseline, on the fly']
    for o in out.values(): o |= dict(faster=round(first['ms']/o['ms'], 2), memory_share=round(o['peak_kb']/first['peak_kb'], 3))
    return out


def one_arm(folder, seed, mode, epochs, size):
    "Unseen Dice counts of one seed and mode; a finished run is not made again."
    strips = Path(folder)/f'strips_{seed}'
    if not (strips/'sample_submission.csv').exists(): make_kaggle(strips, 240, 240, height=64, width=400, seed=seed, balanced=True, progress=False)
    made = sorted(Path(folder).glob(f'{mode}_{seed}-*'))
    if made and (made[-1]/'results.json').exists(): run = load_run(made[-1])
    elif made: run = train(resume=made[-1], verbose=False)
    else:
        crops = {} if mode == 'full' else dict(data__mode='crops', data__crop_height=64, data__crop_width=size, data__crop_stride=64)
        share = 1 if mode == 'full' else 400/size/6
        run = train('demo', verbose=False, data__root=str(strips), data__num_folds=5, data__fold=0, training__seed=seed,
                    data__batch_size=4 if mode == 'full' else 12, model__name='linknet', training__channels_last=True,
                    training__num_epochs=round(epochs*share), training__learning_rate=2e-3, predict__tta=[], run__root=str(folder), run__name=f'{mode}_{seed}', **crops)
    unseen = read_kaggle(strips, csv='test.csv', images='test_images')
    out = predict(run, strips/'test_images', Path(folder)/f'{mode}_{seed}.csv', progress=False)
    return score_submission(out, unseen)


def dice(folder, seeds, epochs, size=128):
    "Crops against whole strips."
    arms = {}
    for s in seeds:
        for mode in ('full', 'crops'):
            counts = one_arm(folder, s, mode, epochs, size)
            arms.setdefault(mode, []).append(counts_dice(counts).mean(1))
            arms.setdefault(f'{mode} nothing', []).append((counts[..., 2] == 0).mean(1))
            print(s, mode, round(float(arms[mode][-1].mean()), 4), flush=True)
    arms = {k: np.concatenate(v) for k, v in arms.items()}
    gain = arms['crops'] - arms['full']
    boot = interval([gain[i].mean() for i in resamples(len(gain), 1000, 0)])
    return dict(seeds=list(seeds), epochs=epochs, unseen=len(gain), nothing=float(arms['full nothing'].mean()), full=float(arms['full'].mean()),
                crops=float(arms['crops'].mean()), difference=float(gain.mean()), low=float(boot[0]), high=float(boot[1]))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--folder', default='crop_runs')
    p.add_argument('--only', choices=['loading', 'dice'])
    p.add_argument('--seeds', default='0,1')
    p.add_argument('--epochs', type=int, default=12, help='passes over the whole strips; crops see as many pixels')
    args = p.parse_args()
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if args.only != 'dice': found['loading'] = loading()
    if args.only != 'loading': found['dice'] = dice(args.folder, [int(s) for s in args.seeds.split(',')], args.epochs)
    found['date'] = time.strftime('%Y-%m-%d')
    RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + '\n')
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == '__main__': main()
