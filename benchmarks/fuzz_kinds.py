"The kinds of input of fuzz.py: how each is made and damaged, who reads it, and the naive reference beside it."
import base64, copy, csv, io, json, math, os, re, shutil, struct, tempfile, zipfile, zlib
from dataclasses import dataclass
from pathlib import Path
from xml.dom import minidom

import cv2, numpy as np, yaml
from PIL import Image, ImageDraw

H, W = 20, 30
KINDS = {}


class Wrong(Exception):
    "What was read without a word is not what the reference reads."


@dataclass
class Kind:
    case: object
    n: int
    what: str
    reference: str
    prepare: object = None


def kind(name, n, what, reference, prepare=None):
    "Decorator: a function of (random generator, folder) that gives 'equal' or 'refused', or raises."
    def add(f):
        KINDS[name] = Kind(f, n, what, reference, prepare)
        return f
    return add


# ---- damage

def damage(rng, raw, most=4):
    "Some bytes changed, cut off, put in, taken out or repeated."
    raw = bytearray(raw)
    for _ in range(rng.randint(1, most)):
        at = rng.randrange(len(raw)) if raw else 0
        how, n = rng.randrange(6), rng.choice((1, 1, 2, 8, 64))
        if how == 0: raw[at:at+1] = bytes([rng.randrange(256)])
        elif how == 1 and raw: raw[at] ^= 1 << rng.randrange(8)
        elif how == 2: del raw[at:at+n]
        elif how == 3: raw[at:at] = rng.randbytes(n)
        elif how == 4: raw[at:at] = raw[at:at+n]
        elif rng.random() < .3: del raw[at:]
    return bytes(raw)


JUNK = (None, True, False, -1, 0, 1, 2, 3, 7, 1.5, 1e9, 1e308, 10**30, float('nan'), float('inf'), '', 'x', '1', 'dent', '../x', 'é', [], {}, [[]],
        [1, 2], [1, 2, 3, 4], {'a': 1}, 'a.png', '9'*5000)


def mutate(rng, obj, most=2):
    "A copy of nested lists and dicts in which some places hold something else, or are missing, or stand twice."
    obj = copy.deepcopy(obj)
    for _ in range(rng.randint(0, most)):
        places, todo = [], [obj]
        while todo:
            o = todo.pop()
            for k in (list(o) if isinstance(o, dict) else range(len(o))):
                places.append((o, k))
                if isinstance(o[k], (dict, list)): todo.append(o[k])
        if not places: break
        o, k = rng.choice(places)
        how = rng.randrange(4)
        if how == 0: del o[k]
        elif how == 1 and isinstance(o, list): o.insert(k, copy.deepcopy(o[k]))
        elif how == 2 and isinstance(o[k], (int, float)) and not isinstance(o[k], bool): o[k] = o[k] + rng.choice((-1, 1, .5, 40, -40))
        else: o[k] = copy.deepcopy(rng.choice(JUNK))
    return obj


def said(data, got, want):
    "'equal' or 'refused' for data beside the reference; raises `Wrong`."
    if want is not None and got == want: return 'equal'
    if len(data.problems): return 'refused'
    raise Wrong('the reference refuses it' if want is None else f'{str(got)[:80]} read, {str(want)[:80]} expected')


def masks_of(data):
    "{image name: {class: bytes of the mask}} of what is not empty."
    return {n: {c: m.tobytes() for c, m in zip(data.classes, np.ascontiguousarray(data.mask(i))) if m.any()} for i, n in enumerate(data.images['image_id'])}


def as_masks(found):
    "The same of {image name: {class: bool [h,w]}}."
    return {n: {c: (m > 0).astype(np.uint8).tobytes() for c, m in ms.items() if m.any()} for n, ms in found.items()}


def reference(f, *args):
    "What a reference reads, or None where it refuses."
    try: return f(*args)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError, OSError, SyntaxError, RecursionError, zlib.error,
            zipfile.BadZipFile, EOFError): return None


def two_images(folder, h=H, w=W):
    "a.png and b.png."
    folder.mkdir(parents=True, exist_ok=True)
    for i, n in enumerate('ab'): Image.fromarray(np.random.default_rng(i).integers(0, 255, (h,w), dtype=np.uint8)).save(folder/f'{n}.png')
    return folder


# ---- run lengths

def naive_rle(text, n):
    "The pixels of a Kaggle string, by the book."
    words = text.split()
    if any(not re.fullmatch('[0-9]+', t) for t in words) or len(words)%2: raise ValueError
    mask, end = np.zeros(n, np.uint8), 0
    for s, l in zip(map(int, words[::2]), map(int, words[1::2])):
        if s < 1 or l < 1 or s-1 < end or s-1+l > n: raise ValueError
        mask[s-1:s-1+l], end = 1, s-1+l
    return mask


