/**
 * Paints a scene: photo and attention, mixed as a view says.
 *
 * Every view is linear in the pixels: out = photo * a[level] + second * b[level] + c[level], where
 * level is the attention 0..255 and second another picture of the same size (the photo in grey or
 * blurred). So a view is three small tables, and one loop paints them all while a slider moves.
 *
 * @typedef {import('./photo.js').Scene} Scene
 * @typedef {'overlay' | 'heat' | 'fog' | 'focal'} View
 * @typedef {object} Look
 * @property {View} view
 * @property {string} colors name of a colour map
 * @property {number} strength 0 the bare photo .. 1
 */
import { colorTable } from './colormaps.js';
import { greyAt } from './photo.js';

const FOG_LIGHT = 0.3;
const FOG_GRAIN = 48; // blurred pictures are drawn from 1/48 of the longer side
const secondPictures = new WeakMap(); // scene -> { grey, blurred }, made when first needed

/**
 * @param {HTMLCanvasElement | OffscreenCanvas} canvas takes on the scene's size
 * @param {Scene} scene
 * @param {Look} look
 */
export function paint(canvas, scene, look) {
  if (canvas.width !== scene.width || canvas.height !== scene.height) {
    canvas.width = scene.width;
    canvas.height = scene.height;
  }
  const context = canvas.getContext('2d');
  const output = new ImageData(scene.width, scene.height);
  if (scene.attention) {
    const second = secondPicture(scene, look.view === 'fog' ? 'blurred' : 'grey');
    mix(output.data, scene.photo, second, scene.attention, tables(look, scene.light));
  } else {
    output.data.set(scene.photo);
  }
  context.putImageData(output, 0, 0);
  if (scene.overlay && look.view === 'overlay') {
    context.globalAlpha = look.strength;
    context.drawImage(scene.overlay, 0, 0, scene.width, scene.height);
    context.globalAlpha = 1;
  }
}

/** @param {View} view @returns {boolean} whether it shows attention in the colours of a map */
export function hasColours(view) {
  return view === 'overlay' || view === 'heat';
}

/**
 * Paint the scale from no attention to the peak.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Look} look
 * @param {boolean} light whether it is of a light picture, whose overlay has other colours
 */
export function paintLegend(canvas, { view, colors }, light) {
  const tinted = light && view === 'overlay';
  const levels = Uint8Array.from({ length: 256 }, (_, level) => level);
  const white = new Uint8ClampedArray(256 * 4).fill(255);
  const scale = new ImageData(256, 1);
  const look = { view: tinted ? 'overlay' : 'heat', colors, strength: 1 };
  mix(scale.data, white, white, levels, tables(look, tinted));
  putPixels(canvas, scale);
}

/** @param {HTMLCanvasElement} canvas takes on the size of `pixels` @param {ImageData} pixels */
export function putPixels(canvas, pixels) {
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  canvas.getContext('2d').putImageData(pixels, 0, 0);
}

function mix(output, photo, second, attention, { a, b, c }) {
  for (let pixel = 0, i = 0; i < output.length; pixel += 1, i += 4) {
    const level = attention[pixel] * 3;
    output[i] = photo[i] * a[level] + second[i] * b[level] + c[level];
    output[i + 1] = photo[i + 1] * a[level + 1] + second[i + 1] * b[level + 1] + c[level + 1];
    output[i + 2] = photo[i + 2] * a[level + 2] + second[i + 2] * b[level + 2] + c[level + 2];
    output[i + 3] = 255;
  }
}

/** @param {Look} look @param {boolean} light */
function tables({ view, colors, strength }, light) {
  const overlay = light ? tintRow : overlayRow;
  const row = { overlay, heat: heatRow, fog: fogRow, focal: focalRow }[view];
  const table = colorTable(colors);
  const a = new Float32Array(256 * 3);
  const b = new Float32Array(256 * 3);
  const c = new Float32Array(256 * 3);
  for (let i = 0; i < 256 * 3; i += 1) {
    const level = Math.floor(i / 3) / 255;
    const color = (value) => table[Math.round(value * 255) * 3 + (i % 3)] / 255;
    const [photo, second, light] = row(level, color);
    a[i] = 1 - strength + strength * photo;
    b[i] = strength * second;
    c[i] = strength * light * 255;
  }
  return { a, b, c };
}

/**
 * The photo glows where people look and is dim and nearly grey elsewhere: at full strength and in
 * inferno the picture that `saliency predict` writes. The power lifts second and third places of
 * interest, which a peak would hide; light adds to the photo as two projectors do.
 */
function overlayRow(level, color) {
  const glow = level ** 0.75;
  // Some maps begin in blue and would tint the unseen parts too: that first colour is taken off.
  const light = 0.7 * Math.max(0, color(glow) - (1 - glow) * color(0));
  const photo = 0.2 + glow * (0.9 - 0.2);
  const grey = 0.45 * (1 - glow);
  return [photo * (1 - light), grey * (1 - light), light];
}

/**
 * A light picture would turn grey as a whole and its glow pale. So it keeps its light ground, loses
 * colour where nobody looks and is tinted where people do, as `saliency predict` does it too.
 */
function tintRow(level, color) {
  const glow = level ** 0.75;
  const opacity = 0.7 * glow;
  const faded = 0.75 * (1 - glow);
  const tint = color(0.85 - 0.3 * glow);
  return [(1 - opacity) * (1 - faded), (1 - opacity) * faded, opacity * tint];
}

function heatRow(level, color) {
  return [0, 0, color(level)];
}

function fogRow(level) {
  const t = Math.min(1, Math.max(0, (level - 0.04) / 0.41));
  const seen = t * t * (3 - 2 * t); // smooth at both ends: a hard edge would draw the eye
  return [seen, FOG_LIGHT * (1 - seen), 0];
}

/** Dim and grey, so that the circles on it stand out. */
function focalRow() {
  return [0.35, 0.3, 0];
}

function secondPicture(scene, kind) {
  const made = secondPictures.get(scene) ?? {};
  made[kind] ??= kind === 'grey' ? toGrey(scene.photo) : toBlurred(scene);
  secondPictures.set(scene, made);
  return made[kind];
}

function toGrey(photo) {
  const grey = new Uint8ClampedArray(photo.length);
  for (let i = 0; i < photo.length; i += 4) {
    grey.fill(greyAt(photo, i), i, i + 3);
  }
  return grey;
}

/**
 * Blur by halving and doubling, each step smoothed: `context.filter` is missing in Safari, and one
 * step to the smallest size and back would show its squares.
 */
function toBlurred({ photo, width, height }) {
  const start = new OffscreenCanvas(width, height);
  start.getContext('2d').putImageData(new ImageData(photo, width, height), 0, 0);
  const sizes = [[width, height]];
  while (Math.max(...sizes.at(-1)) > FOG_GRAIN) {
    sizes.push(sizes.at(-1).map((side) => Math.max(1, Math.round(side / 2))));
  }
  const steps = [...sizes.slice(1), ...sizes.slice(0, -1).reverse()];
  const blurred = steps.reduce(resize, start);
  return blurred.getContext('2d').getImageData(0, 0, width, height).data;
}

function resize(canvas, [width, height]) {
  const resized = new OffscreenCanvas(width, height);
  const context = resized.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(canvas, 0, 0, width, height);
  return resized;
}
