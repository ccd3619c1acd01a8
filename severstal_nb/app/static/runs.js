// Runs: side by side, with their curves and what differs; a training is started, followed, stopped, and goes on.
export const title = 'Runs';
export const keys = [['↑ ↓', 'from run to run'], ['x', 'compare this run, or no longer'], ['c', 'compare none'], ['m', 'the next curve'], ['n', 'new training'], ['/', 'search in the settings'],
    ['s', 'stop the training'], ['o', 'go on with this run'], ['Esc', 'back to the runs']];

const COLUMNS = { // of the table: [head, value, as text, class]
    run: ['Run', r => r.run, r => r.run, 'name'], state: ['State', r => STATES.indexOf(r.state), null, ''],
    score: ['Score', r => r[r.headlines?.[0]], null, 'num'], net: ['Net', r => r.net, r => r.net ?? '', 'far'], preset: ['Preset', r => r.preset, r => r.preset ?? '', 'far'],
    epochs: ['Epochs', r => r.epochs, r => r.asked && r.epochs < r.asked ? `${r.epochs} of ${r.asked}` : r.epochs ?? '', 'num mid'],
    minutes: ['Time', r => r.minutes, r => r.minutes === undefined ? '' : span(r.minutes*60), 'num mid'], images: ['Images', r => r.images, r => r.images ?? '', 'num far'],
    test: ['Test', r => r[`test_${r.headlines?.[0]}`], null, 'num far'], started: ['Started', r => r.started, r => r.started?.slice(0, 16) ?? '', 'mid']};
const STATES = ['running', 'stopped', 'broken', 'done'], COLOURS = 8;
const WORDS = {running: 'running', stopped: 'stopped', broken: 'broken', done: 'done'};
const USUAL = ['preset', 'data.root', 'model.name', 'model.encoder', 'model.backbone', 'loss.type', 'training.num_epochs', 'training.learning_rate', 'data.batch_size', 'data.fold', 'run.name'];
const SECTIONS = {usual: 'The usual', data: 'Data', augment: 'Augmentation', model: 'Net', loss: 'Loss', training: 'Training', predict: 'Prediction', run: 'Run'};

