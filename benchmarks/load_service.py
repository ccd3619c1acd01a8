"""The service under load: requests per second, how long they take, and whether memory stays flat over 10,000 images.

    python benchmarks/load_service.py                    some minutes
    python benchmarks/load_service.py --requests 500     fewer; stores nothing
    python benchmarks/load_service.py --size 32 200      small strips; stores nothing
    python benchmarks/load_service.py --clients 32       more than there are places: some are told to come later

The server is a process of its own, `severstal serve` with a net of one convolution, so that what is measured is the service: HTTP, decoding, components,
run lengths, JSON. Clients are threads of this process that keep their connection, send strips of 256×1600 pixels as PNG and JPEG, and come back when they
are told so (503 with Retry-After). Every answer is compared with the first one to the same image. Memory is the server's, read before and
after each tenth of the run. It is flat when it grows by less than 5 % in the last half. Results go to benchmarks/results/load_service.json and .md, or where --out says.
"""
from bootstrap import HERE # before anything heavy

import argparse, http.client, io, os, re, signal, subprocess, sys, tempfile, threading, time
from pathlib import Path

import numpy as np
from PIL import Image

from common import environment
from service_run import tiny_run
from severstal_nb.core.files import atomic_path, markdown_table, write_json
from severstal_nb.synthetic import synthetic_data


def memory(pid):
    "MB in memory of a process."
    return int(re.search(r'VmRSS:\s+(\d+)', Path(f'/proc/{pid}/status').read_text())[1])/1024


def cpu(pid):
    "CPU seconds of a process."
    o = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(o[11]) + int(o[12]))/os.sysconf('SC_CLK_TCK')


def files(height, width, n=6):
    "Strips as PNG and JPEG."
    data, out = synthetic_data(n, height, width, seed=3, balanced=True), []
    for i in range(n):
        with io.BytesIO() as f:
            Image.fromarray(data.image(i)).save(f, ('PNG', 'JPEG')[i % 2])
            out.append(f.getvalue())
    return out


class Clients:
    "Threads that ask until `n` images are answered."
    def __init__(self, port, images, n, done=lambda i: None):
        self.port, self.images, self.n, self.done = port, images, n, done
        self.lock, self.given, self.seconds, self.answers, self.later, self.wrong = threading.Lock(), 0, [], {}, 0, []
    def next(self):
        with self.lock:
            if self.given >= self.n or self.wrong: return None
            self.given += 1
            return self.given - 1
    def run(self, threads):
        pool = [threading.Thread(target=self.ask) for _ in range(threads)]
        for o in pool: o.start()
        for o in pool: o.join()
    def ask(self):
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        while (i := self.next()) is not None:
            k = i % len(self.images)
            while True:
                start = time.perf_counter()
                c.request('POST', '/api/images', self.images[k])
                r = c.getresponse(); body = r.read()
                if r.status != 503: break
                with self.lock: self.later += 1
                time.sleep(float(r.headers['Retry-After'])/4)
            took = time.perf_counter() - start
            with self.lock:
                self.seconds.append(took)
                if r.status != 200 or self.answers.setdefault(k, body) != body: self.wrong.append(f'{r.status} {body[:100]}')
                at = len(self.seconds)
            self.done(at)
        c.close()


def page(o):
    "What was measured, as Markdown."
    m = o['memory_mb']
    rows = [(f'requests of {o["size"][0]}×{o["size"][1]} from {o["clients"]} clients', f'{o["requests"]:,}'),
            ('requests a second', f'{o["per_second"]:.1f}'), ('processor milliseconds a request', f'{o["cpu_ms_per_request"]:.0f}'),
            (f'milliseconds to an answer, {o["clients"]} clients: half, 99 %', f'{o["p50_ms"]:.0f}, {o["p99_ms"]:.0f}'),
            ('milliseconds to an answer, one client: half, 99 %', f'{o["alone_p50_ms"]:.0f}, {o["alone_p99_ms"]:.0f}'),
            ('told to come later', f'{o["come_later"]:,}'), ('wrong answers', f'{len(o["wrong"])}'),
            ('MB of memory: at first, after half, at the end', f'{m[0]:.0f}, {m[len(m)//2]:.0f}, {m[-1]:.0f}')]
    return f'# The service under load\n\n`{o["command"]}`\n\n{markdown_table(["", ""], rows)}'


def main():
    "Run the load test."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--requests', type=int, default=10_000)
    p.add_argument('--clients', type=int, default=8)
    p.add_argument('--size', nargs=2, type=int, default=[256, 1600], metavar=('HEIGHT', 'WIDTH'))
    p.add_argument('--out', default=None)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        line = [sys.executable, '-W', 'ignore', '-m', 'severstal_nb.cli', 'serve', str(tiny_run(tmp).path), '--port', '0']
        server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        try:
            said = server.stdout.readline()
            port = int(re.search(r'127\.0\.0\.1:(\d+)', said)[1])
            images, seen = files(*args.size), []
            Clients(port, images, min(200, args.requests)).run(args.clients) # warm
            tenth = max(1, args.requests//10)
            def note(at):
                if at % tenth == 0: seen.append(round(memory(server.pid), 1))
            load = Clients(port, images, args.requests, note)
            seen.append(round(memory(server.pid), 1))
            wall, work = time.perf_counter(), cpu(server.pid)
            load.run(args.clients)
            wall, work = time.perf_counter() - wall, cpu(server.pid) - work
            alone = Clients(port, images, min(200, args.requests))
            alone.run(1)
            c = http.client.HTTPConnection('127.0.0.1', port); c.request('GET', '/metrics')
            counted = int(re.search(r'severstal_images_total (\d+)', c.getresponse().read().decode())[1]); c.close()
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(60)
    ms = lambda s, q: round(float(np.quantile(s, q))*1000, 1)
    half = seen[len(seen)//2]
    out = dict(command='python benchmarks/load_service.py' + (f' --requests {args.requests}'*(args.requests != 10_000)) + f' --clients {args.clients}'*(args.clients != 8)
               + f' --size {args.size[0]} {args.size[1]}'*(args.size != [256, 1600]), size=args.size,
               requests=args.requests, clients=args.clients, per_second=round(args.requests/wall, 1), cpu_ms_per_request=round(work/args.requests*1000, 2),
               p50_ms=ms(load.seconds, .5), p99_ms=ms(load.seconds, .99), alone_p50_ms=ms(alone.seconds, .5), alone_p99_ms=ms(alone.seconds, .99), come_later=load.later,
               memory_mb=seen, flat=seen[-1] <= 1.05*half, counted=counted == args.requests + 2*min(200, args.requests), exit_code=code, wrong=load.wrong[:5], environment=environment())
    text = page(out)
    print(text)
    if path := args.out or (args.requests == 10_000 and args.size == [256, 1600] and HERE/'results'/'load_service.json'):
        write_json(path, out)
        with atomic_path(Path(path).with_suffix('.md')) as part: part.write_text(text, 'utf-8')
    return int(bool(load.wrong) or not out['flat'] or not out['counted'] or code != 0)


if __name__ == '__main__': sys.exit(main())
