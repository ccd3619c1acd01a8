"""Hostile requests to the service, each answered right: with the status it deserves and one plain line, by a server that goes on.

    python benchmarks/fuzz_service.py                     more than 2,000 requests, some minutes
    python benchmarks/fuzz_service.py --mini              a few of each kind
    python benchmarks/fuzz_service.py --only head,image   kinds whose name begins so
    python benchmarks/fuzz_service.py --only query --case 17   one request, shown
    python benchmarks/fuzz_service.py --app               the pages of the app instead: another 2,000 requests

Requests go over raw sockets to two servers in this process: one asks for a token, and both have small limits. Each request is made by a seeded
random generator. An outcome is one of:
  right      a status that this kind of request deserves; an image or threshold that was accepted has the answer that `predict` gives
  wrong      another status, a wrong answer, an error that is not one line of JSON, or an answer without its headers
  leak       a traceback or a path of the server in an answer
  hang       no answer, and no closed connection, within 20 seconds
After every 25 requests a sound one is sent; it must be answered as at the beginning. Ends with exit code 1 if anything is not right. Results go to
benchmarks/results/fuzz_service.json (fuzz_app.json) and .md, or beside the file that --out names; --mini, --only and --case store nothing.
With --app the run's classes, the images and the points have hostile names too.
"""
from bootstrap import HERE # before anything heavy

import argparse, contextlib, dataclasses, io, json, logging, os, random, re, socket, struct, sys, tempfile, time, zlib
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
from PIL import Image

from severstal_nb.app import pages
from severstal_nb.app.pages import make_pages
from severstal_nb.app.server import Limits, running
from severstal_nb.app.service import make_service
from severstal_nb.core.files import atomic_path, markdown_table, write_json, write_table, write_yaml
from severstal_nb.core.images import ImageError, decode_image
from severstal_nb.decide.postprocess import Thresholds, postprocess
from severstal_nb.ensembling import OOFStore
from severstal_nb.models import create_model, save_model
from severstal_nb.rle import rle_encode
from severstal_nb.runs.build import open_data
from severstal_nb.runs.config import load_config
from severstal_nb.runs.folder import check_name
from service_run import tiny_predictor, tiny_run

TOKEN, KINDS, PAGES = 'a-token-for-fuzzing', {}, {} # of the service, of the app
LIMITS = Limits(max_bytes=60_000, max_pixels=300_000, seconds=1.)


def kind(n, app=False):
    "Decorator: a function (random generator, `Site`) → (request bytes, statuses that are right, what to check)."
    def add(f):
        (PAGES if app else KINDS)[f.__name__] = (f, n)
        return f
    return add


class Site:
    "The two servers, and what is sent to them."
    def __init__(self, url, locked, predictor):
        self.ports, self.predictor = [urlsplit(o).port for o in (url, locked)], predictor
        rng = np.random.default_rng(0)
        base = (rng.random((32, 96))*60 + 90).astype(np.uint8); base[8:20, 30:60] = 30
        self.image, self.files = base, {}
        for form, kw in dict(PNG={}, JPEG={}, BMP={}, TIFF={}, WEBP=dict(lossless=True)).items():
            with io.BytesIO() as f:
                Image.fromarray(base).save(f, form, **kw)
                self.files[form] = f.getvalue()
        self.png = self.files['PNG']


def request(method='POST', path='/api/images', body=b'', host='localhost', length=None, **headers):
    "The bytes of a request; a header that is None is left out."
    head = {'Host': host, 'Connection': 'close'} | {k.replace('_', '-'): v for k, v in headers.items()}
    if body or length is not None: head['Content-Length'] = len(body) if length is None else length
    lines = [f'{method} {path} HTTP/1.1', *(f'{k}: {v}' for k, v in head.items() if v is not None)]
    return '\r\n'.join(lines).encode('utf-8', 'surrogateescape') + b'\r\n\r\n' + body


def chunked(pieces, **kw):
    "A request whose body comes in chunks."
    return request(Transfer_Encoding='chunked', **kw) + b''.join(b'%x\r\n%s\r\n' % (len(o), o) for o in pieces) + b'0\r\n\r\n'


def png_of(raw, w, h, bits=8, colour=0):
    "A PNG whose head, with its checksum, claims this size."
    head = b'IHDR' + struct.pack('>IIBB', w, h, bits, colour) + raw[26:29]
    return raw[:12] + head + struct.pack('>I', zlib.crc32(head)) + raw[33:]


