// Review: place after place of a run's images, and what is said of each.
import {api, el, fill, later, onKey, query, shown, toast} from './app.js';
import {longList, maskOf, outlineOf, stage} from './look.js';

export const title = 'Review';
export const keys = [['↓ ↑', 'next place, place before'], ['r', 'the label is right'], ['w', 'the label is wrong'], ['m', 'a label is missing'], ['u', 'unsure'], ['n', 'write a note'], ['z', 'near the place'], ['f', 'the whole strip'],
    ['+ −', 'nearer, farther'], ['l', 'labels on or off'], ['p', 'prediction on or off'], ['c', 'what is proposed, on or off'], ['/', 'search names']];

const VERDICTS = [['right', 'Right', 'r'], ['wrong', 'Wrong', 'w'], ['missing', 'Missing', 'm'], ['unsure', 'Unsure', 'u']];
const DOES = {missing: 'Wrong or missing: the region is added to the labels.', spurious: 'Wrong: the component is removed from the labels.', border: 'Wrong: the labelled outline is replaced by the net’s.'};
const count = v => v.toLocaleString('en').replaceAll(',', ' ');

export async function mount(root, ctx) {
    root.classList.add('look'); // the same picture and list
    const {info} = ctx, color = k => info.colors[k % info.colors.length];
    if (!info.runs.length) { root.append(el('p', {cls: 'empty'}, 'Name a run to go through its labels and predictions: severstal app RUN.')); return; }
    const s = {run: 0, list: '', at: -1, row: null, labels: true, net: true, change: true, sort: ''};
    let over = {lists: [], classes: [], notes: []}, item = null, drawn = {}, turn = 0;
    const images = new Map();

    const view = stage((c, k) => {
        c.lineJoin = c.lineCap = 'round';
        if (s.change && drawn.change) {
            c.globalAlpha = .35; c.fillStyle = color(s.row.k); c.fill(drawn.change.path, 'evenodd'); c.globalAlpha = 1;
            const [x, y, w, h] = drawn.change.box, gap = 6 / k;
            c.lineWidth = 3 / k; c.strokeStyle = '#000'; c.strokeRect(x - gap, y - gap, w + 2 * gap, h + 2 * gap);
            c.lineWidth = 1.5 / k; c.strokeStyle = '#fff'; c.strokeRect(x - gap, y - gap, w + 2 * gap, h + 2 * gap);
        }
        if (s.net) for (const [j, path] of drawn.net ?? []) { c.lineWidth = 2 / k; c.strokeStyle = color(j); c.stroke(path); }
        if (s.labels) for (const [j, path] of drawn.truth ?? []) {
            c.lineCap = 'butt'; c.lineWidth = 2.5 / k; c.strokeStyle = 'rgb(255 255 255 / .85)'; c.stroke(path);
            c.setLineDash([5 / k, 4 / k]); c.lineWidth = 1.8 / k; c.strokeStyle = color(j); c.stroke(path); c.setLineDash([]);
        }
    });
    const lines = (rles, h, w) => (rles ?? []).map((r, j) => [j, r]).filter(([, r]) => r).map(([j, r]) => [j, outlineOf(maskOf(r, h, w), h, w)]);
    function area(rle, h, w) { // a region as a path to fill, and the box around it
        if (!rle) return null;
        const path = new Path2D(), v = rle.split(' ').map(Number);
        let x0 = w, x1 = 0, y0 = h, y1 = 0;
        for (let i = 0; i < v.length; i += 2) for (let at = v[i] - 1, left = v[i + 1]; left > 0;) { // a run may go on in the next column
            const x = Math.floor(at / h), y = at % h, n = Math.min(left, h - y);
            path.rect(x, y, 1, n);
            x0 = Math.min(x0, x); x1 = Math.max(x1, x + 1); y0 = Math.min(y0, y); y1 = Math.max(y1, y + n);
            at += n; left -= n;
        }
        return {path, box: [x0, y0, x1 - x0, y1 - y0]};
    }
    const image = i => {
        const key = `${s.run} ${i}`;
        if (!images.has(key)) {
            const o = api(`/api/look/image${query({set: s.run, i, run: s.run})}`, {as: 'blob'}).then(createImageBitmap);
            o.catch(() => images.delete(key));
            images.set(key, o);
            if (images.size > 8) images.delete(images.keys().next().value);
        }
        return images.get(key);
    };
    const itemOf = o => api(`/api/review/item${query({run: s.run, file: o.file, k: o.k, queue: o.queue})}`);

    const go = shown(async n => {
        if (n < 0 || n >= list.total) return;
        const now = ++turn, row = await list.get(n);
        if (!row || now !== turn) return;
        Object.assign(s, {at: n, row});
        root.dataset.busy = '1';
        try {
            const found = await itemOf(row), picture = await image(found.i);
            if (now !== turn) return;
            item = found;
            drawn = {truth: lines(item.truth, item.height, item.width), net: lines(item.net, item.height, item.width), change: area(item.change, item.height, item.width)};
            note.value = item.note;
            view.show(picture);
            if (drawn.change && view.canvas.clientWidth < .45 * picture.width) near(); // a phone shows a part: this one
        } catch (e) { if (now !== turn) return; item = null; drawn = {}; toast(e.message, 'bad'); }
        panel();
        view.soon();
        await list.mark(n);
        if (now === turn) { delete root.dataset.busy; root.dataset.shown = n; }
        const next = n + 1 < list.total ? await list.get(n + 1) : null;
        if (next) itemOf(next).then(o => image(o.i)).catch(() => null);
    });
    function near() { // the place with as much around it
        const box = drawn.change?.box;
        if (!box) return toast('This list says which class of which strip, not where.');
        view.to([box[0], box[1], box[0] + box[2], box[1] + box[3]]);
    }

    // verdicts: shown as said once the server has kept them
    const say = shown(async verdict => {
        if (!s.row || !item) return;
        const {row, at} = s;
        root.dataset.busy = '1';
        const kept = await api('/api/review/verdict', {method: 'POST', body: {run: s.run, file: row.file, k: row.k, queue: row.queue, verdict, note: note.value}}).finally(() => delete root.dataset.busy);
        row.verdict = kept.verdict;
        if (s.at !== at) return list.mark(s.at);
        item.verdict = kept.verdict;
        if (at + 1 < list.total) await go(at + 1); else { panel(); await list.mark(at); toast('The last place of this list'); }
    });

    const head = el('h1', {cls: 'name'}), said = el('p', {cls: 'hint said', role: 'status'}), tools = el('div', {cls: 'line tools'}), buttons = el('div', {cls: 'line'}), does = el('p', {cls: 'hint'});
    const note = el('input', {type: 'text', maxlength: 2000, placeholder: 'note, kept with the verdict', 'aria-label': 'Note', onkeydown: e => { if (e.key === 'Enter') note.blur(); }});
    const press = (label, on, f, title, disabled) => el('button', {'aria-pressed': String(on), onclick: f, title, disabled}, label);
    const turnOn = name => { s[name] = !s[name]; panel(); view.soon(); };
    function panel() {
        const o = s.row, one = over.lists.find(l => l.name === s.list);
        head.textContent = head.title = o ? o.file : '';
        view.canvas.setAttribute('aria-label', o ? `${o.file}, class ${over.classes[o.k]}` : 'nothing chosen');
        fill(said, o ? [el('span', {cls: 'dot', vars: {'--c': color(o.k)}}), ` ${over.classes[o.k]}: ${one?.number ?? ''} ${o.value.toFixed(3)}${o.area ? `, ${count(o.area)} pixels` : ''}`] : 'nothing in this list');
        fill(tools, press('labels', s.labels, () => turnOn('labels'), 'What is labelled, dashed (l)', !item?.truth), press('prediction', s.net, () => turnOn('net'), 'What the net said that has not learnt from it (p)', !item?.net),
            press('proposal', s.change, () => turnOn('change'), 'The place in question (c)', !drawn.change), el('div', {cls: 'line moves'}, el('button', {onclick: near, title: 'Near the place (z)', disabled: !drawn.change}, 'near'),
                el('button', {onclick: () => view.zoom(1 / 1.5), 'aria-label': 'Farther', title: 'Farther (−)'}, '−'), el('button', {onclick: () => view.zoom(1.5), 'aria-label': 'Nearer', title: 'Nearer (+)'}, '+'), el('button', {onclick: view.fit, title: 'The whole strip (f)'}, 'fit'),
                el('button', {onclick: () => go(s.at - 1), 'aria-label': 'Place before', title: 'Place before (↑)', disabled: s.at < 1}, '‹'), el('button', {onclick: () => go(s.at + 1), 'aria-label': 'Next place', title: 'Next place (↓)', disabled: s.at + 1 >= list.total}, '›')));
        fill(buttons, VERDICTS.map(([name, label, key]) => el('button', {'aria-pressed': String(item?.verdict === name), 'data-verdict': name, disabled: !item, onclick: () => say(name), title: `The label is ${name} (${key})`}, label, ' ', el('kbd', {cls: 'small'}, key))));
        does.textContent = DOES[o?.queue] ?? 'Wrong or missing: noted, to be drawn by hand.';
    }

    // the list
    const lists = el('select', {'aria-label': 'List', onchange: () => choose(lists.value)}), runs = el('select', {'aria-label': 'Run', onchange: e => open(+e.target.value)}, info.runs.map((o, k) => el('option', {value: k}, o.name)));
    const classes = el('select', {'aria-label': 'Class', onchange: () => refill()}), sorts = el('select', {'aria-label': 'Order', onchange: () => refill()});
    const least = el('input', {type: 'number', min: 0, placeholder: 'min px', 'aria-label': 'Least pixels', oninput: later(() => refill(), 250)}), most = el('input', {type: 'number', min: 0, placeholder: 'max px', 'aria-label': 'Most pixels', oninput: later(() => refill(), 250)});
    const search = el('input', {type: 'search', placeholder: 'name', 'aria-label': 'Search names', oninput: later(() => refill(), 200)}), number = el('span', {cls: 'hint num'}), notes = el('div');
    const MARK = {right: '✓', wrong: '✗', missing: '+', unsure: '?'};
    const list = longList(async (start, n) => {
        if (!s.list) { number.textContent = ''; return {total: 0, rows: []}; }
        const o = await api(`/api/review/rows${query({run: s.run, list: s.list, k: classes.value, least: least.value, most: most.value, text: search.value, sort: sorts.value, start, n})}`);
        number.textContent = o.total === o.of ? count(o.of) : `${count(o.total)} of ${count(o.of)}`;
        return o;
    }, o => [el('span', {cls: 'dot', vars: {'--c': color(o.k)}, title: over.classes[o.k]}), el('span', {cls: 'name', title: o.file}, o.file), el('span', {cls: 'hint num'}, o.value.toFixed(2)), el('span', {title: o.verdict}, MARK[o.verdict] ?? ' ')], n => go(n));
    const refill = shown(async () => {
        root.dataset.busy = '1';
        await list.fresh().finally(() => delete root.dataset.busy);
        if (list.total) await go(0); else { turn++; Object.assign(s, {at: -1, row: null}); item = null; drawn = {}; panel(); view.soon(); }
    });
    const choose = name => { s.list = lists.value = name; return refill(); };
    const open = shown(async n => {
        s.run = n;
        over = await api(`/api/review/lists?run=${n}`).catch(e => ({lists: [], classes: info.runs[n].classes, notes: [e.message]}));
        fill(lists, over.lists.map(o => el('option', {value: o.name}, `${o.title} (${count(o.total)})`)));
        fill(classes, el('option', {value: ''}, 'all classes'), over.classes.map((o, k) => el('option', {value: k}, o)));
        fill(sorts, el('option', {value: ''}, 'as listed'), el('option', {value: 'area'}, 'largest first'), el('option', {value: 'file'}, 'by name'));
        fill(notes, over.notes.map(o => el('p', {cls: 'hint'}, o)));
        await choose(over.lists[0]?.name ?? '');
    });

    root.append(
        el('section', {cls: 'panel top', 'aria-label': 'Strip'}, el('div', {cls: 'line'}, head, said), view.box, tools),
        el('div', {cls: 'below'},
            el('section', {cls: 'panel side', 'aria-label': 'Places'}, el('div', {cls: 'line'}, el('h2', {cls: 'wide'}, 'Places'), number), info.runs.length > 1 ? runs : null, lists, el('div', {cls: 'line find'}, classes, sorts), el('div', {cls: 'line find'}, least, most, search), list.box),
            el('section', {cls: 'panel', 'aria-label': 'Verdict'}, el('h2', {}, 'The label is'), buttons, note, does),
            el('section', {cls: 'panel', 'aria-label': 'Notes'}, notes, el('p', {cls: 'hint'}, 'Verdicts are kept in the run’s verdicts.csv. severstal labels RUN --apply writes the corrected table of masks.'))));
    const step = by => () => go(s.at + by);
    onKey({ArrowDown: step(1), ArrowUp: step(-1), ArrowRight: step(1), ArrowLeft: step(-1), ...Object.fromEntries(VERDICTS.map(([name, , key]) => [key, () => say(name)])), n: () => note.focus(), z: near, f: view.fit,
        '+': () => view.zoom(1.5), '=': () => view.zoom(1.5), '-': () => view.zoom(1 / 1.5), l: () => turnOn('labels'), p: () => turnOn('net'), c: () => turnOn('change'), '/': () => search.focus()});
    panel();
    await open(0);
    return () => { turn++; view.end(); list.end(); };
}
