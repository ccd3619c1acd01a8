// Decide: what is found and what is stopped for nothing; thresholds by budget, recall or cost; points to save.
import {api, ask, el, fill, later, onKey, shown, svg, toast} from './app.js';

export const title = 'Decide';
export const keys = [['b', 'by a budget of clean strips stopped'], ['r', 'by a share of defects found'], ['c', 'by cost'], ['← →', 'move the slider that has the focus'], ['s', 'save as operating point']];

const percent = (v, n = 1) => v === null || v === undefined ? '–' : `${(100 * v).toFixed(v > 0 && v < .001 ? 2 : n)} %`;
const short = v => v === null || v === undefined ? '–' : v === 0 ? '0' : v < .001 ? v.toExponential(0) : v < 10 ? String(+v.toPrecision(2)) : String(Math.round(v));
const range = (low, high) => low === null || low === undefined ? '' : `${(100 * low).toFixed(1)} – ${(100 * high).toFixed(1)}`;
const BUDGETS = [.001, .002, .003, .005, .0075, .01, .015, .02, .03, .04, .05, .075, .1, .15, .2, .3, .5], CONFIDENCES = [.5, .8, .9, .95, .99], RECALLS = [.5, .6, .7, .75, .8, .85, .9, .92, .94, .95, .96, .97, .98, .99, .995];
const PRICES = [0, .1, .2, .5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** Round numbers from 0 to `most`, six at the most. */
function steps(most) {
    const raw = most / 5, base = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].map(o => o * base).find(o => o >= raw);
    return Array.from({length: Math.floor(most / step + 1e-9) + 1}, (_, i) => i * step);
}

/** A chart: lines [{name, x, y, low?, high?, color, dash?, strong?}], dots [{x, y, color}], in the width of its box. `log` is where a logarithmic axis begins; 0 stands before it. */
function chart(what, {lines, dots = [], rule = null, log = null, xmax, xname, yname, xtick}) {
    const box = el('figure', {cls: 'chart', role: 'img', 'aria-label': what}), tip = el('figcaption', {cls: 'hint'}, what);
    const put = () => {
        const W = box.clientWidth, H = Math.max(220, Math.min(320, W * .62)), left = 44, right = 12, top = 12, bottom = 38;
        if (!W) return;
        const turn = log ? v => v < log ? .06 * v / log : .06 + .94 * Math.log(v / log) / Math.log(xmax / log) : v => v / xmax;
        const X = v => left + (W - left - right) * Math.min(1, turn(v)), Y = v => H - bottom - (H - top - bottom) * v;
        const ticks = log ? [0, ...[-4, -3, -2, -1, 0, 1, 2, 3].map(p => 10 ** p).filter(v => v >= log && v <= xmax)] : steps(xmax);
        const shownTicks = ticks.filter((v, i) => !i || X(v) - X(ticks[i - 1]) > 34 || i > 1);
        const way = (xs, ys) => xs.map((x, i) => ys[i] === null ? '' : `${X(x).toFixed(1)},${Y(ys[i]).toFixed(1)}`).filter(Boolean).join(' ');
        const root = svg('svg', {width: W, height: H, viewBox: `0 0 ${W} ${H}`, 'aria-hidden': 'true'},
            [0, .25, .5, .75, 1].map(v => [svg('line', {x1: left, x2: W - right, y1: Y(v), y2: Y(v), class: 'gridline'}), svg('text', {x: left - 6, y: Y(v) + 4, class: 'tick end'}, `${100 * v} %`)]),
            shownTicks.map(v => [svg('line', {x1: X(v), x2: X(v), y1: top, y2: H - bottom, class: 'gridline'}), svg('text', {x: X(v), y: H - bottom + 16, class: 'tick middle'}, xtick(v))]),
            svg('text', {x: (left + W - right) / 2, y: H - 5, class: 'tick middle name'}, xname),
            lines.filter(o => o.low).map(o => svg('polygon', {points: `${way(o.x, o.low)} ${way([...o.x].reverse(), [...o.high].reverse())}`, fill: o.color, opacity: o.strong ? .14 : .05})),
            rule !== null ? svg('line', {x1: X(rule), x2: X(rule), y1: top, y2: H - bottom, class: 'rule'}) : null,
            lines.map(o => svg('polyline', {points: way(o.x, o.y), fill: 'none', stroke: o.color, 'stroke-width': o.strong ? 2.2 : 1.5, 'stroke-dasharray': o.dash ?? null, 'stroke-linejoin': 'round'})),
            dots.filter(o => o.y !== null).map(o => svg('circle', {cx: X(o.x), cy: Y(o.y), r: 5, fill: o.color, class: 'dotmark'})));
        const near = e => {
            const r = root.getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top;
            let best = null, d = 40;
            for (const o of lines) o.x.forEach((v, i) => { const now = o.y[i] === null ? 1e9 : Math.hypot(X(v) - x, Y(o.y[i]) - y); if (now < d) { d = now; best = [o, i]; } });
            tip.textContent = best ? `${best[0].name}: ${yname} ${percent(best[0].y[best[1]])}, ${xname} ${xtick(best[0].x[best[1]])}${best[0].at ? `, threshold ${best[0].at[best[1]].toFixed(3)}` : ''}` : what;
        };
        root.addEventListener('pointermove', near);
        root.addEventListener('pointerleave', () => { tip.textContent = what; });
        fill(box, root, el('div', {cls: 'legend'}, lines.map(o => el('span', {cls: 'hint'}, el('span', {cls: o.dash ? 'stroke dashed' : 'stroke', vars: {'--c': o.color}}), o.name))), tip);
    };
    new ResizeObserver(() => { if (box.dataset.w !== String(box.clientWidth)) { box.dataset.w = box.clientWidth; put(); } }).observe(box);
    return box;
}

