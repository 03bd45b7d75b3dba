/** Keeps the figures of boxes up to date while they are moved about. */
import { measureRegions } from './api.js';
import { attempt } from './notices.js';

const DEBOUNCE_MS = 250;

export class Measuring {
  /**
   * @param {() => {file: File, boxes: import('./api.js').Box[]}} ask what to measure
   * @param {(regions: import('./api.js').Region[]) => void} onMeasured
   */
  constructor(ask, onMeasured) {
    this.ask = ask;
    this.onMeasured = onMeasured;
    /** @type {import('./api.js').Region[] | null} as the service answered, of the boxes as they are */
    this.regions = null;
    this.timer = 0;
    this.stop = new AbortController();
  }

  /** Measure once the boxes have stood still for a moment. */
  soon() {
    this.stop.abort();
    clearTimeout(this.timer);
    this.regions = null;
    this.timer = setTimeout(() => this.#measure(), DEBOUNCE_MS);
  }

  #measure() {
    const { file, boxes } = this.ask();
    if (!boxes.length) return undefined;
    this.stop = new AbortController();
    return attempt('Measuring boxes…', async () => {
      this.regions = await measureRegions(file, boxes, this.stop.signal);
      this.onMeasured(this.regions);
      return 'Boxes are measured.';
    });
  }
}
