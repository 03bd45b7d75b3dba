/** Boxes on the photo: drawn, moved and resized by mouse, finger or keyboard, listed with figures. */
import { find, make, percent } from './dom.js';

const SMALLEST_DRAG = 6; // pixels on the screen: less is a click, not a box

/**
 * @typedef {object} Item
 * @property {number} x @property {number} y @property {number} width @property {number} height
 * @property {HTMLElement} element on the photo
 * @property {HTMLElement} row in the table
 */

/** Keeps boxes in whole pixels of the photo; tells `onChange` when they need measuring anew. */
export class BoxEditor {
  /**
   * @param {object} parts
   * @param {HTMLElement} parts.layer over the photo
   * @param {HTMLElement} parts.rows body of the table of boxes
   * @param {() => boolean} parts.mayDraw asked when a drag begins
   * @param {() => void} parts.onDrawn when a drag has become a box
   * @param {() => void} parts.onAdd when a box has been drawn to its end
   * @param {(index: number) => void} parts.onRemove when a box has gone
   * @param {() => void} parts.onChange after any change
   */
  constructor({ layer, rows, mayDraw, onDrawn, onAdd, onRemove, onChange }) {
    this.layer = layer;
    this.rows = rows;
    this.mayDraw = mayDraw;
    this.onDrawn = onDrawn;
    this.onAdd = onAdd;
    this.onRemove = onRemove;
    this.onChange = onChange;
    this.imageSize = [1, 1];
    /** @type {Item[]} */
    this.items = [];
    layer.addEventListener('pointerdown', (event) => this.#startDrawing(event));
  }

  /**
   * Show the boxes of another photo.
   *
   * @param {[number, number]} imageSize height, width
   * @param {import('./api.js').Box[]} boxes
   */
  load(imageSize, boxes) {
    this.imageSize = imageSize;
    this.items.splice(0).forEach(dispose);
    boxes.forEach((box) => this.add(box));
    this.onChange();
  }

  /** @returns {import('./api.js').Box[]} */
  get boxes() {
    return this.items.map(({ x, y, width, height }) => ({ x, y, width, height }));
  }

  /**
   * @param {import('./api.js').Box} box cut to the photo
   * @returns {Item}
   */
  add(box) {
    const handle = make('span', { class: 'handle' });
    const element = make(
      'div',
      { class: 'box', tabindex: 0, role: 'group', 'aria-roledescription': 'box' },
      make('span', { class: 'tag' }),
      handle,
    );
    const remove = make('button', { type: 'button', class: 'quiet small' }, '✕');
    const row = make(
      'tr',
      {},
      make('th', { scope: 'row' }),
      ...Array.from({ length: 4 }, () => make('td', { class: 'number' }, '…')),
      make('td', {}, remove),
    );
    const item = { x: 0, y: 0, width: 1, height: 1, element, row };
    element.addEventListener('keydown', (event) => this.#onKey(event, item));
    element.addEventListener('pointerdown', (event) => {
      const resizing = event.target === handle;
      this.#drag(event, item, resizing ? { width: 1, height: 1 } : { x: 1, y: 1 });
    });
    remove.addEventListener('click', () => this.remove(item));
    this.items.push(item);
    this.layer.append(element);
    this.rows.append(row);
    this.#place(item, box);
    return item;
  }

  /** @param {Item} item */
  remove(item) {
    const index = this.items.indexOf(item);
    const parts = [item.element, item.row];
    const part = parts.findIndex((element) => element.contains(document.activeElement));
    this.items.splice(index, 1);
    dispose(item);
    this.#number();
    // Focus would fall back on the page's start, far from where it was.
    const next = this.items[index] ?? this.items.at(-1);
    if (next && part >= 0) [next.element, find('button', next.row)][part].focus();
    this.onRemove(index);
    this.onChange();
  }

  /** @param {import('./api.js').Region[]} regions in the boxes' order */
  show(regions) {
    regions.forEach((region, index) => {
      const { element, row } = this.items[index];
      const share = percent(region.share, 1);
      find('.tag', element).textContent = `${index + 1} · ${share}`;
      element.setAttribute(
        'aria-label',
        `Box ${index + 1}: ${share} of attention. Arrow keys move it, with Shift they resize it, ` +
          'Delete removes it.',
      );
      const figures = [
        share,
        `${region.share_per_area.toFixed(2)}×`,
        percent(region.peak),
        String(region.rank),
      ];
      row.querySelectorAll('.number').forEach((cell, i) => (cell.textContent = figures[i]));
    });
    this.rows.removeAttribute('aria-busy');
  }

  #changed() {
    this.rows.setAttribute('aria-busy', 'true'); // its figures are of the boxes before
    this.#number();
    this.onChange();
  }

  #number() {
    this.items.forEach(({ element, row }, index) => {
      find('.tag', element).textContent = String(index + 1);
      element.setAttribute('aria-label', `Box ${index + 1}`);
      find('th', row).textContent = String(index + 1);
      find('button', row).setAttribute('aria-label', `Remove box ${index + 1}`);
    });
  }

