// Sends a file to the kernel in pieces: few under way, each with its checksum, each acknowledged.

export const PIECE = 512 * 1024;
const WINDOW = 3; // pieces under way

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum that zlib.crc32 computes. */
export function crc32(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ (TABLE[(value ^ byte) & 255] as number);
  return (value ^ 0xffffffff) >>> 0;
}

type Send = (offset: number, checksum: number, piece: Uint8Array) => Promise<unknown>;

/** Send a whole file; ends with the first piece that is not acknowledged. */
export async function sendPieces(file: Blob, send: Send): Promise<void> {
  const flying: Promise<unknown>[] = [];
  for (let offset = 0; offset < file.size; offset += PIECE) {
    if (flying.length >= WINDOW) await flying.shift();
    const piece = new Uint8Array(await file.slice(offset, offset + PIECE).arrayBuffer());
    const answer = send(offset, crc32(piece), piece);
    answer.catch(() => {}); // whoever awaits it first tells
    flying.push(answer);
  }
  await Promise.all(flying);
}