def damaged(rng, raw):
    "Bytes changed, cut, put in, taken out, or written twice."
    raw = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at, how = rng.randrange(len(raw)) if rng.random() < .5 else rng.randrange(min(len(raw), 80)), rng.randrange(6)
        if how == 0: raw[at] = rng.randrange(256)
        elif how == 1: raw[at] ^= 1 << rng.randrange(8)
        elif how == 2: del raw[at:at + rng.choice([1, 2, 4, 50])]
        elif how == 3: raw[at:at] = rng.randbytes(rng.choice([1, 4, 50]))
        elif how == 4: raw[at:at + 4] = rng.choice([b'\0\0\0\0', b'\xff\xff\xff\xff', struct.pack('>I', rng.randrange(1 << 17)), struct.pack('<I', rng.randrange(1 << 17))])
        elif rng.random() < .3: del raw[at:]
        if len(raw) < 4: raw += rng.randbytes(9)
    return bytes(raw)


class Answered:
    "Checks that an answer is what the predictor itself says."
    def __init__(self, raw=None, image=None, rules=None): self.raw, self.image, self.rules = raw, image, rules
    def expected(self, site):
        "None where the image is to be refused."
        image = self.image
        if image is None:
            try: image = decode_image(self.raw)
            except (ImageError, ValueError): return None
            except Exception: return None
        p, = site.predictor.stream([image])
        masks = postprocess(p.masks, self.rules or site.predictor.thresholds)
        return dict(height=image.shape[0], width=image.shape[1], rle=[rle_encode(m) for m in masks])
    def __call__(self, site, status, said):
        if status != 200: return '' # refusing more than `predict` does is allowed: formats, pixels
        want = self.expected(site)
        if want is None: return 'answered an image that predict refuses'
        got = dict(height=said['height'], width=said['width'], rle=[o['rle'] for o in said['classes']])
        return '' if got == want else f'another answer than predict: {str(got)[:120]}'


@kind(150)
def path(rng, site):
    "Traversal, null bytes, odd letters, long names."
    parts = ['..', '%2e%2e', '..%2f', '%00', '%c0%af', '..%5c', 'etc', 'passwd', 'api', 'images', 'info', '.git', 'config', '~', '%0d%0aX-A:%20b', ';', '%', '%zz', '\\', '//', '*',
             '%e2%80%ae', quote('Разлом'), 'a'*rng.choice([9, 900, 9000]), 'api/images/', 'static', 'severstal_nb', 'C:', '%252e%252e', '{x}', "'", '"', '<script>', '$(id)', '`id`']
    p = '/' + '/'.join(rng.choices(parts, k=rng.randrange(1, 7)))
    if p.split('?')[0] in ('/api/images', '/api/info', '/healthz', '/metrics'): p += 'x'
    return request(rng.choice(['GET', 'POST', 'HEAD', 'DELETE']), p, rng.choice([b'', site.png])), {404, 400}, None


@kind(120)
def method(rng, site):
    "Methods that an address does not have, odd ones, and what is no method."
    where = rng.choice(['/api/images', '/api/info', '/healthz', '/metrics'])
    m = rng.choice(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'BREW', 'PROPFIND', 'get', 'X'*300, 'G\0T', 'GE T', 'HEAD', ''])
    if where == '/api/images': right = {400} if m in ('G\0T', 'GE T', '') else {415, 400, 422} if m == 'POST' else {405}
    else: right = {400} if m in ('G\0T', 'GE T', '') else {200} if m in ('GET', 'HEAD') else {405}
    return request(m, where, b'x' if m == 'POST' else b''), right, None


@kind(150)
def token(rng, site):
    "Every request without the token is refused, whatever else it asks."
    t = TOKEN
    wrong = [None, '', t[:-1], t + rng.choice('x \t'), t.upper(), t.swapcase(), f'{t},{t}', quote(t[:3]) + '%2d' + t[4:], 'None', 'null', '0', '*', 'é'*19, 'x'*5000,
             ''.join(rng.choices('abcdefghij-', k=len(t))), f'Bearer {t}', t[::-1]]
    value = rng.choice(wrong)
    scheme = rng.choice(['Bearer ']*5 + ['bearer ', 'Basic ', 'Token ', '', 'Bearer'])
    if scheme == 'Bearer ' and value and value.strip(' \t') == t: value = None # white space at the end is none of the header's
    method, where = rng.choice([('POST', '/api/images'), ('GET', '/api/info'), ('GET', '/metrics'), ('GET', '/nowhere'), ('GET', f'/api/info?token={t}'), ('DELETE', '/api/images'),
                                ('GET', '//healthz'), ('GET', '/healthz/'), ('GET', '/healthz/../metrics'), ('GET', '/%68ealthz/../api/info')])
    more = rng.choice([{}, {}, {'Cookie': f'token={t}'}, {'X_Token': t}, {'X_Forwarded_For': '127.0.0.1'}])
    return request(method, where, site.png if method == 'POST' else b'', Authorization=None if value is None else scheme + value, **more), {401, 400}, 'locked'