@kind('rle', 5000, 'strings of run lengths', 'a loop over the words')
def rle(rng, tmp):
    from severstal_nb.rle import rle_decode
    h, w = rng.randint(1, 9), rng.randint(1, 9)
    cuts = sorted(rng.sample(range(1, h*w+2), min(h*w, 2*rng.randint(0, 5))//2*2))
    words = [t for s, e in zip(cuts[::2], cuts[1::2]) for t in (str(s), str(e-s))]
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(words)+1)
        words[at:at+rng.randint(0, 1)] = [rng.choice(('0', '-1', '1', '7', '007', '1.0', '1e3', 'x', '', '９', '+3', '9'*30, '1_0', '\0', str(h*w), str(h*w+1)))]
    text = rng.choice((' ', ' ', ' ', '  ', '\t', '\n', ',')).join(words)
    if rng.random() < .2: text = damage(rng, text.encode()).decode('latin-1')
    want = reference(naive_rle, text, h*w)
    got = rle_decode(text, (h, w))
    if want is None or not np.array_equal(got.ravel(order='F'), want): raise Wrong(f'{text!r} in {h}×{w}')
    return 'equal'


def naive_counts(counts, n):
    "Column-major pixels of COCO's counts: a list, or the packed string."
    if isinstance(counts, str):
        out, value, shift, more = [], 0, 0, False
        for ch in counts:
            c = ord(ch)-48
            if not 0 <= c < 64: raise ValueError
            value |= (c & 31) << shift
            shift += 5
            more = bool(c & 32)
            if not more:
                if c & 16: value |= -1 << shift
                out.append(value + (out[-2] if len(out) > 2 else 0))
                value = shift = 0
        if more: raise ValueError
        counts = out
    if not isinstance(counts, list) or any(type(c) is not int or c < 0 for c in counts) or sum(counts) != n: raise ValueError
    return np.concatenate([np.zeros(0, np.uint8), *(np.full(c, j%2, np.uint8) for j, c in enumerate(counts))])


def coco_file(anns):
    "The content of a COCO file for the two images."
    return dict(info={}, images=[dict(id=i+1, file_name=f'{n}.png', height=H, width=W) for i, n in enumerate('ab')],
                categories=[dict(id=1, name='dent'), dict(id=2, name='rust')], annotations=anns)


def some_mask(rng):
    g = np.random.default_rng(rng.getrandbits(32))
    return cv2.resize((g.random((5, 6)) < .4).astype(np.uint8), (W, H), interpolation=cv2.INTER_NEAREST)


def counts_of(mask):
    "Uncompressed counts."
    flat = mask.ravel(order='F')
    edges = np.flatnonzero(np.diff(np.r_[0, flat])) if len(flat) else []
    return np.diff(np.r_[0, edges, len(flat)]).astype(int).tolist()


def packed(mask):
    from pycocotools import mask as m
    return m.encode(np.asfortranarray(mask))['counts'].decode()


@kind('counts', 2000, 'COCO run lengths, plain and packed', 'a loop over the characters', lambda tmp: two_images(tmp))
def counts(rng, tmp):
    from severstal_nb.readers import read_coco
    mask = some_mask(rng)
    c = mutate(rng, counts_of(mask)) if rng.random() < .5 else packed(mask)
    if isinstance(c, str) and rng.random() < .8: c = damage(rng, c.encode(), 2).decode('latin-1')
    (tmp/'x.json').write_text(json.dumps(coco_file([dict(image_id=1, category_id=1, segmentation=dict(size=[H, W], counts=c))])))
    want = reference(naive_counts, c, H*W)
    data = read_coco(tmp)
    return said(data, masks_of(data), None if want is None else as_masks({'a.png': dict(dent=np.ascontiguousarray(want.reshape(W, H).T)), 'b.png': {}}))


@kind('polygons', 2000, 'polygons, also crossing and past the edge', 'pycocotools')
def polygons(rng, tmp):
    from pycocotools import mask as m
    from severstal_nb.formats.coco import polygon_runs
    from severstal_nb.rle import fill_runs
    h, w = rng.randint(1, 70), rng.randint(1, 90)
    xy = [rng.choice((rng.uniform(-.2, 1.2), rng.random(), 0, 1, .5))*(w, h)[j%2] for j in range(2*rng.randint(1, 9))]
    if rng.random() < .5: xy = [round(v) for v in xy]
    if rng.random() < .1: xy[rng.randrange(len(xy))] = rng.choice((float('nan'), float('inf'), 1e30, -1e6, 'x', None))
    got = fill_runs(*polygon_runs(xy, h, w), (h, w))
    want = m.decode(m.merge(m.frPyObjects([xy], h, w)))
    if not np.array_equal(got, want): raise Wrong(f'{int((got != want).sum())} pixels of {xy}')
    return 'equal'


# ---- tables

def kaggle_folder(tmp): two_images(tmp/'train_images')


def naive_table(text, classes):
    "({image: {class: mask}}, rows that cannot be read) of a table with commas."
    lines = [l for l in text.split('\n') if l.strip(' ,;\t\r\0')]
    found, lost = {'a.png': {}, 'b.png': {}}, 0
    for line in lines[1:]:
        fields = [f.strip() for f in next(csv.reader([line]))] if '"' in line else [f.strip() for f in line.split(',')]
        try:
            name, k, text = fields
            m = naive_rle('' if text.lower() in ('nan', 'none', 'null', '0', '-1') else text, H*W)
            if name not in found or not re.fullmatch(r'[12](\.0*)?', k): raise ValueError
            k = classes[int(float(k))-1]
            if m.any() and k in found[name]: raise ValueError
            if m.any(): found[name][k] = m.reshape(W, H).T
        except ValueError: lost += bool(len(fields) != 3 or fields[2])
    return as_masks({n: {k: np.ascontiguousarray(m) for k, m in ms.items()} for n, ms in found.items()}), lost


@kind('kaggle', 2000, "Kaggle's table", 'the csv module and a loop', kaggle_folder)
def kaggle(rng, tmp):
    from severstal_nb.readers import read_kaggle
    from severstal_nb.rle import rle_encode
    rows = [[n, str(k), rle_encode(some_mask(rng))] for n in ('a.png', 'b.png') for k in (1, 2) if rng.random() < .7]
    for _ in range(rng.randint(0, 2)):
        if not rows: break
        r = rng.choice(rows)
        how = rng.randrange(4)
        if how == 0: r[rng.randrange(len(r))] = rng.choice(('', 'x', '0', '-1', '3', '1.0', '2.5', 'c.png', '1 1 1', '9999 9', '5 5', '"', '1,2', 'é', 'nan'))
        elif how == 1: rows.append(list(r))
        elif how == 2: r.append('x')
        else: r.pop()
        if not r: rows.remove(r)
    text = 'ImageId,ClassId,EncodedPixels\n' + ''.join(','.join(f'"{c}"' if ',' in c else c for c in r)+'\n' for r in rows)
    head, _, body = text.partition('\n')
    if rng.random() < .3 and body: text = head + '\n' + damage(rng, body.encode(), 2).decode('latin-1').replace('\r', '')
    (tmp/'train.csv').write_text(text, newline='')
    data = read_kaggle(tmp, classes=['dent', 'rust'])
    want, lost = naive_table(text, ['dent', 'rust'])
    return said(data, masks_of(data), want if len(data.problems) or not lost else None)


# ---- pictures

FORMATS = ('JPEG', 'PNG', 'BMP', 'TIFF', 'WEBP', 'PNG', 'JPEG')


@kind('images', 3000, 'JPEG, PNG, BMP, TIFF, WebP with damaged bytes', 'Pillow; OpenCV where damage in a BMP makes another mode of it')
def images(rng, tmp):
    from severstal_nb.core.images import image_size, read_image
    from severstal_nb.readers import check_images, read_images
    color = rng.choice(('grey', 'rgb'))
    g = np.random.default_rng(rng.getrandbits(32))
    a = cv2.resize(g.integers(0, 255, (4, 5, 3), dtype=np.uint8), (W, H), interpolation=cv2.INTER_LINEAR)
    im, form, raw = Image.fromarray(a if color == 'rgb' else np.ascontiguousarray(a[..., 0])), rng.choice(FORMATS), io.BytesIO()
    im.save(raw, form, **(dict(quality=95) if form in ('JPEG', 'WEBP') else {}))
    path = tmp/f'x.{form.lower()}'
    path.write_bytes(raw.getvalue())
    sound = read_image(path, color)
    def by_pillow(b):
        try:
            with Image.open(io.BytesIO(b)) as o:
                if o.mode not in ('L', 'RGB'): return cv2.imdecode(np.frombuffer(b, np.uint8), color == 'rgb')[::, ::, ::-1].astype(int) if color == 'rgb' else cv2.imdecode(np.frombuffer(b, np.uint8), 0).astype(int)
                return np.asarray(o.convert('RGB' if color == 'rgb' else 'L')).astype(int)
        except Exception: return None                                          # it raises nearly anything
    broken = damage(rng, raw.getvalue(), 3)
    path.write_bytes(broken)
    size, got = image_size(path), read_image(path, color)
    if size != got.shape[:2]: raise Wrong(f'{form}: size {size} by the header, {got.shape[:2]} decoded')
    if got.shape == sound.shape and np.array_equal(got, sound): return 'equal'
    if len(check_images(read_images([path], color=color))): return 'refused'   # damage that only the decoder's words tell
    want = by_pillow(broken)
    if want is None: raise Wrong(f'{form} {color}: pixels changed, Pillow refuses it')
    if want.shape != got.shape: raise Wrong(f'{form} {color}: {got.shape}, by Pillow {want.shape}')
    far = np.abs(want-got).mean()
    if far > 4: raise Wrong(f'{form} {color}: {far:.1f} grey levels from what Pillow reads')
    return 'equal'


def mask_folder(tmp): two_images(tmp/'images'); (tmp/'masks').mkdir()


@kind('masks', 1500, 'index masks: odd values, sizes, modes and bytes', 'Pillow', mask_folder)
def masks(rng, tmp):
    from severstal_nb.readers import read_masks
    files = {}
    for n in 'ab':
        a = some_mask(rng) + some_mask(rng)
        for _ in range(rng.choice((0, 0, 1))): a[rng.randrange(H), rng.randrange(W)] = rng.choice((3, 128, 255))
        if rng.random() < .05: a = a[:, :-1]
        im, raw = Image.fromarray(a), io.BytesIO()
        mode = rng.randrange(8)
        if mode == 0: im.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        elif mode == 1: im = Image.fromarray(a.astype(np.uint16))
        elif mode == 2: im = Image.fromarray(np.repeat(a[..., None], 3, 2))
        elif mode == 3: im = Image.fromarray(a + np.float32(.25*(rng.random() < .5)))
        im.save(raw, 'TIFF' if im.mode == 'F' else 'PNG')
        files[n] = raw.getvalue() if rng.random() < .7 else damage(rng, raw.getvalue(), 2)
        for old in (tmp/'masks').glob(f'{n}.*'): old.unlink()
        (tmp/f"masks/{n}.{'tif' if im.mode == 'F' else 'png'}").write_bytes(files[n])
    def naive():
        found = {}
        for n in 'ab':
            with Image.open(io.BytesIO(files[n])) as im: a = np.asarray(im)
            if a.ndim == 3 and a.shape[2] == 3 and (a == a[..., :1]).all(): a = a[..., 0]
            if a.shape != (H, W) or not np.isin(a, (0, 1, 2)).all(): raise ValueError
            found[f'{n}.png'] = {c: np.ascontiguousarray(a == k) for k, c in enumerate(('dent', 'rust'), 1)}
        return as_masks(found)
    data = read_masks(tmp/'images', tmp/'masks', classes=['dent', 'rust'])
    return said(data, masks_of(data), reference(naive))


# ---- annotation files

def naive_coco(raw):
    "Masks of a COCO file, by pycocotools and loops; every doubt is an error."
    from pycocotools import mask as m
    got = json.loads(raw)
    number = lambda v: isinstance(v, (int, float)) and math.isfinite(v)
    names = {}
    for c in got['categories']:
        if c['id'] in names or not isinstance(c['id'], (int, str)): raise ValueError
        names[c['id']] = str(c.get('name'))
    files, sizes = {}, {}
    for o in got['images']:
        n = o['file_name']
        if n not in ('a.png', 'b.png') or files.get(o['id'], n) != n or n in files.values() and o['id'] not in files: raise ValueError
        if (o.get('height') or o.get('width')) and (o.get('height'), o.get('width')) != (H, W): raise ValueError
        files[o['id']] = n
    found = {n: {} for n in files.values()}
    for a in got['annotations']:
        seg, into, name = a.get('segmentation'), found[files[a['image_id']]], names[a['category_id']]
        if isinstance(seg, dict):
            if seg['size'] != [H, W]: raise ValueError
            mask = naive_counts(seg['counts'], H*W).reshape(W, H).T
        else:
            seg = [seg] if not isinstance(seg[0], list) else seg
            if any(len(p) < 6 or len(p)%2 or not all(map(number, p)) or max(map(abs, p)) > 1e4 for p in seg): raise ValueError
            mask = m.decode(m.merge(m.frPyObjects([[float(v) for v in p] for p in seg], H, W)))
        if not mask.any(): raise ValueError
        into[name] = into.get(name, 0) | mask
    return as_masks({n: {c: np.ascontiguousarray(v) for c, v in ms.items()} for n, ms in found.items()})


def some_points(rng):
    x, y, r = rng.randint(5, W-5), rng.randint(5, H-5), rng.randint(2, 6)
    return [v for t in sorted(rng.uniform(0, 6.28) for _ in range(rng.randint(3, 6))) for v in (round(x+r*math.cos(t), 1), round(y+r*math.sin(t), 1))]


@kind('coco', 2000, 'COCO files: values replaced, left out, doubled; bytes', 'json, pycocotools', lambda tmp: two_images(tmp))
def coco(rng, tmp):
    from severstal_nb.readers import read_coco
    anns = [dict(id=j, image_id=rng.randint(1, 2), category_id=rng.randint(1, 2), iscrowd=0,
                 segmentation=rng.choice((lambda: [some_points(rng)], lambda: dict(size=[H, W], counts=counts_of(some_mask(rng))),
                                          lambda: dict(size=[H, W], counts=packed(some_mask(rng)))))()) for j in range(rng.randint(1, 4))]
    raw = json.dumps(mutate(rng, coco_file(anns))).encode()
    if rng.random() < .2: raw = damage(rng, raw)
    (tmp/'x.json').write_bytes(raw)
    data = read_coco(tmp)
    return said(data, masks_of(data), reference(naive_coco, raw))


def yolo_folder(tmp):
    two_images(tmp/'images')
    (tmp/'labels').mkdir()
    (tmp/'data.yaml').write_text('names: [dent, rust]\n')


def naive_yolo(texts):
    "Masks of polygons, filled by OpenCV."
    found = {}
    for n, text in texts.items():
        into = found[f'{n}.png'] = {}
        for line in text.splitlines():
            if not line.split(): continue
            k, *v = line.split()
            if k not in ('0', '1', '00', '01') and not re.fullmatch('0*[01]', k): raise ValueError
            xy = np.array([float(t) for t in v])
            if len(xy) < 6 or len(xy)%2 or not np.isfinite(xy).all() or xy.min() < -.001 or xy.max() > 1.001: raise ValueError
            mask = np.zeros((H, W), np.uint8)
            cv2.fillPoly(mask, [np.clip(np.round(xy.reshape(-1, 2)*(W, H)), 0, (W-1, H-1)).astype(np.int32)], 1)
            name = ('dent', 'rust')[int(k)]
            into[name] = into.get(name, 0) | mask
    return as_masks(found)


@kind('yolo', 1500, 'YOLO label files', 'a loop over the lines, OpenCV', yolo_folder)
def yolo(rng, tmp):
    from severstal_nb.readers import read_yolo
    texts = {}
    for n in 'ab':
        lines = [[str(rng.randint(0, 1)), *(f'{min(1, max(0, v/(W, H)[j%2])):.6f}' for j, v in enumerate(some_points(rng)))] for _ in range(rng.randint(0, 3))]
        for _ in range(rng.choice((0, 0, 1))):
            if not lines: break
            l = rng.choice(lines)
            at = rng.randrange(len(l))
            l[at:at+rng.randint(0, 1)] = [rng.choice(('', 'x', '-1', '2', '1e9', 'nan', 'inf', '0', '1', '1.0', '0x1', '١', '0.5', '-0.0'))]
        text = '\n'.join(' '.join(l) for l in lines) + '\n'*rng.randint(0, 1)
        texts[n] = damage(rng, text.encode(), 2).decode('utf-8', 'replace') if rng.random() < .2 else text
        (tmp/f'labels/{n}.txt').write_bytes(texts[n].encode())
    data = read_yolo(tmp)
    return said(data, masks_of(data), reference(naive_yolo, texts))


def naive_voc(raws):
    "Labels of boxes, by minidom."
    found = {}
    for n, raw in raws.items():
        doc = minidom.parseString(raw).documentElement
        child = lambda o, t: next(c for c in o.childNodes if c.nodeName == t)
        text = lambda o: o.firstChild.data if o.firstChild is not None else ''
        if doc.tagName != 'annotation': raise ValueError
        labels = set()
        try: size = child(doc, 'size'); size = float(text(child(size, 'height'))), float(text(child(size, 'width')))
        except (StopIteration, ValueError): size = None
        if size and all(size) and size != (H, W): raise ValueError
        for o in (c for c in doc.childNodes if c.nodeName == 'object'):
            try: x0, y0, x1, y1 = (float(text(child(child(o, 'bndbox'), t))) for t in ('xmin', 'ymin', 'xmax', 'ymax'))
            except StopIteration: raise ValueError
            if not all(map(math.isfinite, (x0, y0, x1, y1))) or x1 < x0 or y1 < y0 or x1 <= 0 or y1 <= 0 or x0 > W or y0 > H: raise ValueError
            try: labels.add(text(child(o, 'name')).strip())
            except StopIteration: raise ValueError
        if labels - {'dent', 'rust'}: raise ValueError
        found[f'{n}.png'] = labels
    return found


@kind('voc', 1500, 'VOC files', 'minidom', lambda tmp: two_images(tmp))
def voc(rng, tmp):
    from severstal_nb.readers import read_voc
    raws = {}
    for n in 'ab':
        objects = ''
        for _ in range(rng.randint(0, 2) or n == 'a'):
            x, y = rng.randint(1, W-3), rng.randint(1, H-3)
            v = [rng.choice(('dent', 'rust')), x, y, rng.randint(x, W), rng.randint(y, H)]
            if rng.random() < .2: v[rng.randrange(5)] = rng.choice(('', 'x', -5, 0, 99, '1e9', 'nan', ' 7 ', '7.5', 'dent', '&lt;'))
            objects += '<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>'.format(*v)
        raw = f'<annotation><filename>{n}.png</filename><size><width>{W}</width><height>{H}</height></size>{objects}</annotation>'.encode()
        raws[n] = damage(rng, raw, 2) if rng.random() < .3 else raw
        (tmp/f'{n}.xml').write_bytes(raws[n])
    data = read_voc(tmp, classes=['dent', 'rust'])
    got = {n: {c for c, on in zip(data.classes, row) if on} for n, row in zip(data.images['image_id'], data.labels)}
    try: want = naive_voc(raws)
    except Exception: want = None                                              # expat's own errors are of many kinds
    boxes = [r for r in data.problems.reason if 'boxes are taken as' in r]
    if got != want and len(boxes) == len(data.problems): raise Wrong(f'{got} read, {want} expected')
    return 'equal' if got == want else 'refused'


def naive_labelme(raws):
    "Masks of polygons and rectangles, drawn by Pillow."
    found = {}
    for n, raw in raws.items():
        got = json.loads(raw)
        if got.get('imageHeight') and got.get('imageWidth') and (got['imageHeight'], got['imageWidth']) != (H, W): raise ValueError
        into = found[f'{n}.png'] = {}
        for o in got['shapes']:
            xy = [(float(x), float(y)) for x, y in o['points']]
            if not all(math.isfinite(v) and abs(v) < 1e3 for p in xy for v in p): raise ValueError
            im = Image.new('L', (W, H))
            kind = o.get('shape_type') or 'polygon'
            if kind == 'polygon' and len(xy) > 2: ImageDraw.Draw(im).polygon(xy, outline=1, fill=1)
            elif kind == 'rectangle' and len(xy) == 2:
                ImageDraw.Draw(im).rectangle([min(xy[0][0], xy[1][0]), min(xy[0][1], xy[1][1]), max(xy[0][0], xy[1][0]), max(xy[0][1], xy[1][1])], outline=1, fill=1)
            else: raise ValueError
            m, name = np.asarray(im), str(o.get('label'))
            if name not in ('dent', 'rust') or not m.any(): raise ValueError
            into[name] = into.get(name, 0) | m
    return as_masks(found)


@kind('labelme', 1500, 'labelme files', 'json, Pillow', lambda tmp: two_images(tmp))
def labelme(rng, tmp):
    from severstal_nb.readers import read_labelme
    raws = {}
    for n in 'ab':
        shapes = []
        for _ in range(rng.randint(0, 3) or n == 'a'):
            p = some_points(rng)
            pairs = [[p[j], p[j+1]] for j in range(0, len(p), 2)]
            shapes.append(dict(label=rng.choice(('dent', 'rust')), shape_type='polygon', points=pairs) if rng.random() < .6 else
                          dict(label=rng.choice(('dent', 'rust')), shape_type='rectangle', points=pairs[:2]))
        o = dict(version='5.0', imagePath=f'{n}.png', imageHeight=H, imageWidth=W, shapes=shapes)
        raw = json.dumps(mutate(rng, o, 1)).encode()
        raws[n] = damage(rng, raw, 2) if rng.random() < .15 else raw
        (tmp/f'{n}.json').write_bytes(raws[n])
    data = read_labelme(tmp, classes=['dent', 'rust'])
    return said(data, masks_of(data), reference(naive_labelme, raws))


def supervisely_folder(tmp):
    two_images(tmp/'img')
    (tmp/'ann').mkdir()


def naive_supervisely(raws):
    "Masks of bitmaps."
    found = {}
    for n, raw in raws.items():
        got = json.loads(raw)
        size = got.get('size')
        if size and (size['height'], size['width']) != (H, W): raise ValueError
        into = found[f'{n}.png'] = {}
        for o in got['objects']:
            b = o['bitmap']
            with Image.open(io.BytesIO(zlib.decompress(base64.b64decode(b['data'])))) as im: a = np.asarray(im)
            if a.ndim != 2: raise ValueError
            x, y = b['origin']
            if not isinstance(x, int) or not isinstance(y, int) or x < 0 or y < 0 or x+a.shape[1] > W or y+a.shape[0] > H: raise ValueError
            m = np.zeros((H, W), np.uint8)
            m[y:y+a.shape[0], x:x+a.shape[1]] = a > 0
            name = o['classTitle']
            if name not in ('dent', 'rust'): raise ValueError
            into[name] = into.get(name, 0) | m
    return as_masks(found)


@kind('supervisely', 800, 'Supervisely files', 'json, zlib, Pillow', supervisely_folder)
def supervisely(rng, tmp):
    from severstal_nb.readers import read_supervisely
    raws = {}
    for n in 'ab':
        objects = []
        for _ in range(rng.randint(0, 2) or n == 'a'):
            png = io.BytesIO()
            Image.fromarray(some_mask(rng)[:rng.randint(4, H), :rng.randint(4, W)] > 0).save(png, 'PNG')
            data = base64.b64encode(zlib.compress(png.getvalue())).decode()
            objects.append(dict(classTitle=rng.choice(('dent', 'rust')), geometryType='bitmap', bitmap=dict(data=data, origin=[0, 0])))
        raw = json.dumps(mutate(rng, dict(size=dict(height=H, width=W), objects=objects), 1)).encode()
        raws[n] = damage(rng, raw, 1) if rng.random() < .15 else raw
        (tmp/f'ann/{n}.png.json').write_bytes(raws[n])
    data = read_supervisely(tmp, classes=['dent', 'rust'])
    return said(data, masks_of(data), reference(naive_supervisely, raws))


@kind('data_yaml', 500, "YOLO's data.yaml", 'yaml.safe_load')
def data_yaml(rng, tmp):
    from severstal_nb.formats.yolo import yolo_config
    o = dict(path='.', train='images/train', val=['a', 'b'], nc=2, names=rng.choice((['dent', 'rust'], {0: 'dent', 1: 'rust'})))
    raw = yaml.safe_dump(mutate(rng, o)).encode()
    if rng.random() < .4: raw = damage(rng, raw)
    names = yolo_config(raw)[0]
    want = yaml.safe_load(raw)['names']
    want = want if isinstance(want, list) else [v for _, v in sorted((int(k), v) for k, v in want.items())]
    if names != [str(v) for v in want]: raise Wrong(f'{names} from {raw!r}')
    return 'equal'


# ---- folders and archives

CONTAINERS = {'images', 'image', 'img', 'masks', 'mask', 'labels', 'label', 'annotations', 'ann', 'ground_truth', 'train', 'valid', 'val', 'test', 'data', 'zips'}


def make_layout(rng, root):
    "A small public layout; gives {image stem: classes}, and whether clean images are certain."
    which = rng.choice(('folders', 'split folders', 'coco', 'yolo', 'voc', 'labelme', 'supervisely', 'kaggle', 'masks', 'mvtec', 'kolektor'))
    pic = lambda p: (p.parent.mkdir(parents=True, exist_ok=True), Image.fromarray(np.random.default_rng(rng.getrandbits(32)).integers(0, 255, (H, W), dtype=np.uint8)).save(p))
    mask = lambda p, on, v=255: (p.parent.mkdir(parents=True, exist_ok=True), Image.fromarray(np.pad(np.full((4, 5), v*on, np.uint8), ((3, H-7), (4, W-9)))).save(p))
    truth = {}
    if which in ('folders', 'split folders'):
        for part in ('train', 'test') if which == 'split folders' else ('.',):
            for c in ('dent', 'rust'):
                for j in range(2): pic(root/part/c/f'{part[-2:]}{c}{j}.png'); truth[f'{part[-2:]}{c}{j}'] = {c}
        return which, truth
    names = ['a', 'b', 'c']
    of = {n: {rng.choice(('dent', 'rust'))} for n in names[:2]} | {'c': set()}
    square = [4, 3, 9, 3, 9, 7, 4, 7]
    if which == 'coco':
        for n in names: pic(root/'images'/f'{n}.png')
        o = coco_file([dict(id=j, image_id=names.index(n)+1, category_id=1+(c == 'rust'), segmentation=[square]) for j, n in enumerate(names) for c in of[n]])
        o['images'] = [dict(id=j+1, file_name=f'{n}.png', height=H, width=W) for j, n in enumerate(names)]
        (root/'annotations').mkdir()
        (root/'annotations'/'instances.json').write_text(json.dumps(o))
    elif which == 'yolo':
        (root/'labels').mkdir(parents=True)
        for n in names:
            pic(root/'images'/f'{n}.png')
            (root/'labels'/f'{n}.txt').write_text(''.join(f"{int(c == 'rust')} .2 .2 .5 .2 .5 .5\n" for c in of[n]))
        (root/'data.yaml').write_text('names: [dent, rust]\n')
    elif which == 'voc':
        (root/'Annotations').mkdir(parents=True)
        for n in names:
            pic(root/'JPEGImages'/f'{n}.png')
            box = ''.join(f'<object><name>{c}</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>' for c in of[n])
            (root/'Annotations'/f'{n}.xml').write_text(f'<annotation><filename>{n}.png</filename>{box}</annotation>')
    elif which == 'labelme':
        for n in names:
            pic(root/f'{n}.png')
            (root/f'{n}.json').write_text(json.dumps(dict(version='5', imagePath=f'{n}.png', shapes=[dict(label=c, points=[[4, 3], [9, 3], [9, 7]]) for c in of[n]])))
    elif which == 'supervisely':
        (root/'ann').mkdir(parents=True)
        png = io.BytesIO()
        Image.fromarray(np.ones((4, 5), bool)).save(png, 'PNG')
        data = base64.b64encode(zlib.compress(png.getvalue())).decode()
        for n in names:
            pic(root/'img'/f'{n}.png')
            (root/'ann'/f'{n}.png.json').write_text(json.dumps(dict(objects=[dict(classTitle=c, geometryType='bitmap', bitmap=dict(data=data, origin=[2, 2])) for c in of[n]])))
    elif which == 'kaggle':
        for n in names: pic(root/'train_images'/f'{n}.png')
        (root/'train.csv').write_text('ImageId,ClassId,EncodedPixels\n' + ''.join(f"{n}.png,{1+(c == 'rust')},3 4\n" for n in names for c in of[n]))
        of = {n: {dict(dent='1', rust='2')[c] for c in cs} for n, cs in of.items()}
    elif which == 'masks':
        for n in names:
            pic(root/'images'/f'{n}.png')
            mask(root/'masks'/f'{n}.png', bool(of[n]), 1+('rust' in of[n]))
        of = {n: {dict(dent='1', rust='2')[c] for c in cs} for n, cs in of.items()}
    elif which == 'mvtec':
        for j in range(2): pic(root/'train'/'good'/f'g{j}.png')
        for n in names:
            c = next(iter(of[n]), 'good')
            pic(root/'test'/c/f'{n}.png')
            if of[n]: mask(root/'ground_truth'/c/f'{n}_mask.png', 1)
        of |= {'g0': set(), 'g1': set()}
    else:
        for n in names:
            pic(root/'train'/f'{n}.png')
            mask(root/'train'/f'{n}_GT.png', bool(of[n]))
        of = {n: cs and {'*'} for n, cs in of.items()}
    return which, of


@kind('layouts', 600, 'eleven layouts of folders: wrapped, with stray files, parts missing or renamed', 'how they were made')
def layouts(rng, tmp):
    from severstal_nb.readers import read_data
    root = tmp/'x'
    shutil.rmtree(root, ignore_errors=True)
    inner = root
    for _ in range(rng.choice((0, 0, 1))): inner = inner/rng.choice(('steel', 'data', 'train_set', 'images'))
    inner.mkdir(parents=True)
    which, truth = make_layout(rng, inner)
    for _ in range(rng.choice((0, 0, 1, 2))):
        f = root/rng.choice(('README.md', '.DS_Store', 'Thumbs.db', '__MACOSX/._a.png', 'empty/', 'LICENSE.txt', 'notes.csv'))
        if f.name == 'empty': f.mkdir(exist_ok=True)
        else: f.parent.mkdir(exist_ok=True), f.write_text('x')
    if harmed := rng.random() < .4:
        f = rng.choice(sorted(p for p in inner.rglob('*') if p.is_file()))
        f.unlink() if rng.random() < .5 and f.name not in ('train.csv', 'data.yaml') else f.write_bytes(damage(rng, f.read_bytes(), 2))
    data = read_data(root)
    if bad := CONTAINERS & {c.lower() for c in data.classes}: raise Wrong(f'{which}: a folder is taken as class {sorted(bad)}')
    got = {Path(n).stem: {c for c, on in zip(data.classes, row) if on} for n, row in zip(data.images['image_id'], data.labels)}
    if which == 'kolektor' or which == 'masks' and data.K == 1: got, truth = ({n: cs and {'*'} for n, cs in o.items()} for o in (got, truth))
    if which in ('mvtec', 'folders', 'split folders'): got = {n: cs - {'good'} for n, cs in got.items()}
    if data.task == 'unlabelled': raise Wrong(f'{which}: read as images without labels')
    if got == truth: return 'equal'
    notes = len(data.problems) - sum('boxes are taken as' in r for r in data.problems.reason)
    if notes or harmed and set(got) <= set(truth) and all(got[n] == truth[n] for n in got): return 'refused'
    raise Wrong(f"{which}{' harmed' if harmed else ''}: {str(got)[:100]} read, {str(truth)[:100]} expected")


def zip_base(tmp):
    two_images(tmp/'base'/'train_images')
    (tmp/'base'/'train.csv').write_text('ImageId,ClassId,EncodedPixels\na.png,1,3 4 30 9\nb.png,2,1 600\n')
    for n, how in (('stored', zipfile.ZIP_STORED), ('packed', zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(tmp/f'{n}.zip', 'w', how) as z:
            for f in sorted((tmp/'base').rglob('*.*')): z.write(f, f.relative_to(tmp/'base').as_posix())


@kind('zips', 600, 'zip archives with damaged bytes', 'the zipfile module and its checksums', zip_base)
def zips(rng, tmp):
    from severstal_nb.readers import read_kaggle
    path = tmp/f'x{rng.getrandbits(60)}.zip'
    path.write_bytes(damage(rng, (tmp/rng.choice(('stored.zip', 'packed.zip'))).read_bytes(), 2))
    def naive():
        with zipfile.ZipFile(path) as z:
            if z.testzip() or sorted(z.namelist()) != ['train.csv', 'train_images/a.png', 'train_images/b.png']: raise ValueError
            want, lost = naive_table(z.read('train.csv').decode(), list('1234'))
            if lost: raise ValueError
            return want, [cv2.imdecode(np.frombuffer(z.read(f'train_images/{n}.png'), np.uint8), 0).tobytes() for n in 'ab']
    try:
        data = read_kaggle(path)
        return said(data, (masks_of(data), [data.image(i).tobytes() for i in range(len(data))]), reference(naive))
    finally: path.unlink()


# ---- files of models and runs

def weights_base(tmp):
    import torch
    from safetensors.torch import save_file
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 2, 1))
    save_file(net.state_dict(), tmp/'sound.safetensors')
    torch.save(net.state_dict(), tmp/'sound.pt')


def naive_safetensors(raw):
    "{name: bytes} of a safetensors file by its header; NaN or infinity in a float is an error."
    n, = struct.unpack('<Q', raw[:8])
    head, body, out = json.loads(raw[8:8+n]), raw[8+n:], {}
    for k, o in head.items():
        if k == '__metadata__': continue
        a, b = o['data_offsets']
        out[k] = body[a:b]
        if o['dtype'] == 'F32' and not np.isfinite(np.frombuffer(out[k], np.float32)).all(): raise ValueError
    return out


@kind('weights', 600, 'safetensors and .pt files of weights', 'the header by struct and json; the checksums of the zip', weights_base)
def weights(rng, tmp):
    import torch
    from severstal_nb.nets.weights import load_tensors
    end = rng.choice(('.safetensors', '.pt'))
    raw = (tmp/f'sound{end}').read_bytes()
    n = struct.unpack('<Q', raw[:8])[0]+8 if end == '.safetensors' and rng.random() < .5 else len(raw)   # often in the header
    raw = damage(rng, raw[:n], 2) + raw[n:]
    (tmp/f'x{end}').write_bytes(raw)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 2, 1))
    r = load_tensors(net, tmp/f'x{end}')
    if r.missing or getattr(r, 'bad', None) or r.unused: return 'refused'      # said in the report
    got = {k: v.numpy().tobytes() for k, v in net.state_dict().items()}
    if end == '.safetensors': want = reference(naive_safetensors, raw)
    else:
        sound = torch.load(tmp/'sound.pt')
        want = {k: v.numpy().tobytes() for k, v in sound.items()}
    if got != want: raise Wrong(f'{end}: ' + ('the reference refuses it' if want is None else 'other numbers than in the file'))
    return 'equal'


