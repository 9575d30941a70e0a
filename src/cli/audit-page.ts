// The audit as lines of text: a line for each entry, and below it what was said of it.
import type { AuditReply } from '../protocol/operator.ts';
import { instant, shellWord, wrap } from './render.ts';
import type { Terminal } from './terminal.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;
type Entry = AuditReply['entries'][number];

const MOST_DATA = 300;
/** What the name of the subject says already. */
const IN_NAME: ReadonlySet<string> = new Set(['region', 'product', 'version', 'name']);
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function auditPage(
  { entries, next }: AuditReply,
  { by, all }: { by?: string; all?: boolean },
  style: Style,
): string[] {
  if (entries.length === 0) return [by === undefined ? 'nobody has done anything yet' : `nothing by ${by} is recorded`];
  const flags = `${by === undefined ? '' : ` --by ${shellWord(by)}`}${all === true ? ' --all' : ''}`;
  const more =
    next === null ? [] : ['', ...wrap(`older ones: tidegate audit${flags} --before ${next}`, style.width, '  ')];
  return [...entries.flatMap((entry) => entryLines(entry, style)), ...more];
}

function entryLines({ at, actor, action, about, subject, data }: Entry, style: Style): string[] {
  const head = wrap(`${instant(at)} ${actor}: ${action} ${about ?? subject}`, style.width, '  ');
  return [
    ...head,
    ...said(data, about !== null).flatMap((text) =>
      wrap(text, style.width - 2, '  ').map((line) => style.paint('dim', `  ${line}`)),
    ),
  ];
}

/** The reason as it was given, and whatever else is plain. */
function said(data: Entry['data'], isNamed: boolean): string[] {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return [];
  const { reason, ...others } = data as Record<string, unknown>;
  const rest = Object.entries(others)
    .filter(
      ([name, value]) =>
        value !== null && value !== false && !ID.test(String(value)) && !(isNamed && IN_NAME.has(name)),
    )
    .map(([name, value]) => `${name} ${sayValue(name, value)}`)
    .join(', ');
  const cut = rest.length > MOST_DATA ? `${rest.slice(0, MOST_DATA)}…` : rest;
  return [...(typeof reason === 'string' ? [reason] : []), ...(cut === '' ? [] : [cut])];
}

/** People count steps from 1. */
function sayValue(name: string, value: unknown): string {
  if (name === 'step' && typeof value === 'number') return String(value + 1);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
