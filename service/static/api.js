/**
 * The service's HTTP interface, one function a request.
 *
 * @typedef {{x: number, y: number}} Point
 * @typedef {Point & {share: number, rank: number}} FocalPoint
 * @typedef {Point & {width: number, height: number}} Box in pixels of the photo
 * @typedef {object} Saliency
 * @property {FocalPoint[]} focal_points by share
 * @property {number} entropy 0 all in one place .. 1 even
 * @property {number} concentration share in the most looked-at tenth of the area
 * @property {Point} center_of_mass
 * @typedef {object} Prediction
 * @property {number} width of the photo
 * @property {number} height
 * @property {number | null} score
 * @property {number | null} score_std
 * @property {string | null} disagreement `score_std` in words
 * @property {number[] | null} score_distribution ten shares of the votes 1..10
 * @property {Saliency | null} saliency
 * @property {{has_content: boolean, flaws: string, sentence: string} | null} quality
 * @property {string | null} map_png base64 of a grey PNG; null once the page has taken it out
 * @property {{name: string, version: string}} model
 * @property {string} device
 * @property {Record<string, number>} timings
 * @typedef {object} Region
 * @property {Box} box
 * @property {number} share
 * @property {number} share_per_area
 * @property {number} peak
 * @property {Point} peak_at
 * @property {number} rank
 * @typedef {object} Crop
 * @property {string} aspect
 * @property {Box} box
 * @property {number} kept_attention
 * @property {number | null} score
 * @property {number} rank
 */

import { recall, remember } from './remembering.js';

const KEY_NAME = 'saliency-api-key';

/** A refusal, in the words of the service, or of the network where none came. */
export class ApiError extends Error {
  /**
   * @param {string} detail a sentence to show
   * @param {number} status 0 where no answer came
   * @param {number} [retryAfterMs] how long the service asks to wait
   */
  constructor(detail, status, retryAfterMs = 0) {
    super(detail);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** @param {Prediction} prediction @returns {[number, number]} height, width of the photo */
export function sizeOf({ height, width }) {
  return [height, width];
}

/** @param {Prediction} prediction @returns {boolean} whether there is anything to give a score */
export function hasScore({ score, quality }) {
  return score !== null && quality?.has_content !== false;
}

/** Keep the key until the tab closes; the browser forgets it then. @param {string} key */
export function rememberKey(key) {
  remember(KEY_NAME, key);
}

/**
 * @param {File} file
 * @param {AbortSignal} signal
 * @returns {Promise<{prediction: Prediction, map: Blob | null}>} the map is an 8-bit PNG
 */
export async function predict(file, signal) {
  const prediction = await (await post('v1/predict?map=8', { image: file }, signal)).json();
  const { map_png: base64 } = prediction;
  const map = base64 && new Blob([fromBase64(base64)], { type: 'image/png' });
  return { prediction: { ...prediction, map_png: null }, map };
}

/**
 * @param {File} file
 * @param {Box[]} boxes
 * @param {AbortSignal} signal
 * @returns {Promise<Region[]>} in the boxes' order
 */
export async function measureRegions(file, boxes, signal) {
  const fields = { image: file, boxes: JSON.stringify(boxes) };
  return (await (await post('v1/regions', fields, signal)).json()).regions;
}

/**
 * @param {File} file
 * @param {string[]} aspects such as '16:9'
 * @param {number} count how many for each aspect
 * @param {AbortSignal} signal
 * @returns {Promise<Crop[]>} by aspect, then rank
 */
export async function suggestCrops(file, aspects, count, signal) {
  const query = new URLSearchParams(aspects.map((aspect) => ['aspect', aspect]));
  query.append('count', String(count));
  return (await (await post(`v1/crops?${query}`, { image: file }, signal)).json()).crops;
}

/**
 * @param {File} file
 * @param {'map&bits=16' | 'overlay'} picture
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob>} a PNG
 */
export async function renderPicture(file, picture, signal) {
  const path = `v1/predict?render=${picture}`;
  return (await post(path, { image: file }, signal, 'image/png')).blob();
}

/** @returns {Promise<Record<string, any>>} the model card */
export async function readModel() {
  return (await request('v1/model', { method: 'GET' })).json();
}

function post(path, fields, signal, accept = 'application/json') {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return request(path, { method: 'POST', body, signal, headers: { Accept: accept } });
}

async function request(path, options) {
  const key = recall(KEY_NAME);
  const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('The server does not answer. Check that it runs, then try again.', 0);
  }
  if (!response.ok) {
    const retryAfterS = Number(response.headers.get('Retry-After')) || 0;
    throw new ApiError(await readDetail(response), response.status, retryAfterS * 1000);
  }
  return response;
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** A proxy in between may answer without a problem document. */
async function readDetail(response) {
  const problem = await response.json().catch(() => null);
  return problem?.detail ?? `The server answered ${response.status} ${response.statusText}.`;
}