@kind(150)
def host(rng, site):
    "Names that are not ours."
    bad = ['evil.example', 'localhost.evil.example', 'evil.example:80', '127.0.0.1.nip.io', 'localhost@evil.example', 'localhost:80@evil.example', 'evil.example#localhost', 'localhost, evil.example',
           '127.1', '2130706433', '0x7f.1', '0177.0.0.1', '0.0.0.0', '10.0.0.1', '[::]', '[::ffff:127.0.0.1]', '[::1', '::1', 'localhost.', 'LOCALHOST.evil', '', ' ', 'localhost/..', 'localhost\\x',
           'locаlhost', 'localhost:x', 'localhost:-1', 'localhost:123456', 'xn--lcalhost-', '*', 'null', 'file://', 'http://localhost', 'a'*5000, '%6cocalhost', 'localhost%00.evil', 'localhost:80:80', '[localhost]']
    name = rng.choice(bad) if rng.random() < .8 else ''.join(rng.choices('abcdef.-:[]@%0123', k=rng.randrange(1, 40)))
    method, where = rng.choice([('POST', '/api/images'), ('GET', '/api/info'), ('GET', '/healthz'), ('GET', '/metrics'), ('GET', '/')])
    raw = request(method, where, site.png if method == 'POST' else b'', host=name)
    if rng.random() < .1: raw = raw.replace(b'\r\n', b'\r\nHost: localhost\r\n', 1)
    if rng.random() < .05: raw = raw.replace(f'Host: {name}\r\n'.encode(), b'')
    return raw, {400}, None


@kind(120)
def origin(rng, site):
    "Pages that are not ours."
    bad = ['http://evil.example', 'https://evil.example', 'null', 'http://localhost:1', 'http://localhost.evil.example', 'http://evil.example/localhost', 'http://localhost@evil.example', 'file://',
           'chrome-extension://x', 'http://127.0.0.1', 'ws://localhost', 'localhost', 'http://localhost/', '', '*', 'http://localhost, http://localhost', 'http://[::1]', 'http://localhost:80', 'HTTP://', 'x'*3000]
    method, where = rng.choice([('POST', '/api/images'), ('POST', '/api/images?pixel=.5'), ('OPTIONS', '/api/images'), ('DELETE', '/api/info'), ('GET', '/api/info')])
    more = rng.choice([{}, {'Access_Control_Request_Method': 'POST'}, {'Referer': 'http://localhost/'}, {'Content_Type': 'text/plain'}, {'Sec_Fetch_Site': 'same-origin'}])
    return request(method, where, site.png if method == 'POST' else b'', Origin=rng.choice(bad), **more), {403}, None


@kind(400)
def query(rng, site):
    "Every key with every kind of value; what is sound is answered as the thresholds say."
    names = Thresholds.numbers()
    if rng.random() < .4: # sound
        given = {k: round(rng.random()*(1 if k in ('pixel', 'label', 'top') else rng.choice([1, 30, 5000])), rng.randrange(4)) for k in rng.sample(names, rng.randrange(1, 4))}
        given = {k: [v] + [round(v*rng.random(), 3) for _ in range(3)] if rng.random() < .4 else v for k, v in given.items()}
        q = '&'.join(f'{k}={",".join(f"{o:f}" for o in v) if isinstance(v, list) else f"{v:f}"}' for k, v in given.items())
        q = q.replace(',', '%2C') if rng.random() < .3 else q
        return request(path=f'/api/images?{q}', body=site.png), {200}, Answered(image=site.image, rules=dataclasses.replace(site.predictor.thresholds, **given))
    values = ['nan', 'NaN', 'inf', '-inf', 'Infinity', 'a', '', ' ', '1e-3', '1E5', '-1', '-0', '+1', '0x10', '1_0', '1,', ',', '.5,.5', '.5,.5,.5,.5,.5', '[.5]', '{}', 'null', 'True', '½', '٣', '０', '.', '..5', '1.2.3',
              '9'*10, '9'*4000, '%00', '.5%00', '.5%0a', "'", '"', '<b>', '__import__', '.5;.6', '.5 .5', '%u0031', '%ff', '1/2', '50%25', '.5%20']
    bad = rng.choice(values)
    if rng.random() < .15: bad, names = rng.choice(['1.01', '2', '3,0,0,0', '999999999']), ['pixel', 'label', 'top']
    k = rng.choice(names)
    if rng.random() < .25: k, bad = rng.choice(['gate', 'holes', 'pixle', 'PIXEL', 'pixel%00', 'pixel[]', 'self', '__class__', '', 'token', 'x'*2000, '%ff', 'classes', 'of', 'task', 'pixel.real']), rng.choice(['.5', '1', 'soft', ''])
    q = f'{k}={bad}'
    if rng.random() < .2: q = rng.choice([f'pixel=.5&{q}', f'{q}&{q}', f'{q}&{k}=.5', 'pixel=.5&pixel=.5'])
    if q in ('=', '='): q = 'x=1'
    return request(path=f'/api/images?{q}', body=site.png), {422, 400}, None


