// The last bytes of a stream, passed on as they come: what a crashed version said before it died. Only node:*.
import type { Readable } from 'node:stream';

const MAX_TAIL_BYTES = 8192;

/** Returns a function that gives the text so far, at most the last 8 KiB. */
export function keepTail(stream: Readable | null, passOn: (chunk: Buffer) => void): () => string {
  let tail = Buffer.alloc(0);
  stream?.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-MAX_TAIL_BYTES);
    passOn(chunk);
  });
  stream?.on('error', () => {});
  return () => tail.toString('utf8');
}