  /** Move `item` to `wanted`, kept inside the photo. */
  #place(item, wanted) {
    const [photoHeight, photoWidth] = this.imageSize;
    const { x, y, width, height } = { ...item, ...wanted };
    item.width = clamp(Math.round(width), 1, photoWidth);
    item.height = clamp(Math.round(height), 1, photoHeight);
    item.x = clamp(Math.round(x), 0, photoWidth - item.width);
    item.y = clamp(Math.round(y), 0, photoHeight - item.height);
    placeOnPhoto(item.element, item, this.imageSize);
    this.#changed();
  }

  #onKey(event, item) {
    if (event.key === 'Delete' || event.key === 'Backspace') {
      event.preventDefault();
      this.remove(item);
      return;
    }
    const [dx, dy] = ARROWS[event.key] ?? [0, 0];
    if (!dx && !dy) return;
    event.preventDefault(); // the page would scroll
    const step = Math.max(1, Math.round(Math.max(...this.imageSize) / 100));
    const { x, y, width, height } = item;
    if (event.shiftKey) {
      const [photoHeight, photoWidth] = this.imageSize;
      this.#place(item, {
        width: clamp(width + dx * step, 1, photoWidth - x),
        height: clamp(height + dy * step, 1, photoHeight - y),
      });
    } else {
      this.#place(item, { x: x + dx * step, y: y + dy * step });
    }
  }

  #startDrawing(event) {
    if (event.target !== this.layer || event.button !== 0 || !this.mayDraw(event)) return;
    event.preventDefault();
    const start = this.#locate(event);
    let item = null;
    const draw = (move) => {
      const far = Math.hypot(move.clientX - event.clientX, move.clientY - event.clientY);
      if (!item && far < SMALLEST_DRAG) return;
      const end = this.#locate(move);
      const box = {
        x: Math.min(start.x, end.x),
        y: Math.min(start.y, end.y),
        width: Math.abs(end.x - start.x),
        height: Math.abs(end.y - start.y),
      };
      if (item) {
        this.#place(item, box);
      } else {
        item = this.add(box);
        this.onDrawn();
        item.element.focus({ preventScroll: true }); // so that keys go on where the mouse stops
      }
    };
    this.#follow(event, this.layer, draw, () => item && this.onAdd());
  }

  /** Change `item` by what the pointer travels, in the properties named by `directions`. */
  #drag(event, item, directions) {
    if (event.button !== 0) return;
    event.stopPropagation();
    const start = this.#locate(event);
    const { x, y, width, height } = item;
    this.#follow(event, item.element, (move) => {
      const now = this.#locate(move);
      const dx = now.x - start.x;
      const dy = now.y - start.y;
      this.#place(
        item,
        'x' in directions ? { x: x + dx, y: y + dy } : { width: width + dx, height: height + dy },
      );
    });
  }

  /** Call `onMove` until the pointer is released, then `onEnd`. */
  #follow(event, target, onMove, onEnd = () => {}) {
    const done = new AbortController();
    target.setPointerCapture(event.pointerId);
    target.addEventListener('pointermove', onMove, { signal: done.signal });
    for (const end of ['pointerup', 'pointercancel']) {
      target.addEventListener(
        end,
        () => {
          done.abort();
          onEnd();
        },
        { signal: done.signal },
      );
    }
  }

  /** Where on the photo, in its pixels; outside counts as its edge. */
  #locate({ clientX, clientY }) {
    const frame = this.layer.getBoundingClientRect();
    const [height, width] = this.imageSize;
    return {
      x: clamp(((clientX - frame.left) / frame.width) * width, 0, width),
      y: clamp(((clientY - frame.top) / frame.height) * height, 0, height),
    };
  }
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Put `element` over the photo's `box`, whatever size the photo is shown at.
 *
 * @param {HTMLElement} element
 * @param {import('./api.js').Box} box
 * @param {[number, number]} imageSize height, width
 */
export function placeOnPhoto(element, { x, y, width, height }, [photoHeight, photoWidth]) {
  element.style.left = percent(x / photoWidth, 3);
  element.style.top = percent(y / photoHeight, 3);
  element.style.width = percent(width / photoWidth, 3);
  element.style.height = percent(height / photoHeight, 3);
}

function dispose({ element, row }) {
  element.remove();
  row.remove();
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