@kind(400)
def image(rng, site):
    "Damaged images of each format: refused, or answered as `predict` answers the same file."
    raw = damaged(rng, site.files[rng.choice(list(site.files))])
    return request(body=raw), {200, 413, 415, 422}, Answered(raw=raw)


@kind(120)
def bomb(rng, site):
    "Small files that claim to be huge."
    w, h = rng.choice([(60_000, 60_000), (2**31-1, 2**31-1), (2**32-1, 1), (300_001, 1), (1, 300_001), (548, 548), (20_000, 20_000), (0, 9), (9, 0), (100_000, 5_000)])
    how, f = rng.randrange(5), site.files
    if how == 0: raw = png_of(site.png, w, h, rng.choice([1, 8, 16]), rng.choice([0, 2, 6]))
    elif how == 1: at = f['JPEG'].index(b'\xff\xc0') + 5; raw = f['JPEG'][:at] + struct.pack('>HH', min(h, 65535), min(w, 65535)) + f['JPEG'][at+4:]
    elif how == 2: raw = f['BMP'][:18] + struct.pack('<ii', min(w, 2**31-1), min(h, 2**31-1)) + f['BMP'][26:]
    elif how == 3:
        raw = bytearray(f['TIFF']); at = struct.unpack('<I', raw[4:8])[0] + 2
        for i in range(2): raw[at+12*i+2:at+12*i+12] = struct.pack('<HII', 4, 1, (w, h)[i])
    else: # true: nothing but zeros, packed small
        w, h = rng.choice([(40_000, 40_000), (40_000, 8), (8, 40_000), (600, 600)]); line, n = bytes(1 + w), h
        z = zlib.compressobj(9); data = b''.join(z.compress(line) for _ in range(min(n, 400))) + z.flush()
        part = lambda name, o: struct.pack('>I', len(o)) + name + o + struct.pack('>I', zlib.crc32(name + o))
        raw = b'\x89PNG\r\n\x1a\n' + part(b'IHDR', struct.pack('>IIBBBBB', w, n, 8, 0, 0, 0, 0)) + part(b'IDAT', data) + part(b'IEND', b'')
    return request(body=bytes(raw)), {413, 415, 422}, None


@kind(100)
def foreign(rng, site):
    "Files that are no images of ours."
    files = [b'strip', b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', b'<!doctype html><script>alert(1)</script>', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', b'%PDF-1.7\n', b'PK\x03\x04' + bytes(99),
             b'GIF89a' + bytes(99), b'\x80\x04\x95.', b'\x7fELF' + bytes(99), b'P5 9 9 255\n' + bytes(81), b'\0\0\0\x0cjP  \r\n\x87\n', b'{"image": 1}', b'image=x&y=z', b'qoif' + bytes(30), b'8BPS' + bytes(60),
             b'/* XPM */', b'#define x_width 9\n', b'\0\0\1\0\1\0', b'SIMPLE  =', b'\x1f\x8b\x08' + bytes(20), b'BZh9', b'\0', b'\xff\xd8', b'\x89PNG\r\n\x1a\n', b'II*\0', b'MM\0*', b'BM', b'RIFF\0\0\0\0WEBP', b'\xff\xd8\xff\xd9']
    raw = rng.choice(files) if rng.random() < .7 else rng.randbytes(rng.randrange(1, 3000))
    return request(body=raw, Content_Type=rng.choice(['image/png', 'image/svg+xml', 'text/html', None])), {415, 422, 413}, None


@kind(100)
def length(rng, site):
    "A length that is wrong, odd, too large, or said twice."
    n = len(site.png)
    how = rng.randrange(6)
    if how == 0: return request(body=site.png, length=rng.choice(['-1', 'a', '0x10', '1e3', '', '9'*25, f'{n} {n}', f'{n};', '１２'])), {400}, None
    if how == 1: return request(body=site.png, length=n + rng.randrange(1, 1000)), {0, 400, 408}, 'shut'
    if how == 2: return request(body=site.png, length=rng.randrange(1, n)), {415, 422}, None
    if how == 3: return request(body=site.png, length=rng.choice([60_001, 10**9, 10**18])), {413}, None
    if how == 4: return request(body=site.png).replace(b'\r\n\r\n', b'\r\nContent-Length: %d\r\n\r\n' % (n-1), 1), {400}, None
    return request(length=0), {400}, None