RUN = tempfile.TemporaryDirectory()


def run_base(tmp):
    "A finished run of a tiny net, trained once."
    if not (sound := Path(RUN.name)/'sound').exists(): train_run(Path(RUN.name))
    shutil.copytree(sound, tmp/'sound')


def train_run(tmp):
    from kills import SEG
    from severstal_nb.experiment import train
    from severstal_nb.runs.config import load_config
    train(load_config('demo', overrides={**SEG, 'training.num_epochs': 1, 'run.root': str(tmp/'runs'), 'training.device': 'cpu'}), verbose=False)
    next((tmp/'runs').glob('*/run.json')).parent.rename(tmp/'sound')


def copy_of_run(tmp):
    shutil.rmtree(tmp/'x', ignore_errors=True)
    shutil.copytree(tmp/'sound', tmp/'x', copy_function=os.link)                # links: only what is damaged is written anew
    return tmp/'x'


def rewrite(path, raw):
    path.unlink()
    path.write_bytes(raw)


@kind('run_files', 600, 'run.json, config.yaml, results.json, thresholds.json, history.csv of a run', 'json, yaml, csv', run_base)
def run_files(rng, tmp):
    from severstal_nb.runs.folder import load_run
    x = copy_of_run(tmp)
    path = rng.choice(sorted(p for p in x.rglob('*') if p.suffix in ('.json', '.yaml', '.csv') and 'oof' not in p.as_posix()))
    raw = path.read_bytes()
    if path.suffix == '.csv' or rng.random() < .4: raw = damage(rng, raw)
    else:
        load, dump = (json.loads, json.dumps) if path.suffix == '.json' else (yaml.safe_load, yaml.safe_dump)
        raw = dump(mutate(rng, load(raw))).encode()
    rewrite(path, raw)
    run = load_run(x)
    got = dict(info=run.info, config=run.config, results=run.results, thresholds=run.thresholds)
    for k in run.folds: run.history(k)
    if path.parent == x and path.name in ('config.yaml', 'results.json'):
        key = path.stem
        want = json.loads(raw) if path.suffix == '.json' else yaml.safe_load(raw)
        if json.dumps(got[key], sort_keys=True, default=str) != json.dumps(want, sort_keys=True, default=str): raise Wrong(f'{path.name} read otherwise')
    return 'equal'


