// The quarantined agents as lines of text: a row for each agent and release, how its last attempt ended below.
import type { QuarantineReply, RolloutView } from '../protocol/operator.ts';
import { age, count, shellWord, table, wrap } from './render.ts';
import type { Terminal } from './terminal.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;
type Row = QuarantineReply['quarantined'][number];

export function quarantinePage({ quarantined, more }: QuarantineReply, now: number, style: Style): string[] {
  const [first] = quarantined;
  if (first === undefined) return ['no agent is quarantined'];
  const head = ['NAME', 'REGION', 'RELEASE', 'ATTEMPTS', 'LAST'];
  const cells = quarantined.map((row) => [
    row.name,
    row.region,
    `${row.product}@${row.version}`,
    `${row.attempts} of ${row.limit}`,
    row.last === null ? '' : `${row.last.state} ${age(row.last.endedAt, now)}`,
  ]);
  const [heading = '', ...lines] = table([head, ...cells], style.width, '');
  const twice = quarantined.filter((row, index) => quarantined.some((one, at) => at < index && isNamesake(one, row)));
  const names = new Set(twice.map(({ name }) => name));
  return [
    style.paint('dim', heading),
    ...quarantined.flatMap((row, index) => [
      lines[index] ?? '',
      ...(names.has(row.name) ? [`  ${row.agent}`] : []),
      ...whyLines(row, style),
    ]),
    '',
    `${count(quarantined.length, 'quarantine')}${more ? '; there are more' : ''}`,
    ...wrap(`let one try again with: ${clearCommand(first)}`, style.width, '  '),
  ];
}

/** For a row of the list, or of an agent's own quarantines. */
export function clearCommand({ name, product, version }: Pick<Row, 'name' | 'product' | 'version'>): string {
  return `tidegate quarantine clear ${shellWord(name)} ${shellWord(`${product}@${version}`)} --reason TEXT`;
}

/** A halted lane tries nobody, whoever is cleared; a retry of it clears all. */
export function haltedHint(rollout: RolloutView | undefined, region: string, style: Style): string[] {
  const lane = rollout?.lanes.find((one) => one.region === region);
  if (rollout === undefined || lane?.state !== 'halted') return [];
  const name = shellWord(`${rollout.product}@${rollout.version}`);
  const retry = `tidegate rollout retry ${name} --region ${shellWord(region)} --reason TEXT`;
  const text = `${rollout.version} is halted in ${region}, so nobody is tried there; a retry forgives all that tried: ${retry}`;
  return wrap(text, style.width, '  ');
}

function isNamesake(a: Row, b: Row): boolean {
  return a.name === b.name && a.agent !== b.agent;
}

function whyLines({ last }: Row, style: Style): string[] {
  const why = [last?.cause ?? null, last?.detail ?? null].filter((part) => part !== null).join(': ');
  return why === '' ? [] : wrap(why, style.width - 2).map((line) => style.paint('yellow', `  ${line}`));
}
