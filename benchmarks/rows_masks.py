"Run-length strings, components, threshold search."
import numpy as np

from common import floor_of, mask_strings, quartiles, race, row, strips, versus
import peers

SHAPE = (256, 1600)


@row('rle_decode', 'RLE string → mask', 'pycocotools, from its own string', '≥ 2× pycocotools', 2)
def rle_decode_row(least):
    from pycocotools import mask as coco
    from severstal_nb.rle import rle_decode
    texts, kind = mask_strings()
    own = [coco.frPyObjects(dict(size=list(SHAPE), counts=peers.coco_counts(t, SHAPE[0]*SHAPE[1])), *SHAPE) for t in texts]
    for t, o in zip(texts, own):
        m = rle_decode(t)
        assert (m == coco.decode(o)).all() and (m == peers.kaggle_decode(t)).all()
    def coco_text(t): return coco.decode(coco.frPyObjects(dict(size=list(SHAPE), counts=peers.coco_counts(t, SHAPE[0]*SHAPE[1])), *SHAPE))
    zeros = lambda: [np.zeros(SHAPE[0]*SHAPE[1], np.uint8).fill(0) for _ in texts]
    t = race(dict(ours=lambda: [rle_decode(x) for x in texts], coco=lambda: [coco.decode(o) for o in own],
                  coco_text=lambda: [coco_text(x) for x in texts], kaggle=lambda: [peers.kaggle_decode(x) for x in texts],
                  zeros=zeros), 9, per=len(texts))
    more = dict(data=f'{len(texts)} {kind} masks', figures={
        'pycocotools from Kaggle\'s string, µs': round(t['coco_text']['cpu']['median']*1e6, 1),
        'Kaggle NumPy snippet, µs': round(t['kaggle']['cpu']['median']*1e6, 1),
        'faster than the snippet': round(t['kaggle']['cpu']['median']/t['ours']['cpu']['median'], 2)})
    return versus(t, 'ours', 'coco', least, 'µs', **more, **floor_of(t, 'ours', 'zeros', 'writing 409,600 zeros', 'µs'))


def encode_times(order, texts):
    "Times of the encoders for masks that lie row by row ('C') or column by column ('F')."
    from pycocotools import mask as coco
    from severstal_nb.rle import rle_decode, rle_encode
    masks = [np.array(rle_decode(t), order=order) for t in texts]
    fortran = (lambda m: m) if order == 'F' else np.asfortranarray
    for m, t in zip(masks, texts):
        assert (rle_decode(rle_encode(m)) == m).all() and rle_encode(m) == peers.kaggle_encode(m)
        assert (coco.decode(coco.encode(fortran(m))) == m).all()
    return race(dict(ours=lambda: [rle_encode(m) for m in masks], coco=lambda: [coco.encode(fortran(m)) for m in masks],
                     kaggle=lambda: [peers.kaggle_encode(m) for m in masks],
                     read=lambda: [m.view(np.uint64).max() if order == 'C' else m.T.view(np.uint64).max() for m in masks]), 9, per=len(masks))


@row('rle_encode', 'mask → RLE string, masks row by row as `postprocess` makes them', 'pycocotools', '≥ 2× pycocotools', 2)
def rle_encode_row(least):
    texts, kind = mask_strings()
    t = encode_times('C', texts[:200])
    more = dict(data=f'{min(len(texts), 200)} {kind} masks, each read from main memory', figures={
        'Kaggle NumPy snippet, µs': round(t['kaggle']['cpu']['median']*1e6, 1),
        'faster than the snippet': round(t['kaggle']['cpu']['median']/t['ours']['cpu']['median'], 2)})
    return versus(t, 'ours', 'coco', least, 'µs', **more, **floor_of(t, 'ours', 'read', 'reading the 409,600 bytes once', 'µs'))


@row('rle_encode_columns', 'mask → RLE string, masks column by column as pycocotools wants them', 'pycocotools', '≥ 2× pycocotools', 2)
def rle_encode_columns_row(least):
    texts, kind = mask_strings()
    t = encode_times('F', texts[:200])
    hot = encode_times('F', texts[:2])
    more = dict(data=f'{min(len(texts), 200)} {kind} masks, each read from main memory', figures={
        'ratio when the mask is in the cache': round(hot['coco']['cpu']['median']/hot['ours']['cpu']['median'], 2)})
    return versus(t, 'ours', 'coco', least, 'µs', **more, **floor_of(t, 'ours', 'read', 'reading the 409,600 bytes once', 'µs'))


