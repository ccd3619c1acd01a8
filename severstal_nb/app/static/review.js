import {el} from './app.js';

export const title = 'Review';
export const keys = [];

export async function mount(root, ctx) { root.append(el('p', {cls: 'empty'}, 'This page is being made.')); }