@kind('models', 250, 'model files of a run', 'the header by struct and json', run_base)
def models(rng, tmp):
    from severstal_nb.runs.folder import load_run
    x = copy_of_run(tmp)
    path = x/'fold_0'/'best_model.safetensors'
    raw = path.read_bytes()
    n = struct.unpack('<Q', raw[:8])[0]+8 if rng.random() < .6 else len(raw)
    raw = damage(rng, raw[:n], 2) + raw[n:]
    rewrite(path, raw)
    model = load_run(x).model(0)
    want = reference(naive_safetensors, raw)
    got = {k: v.numpy().tobytes() for k, v in model.net.state_dict().items()}
    if got != want: raise Wrong('the reference refuses it' if want is None else 'other numbers than in the file')
    return 'equal'


@kind('checkpoints', 250, 'checkpoints', 'the sound checkpoint', run_base)
def checkpoints(rng, tmp):
    import torch
    from severstal_nb.learn.checkpoints import load_checkpoint
    x = copy_of_run(tmp)
    path = next(x.rglob('*.pt'))
    sound = path.read_bytes()
    rewrite(path, damage(rng, sound, 2))
    got, want = load_checkpoint(path), torch.load(io.BytesIO(sound), weights_only=True)
    same = lambda a, b: a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    if not same(got['model'], want['model']) or str(got['state']) != str(want['state']): raise Wrong('other contents than were saved')
    return 'equal'


