// What a verb on a rollout has done, as lines of text: pure, from the server's reply to what is printed.
import type { LaneView, RolloutView, Verb, VerbReply } from '../protocol/operator.ts';
import { shellWord, wrap } from './render.ts';
import type { Terminal } from './terminal.ts';
import { textRows } from './text-rows.ts';

type Style = Pick<Terminal, 'width'>;

export interface Said {
  verb: Verb;
  flags: { region?: string; release?: true; baseline?: true };
}

/** `before`: the rollout as it was when the person spoke. */
export function verbPage(said: Said, before: RolloutView, reply: VerbReply, style: Style): string[] {
  if (said.flags.baseline) return baselineLines(said, reply, style);
  return said.verb === 'halt' ? haltLines(said, reply, style) : verbLines(said, before, reply, style);
}

const DONE: Record<Verb, string> = {
  approve: 'approved',
  promote: 'promoted',
  accept: 'going on',
  'skip-region': 'skipped',
  pause: 'paused',
  resume: 'resumed',
  halt: 'halted',
  retry: 'retried',
  cancel: 'cancelled',
  rollback: 'rolled back',
};

function baselineLines({ verb, flags }: Said, { rollout, changed }: VerbReply, style: Style): string[] {
  const title = `the baseline ${rollout.product} ${rollout.version}`;
  const text = changed ? `${title} is ${DONE[verb]}` : `nothing changed: ${title} was already ${DONE[verb]}`;
  const about = (rollout.baselines ?? []).filter((one) => flags.region === undefined || one.region === flags.region);
  return [...wrap(text, style.width, '  '), ...rowsOf(about, style)];
}

function haltLines({ flags }: Said, { rollout, changed }: VerbReply, style: Style): string[] {
  const halted = rollout.lanes.filter((lane) => lane.state === 'halted').map((lane) => lane.region);
  const title = `${rollout.product} ${rollout.version}`;
  const veto = flags.release ? '; the release is vetoed' : '';
  const where = halted.length === 0 ? 'in no region' : `in ${halted.join(', ')}`;
  const text = changed ? `${title} is halted ${where}${veto}` : `nothing was left to halt: ${title} is halted ${where}`;
  return wrap(text, style.width, '  ');
}

/** One line for what was done, then every lane that it was about as it now is. */
function verbLines({ verb, flags }: Said, before: RolloutView, { rollout, changed }: VerbReply, style: Style) {
  const was = new Map(before.lanes.map((lane) => [lane.id, lane]));
  const about = rollout.lanes.filter((lane) => {
    if (flags.region !== undefined) return lane.region === flags.region;
    const before = was.get(lane.id);
    return !changed || before?.state !== lane.state || before.step !== lane.step || before.revision !== lane.revision;
  });
  const title = `${rollout.product} ${rollout.version}`;
  const where = flags.region === undefined ? '' : ` in ${flags.region}`;
  const already = verb === 'resume' ? `is not paused${where}` : `was already ${DONE[verb]}${where}`;
  const being = verb === 'rollback' ? 'being ' : '';
  const done = changed ? `${title} is ${being}${DONE[verb]}${where}` : `nothing changed: ${title} ${already}`;
  const consents = verb === 'promote' || verb === 'approve';
  const text = (consents && lackingLine(changed, about, title)) || done;
  const rows = about.map((lane) => ({ ...lane, sentence: (consents && lane.next) || lane.sentence }));
  return [...wrap(text, style.width, '  '), ...rowsOf(rows, style), ...stayingLines(rollout, about, style)];
}

function rowsOf(rows: readonly Pick<LaneView, 'region' | 'state' | 'sentence'>[], style: Style): string[] {
  const lines = rows.map(({ region, state, sentence }) => ({ cells: [region, state], text: sentence }));
  return textRows(lines, style.width).flat();
}

/** What has ended stops there: who runs the release by then goes on running it. */
function stayingLines({ product, version }: RolloutView, about: readonly LaneView[], style: Style): string[] {
  const taken = about.filter(({ state, attempts }) => state === 'cancelled' && TAKEN.some((one) => attempts[one]));
  if (taken.length === 0) return [];
  const [only] = taken;
  const region = taken.length === 1 && only !== undefined ? ` --region ${shellWord(only.region)}` : '';
  const where = taken.map((lane) => lane.region).join(', ');
  const command = `tidegate rollout rollback ${shellWord(`${product}@${version}`)}${region} --reason TEXT`;
  return wrap(`hosts in ${where} that run ${version} keep it; to bring them back: ${command}`, style.width, '  ');
}

const TAKEN = ['granted', 'activating', 'proving', 'succeeded'];

/** One person is not enough for the step, and the same one counts once. */
function lackingLine(changed: boolean, lanes: readonly LaneView[], title: string): string | undefined {
  const lacking = lanes.flatMap(({ approval }) =>
    approval != null && approval.given.length < approval.needed ? approval : [],
  );
  const [first] = lacking;
  if (first === undefined) return undefined;
  const tally = `${first.given.length} of ${first.needed} approvals`;
  const whose = changed ? 'your approval is noted' : 'nothing changed: your approval counts already, once';
  return `${whose}; ${title} has ${tally}: it takes another person`;
}
