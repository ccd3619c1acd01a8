"Imported first by scripts that run alone: one thread, the package of this tree, no warnings of the libraries' own imports."
import os
import sys
import warnings
from pathlib import Path

for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'): os.environ.setdefault(name, '1')
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
if path := os.environ.get('PYTHONPATH'): sys.path[:0] = path.split(os.pathsep)
warnings.filterwarnings('ignore', category=FutureWarning)
