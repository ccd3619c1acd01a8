"Time and memory against the number of strips: reading, splitting, an epoch of loading, predicting, threshold search."
from pathlib import Path

from common import child, many_files, temp
from rows_models import a_run, copy_table

READ = '''
import sys
from severstal_nb.readers import read_kaggle
data = read_kaggle(sys.argv[1])
'''
SPLIT = READ + '''
import time
from severstal_nb.splits import make_folds
c = time.process_time()
make_folds(data, 5)
result = dict(part=time.process_time() - c)
'''
LOAD = READ + '''
import time, cv2, torch
cv2.setNumThreads(0); torch.set_num_threads(1)
from severstal_nb.learn.augment import make_augment
from severstal_nb.learn.dataset import SteelDataset, StepLoader
c = time.process_time()
for batch in StepLoader(SteelDataset(data, augment=make_augment(256, 1600, hflip=.5, vflip=.5, brightness_contrast=.5)), 8, shuffle=True): pass
result = dict(part=time.process_time() - c)
'''
PREDICT = '''
import sys, torch; torch.set_num_threads(1)
from severstal_nb.experiment import predict
predict(*sys.argv[1:4], progress=False, resume=False)
'''
SEARCH = READ + '''
import time, numpy as np
from severstal_nb.decide.thresholds import count_pairs, search_thresholds
rng = np.random.default_rng(0)
noise = rng.integers(0, 100, (4, 256, 1600), dtype=np.uint8)
c = time.process_time()
counts = count_pairs(((i, noise + data.mask(i)*100) for i in range(len(data))), data)
search_thresholds(counts, np.arange(20)*200)
result = dict(part=time.process_time() - c)
'''


def grow(sizes=(100, 1000, 12568), keep=print):
    "Each job over more and more strips, in fresh processes: rows of job, strips, processor seconds, peak MB, given to `keep`."
    from severstal_nb.cli import TUNABLES  # the environment of a `severstal` command
    from severstal_nb.synthetic import make_kaggle
    with temp() as folder:
        folder = Path(folder)
        run, few = a_run(folder), make_kaggle(folder/'few', 48, n_workers=1, balanced=True)
        files = sorted((few/'train_images').glob('*.jpg'))
        for n in sizes:
            root = folder/str(n)
            images = many_files(root/'train_images', n, files)
            copy_table(few, files, n)(root/'train.csv')
            jobs = dict(read=(READ, root), split=(SPLIT, root), load=(LOAD, root), search=(SEARCH, root),
                        predict=(PREDICT, run.path, images, folder/'out.csv'))
            for job, (code, *args) in jobs.items():
                got = child(code, *args, env=dict(GLIBC_TUNABLES=TUNABLES), timeout=7200)
                keep(dict(job=job, strips=n, seconds=round(got.get('part', got['cpu']), 3), peak_mb=round(got['peak_mb'], 1)))
