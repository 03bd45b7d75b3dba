/** Saves what is known of one photo or of all: pictures, JSON, a table, archives. */
import { renderPicture, sizeOf, suggestCrops } from './api.js';
import { toCsv } from './csv.js';
import { save, stem } from './dom.js';
import { paint } from './map.js';
import { cutOut, decodePhoto, makeScene } from './photo.js';
import { askUntilFree } from './queue.js';
import { completeScene } from './slot.js';
import { toZip } from './zip.js';

/**
 * @typedef {import('./photos.js').Item} Item
 * @typedef {import('./slot.js').Slot} Slot
 */

/** Save the photo as it is shown. @param {Slot} slot @param {import('./map.js').View} view */
export function savePicture({ canvas, photo }, view) {
  canvas.toBlob((blob) => save(blob, `${stem(photo.file)}.${view}.png`));
}

/** @param {Slot} slot */
export async function saveMap({ photo: { file } }) {
  save(await renderPicture(file, 'map&bits=16'), `${stem(file)}.map.png`);
}

/**
 * Save what the service said, without the map, which has a file of its own.
 *
 * @param {Slot} slot
 * @param {import('./api.js').Region[] | null} regions
 * @param {import('./api.js').Crop[] | null} crops
 */
export function saveJson({ photo: { file, prediction, item } }, regions, crops) {
  const answer = { name: file.name, prediction, regions, crops, stars: item.stars || null };
  const text = JSON.stringify(answer, null, 2);
  save(new Blob([text], { type: 'application/json' }), `${stem(file)}.json`);
}

/** @param {Item[]} items @param {number[] | null} quantiles scores of everyday photos */
export function saveTable(items, quantiles) {
  // The mark in front lets spreadsheets read names in any script.
  const text = `\ufeff${toCsv(items, quantiles)}`;
  save(new Blob([text], { type: 'text/csv' }), 'photos.csv');
}

/**
 * Save the overlay of each photo, in the colours that are chosen.
 *
 * @param {Item[]} items that are done
 * @param {string} colors name of a colour map
 */
export async function saveOverlays(items, colors) {
  const files = [];
  for (const item of items) {
    files.push(await drawOverlay(item, colors)); // one at a time: each takes some megabytes
  }
  save(await toZip(files), 'overlays.zip');
}

/**
 * Save the best crop of each photo in each shape, at its full resolution.
 *
 * @param {Item[]} items that are done
 * @param {string[]} aspects such as '16:9'
 * @returns {Promise<number>} photos left out, whose format this browser cannot cut
 */
export async function saveCrops(items, aspects) {
  const files = [];
  const known = items.filter(({ thumbnail }) => thumbnail);
  for (const { file, prediction } of known) {
    for (const crop of await askUntilFree(() => suggestCrops(file, aspects, 1))) {
      const blob = await cutOut(file, sizeOf(prediction), crop.box);
      files.push({ name: cropName(file, crop, blob), blob });
    }
  }
  if (!files.length) throw new Error('This browser cannot cut photos of these formats.');
  save(await toZip(files), 'crops.zip');
  return items.length - known.length;
}

/** @param {File} file @param {import('./api.js').Crop} crop @param {Blob} blob */
export function cropName(file, crop, { type }) {
  const ending = type === 'image/jpeg' ? 'jpg' : 'png';
  return `${stem(file)}.crop-${crop.aspect.replace(':', 'x')}-${crop.rank}.${ending}`;
}

async function drawOverlay(item, colors) {
  const bitmap = await decodePhoto(item.file);
  if (!bitmap) {
    const blob = await askUntilFree(() => renderPicture(item.file, 'overlay'));
    return { name: `${stem(item.file)}.overlay.png`, blob };
  }
  const scene = await completeScene(item, makeScene(bitmap.width, bitmap.height, bitmap));
  bitmap.close();
  const canvas = new OffscreenCanvas(1, 1);
  paint(canvas, scene, { view: 'overlay', colors, strength: 1 });
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 });
  return { name: `${stem(item.file)}.overlay.jpg`, blob };
}