@kind(100)
def chunks(rng, site):
    "Bodies in chunks: sound, too large, broken, unfinished."
    how, png = rng.randrange(6), site.png
    cut = sorted(rng.sample(range(1, len(png)), 4))
    pieces = [png[a:b] for a, b in zip([0, *cut], [*cut, len(png)])]
    if how == 0: return chunked(pieces), {200}, Answered(raw=png)
    if how == 1: return chunked([bytes(9000)]*8), {413}, None
    if how == 2: return chunked(pieces).replace(b'\r\n\r\n', b'\r\n\r\n' + rng.choice([b'zz\r\n', b'-5\r\n', b'\r\n', b'1'*30 + b'\r\n', b'0x9\r\n']), 1), {400}, None
    if how == 3: return chunked(pieces)[:-rng.randrange(3, 400)], {0, 400, 408}, 'shut'
    if how == 4: return request(Transfer_Encoding=rng.choice(['gzip', 'chunked, gzip', 'xchunked', 'identity', 'chunked, chunked'])), {400, 501}, None
    return chunked(pieces).replace(b'\r\n', b'\r\nContent-Length: 5\r\n', 1), {400, 200}, None


@kind(24)
def slow(rng, site):
    "Heads and bodies that come a byte at a time, or stop."
    if rng.random() < .5: return request(body=site.png)[:-rng.randrange(1, 300)], {408}, 'wait'
    return request(body=site.png)[:rng.randrange(1, 30)], {0}, 'wait'


@kind(120)
def head(rng, site):
    "Long, odd, or many header lines; packed bodies; forms."
    how = rng.randrange(8)
    if how == 0: return request(body=site.png, X='a'*rng.choice([1000, 30_000, 60_000])), {200}, Answered(image=site.image)
    if how == 1: return request(body=site.png, X='a'*rng.choice([300_000, 3_000_000])), {400, 0}, None # closed, where bytes were still coming
    if how == 2: return request('GET', '/healthz', **{f'X{i}': 'y' for i in range(rng.choice([50, 500]))}), {200}, None
    if how == 3: return request(body=site.png, Content_Encoding=rng.choice(['gzip', 'br', 'deflate', 'identity, gzip', 'x'])), {415}, None
    if how == 4: return request(body=site.png, Content_Type=f'multipart/{rng.choice(["form-data; boundary=x", "mixed", ""])}'), {415}, None
    if how == 5: return request('GET', '/healthz', **{rng.choice(['X\0', 'X Y', 'X(', 'X\x7f', '']): 'a'}), {400}, None
    if how == 6: return request(body=site.png, Upgrade=rng.choice(['websocket', 'h2c']), Connection='Upgrade, close'), {200}, Answered(image=site.image)
    return request('GET', '/healthz', X=rng.choice(['a\0b', 'a\nb', 'a\rb'])), {400}, None


