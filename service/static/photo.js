/**
 * Files -> pixels to work with. A scene holds a photo and its attention at one working size:
 * large enough for a screen, small enough to repaint while a slider moves.
 *
 * @typedef {object} Scene
 * @property {number} width
 * @property {number} height
 * @property {Uint8ClampedArray} photo RGBA; plain grey where the browser cannot show the file
 * @property {boolean} shown whether `photo` is the photo
 * @property {boolean} light whether it is mostly white or nearly so, as web pages are
 * @property {Uint8Array | null} attention 0..255, proportional to the density, peak 255
 * @property {ImageBitmap | null} overlay the service's own picture, where there is no photo
 */

const LIGHT_LEVEL = 225; // with LIGHT_SHARE: as the service decides, see `saliency/rendering.py`
const LIGHT_SHARE = 0.35;
const THUMBNAIL_SIDE = 192; // twice of what is shown, for fine screens
const LONGEST_SIDE = 1600;
const SHORTEST_LONG_SIDE = 1000; // small photos are enlarged, or circles and labels would blur

/**
 * @param {Blob} file
 * @returns {Promise<ImageBitmap | null>} upright as the EXIF says, or null for a format that this
 *   browser does not know
 */
export function decodePhoto(file) {
  return createImageBitmap(file, { imageOrientation: 'from-image' }).catch(() => null);
}

/**
 * @param {number} width of the photo
 * @param {number} height
 * @param {ImageBitmap | null} bitmap
 * @returns {Scene}
 */
export function makeScene(width, height, bitmap) {
  const longer = Math.max(width, height);
  const scale = Math.min(LONGEST_SIDE, Math.max(SHORTEST_LONG_SIDE, longer)) / longer;
  const size = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
  const photo = bitmap ? readPixels(bitmap, size) : plainGrey(size);
  const shown = bitmap !== null;
  return { ...size, photo, shown, light: isLight(photo), attention: null, overlay: null };
}

/**
 * @param {Blob} file
 * @returns {Promise<Blob | null>} a small JPEG; null for a format that this browser does not know
 */
export async function makeThumbnail(file) {
  const bitmap = await decodePhoto(file);
  if (!bitmap) return null;
  const scale = Math.min(1, THUMBNAIL_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) =>
    Math.max(1, Math.round(side * scale)),
  );
  const canvas = new OffscreenCanvas(width, height);
  drawOnWhite(canvas.getContext('2d'), bitmap, { width, height });
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.8 });
}

/**
 * @param {Blob} map grey PNG
 * @param {Scene} scene to fit
 * @returns {Promise<Uint8Array>}
 */
export async function decodeAttention(map, scene) {
  const bitmap = await createImageBitmap(map);
  const pixels = readPixels(bitmap, scene);
  bitmap.close();
  return Uint8Array.from({ length: scene.width * scene.height }, (_, i) => pixels[i * 4]);
}

/**
 * Cut a box out of the photo at its full resolution.
 *
 * The file is decoded anew, because a bitmap kept for this would hold hundreds of megabytes.
 *
 * @param {File} file
 * @param {[number, number]} imageSize height, width that the box is given in
 * @param {import('./api.js').Box} box
 * @returns {Promise<Blob>} JPEG for a JPEG, else PNG
 */
export async function cutOut(file, imageSize, box) {
  const bitmap = await decodePhoto(file);
  const scale = bitmap.width / imageSize[1];
  const [x, y, width, height] = [box.x, box.y, box.width, box.height].map((value) =>
    Math.round(value * scale),
  );
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d').drawImage(bitmap, x, y, width, height, 0, 0, width, height);
  bitmap.close();
  const type = file.type === 'image/jpeg' ? 'image/jpeg' : 'image/png';
  return canvas.convertToBlob({ type, quality: 0.95 });
}

/** @param {Uint8ClampedArray} photo RGBA @param {number} i where a pixel begins @returns {number} */
export function greyAt(photo, i) {
  return 0.299 * photo[i] + 0.587 * photo[i + 1] + 0.114 * photo[i + 2];
}

function plainGrey({ width, height }) {
  return new Uint8ClampedArray(width * height * 4).fill(118).map((v, i) => (i % 4 === 3 ? 255 : v));
}

function readPixels(bitmap, { width, height }) {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  drawOnWhite(context, bitmap, { width, height });
  return context.getImageData(0, 0, width, height).data;
}

function drawOnWhite(context, bitmap, { width, height }) {
  context.fillStyle = '#fff'; // what the service puts behind transparent photos
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
}

function isLight(photo) {
  let light = 0;
  for (let i = 0; i < photo.length; i += 4) {
    if (Math.round(greyAt(photo, i)) >= LIGHT_LEVEL) light += 1;
  }
  return light >= LIGHT_SHARE * (photo.length / 4);
}
