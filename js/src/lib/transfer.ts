// Files between kernel and browser, in pieces.
import { sendPieces } from "../datasets/pieces";
import type { Commands } from "./model";

/** A file that the kernel keeps until it is fetched. */
export interface Offered {
  number: number;
  name: string;
  size: number;
  piece: number;
}

/** Fetch a file and let the browser save it under its name. */
export async function save(commands: Commands, { number, name, size, piece }: Offered): Promise<void> {
  const parts: BlobPart[] = [];
  for (let offset = 0; offset < Math.max(size, 1); offset += piece) {
    const part = await commands.send<DataView<ArrayBuffer>>("fetch", { number, offset });
    parts.push(part);
  }
  const address = URL.createObjectURL(new Blob(parts));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.hidden = true;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Send a file to the kernel; returns the number that an action takes it by. */
export async function send(commands: Commands, file: File): Promise<number> {
  const number = await commands.send<number>("receive", { name: file.name, size: file.size });
  await sendPieces(file, (offset, checksum, piece) =>
    commands.send("part", { number, offset, checksum }, piece),
  );
  return number;
}
