// A copy of the tree in a temporary directory with one mutant's bug in it; everything that the simulator needs, no more.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Edit, Mutant } from './list.ts';

const ROOT = join(import.meta.dirname, '../../..');
const COPIED = ['package.json', 'src', 'migrations', 'config', 'test/simulator', 'test/support'];

export interface MutantCopy {
  /** The simulator's main in the copy. */
  main: string;
  remove(): void;
}

export function copyWith(mutant: Mutant): MutantCopy {
  const directory = mkdtempSync(join(tmpdir(), `tidegate-mutant-${mutant.name}-`));
  for (const path of COPIED) cpSync(join(ROOT, path), join(directory, path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  for (const edit of mutant.edits) {
    const file = join(directory, edit.file);
    writeFileSync(file, edited(readFileSync(file, 'utf8'), edit));
  }
  return {
    main: join(directory, 'test/simulator/main.ts'),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Throws where the text that is to be replaced does not stand there exactly once. */
export function edited(text: string, { file, from, to }: Edit): string {
  const parts = text.split(from);
  if (parts.length === 2) return parts.join(to);
  throw new Error(`stands ${parts.length - 1} times in ${file}, must stand once: ${JSON.stringify(from)}`);
}