def speckled(n=24, seed=0):
    "Binarised maps as a net gives them: defects with ragged borders, and specks."
    import cv2
    data, kind = strips()
    rng, out = np.random.default_rng(seed), []
    rows = np.flatnonzero(np.asarray(data.labels).any(1))
    for i in rows[np.arange(n) % len(rows)].tolist():
        m = data.mask(i).max(0).astype(np.float32)
        noise = cv2.GaussianBlur(rng.normal(size=SHAPE).astype(np.float32), (0, 0), 4)
        out.append((cv2.GaussianBlur(m, (0, 0), 6) + noise*4 > .5).astype(np.uint8))
    return out, kind


@row('small_components', 'removing small components (8-connected, 600 pixels)', 'the fastest of scipy.ndimage, cv2, connected-components-3d',
     '≤ 1.1× the time of the fastest', 1/1.1)
def small_components_row(least):
    from severstal_nb.decide.postprocess import remove_small
    masks, kind = speckled()
    ways = dict(ours=remove_small, scipy=peers.small_by_scipy, cv2_loop=peers.small_by_cv2, cv2_stats=peers.small_by_cv2_stats,
                cc3d=peers.small_by_cc3d)
    for m in masks:
        want = remove_small(m, 600)
        for f in ways.values(): assert (f(m, 600) == want).all()
    t = race({n: (lambda f=f: [f(m, 600) for m in masks]) for n, f in ways.items()}, 7, per=len(masks))
    best = min((n for n in t if n != 'ours'), key=lambda n: t[n]['cpu']['median'])
    figures = {f'{n}, ms': round(t[n]['cpu']['median']*1e3, 3) for n in t}
    return versus(t, 'ours', best, least, data=f'{len(masks)} maps of {kind} masks with noise', fastest=best, figures=figures)


def fake_probs(n, seed=0):
    "Probability bytes and true masks of `n` strips: blurred masks with noise. uint8 and bool [n,4,256,1600]."
    import cv2
    data, kind = strips(max(n, 20))
    rng, rows = np.random.default_rng(seed), np.resize(np.random.default_rng(seed).permutation(len(data)), n)
    masks = np.stack([data.mask(i) for i in rows.tolist()])
    probs = np.empty(masks.shape, np.uint8)
    for i in np.ndindex(masks.shape[:2]):
        p = cv2.GaussianBlur(np.ascontiguousarray(masks[i], np.float32), (0, 0), 9)*rng.uniform(.5, 1)
        p += cv2.GaussianBlur(rng.normal(size=SHAPE).astype(np.float32), (0, 0), 12)*2
        probs[i] = (p.clip(0, 1)*255).round()
    return data.subset(rows), probs, masks > 0, kind


@row('threshold_search', 'threshold search, 4 classes × 99 thresholds × 20 smallest areas, 20 strips', 'the plain loop, same scores',
     '≥ 100×', 100, heavy=True)
def threshold_search_row(least):
    from severstal_nb.decide.thresholds import count_pairs, score_grid
    from severstal_nb.metrics.masks import pixel_cut
    data, probs, masks, kind = fake_probs(20)
    areas, pixels = np.arange(20)*200, np.round(np.arange(1, 100)/100, 2)
    items = list(enumerate(probs))
    ours = lambda: score_grid(count_pairs(items, data), areas)[:, :, 0]
    got = {}
    some = slice(4, None, 9)  # the loop's time is proportional to the thresholds: every ninth is enough to know it
    def brute(): got['brute'] = peers.brute_search(probs, masks, [pixel_cut(p) for p in pixels[some]], areas)
    slow, t = race(dict(brute=brute), 1, per=1/9, warm=0), race(dict(ours=ours), 5)
    off = float(np.abs(got['brute'] - ours()[:, some]).max())
    assert off < 1e-12, off
    sizes = race(dict(ours=lambda: count_pairs(items[:4], data, min_sizes=(0, 200, 600, 1500))), 1)
    t['ours']['raw'] = {k: [quartiles(v)['median']] for k, v in t['ours']['raw'].items()}
    return versus(t | slow, 'ours', 'brute', least, 's', data=f'20 strips of {kind} masks; the loop over 11 of the 99 thresholds, times 9', figures={
        'largest difference of a score': off, 'with min_size (4 sizes × 99 thresholds), s a strip': round(sizes['ours']['cpu']['median']/4, 3)})
