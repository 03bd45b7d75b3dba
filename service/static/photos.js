/**
 * The photos that the page has: what is known of each, in which order they stand.
 *
 * @typedef {'waiting' | 'working' | 'done' | 'failed'} State
 * @typedef {object} Item a photo
 * @property {string} id
 * @property {File} file
 * @property {number} order grows with each photo that comes
 * @property {State} state
 * @property {string} reason why it failed
 * @property {import('./api.js').Prediction | null} prediction without its map
 * @property {Blob | null} map grey PNG, proportional to the density
 * @property {Blob | null} thumbnail null where the browser does not know the format
 * @property {string | null} weights SHA-256 of those that predicted it, where it was known then
 * @property {number} stars 1..5 given by hand; 0: none
 * @property {import('./api.js').Box[]} boxes
 * @property {Promise<void>} settled when it is done or has failed
 */
import { hasScore } from './api.js';

const NEW = {
  state: 'waiting', reason: '', prediction: null, map: null, thumbnail: null, weights: null,
  stars: 0, boxes: [],
};

/** What comes first in each order; photos that are equal stand as they came. */
const ORDERS = {
  added: () => 0,
  score: (a, b) => scoreOf(b) - scoreOf(a),
  stars: (a, b) => b.stars - a.stars,
  name: (a, b) => a.file.name.localeCompare(b.file.name, undefined, { numeric: true }),
};

export class Photos {
  /** @param {(item: Item, isNew: boolean) => void} onChange after any change of an item */
  constructor(onChange) {
    this.onChange = onChange;
    /** @type {Item[]} as they came */
    this.items = [];
    /** @type {keyof ORDERS} */
    this.sortedBy = 'added';
  }

  /** @param {File} file @returns {Item} */
  add(file) {
    const item = this.#take({ ...NEW, id: newId(), file, order: (this.items.at(-1)?.order ?? 0) + 1 });
    this.onChange(item, true);
    return item;
  }

  /** Take in what an earlier visit kept; what was under way then waits again. */
  restore(kept) {
    for (const item of kept) {
      this.#take({ ...NEW, ...item, state: item.state === 'working' ? 'waiting' : item.state });
    }
  }

  /** @param {Item} item @param {Partial<Item>} changes */
  update(item, changes) {
    Object.assign(item, changes);
    if (changes.state === 'done' || changes.state === 'failed') item.settle();
    if (this.items.includes(item)) this.onChange(item, false);
  }

  /** Let `item` be analysed again. @param {Item} item */
  renew(item) {
    unsettle(item);
    this.update(item, { state: 'waiting', reason: '', prediction: null, map: null });
  }

  /** @param {Item} item */
  remove(item) {
    this.items = this.items.filter((other) => other !== item);
  }

  clear() {
    this.items = [];
  }

  /** @returns {Item[]} as the reader wants them */
  get sorted() {
    return this.items.toSorted((a, b) => ORDERS[this.sortedBy](a, b) || a.order - b.order);
  }

  /** @param {Item} item @param {number} step @returns {Item | undefined} that many places on */
  beside(item, step) {
    const { sorted } = this;
    return sorted[sorted.indexOf(item) + step];
  }

  /** @param {Item} item @returns {Item | undefined} the next one, or else the one before */
  neighbourOf(item) {
    return this.beside(item, 1) ?? this.beside(item, -1);
  }

  /** @param {State} state @returns {Item[]} */
  that(state) {
    return this.items.filter((item) => item.state === state);
  }

  #take(item) {
    unsettle(item);
    if (item.state === 'done' || item.state === 'failed') item.settle();
    this.items.push(item);
    return item;
  }
}

function unsettle(item) {
  item.settled = new Promise((resolve) => (item.settle = resolve));
}

function scoreOf({ prediction }) {
  return prediction && hasScore(prediction) ? prediction.score : 0; // below every score
}

/** `crypto.randomUUID` is missing where the page comes over plain HTTP. */
function newId() {
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}
