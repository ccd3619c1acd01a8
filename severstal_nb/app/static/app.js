// The shell of all pages: navigation, keys and their help, light and dark, requests, messages.
// A page is a module with `title`, `keys` ([[key, what it does], …]) and `mount(root, ctx)`, which may return a function that takes it down.

export const PAGES = {look: 'Look', review: 'Review', decide: 'Decide', runs: 'Runs'};
const GLOBAL = [['g l', 'Look'], ['g r', 'Review'], ['g d', 'Decide'], ['g u', 'Runs'], ['t', 'light, dark, or as the system says'], ['?', 'this list']];
const JUMP = {l: 'look', r: 'review', d: 'decide', u: 'runs'};
const $ = id => document.getElementById(id);

function put(node, attrs, children) {
    for (const [k, v] of Object.entries(attrs ?? {})) {
        if (v === null || v === undefined || v === false) continue;
        if (k.startsWith('on')) node.addEventListener(k.slice(2), v);
        else if (k === 'vars') for (const [name, o] of Object.entries(v)) node.style.setProperty(name, o); // the page's rules forbid style="…"
        else if (k === 'value' || k === 'checked' || k === 'disabled' || k === 'selected') node[k] = v;
        else node.setAttribute(k === 'cls' ? 'class' : k, v === true ? '' : v);
    }
    node.append(...children.flat(Infinity).filter(o => o !== null && o !== undefined && o !== false));
    return node;
}

/** An element. Children are nodes or texts; no text is ever read as HTML. */
export const el = (tag, attrs, ...children) => put(document.createElement(tag), attrs, children);
/** New children of a node; as for `el`, what is null is left out. */
export const fill = (node, ...children) => { node.replaceChildren(); return put(node, {}, children); };
/** The same as `el` for SVG. */
export const svg = (tag, attrs, ...children) => put(document.createElementNS('http://www.w3.org/2000/svg', tag), attrs, children);

/** A request. Objects are sent and answers read as JSON; `as: 'blob'` gives bytes. Throws an Error with the server's own words. */
export async function api(path, {method = 'GET', body, signal, as = 'json'} = {}) {
    const raw = body instanceof Blob, head = body === undefined || raw ? {} : {'content-type': 'application/json'};
    let answer;
    try { answer = await fetch(path, {method, signal, headers: head, body: raw || body === undefined ? body : JSON.stringify(body)}); }
    catch (e) { if (e.name === 'AbortError') throw e; throw new Error('the server does not answer: is severstal app still running?'); }
    if (answer.ok) return answer[as]();
    const said = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(said.error ?? `the server answered ${answer.status}`), {status: answer.status});
}

/** The query of an address from names and values; null ones are left out. */
export const query = given => '?' + new URLSearchParams(Object.entries(given).filter(([, v]) => v !== null && v !== undefined && v !== ''));

/** A message that goes away by itself. `kind` may be 'bad'. */
export function toast(text, kind = '') {
    const one = el('p', {cls: `toast ${kind}`}, String(text));
    $('toasts').append(one);
    setTimeout(() => one.remove(), kind === 'bad' ? 8000 : 3500);
}

/** Run `f` so that what goes wrong is shown. */
export const shown = f => async (...a) => { try { return await f(...a); } catch (e) { if (e.name !== 'AbortError') toast(e.message, 'bad'); } };

/** `f` once, some milliseconds after the last call. */
export function later(f, ms = 60) {
    let timer;
    return (...a) => { clearTimeout(timer); timer = setTimeout(() => f(...a), ms); };
}

const keys = {map: {}, first: ''};
/** Keys of the page: {key: function}. They are gone when the page is left. */
export function onKey(map) { Object.assign(keys.map, map); }

function pressed(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const on = e.target, open = document.querySelector('dialog[open]');
    if (open) return;
    if (on.matches('input:not([type=range], [type=checkbox], [type=radio], [type=button]), textarea, [contenteditable]')) {
        if (e.key === 'Escape') on.blur();
        return;
    }
    if (on.matches('input[type=range], select, input[type=radio]') && /^(Arrow|Home|End|Page)/.test(e.key)) return;
    if (on.matches('select') && /^.$/.test(e.key) || on.matches('button, a, summary, input') && [' ', 'Enter'].includes(e.key)) return;
    const key = e.key, jump = keys.first === 'g' && JUMP[key.toLowerCase()];
    keys.first = key === 'g' ? 'g' : '';
    let f = jump ? () => { location.hash = `#/${jump}`; } : keys.map[key] ?? (key.length === 1 ? keys.map[key.toLowerCase()] : undefined);
    if (!f && key === '?') f = help;
    if (!f && key === 't') f = turn;
    if (f) { e.preventDefault(); f(e); }
}

