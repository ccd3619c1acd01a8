// Look: strip after strip, with masks, truth, probabilities and attention, and thresholds to move.
import {api, el, fill, later, onKey, query, shown, toast} from './app.js';

export const title = 'Look';
export const keys = [['← →', 'strip before, strip after'], ['1 … 9', 'a class on or off'], ['0', 'all classes on or off'], ['m', 'masks as contour, filled, not at all'], ['l', 'labels on or off'],
    ['p', 'probability as heat'], ['a', 'attention'], ['+ −', 'nearer, farther (also the wheel, or two fingers)'], ['f', 'the whole strip'], ['Shift ← →', 'move along the strip'], ['/', 'search names'],
    ['o', 'open a picture'], ['z', 'the thresholds as they were']];

const RULES = {pixel: ['pixel threshold', 'a pixel is marked from this probability'], label: ['label threshold', 'a class is reported from this probability'],
    min_size: ['smallest component', 'pixels; smaller ones are removed'], min_area: ['smallest mask', 'pixels; smaller masks are removed']};
const SIZES = [0, 1, 2, 3, 5, 8, 12, 20, 30, 45, 65, 100, 140, 200, 280, 400, 550, 750, 1000, 1400, 2000, 2800, 4000, 6000, 9000, 14000, 20000, 40000];
const count = v => v.toLocaleString('en').replaceAll(',', ' ');
const share = v => v === undefined || v === null ? '–' : v.toFixed(v >= .9995 || v === 0 ? 1 : 3);

/** Column-major runs "start length …", from 1, as a mask of bytes, row by row. */
export function maskOf(rle, h, w) {
    const mask = new Uint8Array(h * w), v = rle ? rle.split(' ') : [];
    for (let j = 0; j < v.length; j += 2) for (let at = v[j] - 1, end = at + +v[j + 1]; at < end; at++) mask[at % h * w + (at / h | 0)] = 1;
    return mask;
}

/** The outline of a mask along the edges of its pixels, with straight stretches in one piece. */
export function outlineOf(mask, h, w) {
    const path = new Path2D(), on = (x, y) => x >= 0 && y >= 0 && x < w && y < h && mask[y * w + x];
    for (let y = 0; y <= h; y++) for (let x = 0, from = -1; x <= w; x++) {
        const edge = x < w && !on(x, y) !== !on(x, y - 1);
        if (edge && from < 0) from = x;
        if (!edge && from >= 0) { path.moveTo(from, y); path.lineTo(x, y); from = -1; }
    }
    for (let x = 0; x <= w; x++) for (let y = 0, from = -1; y <= h; y++) {
        const edge = y < h && !on(x, y) !== !on(x - 1, y);
        if (edge && from < 0) from = y;
        if (!edge && from >= 0) { path.moveTo(x, from); path.lineTo(x, y); from = -1; }
    }
    return path;
}

const rgb = c => c.match(/\d+/g).map(Number);
function painted(alphas, h, w, color) { // a canvas of one colour with this opacity (0…255) at each pixel
    const canvas = el('canvas', {width: w, height: h}), c = canvas.getContext('2d'), data = c.createImageData(w, h), [r, g, b] = rgb(color);
    for (let i = 0, j = 0; i < alphas.length; i++, j += 4) { data.data[j] = r; data.data[j + 1] = g; data.data[j + 2] = b; data.data[j + 3] = alphas[i]; }
    c.putImageData(data, 0, 0);
    return canvas;
}
async function greyOf(blob) { // the bytes of an 8-bit picture
    const bitmap = await createImageBitmap(blob), {width: w, height: h} = bitmap, c = el('canvas', {width: w, height: h}).getContext('2d', {willReadFrequently: true});
    c.drawImage(bitmap, 0, 0);
    const all = c.getImageData(0, 0, w, h).data, grey = new Uint8Array(w * h);
    for (let i = 0; i < grey.length; i++) grey[i] = all[4 * i];
    return {grey, h, w};
}

