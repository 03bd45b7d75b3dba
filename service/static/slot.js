/** A place for one photo on the stage: loads it, shows it, and forgets answers that come too late. */
import { predict, renderPicture } from './api.js';
import { find, percent } from './dom.js';
import { drawFocalPoints, placeInWords } from './focal.js';
import { paint } from './map.js';
import { decodeAttention, decodePhoto, makeScene } from './photo.js';

/**
 * @typedef {object} Photo a photo with what the service says of it
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
    this.loading = new AbortController();
  }

  /**
   * Show `file` at once and its prediction when it comes; a later call overtakes an earlier one.
   *
   * @param {File} file
   * @param {() => void} onPreview when the bare photo is on the stage
   * @returns {Promise<boolean>} false if another photo overtook this one
   * @throws {import('./api.js').ApiError} and shows the photo from before again
   */
  async load(file, onPreview) {
    this.loading.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    this.frame.setAttribute('aria-busy', 'true');
    try {
      // The request goes out first, so that it travels while the photo is decoded.
      const [prediction, scene] = await Promise.all([
        predict(file, signal),
        this.#preview(file, signal, onPreview),
      ]);
      const whole = await complete(file, scene, prediction, signal);
      signal.throwIfAborted();
      this.photo = { file, scene: whole, prediction };
    } catch (error) {
      if (signal.aborted) return false;
      this.loading.abort(); // the preview may still be on its way
      if (this.photo) this.#fit(this.photo.scene, this.photo.file.name);
      this.frame.removeAttribute('aria-busy');
      throw error;
    }
    this.#fit(this.photo.scene, file.name);
    this.frame.removeAttribute('aria-busy');
    return true;
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

async function complete(file, preview, prediction, signal) {
  const [height, width] = prediction.image_size;
  const scene = preview ?? makeScene(width, height, null);
  if (!preview && prediction.saliency) {
    scene.overlay = await createImageBitmap(await renderPicture(file, 'overlay', signal));
  }
  if (prediction.map) scene.attention = await decodeAttention(prediction.map, scene);
  return scene;
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
  const place = placeInWords(strongest, prediction.image_size);
  return (
    `${file.name} ${VIEWS[view]}. The strongest focal point holds ${percent(strongest.share)} of ` +
    `attention, ${place}.`
  );
}