function help() {
    const list = given => el('dl', {cls: 'keys'}, given.map(([k, what]) => [el('dt', {}, k.split(' ').map(o => el('kbd', {}, o))), el('dd', {}, what)]));
    const box = el('dialog', {cls: 'help', 'aria-label': 'Keys', onclose: () => box.remove(), onclick: e => { if (e.target === box) box.close(); }},
        el('form', {method: 'dialog'}, el('h2', {}, 'Keys'), el('button', {cls: 'quiet', 'aria-label': 'Close'}, '×')),
        here.module?.keys?.length ? [el('h3', {}, PAGES[here.name]), list(here.module.keys)] : null,
        el('h3', {}, 'Everywhere'), list(GLOBAL));
    document.body.append(box);
    box.showModal();
}

/** A question that is answered with yes or no. */
export function ask(text, yes = 'OK') {
    return new Promise(done => {
        const box = el('dialog', {cls: 'ask', onclose: () => { done(box.returnValue === 'yes'); box.remove(); }},
            el('form', {method: 'dialog'}, el('p', {}, text),
                el('div', {cls: 'line'}, el('button', {value: 'yes', cls: 'main'}, yes), el('button', {value: 'no'}, 'Cancel'))));
        document.body.append(box);
        box.showModal();
    });
}

const THEMES = ['auto', 'light', 'dark'], SIGNS = {auto: '◐', light: '☀', dark: '☾'};
const stored = () => { try { return localStorage.getItem('theme') ?? 'auto'; } catch { return 'auto'; } };
function theme(name) {
    document.documentElement.dataset.theme = name;
    try { localStorage.setItem('theme', name); } catch { /* a browser without storage */ }
    const button = $('theme');
    if (button) { button.textContent = SIGNS[name]; button.title = button.ariaLabel = `Colours: ${name} (t)`; }
    dispatchEvent(new Event('theme'));
}
const turn = () => theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % 3]);

const here = {name: '', module: null, leave: null, turn: 0};
async function go() {
    const name = location.hash.match(/^#\/(\w+)/)?.[1], turn = ++here.turn;
    if (!(name in PAGES)) { location.replace('#/look'); return; }
    if (name === here.name) return;
    delete document.body.dataset.ready;
    await here.leave?.();
    Object.assign(here, {name, module: null, leave: null});
    keys.map = {};
    for (const a of document.querySelectorAll('#bar nav a')) a.ariaCurrent = a.hash === `#/${name}` ? 'page' : null;
    const root = el('div', {cls: `page ${name}`});
    $('page').replaceChildren(root);
    document.title = `${PAGES[name]} · severstal`;
    try {
        const module = await import(`/static/${name}.js`);
        if (turn !== here.turn) return;
        here.module = module;
        const leave = await module.mount(root, ctx);
        if (turn !== here.turn) return leave?.();
        here.leave = leave;
    } catch (e) { root.append(el('p', {cls: 'empty'}, e.message)); }
    document.body.dataset.ready = name;
}

/** What a page is given: `info` is /api/info (version, runs, sets, class colours). */
export const ctx = {api, el, fill, svg, toast, onKey, ask, shown, later, query, info: null};

async function start() {
    $('bar').append(
        el('a', {cls: 'brand', href: '#/look', 'aria-label': 'severstal'}, el('img', {src: '/static/icon.svg', alt: '', width: 20, height: 20}), el('span', {}, 'severstal')),
        el('nav', {'aria-label': 'Pages'}, Object.entries(PAGES).map(([k, v]) => el('a', {href: `#/${k}`}, v))),
        el('button', {cls: 'quiet', id: 'theme', onclick: turn}), el('button', {cls: 'quiet', title: 'Keys (?)', 'aria-label': 'Keys', onclick: help}, '?'));
    theme(stored());
    addEventListener('keydown', pressed);
    addEventListener('hashchange', go);
    try { ctx.info = await api('/api/info'); }
    catch (e) { $('page').replaceChildren(el('p', {cls: 'empty'}, e.message)); return; }
    await go();
}
start();
