/** Suggested crops: outlines on the photo, and a list with previews, figures and downloads. */
import { make, percent, signed } from './dom.js';
import { placeOnPhoto } from './boxes.js';

const PREVIEW_SIDE = 240; // canvas pixels of a preview's longer side

/**
 * @typedef {object} Shown what a photo shows of its crops
 * @property {import('./api.js').Crop[]} crops
 * @property {[number, number]} imageSize height, width
 * @property {number | null} score of the whole photo
 * @property {CanvasImageSource & {width: number, height: number}} picture
 * @property {((crop: import('./api.js').Crop) => void) | null} onSave null where nothing can be cut
 */

/**
 * @param {HTMLElement} layer over the photo
 * @param {HTMLElement} list
 * @param {Shown} shown
 */
export function showCrops(layer, list, shown) {
  const outlines = shown.crops.map((crop) => makeOutline(crop, shown.imageSize));
  const cards = shown.crops.map((crop, index) => makeCard(crop, shown, () => select(index)));
  const select = (chosen) => {
    shown.crops.forEach((crop, index) => {
      outlines[index].classList.toggle('selected', index === chosen);
      // All of them at once would be a thicket: the best of each shape, and what is selected.
      outlines[index].hidden = crop.rank > 1 && index !== chosen;
      cards[index].button.setAttribute('aria-pressed', String(index === chosen));
    });
  };
  layer.replaceChildren(...outlines);
  list.replaceChildren(...cards.map(({ element }) => element));
  if (shown.crops.length) select(0);
}

function makeOutline(crop, imageSize) {
  const tag = make('span', { class: 'tag' }, `${crop.aspect} · ${figures(crop).join(' · ')}`);
  const outline = make('div', { class: 'crop' }, tag);
  placeOnPhoto(outline, crop.box, imageSize);
  return outline;
}

function makeCard(crop, shown, onSelect) {
  const { width, height } = crop.box;
  const name = `${crop.aspect}, suggestion ${crop.rank}`;
  const button = make(
    'button',
    { type: 'button', class: 'preview', 'aria-label': `Show crop ${name} on the photo` },
    makePreview(crop, shown),
  );
  button.addEventListener('click', onSelect);
  const element = make(
    'li',
    { class: 'card' },
    button,
    make('p', { class: 'name' }, make('strong', {}, crop.aspect), ` ${width} × ${height}`),
    make('p', { class: 'figures' }, `keeps ${percent(crop.kept_attention)} of attention`),
  );
  if (crop.score !== null) {
    const change = shown.score === null ? '' : ` (${signed(crop.score - shown.score)})`;
    element.append(make('p', { class: 'figures' }, `score ${crop.score.toFixed(1)}${change}`));
  }
  if (shown.onSave) {
    const save = make(
      'button',
      { type: 'button', class: 'quiet small', 'aria-label': `Save crop ${name}` },
      'Save',
    );
    save.addEventListener('click', () => shown.onSave(crop));
    element.append(save);
  }
  return { element, button };
}

function makePreview({ box: { x, y, width, height } }, { picture, imageSize }) {
  const scale = picture.width / imageSize[1];
  const shrink = PREVIEW_SIDE / Math.max(width, height);
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(width * shrink);
  canvas.height = Math.round(height * shrink);
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  const source = [x, y, width, height].map((value) => value * scale);
  context.drawImage(picture, ...source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function figures({ kept_attention: kept, score }) {
  return [percent(kept), ...(score === null ? [] : [score.toFixed(1)])];
}
