/**
 * Keeps photos and what was done with them in this browser (IndexedDB), so that a reload loses
 * nothing.
 *
 * Files lie in a store of their own: they are large and never change, the rest changes often.
 */

const NAME = 'saliency';
const VERSION = 1;
const STORES = ['files', 'photos'];

/** @typedef {import('./photos.js').Item} Item */

/** @returns {Promise<Storage>} @throws {DOMException} where the browser has no such storage */
export async function openStorage() {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = () => {
    for (const store of STORES) request.result.createObjectStore(store, { keyPath: 'id' });
  };
  return new Storage(await answerOf(request));
}

class Storage {
  constructor(database) {
    this.database = database;
  }

  /** @returns {Promise<Partial<Item>[]>} what was kept, in the order it came */
  async load() {
    const transaction = this.database.transaction(STORES);
    const [files, photos] = await Promise.all(
      STORES.map((store) => answerOf(transaction.objectStore(store).getAll())),
    );
    const fileOf = new Map(files.map(({ id, file }) => [id, file]));
    return photos
      .filter(({ id }) => fileOf.has(id))
      .map((photo) => ({ ...photo, file: fileOf.get(photo.id) }))
      .sort((a, b) => a.order - b.order);
  }

  /** @param {Item} item a new one */
  keepFile({ id, file }) {
    return this.#write('files', (store) => store.put({ id, file }));
  }

  /** @param {Item} item all of it but the file */
  keep({ id, order, state, reason, prediction, map, thumbnail, weights, stars, boxes }) {
    const photo = { id, order, state, reason, prediction, map, thumbnail, weights, stars, boxes };
    return this.#write('photos', (store) => store.put(photo));
  }

  /** @param {string} id */
  forget(id) {
    return Promise.all(STORES.map((name) => this.#write(name, (store) => store.delete(id))));
  }

  clear() {
    return Promise.all(STORES.map((name) => this.#write(name, (store) => store.clear())));
  }

  #write(name, change) {
    const transaction = this.database.transaction(name, 'readwrite');
    change(transaction.objectStore(name));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error); // such as: the disk is full
    });
  }
}

function answerOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
