// `npm run bench:scale`: what grows with the fleet, measured from a thousand to a million agents, as a table and as JSON.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fillFleetFile } from './fleet-file.ts';
import { type Figures, part } from './run-part.ts';

const REGIONS = Array.from({ length: 20 }, (_, index) => `region-${index + 1}`);

const { values } = parseArgs({ options: { largest: { type: 'string', default: '1000000' } } });
const largest = Number(values.largest);
const sizes = [1_000, 10_000, 100_000, 1_000_000].filter((size) => size <= largest);
const directory = mkdtempSync(join(tmpdir(), 'tidegate-scale-'));
try {
  const roster = [];
  for (const size of sizes) roster.push(await part('roster', size));
  const start = [];
  for (const size of sizes) start.push(await measureStart(size));
  const plan = await part('plan', 50);
  const decide = await part('decide', 200_000);
  const freeze = [];
  for (const size of sizes) freeze.push(await part('freeze', size));
  const report = { roster, start, plan, decide, freeze };
  process.stderr.write(tables(report));
  process.stdout.write(`${JSON.stringify(report)}\n`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

async function measureStart(size: number): Promise<Figures> {
  const dir = join(directory, `start-${size}`);
  mkdirSync(dir);
  const path = join(dir, 'tidegate.db');
  const fleet = { path, agents: size, regions: REGIONS, product: 'agentd', version: '1.0.0' };
  await fillFleetFile({ ...fleet, digest: 'a'.repeat(64) });
  const figures = await part('start', size, path);
  rmSync(dir, { recursive: true });
  return figures;
}

function tables(report: Record<string, Figures | Figures[]>): string {
  return Object.entries(report)
    .map(([name, figures]) => {
      const rows = Array.isArray(figures) ? figures : [figures];
      const heads = Object.keys(rows[0] ?? {});
      const lines = rows.map((row) => heads.map((head) => String(row[head])));
      const widths = heads.map((head, index) =>
        Math.max(head.length, ...lines.map((line) => (line[index] ?? '').length)),
      );
      const shown = [heads, ...lines].map((line) =>
        line.map((cell, index) => cell.padStart(widths[index] ?? 0)).join('  '),
      );
      return `\n${name}\n${shown.map((line) => `  ${line}\n`).join('')}`;
    })
    .join('');
}