const span = s => s < 60 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s/60)} min` : `${(s/3600).toFixed(1)} h`;
const short = v => v === null || v === undefined ? '' : typeof v !== 'number' ? String(v) : Number.isInteger(v) ? String(v) : Math.abs(v) < 1e-3 || Math.abs(v) >= 1e5 ? v.toExponential(2) : v.toFixed(4);
const fill = (node, ...children) => node.replaceChildren(...children.filter(Boolean));
/** Draw a part anew; what had the focus has it afterwards, and what was scrolled stays so. */
function redraw(part, draw) {
    const on = document.activeElement, id = part.contains(on) ? on.dataset.focus : null, was = part.querySelector('.scroll')?.scrollLeft;
    draw();
    if (was) part.querySelector('.scroll')?.scrollTo(was, 0);
    if (id) [...part.querySelectorAll('[data-focus]')].find(o => o.dataset.focus === id)?.focus({preventScroll: true});
}
const signed = v => (v > 0 ? '+' : v < 0 ? '−' : '') + Math.abs(v).toFixed(4);
const compare = (a, b) => typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), undefined, {numeric: true});

export async function mount(root, ctx) {
    const {api, el, svg, toast, onKey, ask, shown, later, query} = ctx;
    const at = {runs: [], root: '', training: null, stamp: '', sort: ['started', -1], row: -1, picked: new Set(), seen: new Map(), column: 'score', told: null, view: 'list', gone: false};
    const post = (path, body) => api(`/api/runs/${path}`, {method: 'POST', body});
    const parts = Object.fromEntries(['live', 'table', 'detail', 'form'].map(k => [k, el('section', {cls: `${k}-part`})]));
    const fresh = el('button', {cls: 'main', onclick: () => show('new'), 'aria-keyshortcuts': 'n'}, 'New training'), place = el('p', {cls: 'hint mono wide name'});
    root.append(el('header', {cls: 'line'}, el('h1', {}, 'Runs'), place, fresh), ...Object.values(parts));

    // the list -----------------------------------------------------------------------------------------------------
    function sorted() {
        const [column, way] = at.sort, value = COLUMNS[column][1];
        const empty = o => o === null || o === undefined;
        return [...at.runs].sort((a, b) => { const [x, y] = [value(a), value(b)]; return empty(x) - empty(y) || (empty(x) ? 0 : way*compare(x, y)); });
    }
    function score(r, test = '') {
        const k = test + r.headlines?.[0], v = r[k];
        if (typeof v !== 'number') return '';
        return [v.toFixed(4), typeof r[`${k}_low`] === 'number' ? el('small', {cls: 'hint range'}, ` ${r[`${k}_low`].toFixed(3)} – ${r[`${k}_high`].toFixed(3)}`) : null];
    }
    const chip = r => el('span', {cls: `chip ${r.state}`, title: r.error ?? r.who ?? null}, WORDS[r.state] ?? r.state);
    const cells = {state: chip, score: r => score(r), test: r => score(r, 'test_')};
    const colour = name => { const i = [...at.picked].indexOf(name); return i < 0 ? null : `var(--run-${i % COLOURS})`; };
    function drawTable() {
        const used = Object.keys(COLUMNS).filter(k => ['run', 'state'].includes(k) || at.runs.some(r => ![null, undefined].includes(COLUMNS[k][1](r))));
        const points = [...new Set(at.runs.flatMap(r => r.points ?? []))].slice(0, 2), list = sorted();
        at.row = Math.min(at.row, list.length - 1);
        const head = used.map(k => el('th', {cls: COLUMNS[k][3], 'aria-sort': at.sort[0] === k ? (at.sort[1] > 0 ? 'ascending' : 'descending') : null},
            el('button', {cls: 'sort', 'data-focus': `sort ${k}`, onclick: () => { at.sort = at.sort[0] === k ? [k, -at.sort[1]] : [k, k === 'run' || k === 'net' || k === 'preset' ? 1 : -1]; drawTable(); }}, COLUMNS[k][0])));
        const body = list.map((r, i) => el('tr', {cls: i === at.row ? 'here' : null, 'data-run': r.run, onclick: e => { at.row = i; if (!e.target.closest('input')) pick(r.run, !e.ctrlKey && !e.metaKey); }},
            el('td', {cls: 'tick'}, el('input', {type: 'checkbox', checked: at.picked.has(r.run), 'aria-label': `compare ${r.run}`, 'data-focus': `run ${r.run}`, vars: {'--c': colour(r.run)}, cls: at.picked.has(r.run) ? 'tinted' : null,
                onchange: () => pick(r.run)})),
            used.map(k => el(k === 'run' ? 'th' : 'td', {cls: `${COLUMNS[k][3]} in-${k}`, scope: k === 'run' ? 'row' : null, title: k === 'run' ? r.run : null}, cells[k] ? cells[k](r) : COLUMNS[k][2](r))),
            points.map(p => el('td', {cls: 'num far'}, typeof r[`${p}: found`] === 'number' ? `${(100*r[`${p}: found`]).toFixed(1)} % / ${r[`${p}: clean stopped`] === null ? '–' : (100*r[`${p}: clean stopped`]).toFixed(1) + ' %'}` : ''))));
        parts.table.className = 'table-part panel';
        redraw(parts.table, () => parts.table.replaceChildren(list.length ? el('div', {cls: 'scroll', tabindex: 0, 'data-focus': 'scroll', role: 'region', 'aria-label': 'Runs'}, el('table', {}, el('thead', {}, el('tr', {}, el('th', {cls: 'tick'}), head,
            points.map(p => el('th', {cls: 'num far', title: 'operating point: defects found / clean strips stopped'}, p)))), el('tbody', {}, body)))
            : el('p', {cls: 'hint'}, 'No run here yet. Start one with New training.')));
        place.textContent = at.root;
        place.title = at.root;
    }
    function pick(name, only = false) {
        if (only) { const was = at.picked.size === 1 && at.picked.has(name); at.picked.clear(); if (!was) at.picked.add(name); }
        else if (!at.picked.delete(name)) {
            if (at.picked.size >= 12) { toast('twelve runs at most are compared'); drawTable(); return; }
            at.picked.add(name);
        }
        drawTable(); detail();
    }

    // curves -------------------------------------------------------------------------------------------------------
    function ticks(low, high, n) {
        const raw = (high - low)/n || 1, unit = 10**Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].map(o => o*unit).find(o => o >= raw);
        const out = [];
        for (let v = Math.ceil(low/step)*step; v <= high + step*1e-6; v += step) out.push(Math.abs(v) < step*1e-6 ? 0 : v);
        return out;
    }
    /** Lines over epochs: [{name, fold, color, dash, x, y}]. Follows the width of its box. */
    function chart(lines, label) {
        const box = el('figure', {cls: 'chart'}), said = el('figcaption', {cls: 'hint'}, label), draw = () => {
            const W = Math.max(240, box.clientWidth), H = Math.round(Math.min(300, Math.max(180, W*.45))), [l, r, t, b] = [46, 10, 8, 24];
            const xs = lines.flatMap(o => o.x), ys = lines.flatMap(o => o.y).filter(Number.isFinite);
            if (!ys.length) { box.replaceChildren(said, el('p', {cls: 'hint'}, 'no epoch has ended yet')); return; }
            let [x0, x1, y0, y1] = [0, Math.max(1, ...xs), Math.min(...ys), Math.max(...ys)];
            if (y0 === y1) { y0 -= Math.abs(y0)*.1 || .1; y1 += Math.abs(y1)*.1 || .1; }
            const pad = (y1 - y0)*.05; [y0, y1] = [y0 - pad, y1 + pad];
            const X = v => l + (v - x0)/(x1 - x0)*(W - l - r), Y = v => H - b - (v - y0)/(y1 - y0)*(H - t - b);
            const path = o => o.y.map((v, i) => Number.isFinite(v) ? `${i && Number.isFinite(o.y[i-1]) ? 'L' : 'M'}${X(o.x[i]).toFixed(1)} ${Y(v).toFixed(1)}` : '').join('');
            const cross = svg('line', {cls: 'cross', y1: t, y2: H - b, visibility: 'hidden'});
            const plot = svg('svg', {width: W, height: H, role: 'img', 'aria-label': `${label}: ${lines.map(o => `${o.name} fold ${o.fold} ${short(o.y.at(-1))}`).slice(0, 8).join(', ')}`},
                ticks(y0, y1, H/45).map(v => [svg('line', {cls: 'rule', x1: l, x2: W - r, y1: Y(v), y2: Y(v)}), svg('text', {x: l - 6, y: Y(v) + 4, 'text-anchor': 'end'}, short(+v.toPrecision(6)).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, ''))]),
                ticks(x0, x1, Math.min(8, W/70)).filter(Number.isInteger).map(v => svg('text', {x: X(v), y: H - 6, 'text-anchor': 'middle'}, String(v))),
                lines.map(o => [svg('path', {d: path(o), cls: `curve ${o.dash ? 'dashed' : ''}`, vars: {'--c': o.color}}),
                    o.y.length < 2 ? svg('circle', {cx: X(o.x[0]), cy: Y(o.y[0]), r: 3, cls: 'spot', vars: {'--c': o.color}}) : null]), cross);
            plot.addEventListener('pointermove', e => {
                const x = Math.max(x0, Math.min(x1, Math.round(x0 + (e.offsetX - l)/(W - l - r)*(x1 - x0))));
                cross.setAttribute('x1', X(x)); cross.setAttribute('x2', X(x)); cross.setAttribute('visibility', 'visible');
                const there = lines.map(o => [o, o.y[o.x.indexOf(x)]]).filter(([, v]) => Number.isFinite(v));
                said.replaceChildren(`epoch ${x}: `, ...there.slice(0, 8).map(([o, v]) => el('span', {cls: 'key', vars: {'--c': o.color}}, `${o.tag} ${short(v)}`)));
            });
            plot.addEventListener('pointerleave', () => { cross.setAttribute('visibility', 'hidden'); said.replaceChildren(label); });
            box.replaceChildren(said, plot);
        };
        let width = 0;
        const watch = new ResizeObserver(() => { if (box.clientWidth !== width) { width = box.clientWidth; draw(); } });
        watch.observe(box);
        return box;
    }
    const many = folds => folds.length > 1;
    function curveLines(names, column) {
        return names.flatMap(n => { const o = at.seen.get(n); return (o?.folds ?? []).filter(f => f.values[column]).map(f => ({name: n, fold: f.fold, color: colour(n) ?? 'var(--run-0)', x: f.epoch, y: f.values[column].map(v => v ?? NaN),
            tag: [names.length > 1 ? n : '', many(o.folds) ? `fold ${f.fold}` : ''].filter(Boolean).join(' ') || column})); });
    }
    const column = o => at.column === 'score' ? o.card.headlines?.[0] ?? o.monitor : at.column;
    function lossLines(names) { return ['train_loss', 'valid_loss'].flatMap(c => curveLines(names, c).map(o => ({...o, dash: c === 'valid_loss', tag: `${o.tag === c ? '' : o.tag + ' '}${c === 'valid_loss' ? 'valid' : 'train'}`.trim()}))); }

    // what is shown of one run, or of several ----------------------------------------------------------------------
    const shownRuns = () => at.picked.size ? [...at.picked] : [at.training?.run ?? (sorted().find(r => r.epochs) ?? sorted()[0])?.run].filter(Boolean);
    async function fetchRun(name) {
        const old = at.seen.get(name), wanted = at.column === 'score' ? '' : at.column;
        const q = new URLSearchParams([['run', name], ...(wanted ? ['train_loss', 'valid_loss', wanted].map(c => ['column', c]) : [])]);
        if (old && old.wanted === wanted) q.append('have', old.stamp);
        const o = await api(`/api/runs/one?${q}`);
        if (!o.same) at.seen.set(name, {...o, wanted});
        return !o.same;
    }
    async function detail(quiet = false) {
        const names = shownRuns(), asked = at.asked = {};
        if (!names.length) { parts.detail.replaceChildren(); return; }
        const changed = await Promise.all(names.map(n => fetchRun(n).catch(e => { at.seen.set(n, {card: {run: n, state: 'broken', error: e.message}, folds: [], known: [], log: []}); return true; })));
        if (asked !== at.asked || at.gone) return;
        if (quiet && !changed.some(Boolean)) return;
        const first = at.seen.get(names[0]), score = column(first), known = [...new Set(names.flatMap(n => at.seen.get(n).known))].filter(c => !['epoch', 'train_loss', 'valid_loss'].includes(c));
        const choose = el('select', {'aria-label': 'curve', id: 'curve', 'data-focus': 'curve', onchange: e => { at.column = e.target.value; detail(); }}, [...new Set([score, ...known])].filter(Boolean).map(c => el('option', {value: c, selected: c === score}, c)));
        const open = parts.detail.querySelector('details.log')?.open, old = parts.detail.querySelector('pre'), up = old && old.dataset.run === names[0] && old.scrollTop + old.clientHeight < old.scrollHeight - 4 ? old.scrollTop : null;
        const heads = names.length > 1 ? el('ul', {cls: 'line names'}, names.map(n => el('li', {cls: 'chip', vars: {'--c': colour(n)}}, el('span', {cls: 'dot', vars: {'--c': colour(n)}}), el('span', {cls: 'name'}, n)))) : null;
        const curves = el('div', {cls: 'panel'}, el('div', {cls: 'line'}, el('h2', {cls: 'wide name', title: names.length > 1 ? null : names[0]}, names.length > 1 ? `${names.length} runs` : names[0]),
            names.length > 1 ? null : chip(first.card), names.length > 1 ? null : action(first.card), choose), heads,
            first.card.error && names.length === 1 ? el('p', {cls: 'bad'}, first.card.error) : el('div', {cls: 'charts'}, chart(curveLines(names, score), score ?? 'score'), chart(lossLines(names), 'loss (dashed: validation)')));
        const log = names.length === 1 && first.log.length ? el('details', {cls: 'log panel', open: open || null}, el('summary', {'data-focus': 'log'}, 'Log'), el('pre', {tabindex: 0, 'data-run': names[0], 'data-focus': 'lines'}, first.log.join('\n'))) : null;
        const sound = names.filter(n => at.seen.get(n).card.state !== 'broken'), mark = sound.map(n => `${n} ${at.seen.get(n).card.state}`).join('\n');
        const told = sound.length > 1 ? el('div', {cls: 'grid'}, at.told?.for === mark ? at.told.nodes : el('p', {cls: 'hint panel'}, 'comparing…')) : null;
        redraw(parts.detail, () => fill(parts.detail, curves, told, log));
        if (log) { const pre = log.querySelector('pre'), down = () => { pre.scrollTop = up ?? pre.scrollHeight; }; down(); if (!log.open) log.addEventListener('toggle', down, {once: true}); }
        if (told && at.told?.for !== mark) differences(sound, told, mark);
    }
    async function differences(names, into, mark) {
        let o, nodes;
        try { o = await api('/api/runs/compare?' + new URLSearchParams(names.map(n => ['run', n]))); nodes = [pairs(o), settings(o, names)]; }
        catch (e) { nodes = [el('p', {cls: 'bad panel'}, e.message)]; }
        at.told = {for: mark, nodes};
        if (into.isConnected) into.replaceChildren(...nodes);
    }
    function pairs(o) {
        const rows = ['', 'test_'].flatMap(part => o.rows.slice(1).filter(r => typeof r[`${part}diff`] === 'number').map(r => ({...r, part, mid: r[`${part}diff`], low: r[`${part}diff_low`], high: r[`${part}diff_high`], n: r[`${part}paired`]})));
        const most = Math.max(1e-4, ...rows.flatMap(r => [Math.abs(r.low), Math.abs(r.high)]))*1.08, X = v => 60 + v/most*58;
        const bar = r => svg('svg', {viewBox: '0 0 120 16', width: 120, height: 16, 'aria-hidden': 'true', cls: 'whisker'}, svg('line', {cls: 'zero', x1: 60, x2: 60, y1: 0, y2: 16}),
            svg('line', {cls: 'reach', x1: X(r.low), x2: X(r.high), y1: 8, y2: 8, vars: {'--c': colour(r.run)}}), svg('circle', {cx: X(r.mid), cy: 8, r: 3.5, cls: 'spot', vars: {'--c': colour(r.run)}}));
        const verdict = r => r.low > 0 ? 'better' : r.high < 0 ? 'worse' : 'no clear difference';
        return el('section', {cls: 'panel pairs'}, el('h2', {}, `${o.rows[0].score}, paired with ${o.rows[0].run}`), rows.length ? el('div', {cls: 'scroll'}, el('table', {}, el('thead', {}, el('tr', {}, el('th', {}, 'Run'), el('th', {cls: 'num'}, 'Difference'), el('th', {}, ''),
            el('th', {}, 'Says'))), el('tbody', {}, rows.map(r => el('tr', {}, el('th', {cls: 'name', scope: 'row', title: r.run}, r.part ? 'test images, ' : '', r.run), el('td', {cls: 'num'}, signed(r.mid), el('small', {cls: 'hint range'}, ` ${signed(r.low)} – ${signed(r.high)}`)),
                el('td', {}, bar(r)), el('td', {}, verdict(r), el('small', {cls: 'hint range'}, ` ${r.n} images`)))))))
            : el('p', {cls: 'hint'}, 'These runs share no images with the same labels, or one of them has not ended.'), rows.length ? el('p', {cls: 'hint'}, '95 % intervals, by image or by group of copies.') : null);
    }
    function settings(o, names) {
        const keys = Object.entries(o.keys);
        return el('section', {cls: 'panel'}, el('h2', {}, 'What differs in the settings'), keys.length ? el('div', {cls: 'scroll'}, el('table', {}, el('thead', {}, el('tr', {}, el('th', {}, 'Key'), names.map(n => el('th', {title: n}, el('span', {cls: 'short'}, el('span', {cls: 'dot', vars: {'--c': colour(n)}}), ' ', n))))),
            el('tbody', {}, keys.map(([k, values]) => el('tr', {}, el('th', {cls: 'mono', scope: 'row'}, k), values.map(v => el('td', {cls: 'mono'}, v))))))) : el('p', {cls: 'hint'}, 'Nothing.'));
    }
    function action(card) {
        if (at.training?.running && at.training.run === card.run) return el('button', {disabled: at.training.stopping, 'data-focus': 'act', onclick: stop}, at.training.stopping ? 'stopping…' : 'Stop');
        if (card.state === 'stopped') return el('button', {disabled: busy(), 'data-focus': 'act', title: busy() ? 'one training at a time' : null, onclick: () => goOn(card.run)}, 'Go on');
        if (card.ours) return el('button', {'data-focus': 'act', title: `by ${card.who}, which an earlier app started`, onclick: () => stopOther(card.run)}, 'Stop');
        return card.state === 'running' ? el('span', {cls: 'hint'}, `by ${card.who}; not started by an app on this machine, so stop it there`) : null;
    }

    // the training of this app -------------------------------------------------------------------------------------
    const busy = () => Boolean(at.training?.running) || at.runs.some(r => r.state === 'running');
    const stop = shown(async () => { if (!at.training?.running) return; at.training = await post('stop', {run: at.training.run}); drawLive(); detail(); });
    const stopOther = shown(async run => { await post('stop', {run}); toast(`${run} is being stopped`); await refresh(); });
    const goOn = shown(async name => { at.training = await post('go_on', {run: name}); at.away = null; at.picked.clear(); toast(`${name} goes on`); await refresh(); });
    let bar;
    function drawLive() {
        const t = at.training, card = at.runs.find(r => r.run === t?.run);
        if (!t) { parts.live.className = 'live-part'; parts.live.replaceChildren(); return; }
        const done = card?.epochs ?? 0, all = card?.asked ?? 0, seconds = at.seen.get(t.run)?.seconds, failed = !t.running && t.code !== 0 && !t.stopped;
        const word = t.stopping ? 'is being stopped' : t.running ? t.run ? 'is being trained' : 'is being prepared' : failed ? 'ended with an error' : t.stopped && t.code !== 0 ? 'was stopped' : 'is done';
        const left = t.running && seconds && all > done ? `about ${span(seconds*(all - done))} left` : t.running && !t.run ? `for ${span(t.seconds)}` : null;
        parts.live.className = `live-part panel ${t.running ? 'on' : ''} ${failed ? 'failed' : ''}`;
        const button = t.running ? el('button', {onclick: stop, disabled: t.stopping, 'data-focus': 'stop'}, t.stopping ? 'stopping…' : 'Stop') :
            el('button', {cls: 'quiet', 'aria-label': 'put away', onclick: () => { at.away = t.run ?? t.lines.join(); at.training = null; drawLive(); }}, '×');
        bar = all ? el('progress', {max: all, value: done, 'aria-label': 'epochs'}, `${done} of ${all}`) : t.running ? el('progress', {'aria-label': 'being prepared'}) : null;
        redraw(parts.live, () => fill(parts.live, el('div', {cls: 'line'}, el('p', {cls: 'wide'}, el('strong', {}, t.run ?? 'A training'), ' ', word, all ? `: epoch ${done} of ${all}` : '', left ? el('span', {cls: 'hint'}, ` · ${left}`) : null), button),
            t.running ? bar : null, failed || t.running && !t.run && t.lines.length ? el('pre', {cls: failed ? 'bad' : 'hint'}, (failed ? t.lines.slice(-3) : t.lines.slice(-2)).join('\n')) : null,
            t.running ? el('p', {cls: 'hint'}, 'It goes on when this page or the app is closed. What an epoch has saved is never lost.') : null));
    }

    // polling: what has not changed costs one short answer ---------------------------------------------------------
    async function refresh() {
        const o = await api('/api/runs/table' + query({have: at.stamp}));
        if (at.gone) return;
        const was = JSON.stringify(at.training && {...at.training, seconds: 0});
        at.training = o.training && at.away === (o.training.run ?? o.training.lines.join()) && !o.training.running ? null : o.training;
        if (!o.same) { Object.assign(at, {runs: o.runs, root: o.root, stamp: o.stamp}); for (const n of at.picked) if (!o.runs.some(r => r.run === n)) at.picked.delete(n); drawTable(); }
        drawLive();
        const turned = was !== JSON.stringify(at.training && {...at.training, seconds: 0});
        if (!o.same || turned) { for (const n of turned ? shownRuns() : []) { const s = at.seen.get(n); if (s) s.stamp = ''; } await detail(true); drawLive(); }
    }
    let timer, failures = 0;
    async function poll() {
        if (!document.hidden && at.view === 'list') {
            try { await refresh(); failures = 0; } catch (e) { if (!failures++) toast(e.message, 'bad'); }
        }
        if (!at.gone) timer = setTimeout(poll, busy() ? 2000 : Math.min(30000, 5000*(1 + failures)));
    }

    // a new training -----------------------------------------------------------------------------------------------
    const form = {options: null, given: {}, fields: new Map(), built: false};
    async function show(view) {
        at.view = view;
        for (const k of ['live', 'table', 'detail']) parts[k].hidden = view !== 'list';
        parts.form.hidden = view === 'list';
        fresh.hidden = view !== 'list';
        if (view === 'list') { await refresh().catch(e => toast(e.message, 'bad')); fresh.focus(); return; }
        if (!form.built) await build();
        parts.form.querySelector('input[type=search]').focus();
    }
    const preset = () => form.options.presets[form.given.preset]?.keys ?? {};
    const usual = k => preset()[k] ?? form.fields.get(k).o.default;
    const build = shown(async () => {
        parts.form.replaceChildren(el('p', {cls: 'hint'}, 'reading the names of nets, losses and augmentations…'));
        form.options = await api('/api/runs/options');
        const {keys: table, names, data} = form.options, groups = {};
        for (const o of table) (groups[USUAL.includes(o.key) ? 'usual' : o.key.includes('.') ? o.key.split('.')[0] : 'run'] ??= []).push(o);
        groups.usual.sort((a, b) => USUAL.indexOf(a.key) - USUAL.indexOf(b.key));
        const lists = Object.entries({...names, 'data.root': ['synthetic', ...(data ? [data] : [])]}).filter(([k, v]) => v.length && k !== 'preset').map(([k, v]) => el('datalist', {id: `names-${k}`}, v.map(n => el('option', {value: n}))));
        const search = el('input', {type: 'search', placeholder: 'Search in all settings  /', 'aria-label': 'Search in all settings', cls: 'wide', oninput: later(find, 80), onkeydown: e => { if (e.key === 'Escape' && search.value) { e.stopPropagation(); search.value = ''; find(); } }});
        form.search = search;
        form.none = el('p', {cls: 'hint', hidden: true}, 'No setting of that name.');
        form.groups = Object.keys(SECTIONS).filter(k => groups[k]?.length).map(k => el('details', {cls: 'panel group', open: k === 'usual' || null, 'data-group': k}, el('summary', {}, el('h2', {}, SECTIONS[k]), el('span', {cls: 'hint count'})), el('div', {cls: 'fields'}, groups[k].map(field))));
        form.say = el('p', {cls: 'wide hint', role: 'status', 'aria-live': 'polite'});
        form.start = el('button', {cls: 'main', type: 'submit', disabled: true}, 'Start training');
        form.command = el('details', {cls: 'command'}, el('summary', {cls: 'hint'}, 'as a command'), el('pre', {tabindex: 0}));
        parts.form.replaceChildren(el('form', {onsubmit: e => { e.preventDefault(); start(); }, onkeydown: e => { if (e.key === 'Enter' && e.target.matches('input')) e.preventDefault(); }, autocomplete: 'off'}, el('div', {cls: 'line top'}, el('button', {type: 'button', onclick: () => show('list')}, '‹ Runs'), search), form.none, ...form.groups, ...lists,
            el('footer', {cls: 'panel'}, el('div', {cls: 'line'}, form.say, el('button', {type: 'button', onclick: clear}, 'Reset'), form.start), form.command)));
        form.built = true;
        if (data) set('data.root', data, true);
        set('preset', 'demo' in form.options.presets && !data ? 'demo' : '', true);
    });
    function field(o) {
        const names = form.options.names[o.key], id = `key-${o.key}`, change = e => set(o.key, e.target.value);
        const words = o.key === 'preset' ? Object.keys(form.options.presets) : o.kind === 'switch' ? ['true', 'false'] : o.kind === 'choice' ? [...o.choices, ...(o.null ? ['null'] : [])] : null;
        const input = words ? el('select', {id, onchange: change}, el('option', {value: ''}), words.map(w => el('option', {value: w}, w)))
            : el('input', {id, list: names?.length || o.key === 'data.root' ? `names-${o.key}` : null, inputmode: o.kind === 'number' ? 'decimal' : null, oninput: change, spellcheck: 'false', autocapitalize: 'off'});
        const note = el('p', {cls: 'hint', id: `${id}-help`}, o.help, o.key === 'preset' ? '' : ` · ${limits(o)}`), wrong = el('p', {cls: 'bad', hidden: true});
        input.setAttribute('aria-describedby', `${id}-help`);
        const node = el('div', {cls: 'setting', 'data-key': o.key}, el('label', {for: id, cls: 'mono'}, o.key), input, note, wrong);
        form.fields.set(o.key, {o, node, input, note, wrong, words});
        return node;
    }
    function limits(o) {
        const bound = [o.lo !== undefined ? `${o.lo} or more` : null, o.hi !== undefined ? `${o.hi} or less` : null, o.above !== undefined ? `above ${o.above}` : null].filter(Boolean).join(', ');
        return [o.type.split('|').map(w => w.replace(/\bint\b/, 'whole number').replace(/\bfloat\b/, 'number').replace(/\bstr\b/, 'text')).join(' or '), bound, o.kind === 'text' && o.choices.length ? `also ${o.choices.join(', ')}` : ''].filter(Boolean).join('; ');
    }
    function set(k, v, fill = false) {
        if (v === '') delete form.given[k]; else form.given[k] = v;
        if (fill) form.fields.get(k).input.value = v;
        if (k === 'preset') defaults();
        form.fields.get(k).node.classList.toggle('changed', v !== '');
        form.start.disabled = true;
        check();
    }
    function defaults() {
        for (const [k, {o, input, words}] of form.fields) {
            if (k === 'preset') { input.options[0].textContent = 'none'; form.fields.get(k).note.textContent = form.options.presets[form.given.preset]?.about ?? o.help; continue; }
            if (words) input.options[0].textContent = `${usual(k)}${k in preset() ? ' (preset)' : ''}`; else input.placeholder = usual(k) + (k in preset() ? '  (preset)' : '');
        }
    }
    function clear() {
        for (const k of Object.keys(form.given)) set(k, '', true);
        if (form.options.data) set('data.root', form.options.data, true);
    }
    function find() {
        const words = form.search.value.toLowerCase().split(/\s+/).filter(Boolean);
        let all = 0;
        for (const group of form.groups) {
            let n = 0;
            for (const node of group.querySelectorAll('.setting')) { const {o} = form.fields.get(node.dataset.key), text = `${o.key} ${o.help} ${o.choices.join(' ')}`.toLowerCase(); node.hidden = !words.every(w => text.includes(w)); n += !node.hidden; }
            group.hidden = !n; all += n;
            group.querySelector('.count').textContent = words.length ? ` ${n}` : '';
            if (words.length) { group.dataset.was ??= String(group.open); group.open = true; } else if (group.dataset.was) { group.open = group.dataset.was === 'true'; delete group.dataset.was; }
        }
        form.none.hidden = all > 0;
    }
    let turn = 0;
    const check = later(async () => {
        const mine = ++turn;
        let o, problem;
        try { o = await post('check', {keys: form.given}); problem = o.problem; } catch (e) { problem = e.message; }
        if (mine !== turn || at.gone) return;
        const key = problem && [...problem.matchAll(/[a-z]+(?:\.[a-z_]+)?/g)].map(m => m[0]).find(k => form.fields.has(k) && (k.includes('.') || problem.includes(`${k} `)));
        for (const [k, f] of form.fields) { f.wrong.hidden = k !== key; f.wrong.textContent = k === key ? problem : ''; f.node.classList.toggle('wrong', k === key); f.input.setAttribute('aria-invalid', String(k === key)); }
        const n = Object.keys(form.given).length;
        form.say.className = `wide ${problem ? 'bad' : 'hint'}`;
        form.say.textContent = problem ?? `${n} ${n === 1 ? 'setting' : 'settings'} given, ${o.epochs} ${o.epochs === 1 ? 'epoch' : 'epochs'} in all`;
        form.command.hidden = Boolean(problem);
        form.command.querySelector('pre').textContent = o?.command ?? '';
        form.start.disabled = Boolean(problem);
    }, 250);
    const start = shown(async () => { at.training = await post('start', {keys: form.given}); at.away = null; at.picked.clear(); toast('the training is started'); await show('list'); });

    // keys ---------------------------------------------------------------------------------------------------------
    const list = f => (...a) => { if (at.view === 'list') f(...a); };
    const step = by => list(() => { at.row = Math.max(0, Math.min(at.runs.length - 1, at.row + by)); drawTable(); parts.table.querySelector('tr.here')?.scrollIntoView({block: 'nearest'}); });
    onKey({ArrowDown: step(1), ArrowUp: step(-1), j: step(1), k: step(-1), x: list(() => { const r = sorted()[at.row]; if (r) pick(r.run); }), c: list(() => { at.picked.clear(); drawTable(); detail(); }),
        Enter: list(() => { const r = sorted()[at.row]; if (r) pick(r.run, true); }), m: list(() => { const s = parts.detail.querySelector('#curve'); if (s) { s.selectedIndex = (s.selectedIndex + 1) % s.options.length; at.column = s.value; detail(); } }),
        n: () => show('new'), '/': async () => { if (at.view === 'list') await show('new'); form.search?.focus(); }, Escape: () => { if (at.view === 'new') show('list'); },
        s: list(async () => { if (at.training?.running && await ask(`Stop ${at.training.run ?? 'the training'}? It can go on from its last saved epoch.`, 'Stop')) stop(); }), o: list(() => { const r = sorted()[at.row] ?? at.runs.find(o => o.run === shownRuns()[0]); if (r?.state === 'stopped') goOn(r.run); })});

    parts.form.hidden = true;
    try { await refresh(); } catch (e) { parts.table.replaceChildren(el('p', {cls: 'bad'}, e.message)); }
    timer = setTimeout(poll, 2000);
    return () => { at.gone = true; clearTimeout(timer); };
}