@kind('stores', 300, 'stores of probabilities', 'the sound store', run_base)
def stores(rng, tmp):
    from severstal_nb.ensembling import OOFStore
    x = copy_of_run(tmp)
    root = next(p for p in sorted(x.rglob('zarr.json')) if (p.parent/'journal.bin').exists()).parent
    sound = OOFStore(tmp/'sound'/root.relative_to(x))
    want = [sound[i].tobytes() for i in range(len(sound))], sound.ids, sound.fold.tolist(), sound.classes
    path = rng.choice(sorted(p for p in root.rglob('*') if p.is_file()))
    raw = path.read_bytes()
    if path.suffix == '.json' and rng.random() < .6: raw = json.dumps(mutate(rng, json.loads(raw), 1)).encode()
    else: raw = damage(rng, raw, 2)
    if rng.random() < .1: path.unlink()
    else: rewrite(path, raw)
    got = OOFStore(root)
    if ([got[i].tobytes() for i in range(len(got))], got.ids, got.fold.tolist(), got.classes) != want: raise Wrong(f'{path.name}: other contents than were saved')
    return 'equal'


@kind('configs', 800, 'config files', 'yaml.safe_load')
def configs(rng, tmp):
    from severstal_nb.runs.config import load_config
    from severstal_nb.runs.settings import flatten
    from dataclasses import asdict
    o = dict(preset=rng.choice(('demo', 'unet_baseline')), data=dict(num_folds=5, batch_size=4), training=dict(num_epochs=3, learning_rate=1e-3), model=dict(pretrained=False))
    raw = yaml.safe_dump(mutate(rng, o)).encode()
    if rng.random() < .4: raw = damage(rng, raw, 2)
    (tmp/'x.yaml').write_bytes(raw)
    cfg = load_config(file=tmp/'x.yaml')
    got, want = flatten(asdict(cfg)), flatten(yaml.safe_load(raw) or {})
    for k, v in want.items():
        if v is not None and k in got and got[k] != v and str(got[k]) != str(v) and not (isinstance(v, (int, float)) and got[k] == float(v)):
            raise Wrong(f'{k}={v!r} became {got[k]!r}')
    return 'equal'
