#!/usr/bin/env node
// The npm bin: plain JavaScript that every Node can read, so that one too old to run the rest says so and exits.
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const NEEDED_MAJOR = 24;
/** Exit code of `node_too_old` in errors.ts, which an old Node cannot read. */
const EXIT_NODE_TOO_OLD = 3;

/**
 * What to tell the user of a Node that is too old, in one line; null when it is new enough.
 * @param {string} version as in process.version, e.g. v20.20.2
 * @returns {string | null}
 */
export function refusalOf(version) {
  if (Number.parseInt(version.replace(/^v/, ''), 10) >= NEEDED_MAJOR) return null;
  return (
    `tidegate needs Node ${NEEDED_MAJOR} or newer, this is ${version}; ` +
    `run it through npx or npm scripts in a checkout after npm ci, or install Node ${NEEDED_MAJOR}`
  );
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const refusal = refusalOf(process.version);
  if (refusal === null) await import('./cli.ts');
  else {
    process.stderr.write(`${refusal}\n`);
    process.exitCode = EXIT_NODE_TOO_OLD;
  }
}
