/** Many files as one archive, uncompressed: pictures do not get smaller. */

const MAX_FILES = 65_535; // more, or 4 GB, would need ZIP64
const MAX_BYTES = 0xffff_ffff;
const UTF8_NAMES = 0x0800;
const VERSION = 20;
const DATE = 0x21; // 1 January 1980, the first that the format knows

/**
 * @param {{name: string, blob: Blob}[]} files names that stand twice get a number
 * @returns {Promise<Blob>}
 * @throws {Error} they are too many or too large for one archive
 */
export async function toZip(files) {
  const bytes = files.reduce((sum, { blob }) => sum + blob.size, 0);
  if (files.length > MAX_FILES || bytes > MAX_BYTES * 0.9) {
    throw new Error('One archive holds at most 65,535 files and 4 GB. Save fewer photos at a time.');
  }
  const parts = [];
  const directory = [];
  const taken = new Set();
  let offset = 0;
  for (const { name, blob } of files) {
    const path = new TextEncoder().encode(makeUnique(name, taken));
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    const facts = [VERSION, UTF8_NAMES, 0, 0, DATE].map((value) => [value, 2]);
    const sizes = [[crc, 4], [blob.size, 4], [blob.size, 4], [path.length, 2], [0, 2]];
    const local = pack([[0x04034b50, 4], ...facts, ...sizes]);
    const rest = [[0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]];
    directory.push(pack([[0x02014b50, 4], [VERSION, 2], ...facts, ...sizes, ...rest]), path);
    parts.push(local, path, blob);
    offset += local.length + path.length + blob.size;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const count = [files.length, 2];
  const end = pack([
    [0x06054b50, 4], [0, 2], [0, 2], count, count, [length, 4], [offset, 4], [0, 2],
  ]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}

/** Little-endian numbers of 2 or 4 bytes. */
function pack(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [, size]) => sum + size, 0)));
  let at = 0;
  for (const [value, size] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

/** a.jpg, a.jpg -> a.jpg, a (2).jpg; what would be a folder or what Windows refuses becomes `_`. */
function makeUnique(name, taken) {
  const safe = name.replace(/[\\/:*?"<>|\x00-\x1f]/g, '_');
  const [, stem, ending] = safe.match(/^(.*?)((?:\.[^.]*){0,2})$/s);
  let unique = safe;
  for (let number = 2; taken.has(unique.toLowerCase()); number += 1) {
    unique = `${stem} (${number})${ending}`;
  }
  taken.add(unique.toLowerCase());
  return unique;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffff_ffff) >>> 0;
}
