/** The strip of photos: a list to choose from by mouse or arrow keys, with score and state. */
import { hasScore } from './api.js';
import { make } from './dom.js';
import { starsInWords } from './stars.js';

/** @typedef {import('./photos.js').Item} Item */

const STATES = { waiting: 'waiting', working: 'being analysed' };

export class Strip {
  /**
   * @param {object} parts
   * @param {HTMLElement} parts.list with `role="listbox"`
   * @param {(item: Item) => void} parts.onChoose
   * @param {(item: Item) => void} parts.onRemove
   */
  constructor({ list, onChoose, onRemove }) {
    this.list = list;
    this.onChoose = onChoose;
    /** @type {Map<Item, {element: HTMLElement, address: string | null}>} */
    this.cards = new Map();
    this.items = [];
    list.addEventListener('click', (event) => {
      const item = this.#itemOf(event.target);
      if (item) onChoose(item);
    });
    list.addEventListener('keydown', (event) => {
      const item = this.#itemOf(event.target);
      if (!item) return;
      if (event.key === 'Delete' || event.key === 'Backspace') {
        event.preventDefault();
        onRemove(item);
      } else this.#onArrow(event, item);
    });
  }

  /** @param {Item[]} items in the order to show @param {Item | null} chosen */
  show(items, chosen) {
    const focused = this.list.contains(document.activeElement);
    const kept = new Set(items);
    for (const item of this.items) if (!kept.has(item)) this.#dispose(item);
    this.items = items;
    const entry = kept.has(chosen) ? chosen : items[0]; // where Tab comes in
    items.forEach((item, place) => {
      const element = this.#draw(item, item === chosen);
      element.tabIndex = item === entry ? 0 : -1;
      // A card that is moved loses the focus, so only those that stand elsewhere are.
      const there = this.list.children[place];
      if (there !== element) this.list.insertBefore(element, there ?? null);
    });
    if (chosen && this.cards.has(chosen) && focused && !this.list.contains(document.activeElement)) {
      this.focus(chosen);
    }
  }

  /** @param {Item} item */
  focus(item) {
    this.cards.get(item)?.element.focus();
  }

  /** @param {Item} item */
  reveal(item) {
    this.cards.get(item)?.element.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }

  #onArrow(event, item) {
    const place = this.items.indexOf(item);
    const last = this.items.length - 1;
    const next = {
      ArrowLeft: place - 1, ArrowRight: place + 1, ArrowUp: place - 1, ArrowDown: place + 1,
      Home: 0, End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const wanted = this.items[Math.min(Math.max(next, 0), last)];
    if (wanted === item) return;
    this.focus(wanted);
    this.onChoose(wanted);
  }

  #draw(item, isChosen) {
    if (!this.cards.has(item)) {
      const element = make('li', { role: 'option', class: 'photo' });
      element.append(
        make('span', { class: 'thumbnail', 'aria-hidden': 'true' }),
        make('span', { class: 'verdict' }),
        make('span', { class: 'given' }),
        make('span', { class: 'name' }, item.file.name),
      );
      this.cards.set(item, { element, address: null });
    }
    const card = this.cards.get(item);
    const { element } = card;
    const [thumbnail, verdict, given] = element.children;
    if (item.thumbnail && !card.address) {
      card.address = URL.createObjectURL(item.thumbnail);
      thumbnail.replaceChildren(make('img', { src: card.address, alt: '' }));
    } else if (!item.thumbnail) {
      thumbnail.textContent = item.file.name.match(/\.([^.]{1,5})$/)?.[1].toUpperCase() ?? '?';
    }
    verdict.textContent = sayVerdict(item);
    const stars = make('span', { 'aria-hidden': 'true' }, '★'.repeat(item.stars));
    const words = make('span', { class: 'unseen' }, starsInWords(item.stars));
    given.replaceChildren(...(item.stars ? [stars, words] : []));
    element.title = [item.file.name, item.reason].filter(Boolean).join(': ');
    element.setAttribute('aria-selected', String(isChosen));
    element.dataset.state = item.state;
    return element;
  }

  #dispose(item) {
    const { element, address } = this.cards.get(item);
    if (address) URL.revokeObjectURL(address);
    element.remove();
    this.cards.delete(item);
  }

  #itemOf(target) {
    const element = target.closest('[role=option]');
    return this.items.find((item) => this.cards.get(item).element === element);
  }
}

function sayVerdict({ state, reason, prediction }) {
  if (state === 'failed') return `failed: ${reason}`;
  if (state !== 'done') return STATES[state];
  if (prediction.score === null) return 'done';
  return hasScore(prediction) ? prediction.score.toFixed(1) : 'no picture';
}