/** A canvas with an image that can be moved and enlarged. `draw(c, scale)` draws over it in the image's own pixels. */
export function stage(draw) {
    const canvas = el('canvas', {cls: 'strip', tabindex: 0, role: 'img'}), map = el('canvas', {cls: 'map', hidden: true, 'aria-hidden': 'true'}), box = el('div', {cls: 'stage'}, canvas, map);
    const view = {x: 0, y: 0, k: 1, fit: true}, fingers = new Map();
    let image = null, waiting = false, spread = 0;
    const whole = () => Math.min(canvas.clientWidth / image.width, canvas.clientHeight / image.height);
    function hold() {
        const lowest = whole();
        view.k = Math.min(Math.max(view.k, lowest), 24);
        for (const [p, size, room] of [['x', image.width, canvas.clientWidth], ['y', image.height, canvas.clientHeight]]) {
            const over = size * view.k - room;
            view[p] = over > 0 ? Math.min(0, Math.max(-over, view[p])) : -over / 2;
        }
    }
    function paint() {
        waiting = false;
        if (!image || !canvas.clientWidth) return;
        const dpr = devicePixelRatio || 1, W = canvas.clientWidth, H = canvas.clientHeight, c = canvas.getContext('2d');
        if (canvas.width !== Math.round(W * dpr) || canvas.height !== Math.round(H * dpr)) { canvas.width = Math.round(W * dpr); canvas.height = Math.round(H * dpr); }
        if (view.fit) view.k = 0;
        hold();
        c.setTransform(1, 0, 0, 1, 0, 0);
        c.clearRect(0, 0, canvas.width, canvas.height);
        c.setTransform(view.k * dpr, 0, 0, view.k * dpr, view.x * dpr, view.y * dpr);
        c.imageSmoothingEnabled = view.k < 2;
        c.imageSmoothingQuality = 'high';
        c.drawImage(image, 0, 0);
        draw(c, view.k);
        map.hidden = view.k < 1.02 * whole() || image.width * view.k <= W + 1;
        if (!map.hidden) small(dpr, W, H);
    }
    function small(dpr, W, H) {
        const w = Math.min(W, 360), k = w / image.width, h = image.height * k, c = map.getContext('2d');
        map.width = w * dpr; map.height = h * dpr;
        map.style.width = `${w}px`;
        c.scale(dpr * k, dpr * k);
        c.drawImage(image, 0, 0);
        draw(c, k);
        c.lineWidth = 2 / k; c.strokeStyle = '#fff';
        c.strokeRect(-view.x / view.k, -view.y / view.k, W / view.k, H / view.k);
    }
    const soon = () => { if (!waiting) { waiting = true; requestAnimationFrame(paint); } };
    function zoom(by, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
        if (!image) return;
        const old = view.k;
        view.k = Math.min(Math.max(old * by, whole()), 24);
        view.fit = view.k <= whole() * 1.001;
        view.x = x - (x - view.x) * view.k / old; view.y = y - (y - view.y) * view.k / old;
        soon();
    }
    function move(dx, dy) { view.x += dx; view.y += dy; soon(); }
    const at = e => { const r = canvas.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
    canvas.addEventListener('wheel', e => { e.preventDefault(); zoom(Math.exp(-e.deltaY * (e.deltaMode ? .05 : .0022)), ...at(e)); }, {passive: false});
    canvas.addEventListener('pointerdown', e => { fingers.set(e.pointerId, [e.clientX, e.clientY]); canvas.setPointerCapture(e.pointerId); spread = 0; });
    canvas.addEventListener('pointermove', e => {
        const was = fingers.get(e.pointerId);
        if (!was) return;
        const n = fingers.size;
        move((e.clientX - was[0]) / n, (e.clientY - was[1]) / n);
        fingers.set(e.pointerId, [e.clientX, e.clientY]);
        if (n === 2) {
            const [a, b] = [...fingers.values()], r = canvas.getBoundingClientRect(), now = Math.hypot(a[0] - b[0], a[1] - b[1]);
            if (spread) zoom(now / spread, (a[0] + b[0]) / 2 - r.left, (a[1] + b[1]) / 2 - r.top);
            spread = now;
        }
    });
    for (const o of ['pointerup', 'pointercancel']) canvas.addEventListener(o, e => { fingers.delete(e.pointerId); spread = 0; });
    canvas.addEventListener('dblclick', e => view.fit ? zoom(1 / view.k > 1.2 ? 1 / view.k : 3, ...at(e)) : fit());
    map.addEventListener('pointerdown', e => {
        const r = map.getBoundingClientRect(), k = image.width / r.width;
        view.x = canvas.clientWidth / 2 - (e.clientX - r.left) * k * view.k; view.y = canvas.clientHeight / 2 - (e.clientY - r.top) * k * view.k;
        soon();
    });
    function to([x0, y0, x1, y1]) { // a part of the image, with some of what is around it
        view.k = Math.min(8, canvas.clientWidth / Math.max(60, 3 * (x1 - x0)), canvas.clientHeight / Math.max(30, 1.6 * (y1 - y0)));
        hold(); // not below the whole image
        Object.assign(view, {fit: false, x: canvas.clientWidth / 2 - (x0 + x1) / 2 * view.k, y: canvas.clientHeight / 2 - (y0 + y1) / 2 * view.k});
        soon();
    }
    const fit = () => { view.fit = true; soon(); }, seen = new ResizeObserver(soon);
    seen.observe(canvas);
    function show(next) { // a strip on a phone is shown as high as the stage, and moved along
        const first = !image || image.width !== next.width || image.height !== next.height;
        image = next;
        if (first) {
            box.style.setProperty('--ratio', next.height / next.width);
            const tall = canvas.clientHeight / next.height;
            if (canvas.clientWidth && whole() < .45 && tall > 1.5 * whole()) Object.assign(view, {fit: false, k: Math.min(.8 * tall, 2), x: 0, y: 0}); else view.fit = true;
        }
        soon();
    }
    return {box, canvas, show, soon, zoom, move, fit, to, view, end: () => seen.disconnect()};
}

/** A list of any length, of which only what is in sight exists. `load(start, n)` gives {total, rows}. */
export function longList(load, row, pick) {
    const HEIGHT = 28, PAGE = 200, space = el('div', {cls: 'space'}), box = el('div', {cls: 'list', role: 'listbox', tabindex: 0, 'aria-label': 'Strips'}, space);
    let pages = new Map(), total = 0, at = -1, turn = 0, last = 0;
    async function page(k) {
        if (!pages.has(k)) {
            const now = turn, asked = load(k * PAGE, PAGE).then(o => { if (now === turn) { total = o.total; space.style.height = `${total * HEIGHT}px`; } return o; });
            pages.set(k, asked);
            asked.catch(() => pages.delete(k));
        }
        return pages.get(k);
    }
    const get = async n => n < 0 ? null : (await page(Math.floor(n / PAGE))).rows[n % PAGE] ?? null;
    async function paint() {
        const now = turn, mine = ++last, from = Math.max(0, Math.floor(box.scrollTop / HEIGHT) - 4), to = Math.min(total, Math.ceil((box.scrollTop + box.clientHeight) / HEIGHT) + 4), made = [];
        for (let n = from; n < to; n++) {
            const o = await get(n);
            if (now !== turn || mine !== last) return;
            if (!o) continue;
            const one = el('div', {cls: 'item', id: `row${n}`, role: 'option', 'aria-selected': String(n === at), onclick: () => pick(n)}, row(o));
            one.style.top = `${n * HEIGHT}px`;
            made.push(one);
        }
        space.replaceChildren(...made);
        box.setAttribute('aria-activedescendant', `row${at}`);
    }
    box.addEventListener('scroll', () => shown(paint)());
    async function fresh() { turn++; pages = new Map(); at = -1; box.scrollTop = 0; await page(0); await paint(); }
    async function mark(n) {
        at = n;
        const top = n * HEIGHT;
        if (top < box.scrollTop) box.scrollTop = top - HEIGHT; else if (top + HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = top + 2 * HEIGHT - box.clientHeight;
        await paint();
    }
    const seen = new ResizeObserver(() => shown(paint)());
    seen.observe(box);
    return {box, get, fresh, mark, get total() { return total; }, end: () => seen.disconnect()};
}

export async function mount(root, ctx) {
    const {info} = ctx, color = k => info.colors[k % info.colors.length], s = {set: info.set, run: info.runs.length ? 0 : null, at: -1, i: null, rules: {}, point: '', on: [], mode: 'contour', truth: true, layer: '', cls: 0, only: null};
    let run = null, answer = null, masks = [], truths = [], heat = null, turn = 0, knownClasses = null;
    const images = new Map(), answers = new Map();

    // what is drawn
    const view = stage((c, k) => {
        if (heat) { c.imageSmoothingEnabled = true; c.drawImage(heat.canvas, 0, 0, heat.w, heat.h); }
        if (!answer) return;
        masks.forEach((m, j) => {
            if (!m || !s.on[j] || s.mode === 'none') return;
            if (s.mode === 'fill') { c.globalAlpha = .5; c.drawImage(m.canvas ??= painted(m.bytes.map(o => o * 255), m.h, m.w, color(j)), 0, 0); c.globalAlpha = 1; }
            c.lineWidth = 2 / k; c.lineJoin = c.lineCap = 'round'; c.strokeStyle = color(j); c.setLineDash([]);
            c.stroke(m.path ??= outlineOf(m.bytes, m.h, m.w));
        });
        if (s.truth) truths.forEach((m, j) => {
            if (!m || s.on[j] === false) return;
            m.path ??= outlineOf(m.bytes, m.h, m.w);
            c.setLineDash([]); c.lineCap = 'butt'; c.lineWidth = 2.5 / k; c.strokeStyle = 'rgb(255 255 255 / .85)'; c.stroke(m.path);
            c.setLineDash([5 / k, 4 / k]); c.lineWidth = 1.8 / k; c.strokeStyle = color(j); c.stroke(m.path); c.setLineDash([]);
        });
    });

    // asking
    const kept = (map, key, make, most = 8) => {
        if (!map.has(key)) { const o = make(); o.catch(() => map.delete(key)); map.set(key, o); if (map.size > most) map.delete(map.keys().next().value); }
        return map.get(key);
    };
    const where = i => ({set: s.set, i, run: s.run});
    const image = i => { const q = query(where(i)); return kept(images, q, () => api(`/api/look/image${q}`, {as: 'blob'}).then(createImageBitmap)); };
    const strip = i => { const q = query({...where(i), point: s.point, ...asked()}); return kept(answers, q, () => api(`/api/look/strip${q}`)); };
    const asked = () => Object.fromEntries(Object.entries(s.rules).map(([k, v]) => [k, Array.isArray(v) ? v.map(o => +o.toFixed(6)).join(',') : +v.toFixed(6)]));
    const base = () => s.point ? run.points[s.point] : run?.thresholds;
    const valueOf = (name, k) => { const v = s.rules[name] ?? base()?.[name] ?? 0; return Array.isArray(v) ? v[k ?? 0] : v; };

    const update = shown(async ({fresh = false} = {}) => {
        const now = ++turn, i = s.i;
        root.dataset.busy = '1';
        try {
            if (i === null) { answer = null; masks = truths = []; panel(); return; }
            if (fresh) {
                const picture = await image(i);
                if (now !== turn) return;
                answer = null; masks = []; truths = []; heat = null;
                view.show(picture);
            }
            const found = await strip(i);
            if (now !== turn) return;
            answer = found;
            const picture = await image(i), make = r => r ? {bytes: maskOf(r, picture.height, picture.width), h: picture.height, w: picture.width} : null;
            if (now !== turn) return;
            masks = found.classes.map(o => make(o.rle));
            if (fresh || !truths.length) truths = (found.truth ?? []).map(make);
            panel();
            await warm(now);
            if (now !== turn) return;
            view.soon();
        } catch (e) { if (now === turn) { fill(said, el('span', {cls: 'bad'}, e.message)); answer = null; masks = truths = []; view.soon(); } }
        finally { if (now === turn) { delete root.dataset.busy; root.dataset.shown = i; } }
    });
    async function warm(now) { // heat or attention over the strip
        if (!s.layer || s.run === null || !answer) { heat = null; return; }
        const q = {...where(s.i), ...s.layer === 'heat' ? {k: s.cls} : {}}, picture = await image(s.i);
        const {grey, h, w} = await greyOf(await api(`/api/look/${s.layer === 'heat' ? 'probs' : 'attention'}${query(q)}`, {as: 'blob'}));
        if (now !== turn) return;
        heat = {canvas: painted(grey.map(o => o * .8), h, w, s.layer === 'heat' ? color(s.cls) : 'rgb(255 40 120)'), h: picture.height, w: picture.width};
    }
    const ahead = later(shown(async () => { // the strips on both sides
        for (const step of [1, -1]) {
            const next = s.at + step < list.total ? await list.get(s.at + step) : null;
            if (next) { await image(next[0]); await strip(next[0]).catch(() => null); }
        }
    }), 30);
    const go = shown(async n => {
        if (n < 0 || n >= list.total) return;
        const row = await list.get(n);
        if (!row) return;
        Object.assign(s, {at: n, i: row[0]});
        await Promise.all([update({fresh: true}), list.mark(n)]);
        ahead();
    });

    // the list
    const search = el('input', {type: 'search', placeholder: 'name', 'aria-label': 'Search names', oninput: later(() => refill(), 150)});
    const show = el('select', {'aria-label': 'Which strips', onchange: () => refill()});
    const list = longList(async (start, n) => {
        const o = await api(`/api/look/list${query({set: s.set, text: search.value, show: show.value, start, n})}`);
        knownClasses = o.classes;
        number.textContent = o.total === o.of ? `${count(o.of)}` : `${count(o.total)} of ${count(o.of)}`;
        return o;
    }, ([, name, classes]) => [el('span', {cls: 'name', title: name}, name), el('span', {cls: 'dots'}, classes.map(k => el('span', {cls: 'dot', vars: {'--c': color(k)}, title: knownClasses?.[k]})))], n => go(n));
    const number = el('span', {cls: 'hint num'});
    const refill = shown(async () => {
        await list.fresh();
        const chosen = show.value;
        if (show.dataset.of !== JSON.stringify(knownClasses)) {
            show.dataset.of = JSON.stringify(knownClasses);
            fill(show, el('option', {value: ''}, 'all strips'), ...(knownClasses ? [el('option', {value: 'defects'}, 'with defects'), el('option', {value: 'clean'}, 'without'),
                ...knownClasses.map((o, k) => el('option', {value: k}, `with ${o}`))] : []));
            show.value = chosen;
            show.disabled = !knownClasses;
        }
        if (list.total) await go(0); else { Object.assign(s, {at: -1, i: null}); await update(); }
    });

    // the panels
    const said = el('p', {cls: 'hint said', role: 'status'}), head = el('h1', {cls: 'name'}), table = el('div', {cls: 'scroll'}), parts = el('div', {cls: 'parts'}), sliders = el('div', {cls: 'sliders'}), tools = el('div', {cls: 'line tools'});
    function panel() {
        const name = answer?.name ?? '';
        head.textContent = name; head.title = name;
        const rows = answer?.classes ?? [], names = answer?.names ?? knownClasses ?? [];
        if (s.on.length !== Math.max(rows.length, names.length)) s.on = Array(Math.max(rows.length, names.length)).fill(true);
        view.canvas.setAttribute('aria-label', `${name}: ${answer?.present?.length ? `found: ${answer.present.join(', ')}` : 'nothing found'}`);
        fill(said, answer ? answer.how ? `${answer.height}×${answer.width}, ${answer.how}` : info.runs.length ? '' : 'no run: only what is labelled is shown' : list.total ? '' : 'no strip of this kind');
        const seg = rows.some(o => 'rle' in o), labelled = Array.isArray(answer?.labels);
        const boxes = (rows.length ? rows : names.map(o => ({name: o}))).map((o, k) => el('tr', {cls: o.found ? 'found' : ''},
            el('td', {}, el('label', {cls: 'line tight'}, el('input', {type: 'checkbox', checked: s.on[k], 'aria-label': `show ${o.name}`, vars: {'accent-color': color(k)}, onchange: e => { s.on[k] = e.target.checked; view.soon(); }}),
                el('span', {cls: 'dot', vars: {'--c': color(k)}}), el('span', {cls: 'name', title: o.name}, o.name), k < 9 ? el('kbd', {cls: 'small'}, k + 1) : null)),
            rows.length ? [el('td', {cls: 'num'}, share(o.probability)), seg ? [el('td', {cls: 'num'}, o.area ? count(o.area) : '–'), el('td', {cls: 'num'}, o.n_components || '–')] : el('td', {}, o.found ? 'found' : '–')] : null,
            labelled ? el('td', {cls: 'num'}, answer.labels.includes(k) ? (truths[k] ? count(truths[k].bytes.reduce((a, b) => a + b, 0)) : 'yes') : '–') : null,
            rows.some(r => 'dice' in r) ? el('td', {cls: 'num'}, share(o.dice)) : null,
            seg ? el('td', {cls: 'num'}, el('button', {cls: 'small', disabled: !o.rle, title: 'Copy the run lengths of this mask', onclick: shown(async () => { await navigator.clipboard.writeText(o.rle); toast(`Run lengths of ${o.name} copied`); })}, 'copy RLE')) : null));
        fill(table, names.length || rows.length ? el('table', {}, el('thead', {}, el('tr', {}, el('th', {}, 'class'), rows.length ? [el('th', {cls: 'num', title: 'probability that the class is in the image'}, 'prob.'), seg ? [el('th', {cls: 'num'}, 'pixels'), el('th', {cls: 'num', title: 'connected components'}, 'parts')] : el('th', {}, 'answer')] : null,
            labelled ? el('th', {cls: 'num'}, 'labelled') : null, rows.some(r => 'dice' in r) ? el('th', {cls: 'num'}, 'Dice') : null, seg ? el('th') : null)), el('tbody', {}, boxes)) : '');
        const found = rows.flatMap((o, k) => (o.components ?? []).map(c => ({...c, k, name: o.name}))).sort((a, b) => b.area - a.area).slice(0, 12);
        fill(parts, found.length ? [el('h3', {}, found.length < rows.reduce((n, o) => n + (o.n_components ?? 0), 0) ? 'Largest parts' : 'Parts'), el('div', {cls: 'line'}, found.map(o => el('button', {cls: 'small', title: `${o.name}: ${count(o.area)} pixels, highest probability ${share(o.max_probability)}; show it`, onclick: () => view.to(o.box)},
            el('span', {cls: 'dot', vars: {'--c': color(o.k)}}), ` ${count(o.area)} px, ${o.max_probability.toFixed(2)}`)))] : null);
        bar();
        slide();
    }
    function press(label, on, f, title, disabled = false) { return el('button', {'aria-pressed': String(on), onclick: f, title, disabled}, label); }
    function bar() {
        const seg = answer?.classes?.some(o => 'rle' in o) ?? run?.task === 'segmentation';
        fill(tools, 
            el('div', {cls: 'tabs', role: 'group', 'aria-label': 'Masks'}, ['contour', 'fill', 'none'].map(o => press(o === 'none' ? 'no masks' : o, s.mode === o, () => { s.mode = o; bar(); view.soon(); }, 'Masks (m)', !seg))),
            press('labels', s.truth && !!answer?.truth, () => { s.truth = !s.truth; bar(); view.soon(); }, answer?.truth ? 'What is labelled, dashed (l)' : 'These images have no masks that are labelled', !answer?.truth),
            press('heat', s.layer === 'heat', () => layer('heat'), 'Probability of a class as heat (p)', !seg),
            s.layer === 'heat' ? el('select', {'aria-label': 'Class of the heat', onchange: e => { s.cls = +e.target.value; update(); }}, run.classes.map((o, k) => el('option', {value: k, selected: k === s.cls}, o))) : null,
            press('attention', s.layer === 'attention', () => layer('attention'), run?.attention ? 'Where the net attends (a)' : 'This net has no attention to show: it has no CBAM', !run?.attention),
            el('div', {cls: 'line moves'}, el('button', {onclick: () => view.zoom(1 / 1.5), 'aria-label': 'Farther', title: 'Farther (−)'}, '−'), el('button', {onclick: () => view.zoom(1.5), 'aria-label': 'Nearer', title: 'Nearer (+)'}, '+'), el('button', {onclick: view.fit, title: 'The whole strip (f)'}, 'fit'),
            el('button', {onclick: () => go(s.at - 1), 'aria-label': 'Strip before', title: 'Strip before (←)', disabled: s.at < 1}, '‹'), el('button', {onclick: () => go(s.at + 1), 'aria-label': 'Next strip', title: 'Next strip (→)', disabled: s.at + 1 >= list.total}, '›')));
    }
    const layer = name => { if (name === 'attention' && !run?.attention) return toast('This net has no attention to show: it has no CBAM.'); s.layer = s.layer === name ? '' : name; bar(); update(); };
    const moved = later(() => { update(); }, 60);
    function slide() {
        if (!run || run.task === 'singlelabel') { fill(sliders, el('p', {cls: 'hint'}, run ? 'This run gives each image its likeliest class: there is no threshold.' : 'Name a run to see what a net says: severstal app RUN.')); return; }
        const focus = document.activeElement?.dataset?.rule, names = run.task === 'segmentation' ? Object.keys(RULES) : ['label'];
        if (focus && sliders.contains(document.activeElement)) { for (const o of sliders.querySelectorAll('input[type=range]')) read(o); return; }
        const tabs = el('div', {cls: 'tabs', role: 'group', 'aria-label': 'Thresholds of'}, [null, ...run.classes.keys()].map(k => press(k === null ? 'all classes' : run.classes[k], s.only === k, () => { s.only = k; slide(); }, k === null ? 'Move the thresholds of all classes' : `Only of ${run.classes[k]}`)));
        fill(sliders, 
            el('div', {cls: 'line'}, el('h2', {cls: 'wide'}, 'Thresholds'), el('select', {'aria-label': 'Thresholds of', onchange: e => { s.point = e.target.value; s.rules = {}; slide(); update(); }},
                el('option', {value: ''}, 'of the run'), Object.keys(run.points).map(o => el('option', {value: o, selected: o === s.point}, o))), el('button', {onclick: back, title: 'As they were (z)'}, 'reset')), tabs,
            el('div', {cls: 'fields'}, names.map(name => {
                const size = name.startsWith('min'), input = el('input', {type: 'range', id: `rule-${name}`, 'data-rule': name, min: 0, max: size ? SIZES.length - 1 : 1, step: size ? 1 : .01, oninput: e => { set(name, size ? SIZES[+e.target.value] : +e.target.value); read(e.target); moved(); }});
                const field = el('label', {cls: 'field', title: RULES[name][1]}, el('span', {}, RULES[name][0]), el('output', {for: input.id}), input);
                read(input, field);
                return field;
            })));
    }
    function read(input, field = input.parentElement) {
        const name = input.dataset.rule, v = s.rules[name] ?? base()?.[name] ?? 0, all = Array.isArray(v) ? v : [v], one = valueOf(name, s.only), size = name.startsWith('min');
        const middle = s.only === null ? all.toSorted((a, b) => a - b)[all.length >> 1] : one, mixed = s.only === null && new Set(all).size > 1, say = o => size ? count(Math.round(o)) : o.toFixed(2);
        if (document.activeElement !== input) input.value = size ? SIZES.findLastIndex(o => o <= middle) : middle;
        field.querySelector('output').textContent = mixed ? `${say(Math.min(...all))} – ${say(Math.max(...all))}` : say(middle);
    }
    function set(name, value) {
        if (s.only === null) { s.rules[name] = value; return; }
        const was = s.rules[name] ?? base()[name], list = Array.isArray(was) ? [...was] : Array(run.classes.length).fill(was);
        list[s.only] = value;
        s.rules[name] = list;
    }
    const back = () => { s.rules = {}; document.activeElement?.blur?.(); slide(); update(); };

    // files
    const file = el('input', {type: 'file', accept: 'image/png,image/jpeg,image/bmp,image/tiff,image/webp', hidden: true, 'aria-label': 'A picture', onchange: () => { if (file.files[0]) take(file.files[0]); file.value = ''; }});
    const take = shown(async picked => {
        const at = await api('/api/look/drop', {method: 'POST', body: picked});
        sets.value = s.set = at.set;
        show.value = search.value = '';
        await refill();
        await go(at.i);
        toast(`${picked.name} is ${answer?.name ?? 'shown'}`);
    });
    const over = e => { if (e.dataTransfer?.types.includes('Files')) { e.preventDefault(); root.classList.add('over'); } }, out = () => root.classList.remove('over');
    const drop = e => { out(); if (e.dataTransfer?.files.length) { e.preventDefault(); take(e.dataTransfer.files[0]); } };
    document.addEventListener('dragover', over); document.addEventListener('dragleave', out); document.addEventListener('drop', drop);

    // the choice of run and images
    const sets = el('select', {'aria-label': 'Images', onchange: e => { s.set = +e.target.value; show.value = search.value = ''; refill(); }}, info.sets.map((o, k) => el('option', {value: k, selected: k === info.set}, o.name)));
    const runs = el('select', {'aria-label': 'Run', onchange: e => choose(+e.target.value)}, info.runs.map((o, k) => el('option', {value: k}, o.name)));
    const choose = shown(async n => {
        run = await api(`/api/look/run?run=${n}`);
        Object.assign(s, {run: n, rules: {}, point: '', only: null, cls: 0, on: []});
        if (info.sets[s.set].run !== null && info.sets[s.set].run !== n) { sets.value = s.set = n; show.value = search.value = ''; return refill(); }
        if (s.layer === 'attention' && !run.attention) s.layer = '';
        slide();
        if (s.i !== null) await update({fresh: true});
    });

    root.append(
        el('section', {cls: 'panel top', 'aria-label': 'Strip'}, el('div', {cls: 'line'}, head, said), view.box, tools),
        el('div', {cls: 'below'},
            el('section', {cls: 'panel side', 'aria-label': 'Images'}, el('div', {cls: 'line'}, el('h2', {cls: 'wide'}, 'Strips'), number), info.runs.length > 1 ? runs : null, sets, el('div', {cls: 'line find'}, search, show), list.box,
                el('div', {cls: 'line'}, el('button', {onclick: () => file.click(), title: 'Open a picture (o)'}, 'Open a picture…'), el('span', {cls: 'hint'}, 'or drop one anywhere'), file)),
            el('section', {cls: 'panel', 'aria-label': 'Classes'}, el('h2', {}, 'Classes'), table, parts), el('section', {cls: 'panel', 'aria-label': 'Thresholds'}, sliders)));
    const toggle = k => { if (k < s.on.length) { s.on[k] = !s.on[k]; panel(); view.soon(); } };
    onKey({ArrowRight: () => go(s.at + 1), ArrowLeft: () => go(s.at - 1), ArrowDown: () => go(s.at + 1), ArrowUp: () => go(s.at - 1), '+': () => view.zoom(1.5), '=': () => view.zoom(1.5), '-': () => view.zoom(1 / 1.5), f: view.fit,
        0: () => { s.on.fill(!s.on.every(o => o)); panel(); view.soon(); }, m: () => { s.mode = {contour: 'fill', fill: 'none', none: 'contour'}[s.mode]; bar(); view.soon(); }, l: () => { s.truth = !s.truth; bar(); view.soon(); },
        p: () => layer('heat'), a: () => layer('attention'), '/': () => search.focus(), o: () => file.click(), z: back, ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map(k => [k, () => toggle(k - 1)]))});
    const along = e => { if (e.shiftKey && e.key.startsWith('Arrow') && !e.target.matches('input, select')) { e.preventDefault(); e.stopImmediatePropagation(); const d = {ArrowLeft: [120, 0], ArrowRight: [-120, 0], ArrowUp: [0, 60], ArrowDown: [0, -60]}[e.key]; view.move(...d); } };
    addEventListener('keydown', along, true);
    panel();
    if (info.runs.length) run = await api('/api/look/run?run=0').catch(e => { toast(e.message, 'bad'); return null; });
    if (!run) s.run = null;
    slide();
    await refill();
    return () => { turn++; view.end(); list.end(); removeEventListener('keydown', along, true); document.removeEventListener('dragover', over); document.removeEventListener('dragleave', out); document.removeEventListener('drop', drop); };
}
