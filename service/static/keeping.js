/** Keeps what the page has in this browser, and says so where the browser refuses. */
import { find } from './dom.js';
import { showError } from './notices.js';
import { recall, remember } from './remembering.js';
import { openStorage } from './storage.js';

const SHOWN_KEY = 'saliency-shown'; // which photo was on the stage before a reload

/** @typedef {import('./photos.js').Item} Item */

export class Keeping {
  constructor() {
    this.storage = null; // until it is open, and where there is none
    this.promise = find('#kept').textContent;
  }

  /** @returns {Promise<Partial<Item>[]>} what an earlier visit has left */
  async open() {
    let kept = [];
    await this.#try(async () => {
      const storage = await openStorage();
      kept = await storage.load();
      this.storage = storage;
    });
    return kept;
  }

  /** @param {Item} item @param {boolean} isNew */
  keep(item, isNew) {
    const { storage } = this;
    return this.#try(async () => {
      if (isNew) await storage?.keepFile(item);
      await storage?.keep(item);
    });
  }

  /** @param {Item} item */
  forget(item) {
    return this.#try(() => this.storage?.forget(item.id));
  }

  clear() {
    remember(SHOWN_KEY, null);
    return this.#try(async () => {
      await this.storage?.clear();
      if (this.storage) find('#kept').textContent = this.promise; // there is room again
    });
  }

  /** The id of the photo that was on the stage last. */
  get shown() {
    return recall(SHOWN_KEY);
  }

  set shown(id) {
    remember(SHOWN_KEY, id);
  }

  /** A browser without room must not stop the work; what it has can still be cleared. */
  async #try(use) {
    try {
      await use();
    } catch (error) {
      const what = this.storage ? 'all of them' : 'them either';
      const text = `This browser cannot keep ${what}: ${error.message}`;
      // Where it never could, that is no news; where it could, a reload now loses work.
      if (this.storage && find('#kept').textContent !== text) showError(text);
      find('#kept').textContent = text;
    }
  }
}
