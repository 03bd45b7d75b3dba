/** The Crops tab: asks for crops of the photo on the stage, shows them and saves one. */
import { sizeOf, suggestCrops } from './api.js';
import { showCrops } from './crops.js';
import { find, save } from './dom.js';
import { attempt } from './notices.js';
import { cutOut } from './photo.js';
import { cropName } from './saving.js';

export class Cropping {
  /** @param {import('./slot.js').Slot} slot */
  constructor(slot) {
    this.slot = slot;
    /** @type {import('./api.js').Crop[] | null} as the service answered, of the slot's photo */
    this.crops = null;
    this.asking = new AbortController();
  }

  find() {
    return attempt('Looking for crops…', async () => {
      const aspects = chosenAspects();
      this.asking.abort();
      this.asking = new AbortController();
      const { file } = this.slot.photo;
      const count = find('#crop-count').value;
      this.crops = await suggestCrops(file, aspects, count, this.asking.signal);
      this.#draw();
      return `${this.crops.length} crops are found.`;
    });
  }

  /** They belong to the photo before. */
  forget() {
    this.asking.abort();
    this.crops = null;
    find('#crop-layer').replaceChildren();
    find('#crop-list').replaceChildren();
  }

  #draw() {
    const { file, scene, prediction } = this.slot.photo;
    showCrops(find('#crop-layer'), find('#crop-list'), {
      crops: this.crops,
      imageSize: sizeOf(prediction),
      score: prediction.score,
      picture: pictureOf(scene),
      onSave: scene.shown ? (crop) => saveCrop(file, prediction, crop) : null,
    });
    find('#crop-note').hidden = scene.shown;
    find('#crop-note').textContent =
      'This browser cannot show the format, so it cannot cut the photo either. The boxes are in the JSON.';
  }
}

/** @returns {string[]} such as '16:9' @throws {Error} none is chosen */
export function chosenAspects() {
  const aspects = [...document.querySelectorAll('#crop-form [name=aspect]:checked')];
  if (!aspects.length) throw new Error('Choose at least one shape.');
  return aspects.map(({ value }) => value);
}

function pictureOf({ photo, width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d').putImageData(new ImageData(photo, width, height), 0, 0);
  return canvas;
}

function saveCrop(file, prediction, crop) {
  return attempt('Cutting the crop…', async () => {
    const blob = await cutOut(file, sizeOf(prediction), crop.box);
    save(blob, cropName(file, crop, blob));
    return 'The crop is saved.';
  });
}
