// The regions as lines of text: zone, agents, window, and below each what goes on there.
import type { RegionsReply, RegionView, StatusReply } from '../protocol/operator.ts';
import { holdWords } from './hold-words.ts';
import { age, instant, shellWord, stateWords, table, wrap } from './render.ts';
import { brakeLines, colourOf } from './status-page.ts';
import type { Terminal } from './terminal.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;

const HEAD = ['REGION', 'ZONE', 'PRESENT', 'RELEASES FROM', 'WINDOW'];

/** In the order of the config, under the brakes: an open window lets nothing start where one is set. */
export function regionsPage({ regions, now }: RegionsReply, brakes: StatusReply['brakes'], style: Style): string[] {
  const stops = brakeLines(brakes, now, style);
  if (regions.length === 0) return [...stops, 'the config has no region'];
  const rows = regions.map((region) => [
    region.name,
    region.timeZone,
    `${region.agents.present} of ${region.agents.enrolled}`,
    region.mirror ? 'its mirror' : 'GitHub',
    region.window.open ? 'open' : 'closed',
  ]);
  const [head = '', ...lines] = table([HEAD, ...rows], style.width, '');
  return [...stops, head, ...regions.flatMap((region, index) => [lines[index] ?? '', ...below(region, now, style)])];
}

function below(region: RegionView, now: number, style: Style): string[] {
  return [...windowLines(region, now, style), ...region.lanes.flatMap((lane) => laneLines(lane, style))];
}

/** A window that never changes is not worth a line. */
function windowLines({ window }: RegionView, now: number, style: Style): string[] {
  const { open, changesAt, reason, detail } = window;
  if (open && changesAt === null) return [];
  const when = changesAt === null ? '' : `${instant(changesAt)} (${age(changesAt, now)})`;
  const why = [reason === null ? null : holdWords(reason), detail].filter((part) => part !== null).join(': ');
  const text = open ? `the window closes ${when}` : `nothing starts${when === '' ? '' : ` until ${when}`}; ${why}`;
  return indented(text, style).map((line) => (open ? line : style.paint('yellow', line)));
}

function laneLines({ product, version, state, wave, step, steps }: RegionView['lanes'][number], style: Style) {
  const place = step === null ? '' : `, step ${step + 1} of ${steps}`;
  const text = `${shellWord(`${product}@${version}`)} is ${stateWords(state)}${place}, wave ${wave + 1}`;
  return indented(text, style).map((line) => style.paint(colourOf(state), line));
}

function indented(text: string, style: Style): string[] {
  return wrap(text, style.width - 2, '  ').map((line) => `  ${line}`);
}