@kind(80)
def garbage(rng, site):
    "What is no HTTP at all."
    start = rng.choice([b'', b'GET ', b'\x16\x03\x01', b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', b'GET / HTTP/9.9\r\n\r\n', b'GET / HTTP/1.1\r\n', b'SSH-2.0-x\r\n', b'*1\r\n$4\r\nPING\r\n', b'GET\r\n\r\n', b'GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n'])
    return start + rng.randbytes(rng.randrange(4, 3000)) + b'\r\n\r\n', {400, 0}, 'shut'


@kind(40)
def pipelined(rng, site):
    "Two requests in one piece: the second is answered for itself, though the first was refused."
    first, right = rng.choice([(request(body=b'x', Connection='keep-alive'), 415), (request(path='/api/images?pixel=a', body=site.png, Connection='keep-alive'), 422),
                               (request('GET', '/nowhere', Connection='keep-alive'), 404), (request(body=bytes(60_001), Connection='keep-alive'), 413)])
    return first + request('GET', '/healthz'), {right}, 'second'


NAMES = ['<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '"><svg onload=alert(1)>', "'; DROP TABLE strips; --", '..%2f..%2fetc%2fpasswd', '%00', '${7*7}', '{{7*7}}', 'javascript:alert(1)', '\u202egnp.exe', 'a\u0300'*30,
         '\u200b', '\ufeff', 'Разлом', '裂纹', ' ', '-rf', '~', '$(id)', '`id`', '\x1b[2J', 'a\nb', '\t', 'x'*240, '../../etc/passwd', 'a\0b', '\ud800', '\U0001f9f2', '&lt;b&gt;', 'con', '.', '..', 'a/b', 'a\\b']
WORDS = ['', 'x', '-1', '1e3', '0x1', '٣', '１', '1.0', ' 1', '1 ', '+1', '9'*10, '9'*3000, 'nan', 'null', 'true', '[]', '{}', '0,1', '1;2', '00x', *NAMES]
def said(text): return quote(text.encode('utf-8', 'surrogatepass'))


@kind(700, app=True)
def page_query(rng, site):
    "Every address of the pages, its keys right, missing, twice, unknown, or with every kind of value."
    n, known = len(site.names), dict(list=dict(set='1'), image=dict(set='1', i='0'), strip=dict(set='1', i='0', run='0'), probs=dict(set='1', i='0', run='0', k='1'), attention=dict(set='1', i='0', run='0'), run=dict(run='0'))
    where = rng.choice([*known, '/api/decide/run', '/api/info'])
    keys = dict(known.get(where, dict(run='0') if where.endswith('run') else {}))
    if 'i' in keys: keys['i'] = str(rng.randrange(n))
    right, how = {200}, rng.randrange(6)
    if where == 'attention': right = {422} # this net has none
    if how == 1 and keys:
        k = rng.choice(list(keys))
        keys[k], right = rng.choice([o for o in WORDS if not (o == '' and k == 'run')]), {422, 400}
    elif how == 2 and (needed := [k for k in keys if not (k == 'run' and where in ('strip', 'image'))]): del keys[rng.choice(needed)]; right = {422}
    elif how == 3 and where == 'strip': keys |= {rng.choice(Thresholds.numbers()): rng.choice(WORDS)}; right = {422, 400, 200}
    elif how == 3 and where == 'list': keys |= {rng.choice(['text', 'show', 'start', 'n']): rng.choice(WORDS)}; right = {200, 422, 400}
    elif how == 4 and where == 'strip': keys |= dict(point=rng.choice(NAMES)); right = {200, 422, 400}
    q = '&'.join(f'{k}={said(v)}' for k, v in keys.items())
    if how == 5 and where not in ('/api/info',): q, right = rng.choice([f'{q}&{rng.choice(["x", "path", "set[]", "%00", "__class__", "file"])}=1', f'{q}&{q}' if q else 'x=1', f'{q}&set=0&set=0', f'{q}&i=%ff']), {422, 400}
    return request('GET', f'{where if where.startswith("/") else f"/api/look/{where}"}?{q}'), right, None


@kind(350, app=True)
def page_body(rng, site):
    "Bodies that are no JSON, not the JSON that is wanted, or ask for points with hostile names: nothing is written."
    where, how, right = rng.choice(['choose', 'save']), rng.randrange(5), {422, 400}
    if how == 0: body, kind_ = rng.choice([b'', b'{', b'[]', b'null', b'1', b'"run"', b'{"run": NaN}', b'{"run": 1e999}', b'['*5000, b'{"a":'*3000, b'\xff\xfe', b'{"run": 0}'*2, b'\0', rng.randbytes(60), b'{"run": 0, "budget": 1' + b'0'*5000 + b'}']), 'application/json'
    elif how == 1:
        right = {415}
        body, kind_ = b'{"run": 0, "budget": 0.1}', rng.choice(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/json', 'application/jsonp', 'application/csp-report'])
    else:
        given = dict(run=0, budget=.1)
        if how == 2:
            where, right = 'choose', {422, 200}
            given |= {rng.choice(['budget', 'recall', 'cost', 'confidence', 'run', 'name']): rng.choice([*WORDS, [], {}, None, True, -1, 2, 1e308, [0], {'missed': 'x'}, {'missed': -1}, {'__class__': 1}, 10**300])}
        elif how == 3:
            given |= dict(name=rng.choice(NAMES))
            with contextlib.suppress(ValueError): right = {200, 409 if where == 'save' else 200} if check_name(given['name']) else right
        else: given |= {rng.choice([*NAMES, 'replace ', 'path', 'file', 'root']): 1}
        body, kind_ = json.dumps(given).encode(), 'application/json'
    return request('POST', f'/api/decide/{where}', body, Content_Type=kind_), right, None


@kind(350, app=True)
def page_drop(rng, site):
    "Images that were damaged, dropped on the page."
    return request('POST', '/api/look/drop', damaged(rng, site.files[rng.choice(list(site.files))]) if rng.random() < .9 else rng.choice([b'', b'<svg/>', bytes(60_001)])), {200, 413, 415, 422, 400}, None


@kind(300, app=True)
def page_file(rng, site):
    "Paths to files that are none of the pages'."
    parts = ['..', '%2e%2e', '..%2f', '%00', '%c0%af', '..%5c', 'etc', 'passwd', 'static', 'app.js', 'pages.py', '.git', '%0d%0aX-A:%20b', ';', '%', '\\', '//', '*', quote('Разлом'), 'a'*rng.choice([9, 9000]), '%252e%252e', 'index.html']
    p = '/static/' + '/'.join(rng.choices(parts, k=rng.randrange(1, 6)))
    if p in ('/static/app.js', '/static/index.html'): p += 'x'
    return request(rng.choice(['GET', 'POST', 'HEAD', 'DELETE']), p), {404, 400, 405}, None


@kind(200, app=True)
def page_token(rng, site):
    "Without token or cookie nothing but /healthz."
    t = TOKEN
    where = rng.choice(['/', '/static/app.js', '/api/info', '/metrics', '/login', f'/login?token={t[:-1]}', f'/login?token={t}x', f'/login?token={t}&token={t}', f'/login?x={t}', f'/api/info?token={t}', '/login?token=%ff', f'/login/?token={t}', '/login?token=' + 'x'*5000])
    cookie = rng.choice([None, f'token={t}', f'severstal={t}', f'severstal_00000000={t}', 'severstal_' + 'x'*5000, '=', ';;;', '\xff', f'severstal_{rng.randrange(1 << 32):08x}={rng.randbytes(16).hex()}'])
    return request(rng.choice(['GET', 'GET', 'HEAD']), where, Cookie=cookie), {401, 400}, 'locked'


@kind(200, app=True)
def page_guard(rng, site):
    "Foreign pages and names that are not ours, at the addresses of the pages."
    method, where = rng.choice([('GET', '/'), ('GET', '/static/app.js'), ('GET', '/api/look/list?set=1'), ('POST', '/api/look/drop'), ('POST', '/api/decide/save'), ('OPTIONS', '/api/decide/save'), ('GET', '/login')])
    body = b'{"run": 0, "budget": 0.1}' if method == 'POST' else b''
    if rng.random() < .5: return request(method, where, body, Origin=rng.choice(['http://evil.example', 'null', 'http://localhost:1', 'http://127.0.0.1', 'file://', 'https://localhost.evil.example', '*', ''])), {403}, None
    return request(method, where, body, host=rng.choice(['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io', 'localhost@evil.example', '0.0.0.0', '', '10.0.0.1', '[::]', 'a'*3000])), {400}, None


def hostile_run(tmp):
    "A run whose classes have hostile names, with such a point, and a folder of images called so; what a disk does not take is left out."
    run, folder, image = tiny_run(tmp), Path(tmp)/'images', io.BytesIO()
    Image.fromarray((np.random.default_rng(0).random((32, 96))*60 + 90).astype(np.uint8)).save(image, 'PNG')
    folder.mkdir()
    for o in NAMES:
        with contextlib.suppress(OSError, ValueError): (folder/f'{o.replace("/", "∕")}.png').write_bytes(image.getvalue())
    model = create_model('tiny_seg', 4, classes=NAMES[:4])
    model.load_state_dict(run.model().state_dict())
    (run.path/'fold_0'/'digests.json').unlink(missing_ok=True)
    save_model(model, run.path/'fold_0'/'best_model.safetensors')
    write_json(run.path/'run.json', run.info | dict(classes=NAMES[:4]))
    write_json(run.path/'points.json', {o: dict(thresholds=dict(pixel=.6)) for o in NAMES if '\ud800' not in o})
    config = run.config
    config['data'] |= dict(n_train=30, height=32, width=96, crop_height=32, crop_width=96, classes=NAMES[:4])
    write_yaml(run.path/'config.yaml', config)
    data, rng = open_data(load_config(file=run.path/'config.yaml')), np.random.default_rng(0)
    write_table(run.path/'split.csv', data.images[['image_id']].assign(part='0'))
    store = OOFStore.create(run.path/'fold_0'/'oof', data)
    for i in range(30): store.write(i, (data.mask(i)*rng.integers(0, 256) | rng.integers(0, 40, (4, 32, 96))).astype(np.uint8))
    return run, folder


def rss():
    "Memory of this process in MB."
    return int(Path('/proc/self/statm').read_text().split()[1])*os.sysconf('SC_PAGESIZE')/2**20


def talk(port, raw, how):
    "Send, and read until the server closes; (status, head, body)."
    with socket.create_connection(('127.0.0.1', port), timeout=20) as s, contextlib.suppress(ConnectionResetError, BrokenPipeError):
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            s.sendall(raw)
            if how == 'shut': s.shutdown(socket.SHUT_WR)
        got = b''
        while piece := s.recv(1 << 16): got += piece
    return got


def parse(got):
    "(status, head, body, what follows) of one answer; status 0 where there is none."
    if not got: return 0, b'', b'', b''
    head, _, body = got.partition(b'\r\n\r\n')
    n = re.search(rb'content-length: (\d+)', head.lower())
    n = int(n[1]) if n else len(body)
    return int(head.split(b' ', 2)[1]), head.lower(), body[:n], body[n:]


def judge(site, raw, right, check, secret):
    "The outcome of one request, and why."
    start = time.perf_counter()
    try: got = talk(site.ports[check == 'locked'], raw, check)
    except TimeoutError: return 'hang', 'no answer'
    if any(o in got for o in secret): return 'leak', got[:300].decode(errors='replace')
    status, head, body, more = parse(got)
    if check == 'second' and parse(more)[0] != 200: return 'wrong', f'the second request got {more[:80]}'
    if status not in right: return 'wrong', f'{status}, expected {sorted(right)}: {body[:150].decode(errors="replace")}'
    if not body: return 'right', status # a closed connection, or HEAD
    if b'x-content-type-options: nosniff' not in head or b'access-control' in head: return 'wrong', 'headers'
    if b'text/plain; version' in head: return 'right', status # the metrics
    if status == 200 and b'content-type: application/json' not in head: return 'right', status # a picture, a page
    said = json.loads(body)
    if status >= 400 and (list(said) != ['error'] or len(said['error'].splitlines()) != 1 or len(said['error']) > 300): return 'wrong', f'{status} {body[:200]}'
    why = check(site, status, said) if isinstance(check, Answered) else ''
    if time.perf_counter() - start > 15: why = 'too slow'
    return ('wrong', why) if why else ('right', status)


def main():
    "Run the fuzz."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--mini', action='store_true')
    p.add_argument('--only', default='')
    p.add_argument('--case', type=int)
    p.add_argument('--app', action='store_true')
    p.add_argument('--out')
    args = p.parse_args()
    args.out, kinds = args.out or str(HERE/'results'/f'fuzz_{"app" if args.app else "service"}.json'), PAGES if args.app else KINDS
    for o in ('severstal_nb', 'uvicorn.error'): logging.getLogger(o).setLevel(logging.CRITICAL)
    names = [k for k in kinds if not args.only or any(k.startswith(o) for o in args.only.split(','))]
    rows, bad, seen, began = {}, [], {}, time.time()
    with tempfile.TemporaryDirectory() as tmp:
        predictor = None if args.app else tiny_predictor(tmp)
        shown = hostile_run(tmp) if args.app else None
        def serve(**kw): return make_pages(pages.Site([shown[0]], shown[1], LIMITS), **kw) if args.app else make_service(predictor, limits=LIMITS, **kw)
        with running(serve(), limits=LIMITS) as url, running(serve(token=TOKEN), limits=LIMITS) as locked:
            site, secret = Site(url, locked, predictor), [tmp.encode(), str(HERE.parent).encode(), b'Traceback', b'site-packages', TOKEN.encode()]
            if args.app: site.names = json.loads(talk(site.ports[0], request('GET', '/api/look/list?set=1'), None).partition(b'\r\n\r\n')[2])['rows']
            good = request('GET', '/api/look/strip?set=1&i=3&run=0') if args.app else request(body=site.png)
            sound = talk(site.ports[0], good, None).partition(b'\r\n\r\n')[2]
            assert json.loads(sound)['classes'], sound
            memory, count = rss(), 0
            for k in names:
                print(f'{k} …', end=' ', flush=True)
                f, n = kinds[k]
                for i in [args.case] if args.case is not None else range(3 if args.mini else n):
                    raw, right, check = f(random.Random(f'{args.seed} {k} {i}'), site)
                    outcome, why = judge(site, raw, right, check, secret)
                    if args.case is not None: print(raw[:600], outcome, why)
                    rows.setdefault(k, dict.fromkeys(('right', 'wrong', 'leak', 'hang'), 0))[outcome] += 1
                    if outcome == 'right': seen.setdefault(k, set()).add(why)
                    else: bad.append(dict(kind=k, case=i, outcome=outcome, why=str(why)))
                    count += 1
                    if count % 25 == 0 and talk(site.ports[0], good, None).partition(b'\r\n\r\n')[2] != sound: bad.append(dict(kind=k, case=i, outcome='wrong', why='a sound request got another answer'))
            grown = rss() - memory
            for o in set(shown[0].points) - {*NAMES} if shown else (): bad.append(dict(kind='page_body', case=-1, outcome='wrong', why=f'wrote the point {o}'))
    for o in bad[:60]: print(o)
    table = [[k, sum(v.values()), *v.values(), ' '.join(str(o or 'closed') for o in sorted(seen.get(k, ())))] for k, v in rows.items()]
    text = markdown_table(['kind', 'requests', 'right', 'wrong', 'leak', 'hang', 'statuses'], table)
    print(text, f'{count} requests in {time.time()-began:.0f} s, memory {grown:+.0f} MB')
    if not (args.mini or args.only or args.case is not None):
        command = 'python benchmarks/fuzz_service.py' + ' --app'*args.app + (f' --seed {args.seed}' if args.seed else '')
        write_json(args.out, dict(command=command, requests=count, rows=rows, statuses={k: sorted(v) for k, v in seen.items()}, bad=bad, grown_mb=round(grown, 1)))
        with atomic_path(Path(args.out).with_suffix('.md')) as part: part.write_text(f'`{command}`: {count} requests, {len(bad)} not answered right.\n\n{text}')
    return int(bool(bad))


if __name__ == '__main__': sys.exit(main())
