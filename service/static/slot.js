/** A place for one photo on the stage: loads it, shows it, and forgets answers that come too late. */
import { renderPicture, sizeOf } from './api.js';
import { find, percent } from './dom.js';
import { drawFocalPoints, placeInWords } from './focal.js';
import { paint } from './map.js';
import { decodeAttention, decodePhoto, makeScene } from './photo.js';

/**
 * @typedef {object} Photo a photo with what the service says of it
 * @property {import('./photos.js').Item} item
 * @property {File} file
 * @property {import('./photo.js').Scene} scene
 * @property {import('./api.js').Prediction} prediction
 */

export class Slot {
  /** @param {HTMLElement} frame with a `.picture`, a `canvas` and a `.name` */
  constructor(frame) {
    this.frame = frame;
    this.canvas = find('canvas', frame);
    /** @type {Photo | null} */
    this.photo = null;
    /** @type {import('./photos.js').Item | null} of the photo, or of the one on its way */
    this.item = null;
    this.loading = new AbortController();
  }

  /**
   * Show the photo of `item` at once and its prediction when it comes; a later call overtakes an
   * earlier one.
   *
   * @param {import('./photos.js').Item} item
   * @param {() => void} onPreview when the bare photo is on the stage
   * @returns {Promise<boolean>} false if another photo overtook this one
   * @throws {Error} it could not be analysed; the photo from before is shown again
   */
  async load(item, onPreview) {
    this.loading.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    this.item = item;
    this.frame.setAttribute('aria-busy', 'true');
    try {
      const ready = Promise.all([this.#preview(item.file, signal, onPreview), item.settled]);
      const [scene] = await Promise.race([ready, rejectedBy(signal)]);
      if (item.state === 'failed') throw new Error(item.reason);
      const whole = await completeScene(item, scene, signal);
      signal.throwIfAborted();
      this.photo = { item, file: item.file, scene: whole, prediction: item.prediction };
    } catch (error) {
      if (signal.aborted) return false;
      this.item = this.photo?.item ?? null;
      if (this.photo) this.#fit(this.photo.scene, this.photo.file.name);
      this.frame.removeAttribute('aria-busy');
      throw error;
    }
    this.#fit(this.photo.scene, item.file.name);
    this.frame.removeAttribute('aria-busy');
    return true;
  }

  /** Hold nothing, and wait for nothing. */
  clear() {
    this.loading.abort();
    this.photo = null;
    this.item = null;
    this.frame.removeAttribute('aria-busy');
  }

  /** @param {import('./map.js').Look} look */
  show(look) {
    if (!this.photo || this.frame.hasAttribute('aria-busy')) return;
    const { scene, prediction } = this.photo;
    paint(this.canvas, scene, look);
    if (look.view === 'focal' && prediction.saliency) drawFocalPoints(this.canvas, prediction);
    this.canvas.setAttribute('aria-label', describe(this.photo, look.view));
  }

  async #preview(file, signal, onPreview) {
    const bitmap = await decodePhoto(file);
    if (!bitmap || signal.aborted) return null;
    const scene = makeScene(bitmap.width, bitmap.height, bitmap);
    bitmap.close();
    this.#fit(scene, file.name);
    paint(this.canvas, scene, { view: 'overlay', colors: 'inferno', strength: 0 });
    this.canvas.setAttribute('aria-label', file.name);
    onPreview();
    return scene;
  }

  #fit(scene, name) {
    find('.picture', this.frame).style.setProperty('--ratio', String(scene.width / scene.height));
    find('.name', this.frame).textContent = name;
  }
}

/**
 * @param {import('./photos.js').Item} item that is done
 * @param {import('./photo.js').Scene | null} preview of its photo; null where the browser cannot
 *   show it
 * @param {AbortSignal} [signal]
 * @returns {Promise<import('./photo.js').Scene>} with its attention
 */
export async function completeScene({ file, map, prediction }, preview, signal) {
  const { height, width } = prediction;
  const scene = preview ?? makeScene(width, height, null);
  if (!preview && prediction.saliency) {
    scene.overlay = await createImageBitmap(await renderPicture(file, 'overlay', signal));
  }
  if (map) scene.attention = await decodeAttention(map, scene);
  return scene;
}

function rejectedBy(signal) {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

const VIEWS = {
  overlay: 'with attention glowing on it',
  heat: 'as a heat map of attention',
  fog: 'sharp only where it is looked at',
  focal: 'with its focal points circled',
};

function describe({ file, prediction }, view) {
  const [strongest] = prediction.saliency?.focal_points ?? [];
  if (!strongest) return file.name;
  const place = placeInWords(strongest, sizeOf(prediction));
  return (
    `${file.name} ${VIEWS[view]}. The strongest focal point holds ${percent(strongest.share)} of ` +
    `attention, ${place}.`
  );
}
