// Runs one part of a benchmark in a process of its own: nothing that another has left behind is in its collector's way.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ScalePart } from './scale-part.ts';

export type Figures = Record<string, number>;

export async function part(name: ScalePart, size: number, path = ''): Promise<Figures> {
  process.stderr.write(`${name} ${size}\n`);
  const file = join(import.meta.dirname, 'scale-part.ts');
  const child = spawn(process.execPath, ['--expose-gc', file, name, String(size), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${name} ${size} ended with ${code}`);
  return JSON.parse(out) as Figures;
}
