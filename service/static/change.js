/** How attention changed between two versions of a picture, computed and drawn as the command line
 * does it (`saliency/comparison.py`, `saliency/change_rendering.py`). */

import { putPixels } from './map.js';
import { greyAt } from './photo.js';

/** @typedef {import('./photo.js').Scene} Scene */

const GRID_SIDE = 384;
const GAINED = [255, 150, 30]; // orange and blue, which colour-blind people can distinguish
const LOST = [60, 150, 255];
const UNSURE = 1 / 255; // maps of 8 bits tell no less: their steps would look like contour lines

/**
 * @param {Scene} before
 * @param {Scene} after
 * @returns {number} share of attention that is elsewhere in the second version, 0..1
 */
export function moved(before, after) {
  const longer = Math.max(before.width, before.height);
  const scale = Math.min(1, GRID_SIDE / longer);
  const size = {
    width: Math.max(1, Math.round(before.width * scale)),
    height: Math.max(1, Math.round(before.height * scale)),
  };
  const [first, second] = [before, after].map((scene) => toShares(average(scene, size)));
  return 1 - first.reduce((shared, share, i) => shared + Math.min(share, second[i]), 0);
}

/**
 * Paint the second version in grey, orange where attention grew and blue where it fell.
 *
 * @param {HTMLCanvasElement} canvas takes on the second version's size
 * @param {Scene} before
 * @param {Scene} after
 */
export function paintChange(canvas, before, after) {
  const { width, height, photo, light } = after;
  const first = toPerArea(before.attention, stretch(before, after));
  const second = toPerArea(after.attention, after.attention);
  const peak = Math.max(highest(first), highest(second)) || 1;
  const output = new ImageData(width, height);
  for (let pixel = 0, i = 0; pixel < first.length; pixel += 1, i += 4) {
    colour(output.data, i, greyAt(photo, i), (second[pixel] - first[pixel]) / peak, light);
  }
  putPixels(canvas, output);
}

/** Paint the colours from lost to gained. @param {HTMLCanvasElement} canvas @param {boolean} light */
export function paintChangeScale(canvas, light) {
  const scale = new ImageData(256, 1);
  for (let i = 0; i < 256; i += 1) {
    colour(scale.data, i * 4, light ? 255 : 128, (i - 127.5) / 127.5, light);
  }
  putPixels(canvas, scale);
}

function colour(output, i, grey, change, light) {
  const ground = light ? 255 - 0.6 * (255 - grey) : 0.6 * grey;
  const strength = 0.85 * Math.sqrt(Math.max(0, Math.abs(change) - UNSURE));
  const tint = change > 0 ? GAINED : LOST;
  for (let channel = 0; channel < 3; channel += 1) {
    output[i + channel] = ground + strength * (tint[channel] - ground);
  }
  output[i + 3] = 255;
}

/** Scale so that an even density is 1; `whole` is the map that `values` were made of. */
function toPerArea(whole, values) {
  const mean = whole.reduce((sum, value) => sum + value, 0) / whole.length || 1;
  return Float32Array.from(values, (value) => value / mean);
}

function highest(values) {
  return values.reduce((peak, value) => Math.max(peak, value), 0);
}

function toShares(cells) {
  const total = cells.reduce((sum, cell) => sum + cell, 0) || 1;
  return cells.map((cell) => cell / total);
}

/** Average a scene's attention onto fewer cells; a pixel across cells counts in each by its part. */
function average({ attention, width, height }, size) {
  return resample(resample(attention, width, height, size.width), height, size.width, size.height);
}

/** Rows of `width` values -> columns of `cells` means, so that a second call takes on the height. */
function resample(values, width, rows, cells) {
  const means = new Float64Array(rows * cells);
  const step = width / cells;
  for (let cell = 0; cell < cells; cell += 1) {
    const [start, end] = [cell * step, Math.min(width, (cell + 1) * step)];
    for (let x = Math.floor(start); x < end; x += 1) {
      const part = Math.min(x + 1, end) - Math.max(x, start);
      for (let row = 0; row < rows; row += 1) {
        means[cell * rows + row] += (values[row * width + x] * part) / step;
      }
    }
  }
  return means;
}

/** The first version's attention at the second's size, in between as bilinear interpolation has it. */
function stretch({ attention, width, height }, size) {
  if (width === size.width && height === size.height) return attention;
  const stretched = new Float32Array(size.width * size.height);
  for (let y = 0; y < size.height; y += 1) {
    const [top, bottom, down] = between(y, size.height, height);
    for (let x = 0; x < size.width; x += 1) {
      const [left, right, along] = between(x, size.width, width);
      const mix = (row) =>
        attention[row * width + left] * (1 - along) + attention[row * width + right] * along;
      stretched[y * size.width + x] = mix(top) * (1 - down) + mix(bottom) * down;
    }
  }
  return stretched;
}

function between(place, size, cells) {
  const exact = Math.min(cells - 1, Math.max(0, ((place + 0.5) / size) * cells - 0.5));
  const low = Math.floor(exact);
  return [low, Math.min(cells - 1, low + 1), exact - low];
}