export async function mount(root, ctx) {
    const {info} = ctx, color = k => k === null ? 'var(--ink)' : info.colors[k % info.colors.length];
    if (!info.runs.length) { root.append(el('p', {cls: 'empty'}, 'Operating points are chosen on a run: severstal app RUN.')); return; }
    const s = {run: 0, kind: 'budget', budget: .02, confidence: .9, recall: .9, missed: 50, false: 1, review: .2};
    let known = null, found = null, turn = 0;
    const asked = () => s.kind === 'budget' ? {budget: s.budget, confidence: s.confidence} : s.kind === 'recall' ? {recall: s.recall} : {cost: {missed: s.missed, false: s.false, review: s.review}};

    const choose = shown(async () => {
        const now = ++turn;
        root.dataset.busy = '1';
        try {
            const question = asked(), o = await api('/api/decide/choose', {method: 'POST', body: {run: s.run, ...question}});
            if (now !== turn) return;
            found = {...o, question};
            draw();
        } catch (e) { if (now === turn) { found = null; fill(says, el('p', {cls: 'bad'}, e.message)); } }
        finally { if (now === turn) delete root.dataset.busy; }
    });
    const soon = later(choose, 80);

    // the question
    const says = el('div', {cls: 'says', 'aria-live': 'polite'}), form = el('div', {cls: 'form'}), tabs = el('div', {cls: 'tabs', role: 'group', 'aria-label': 'What to choose by'});
    function slider(name, label, steps, say, why) {
        const value = steps.findLastIndex(o => o <= s[name] + 1e-12), out = el('output', {for: `ask-${name}`}, say(s[name]));
        return el('label', {cls: 'field'}, el('span', {}, label), out, el('input', {type: 'range', id: `ask-${name}`, 'data-ask': name, min: 0, max: steps.length - 1, step: 1, value, oninput: e => { s[name] = steps[+e.target.value]; out.textContent = say(s[name]); soon(); }}), why ? el('span', {cls: 'hint'}, why) : null);
    }
    function questions() {
        fill(tabs, [['budget', 'budget'], ['recall', 'recall'], ['cost', 'cost']].map(([k, v]) => el('button', {'aria-pressed': String(s.kind === k), onclick: () => turnTo(k)}, v)));
        fill(form, s.kind === 'budget' ? [slider('budget', 'Clean strips stopped, at most', BUDGETS, v => `${+(100 * v).toPrecision(3)} %`), slider('confidence', 'Confidence of the promise', CONFIDENCES, v => `${Math.round(100 * v)} %`)]
            : s.kind === 'recall' ? slider('recall', 'Defects found, at least', RECALLS, v => `${+(100 * v).toPrecision(3)} %`, 'in each class, on average')
                : [slider('missed', 'A defect missed costs', PRICES.slice(1), String), slider('false', 'A clean strip stopped costs', PRICES, String), slider('review', 'Looking at a stopped strip costs', PRICES, String)]);
    }
    const turnTo = kind => { s.kind = kind; questions(); choose(); };

    // the answer
    const curves = el('div', {cls: 'grid charts'}), table = el('div', {cls: 'scroll'}), sizes = el('div', {cls: 'scroll'}), points = el('div', {cls: 'scroll'}), head = el('p', {cls: 'hint'});
    function draw() {
        const given = found.promise.given, lines = known.curves.map(o => ({name: o.name, x: o.false, y: o.found, low: o.low, high: o.high, at: o.threshold, color: color(o.k), strong: o.k === null}));
        fill(says, found.says.map((o, i) => el('p', {cls: i ? 'hint' : given ? 'promise yes' : /NO PROMISE/.test(o) ? 'promise no' : 'promise'}, o)));
        const most = Math.max(1e-3, ...lines.flatMap(o => o.x), ...found.here.map(o => o.false)), low = Math.max(10 ** Math.floor(Math.log10(Math.max(1 / known.strips, 1e-4))), 1e-4);
        fill(curves, lines.length ? chart('Share of defects found over false components per strip; bands are 95 % intervals, dots mark the choice.', {lines, log: low, xmax: Math.max(most, 10 * low) * 1.05, xname: known.task === 'segmentation' ? 'false components per strip' : 'classes named wrongly per strip', yname: 'found', xtick: short,
            dots: found.here.filter(o => o.found !== null).map(o => ({x: o.false, y: o.found, color: color(o.k)}))}) : null,
            found.path.length ? chart('Defects found over clean strips stopped, as counted and as the upper bound of it; the choice is where the bound meets the budget.', {xname: 'clean strips stopped', yname: 'found', xtick: v => `${+(100 * v).toPrecision(3)} %`, rule: found.promise.at_most, xmax: Math.min(1, Math.max(4 * found.promise.at_most, 2 * found.promise.bound)),
                lines: [['as counted', 'stopped', null], [`upper bound, ${Math.round(100 * found.promise.confidence)} % confidence`, 'bound', '5 4']].map(([name, k, dash]) => { const on = found.path; return {name, dash, strong: !dash, color: dash ? 'var(--muted)' : 'var(--ink)', x: on.map(o => o[k]), y: on.map(o => o.found)}; }),
                dots: [{x: found.promise.stopped / found.promise.clean, y: Math.max(0, ...found.path.filter(o => Math.abs(o.stopped - found.promise.stopped / found.promise.clean) < 1e-9).map(o => o.found)), color: 'var(--ink)'}]}) : null);
        const t = found.thresholds, pixel = known.task === 'segmentation' ? t.pixel : t.label, cut = k => Array.isArray(pixel) ? pixel[k] : pixel, area = k => Array.isArray(t.min_size) ? t.min_size[k] : t.min_size, seg = known.task === 'segmentation';
        fill(table, el('table', {}, el('thead', {}, el('tr', {}, ['class', 'threshold', seg ? 'smallest part' : null, 'defects', 'found', '95 %', seg ? 'false a strip' : 'wrong a strip', 'clean stopped', '95 %'].filter(Boolean).map((o, i) => el('th', {cls: i ? 'num' : ''}, o)))),
            el('tbody', {}, found.classes.map((o, k) => { const all = k === found.classes.length - 1; return el('tr', {cls: all ? 'total' : ''}, el('td', {}, el('span', {cls: 'line tight'}, all ? null : el('span', {cls: 'dot', vars: {'--c': color(k)}}), el('span', {cls: 'name'}, o.class))), el('td', {cls: 'num'}, all ? '' : cut(k).toFixed(3)), seg ? el('td', {cls: 'num'}, all ? '' : area(k)) : null,
                el('td', {cls: 'num'}, o.defects), el('td', {cls: 'num'}, percent(o.found)), el('td', {cls: 'num hint'}, range(o.found_low, o.found_high)), el('td', {cls: 'num'}, short(o.false_per_strip)), el('td', {cls: 'num'}, o.clean ? percent(o.stopped / o.clean) : '–'), el('td', {cls: 'num hint'}, o.clean ? range(o.stopped_low, o.stopped_high) : '')); }))));
        fill(sizes, found.sizes.length ? el('details', {}, el('summary', {}, 'Found by size'), el('table', {}, el('thead', {}, el('tr', {}, ['class', 'pixels', 'defects', 'found', '95 %'].map((o, i) => el('th', {cls: i ? 'num' : ''}, o)))),
            el('tbody', {}, found.sizes.map(o => el('tr', {}, el('td', {}, o.class), el('td', {cls: 'num'}, `${Math.round(o.from)} – ${Math.round(o.to)}`), el('td', {cls: 'num'}, o.defects), el('td', {cls: 'num'}, percent(o.found)), el('td', {cls: 'num hint'}, range(o.low, o.high))))))) : null);
        name.placeholder = found.name;
    }
    function saved() {
        const say = o => Object.entries(o ?? {}).map(([k, v]) => typeof v === 'object' ? Object.entries(v).map(p => p.join(' ')).join(', ') : `${k} ${v}`).join(', ');
        fill(points, known.points.length ? el('table', {}, el('thead', {}, el('tr', {}, ['point', 'asked', 'found', 'clean stopped', 'date'].map((o, i) => el('th', {cls: i > 1 ? 'num' : ''}, o)))), el('tbody', {}, known.points.map(o => el('tr', {}, el('td', {}, el('b', {}, o.name)), el('td', {cls: 'hint'}, say(o.asked)),
            el('td', {cls: 'num'}, percent(o.report?.found)), el('td', {cls: 'num'}, o.report?.clean ? percent(o.report.stopped / o.report.clean) : '–'), el('td', {cls: 'num hint'}, o.date))))) : el('p', {cls: 'hint'}, 'No point is saved yet.'));
    }
    const name = el('input', {type: 'text', 'aria-label': 'Name of the point', maxlength: 100, onkeydown: e => { if (e.key === 'Enter') { e.preventDefault(); save(); } }});
    const save = shown(async () => {
        const body = {run: s.run, ...found?.question, name: name.value.trim() || found?.name}, there = known.points.some(o => o.name === body.name);
        if (!found || there && !await ask(`The run has a point “${body.name}”. Replace it?`, 'Replace')) return;
        root.dataset.busy = '1';
        const o = await api('/api/decide/save', {method: 'POST', body: {...body, replace: there}}).finally(() => { delete root.dataset.busy; });
        known.points = o.points;
        name.value = '';
        saved();
        toast(`Saved: severstal predict RUN --point ${o.name}`);
    });
    const open = shown(async n => {
        s.run = n; turn++; found = null;
        fill(says, el('p', {cls: 'hint'}, 'Counting defects and false alarms of the out-of-fold predictions…'));
        for (const o of [curves, table, sizes, points]) fill(o);
        root.dataset.busy = '1';
        try { known = await api(`/api/decide/run?run=${n}`); }
        catch (e) { delete root.dataset.busy; body.hidden = true; fill(head, el('span', {cls: 'bad'}, e.message)); return; }
        body.hidden = false;
        head.textContent = `${known.strips} strips with out-of-fold predictions, ${known.clean} of them clean, ${known.defects} defects`;
        saved();
        await choose();
    });

    const left = el('section', {cls: 'panel asks', 'aria-label': 'What is asked'}, el('h2', {}, 'Choose by'), tabs, form, says), body = el('div', {cls: 'cols'}, left,
        el('div', {cls: 'col'}, el('section', {cls: 'panel', 'aria-label': 'Curves'}, curves), el('section', {cls: 'panel', 'aria-label': 'By class'}, el('h2', {}, 'By class'), table, sizes),
            el('section', {cls: 'panel', 'aria-label': 'Operating points'}, el('h2', {}, 'Operating points'), points, el('div', {cls: 'line'}, name, el('button', {cls: 'main', onclick: save}, 'Save as operating point')))));
    root.append(el('div', {cls: 'line'}, el('h1', {}, 'Decide'), info.runs.length > 1 ? el('select', {'aria-label': 'Run', onchange: e => open(+e.target.value)}, info.runs.map((o, k) => el('option', {value: k}, o.name))) : el('span', {cls: 'name'}, info.runs[0].name), head), body);
    onKey({b: () => turnTo('budget'), r: () => turnTo('recall'), c: () => turnTo('cost'), s: () => name.focus()});
    questions();
    await open(0);
    return () => { turn++; };
}
