// The demo's own copy of config/demo.yaml, with the addresses that are only known once everything listens.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const TEMPLATE = join(import.meta.dirname, '..', '..', 'config', 'demo.yaml');
/** What stands in config/demo.yaml, each exactly once. */
const LISTEN = '127.0.0.1:8420';
const GITHUB = 'http://127.0.0.1:8430';
const MIRRORS: Record<string, string> = {
  'us-west-2': 'http://127.0.0.1:8431',
  'us-east-1': 'http://127.0.0.1:8432',
  'eu-west-1': 'http://127.0.0.1:8433',
};

export interface Addresses {
  /** `host:port` */
  listen: string;
  github: string;
  mirrorOf(region: string): string;
}

/** Throws when an address is not where it is looked for. */
export function writeDemoConfig(file: string, addresses: Addresses): void {
  const text = readFileSync(TEMPLATE, 'utf8');
  const real = new Map([
    [LISTEN, addresses.listen],
    [GITHUB, addresses.github],
  ]);
  for (const [region, url] of Object.entries(MIRRORS)) real.set(url, addresses.mirrorOf(region));
  for (const written of real.keys()) {
    if (text.split(written).length !== 2) throw new Error(`${written} must stand in ${TEMPLATE} exactly once`);
  }
  // In one pass: a real address may look like one that is written.
  const filled = text.replaceAll(/(?:http:\/\/)?127\.0\.0\.1:\d+/g, (found) => real.get(found) ?? found);
  writeFileSync(file, filled);
}
