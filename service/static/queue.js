/** Sends the photos that wait to the service, few at a time, and asks again where it is busy. */
import { ApiError } from './api.js';

const AT_ONCE = 2;
const BUSY = [429, 503];
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const PATIENCE_MS = 180_000; // of one photo that is always turned away

/** @typedef {import('./photos.js').Item} Item */

export class Queue {
  /**
   * @param {import('./photos.js').Photos} photos
   * @param {(file: File, signal: AbortSignal) => Promise<Partial<Item>>} analyse
   */
  constructor(photos, analyse) {
    this.photos = photos;
    this.analyse = analyse;
    /** @type {Item | null} comes next, whatever its place */
    this.preferred = null;
    /** @type {Map<Item, AbortController>} */
    this.working = new Map();
    this.finished = null;
  }

  /**
   * Go on until no photo waits.
   *
   * @returns {Promise<void>}
   * @throws {ApiError} a key is wanted; what is left waits for the next call
   */
  run() {
    if (!this.finished) {
      this.refusal = null;
      this.finished = new Promise((resolve, reject) => (this.finish = { resolve, reject }));
    }
    const { finished } = this;
    this.#goOn();
    return finished;
  }

  /** Give up what is under way for `item`. @param {Item} item */
  drop(item) {
    this.working.get(item)?.abort();
  }

  #goOn() {
    while (!this.refusal && this.working.size < AT_ONCE) {
      const waiting = this.photos.that('waiting');
      const next = waiting.find((item) => item === this.preferred) ?? waiting[0];
      if (!next) break;
      this.#work(next);
    }
    if (this.working.size) return;
    const { resolve, reject } = this.finish;
    this.finished = null;
    if (this.refusal) reject(this.refusal);
    else resolve();
  }

  async #work(item) {
    const stop = new AbortController();
    this.working.set(item, stop);
    this.photos.update(item, { state: 'working' });
    try {
      const found = await askUntilFree(() => this.analyse(item.file, stop.signal), stop.signal);
      this.photos.update(item, { state: 'done', ...found });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.refusal = error;
        this.photos.update(item, { state: 'waiting' });
      } else if (!stop.signal.aborted) {
        this.photos.update(item, { state: 'failed', reason: error.message });
      }
    } finally {
      this.working.delete(item);
      this.#goOn();
    }
  }
}

/**
 * Wait and ask again while the service is busy.
 *
 * @template T
 * @param {() => Promise<T>} ask
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function askUntilFree(ask, signal) {
  const until = Date.now() + PATIENCE_MS;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (!BUSY.includes(error.status) || Date.now() > until) throw error;
      await sleep(Math.max(pause, error.retryAfterMs), signal);
    }
  }
}

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
