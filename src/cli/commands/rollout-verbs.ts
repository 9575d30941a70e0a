// tidegate rollout promote | pause | resume | halt | retry | cancel
import { type Command, InvalidArgumentError } from 'commander';
import { AppError } from '../../errors.ts';
import type { LaneView, RolloutView, Verb, VerbReply } from '../../protocol/operator.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { json, shellWord, table, wrap } from '../render.ts';
import { findRollout } from '../rollout-name.ts';
import type { Terminal } from '../terminal.ts';

interface Flags extends ConnectionFlags {
  region?: string;
  /** From 0. */
  step?: number;
  release?: true;
  baseline?: true;
  reason: string;
  json?: true;
}

const DOES: Record<Verb, string> = {
  promote: 'let the next step open, where a person is waited for',
  pause: 'nothing new is started and the soak stands still, until it is resumed',
  resume: 'go on where it was paused',
  halt: 'stop it: nothing new is started, what is being activated ends',
  retry: 'begin the step anew after a halt; failures so far are forgiven',
  cancel: 'end it for good',
};

const DONE: Record<Verb, string> = {
  promote: 'promoted',
  pause: 'paused',
  resume: 'resumed',
  halt: 'halted',
  retry: 'retried',
  cancel: 'cancelled',
};

export function verbCommands(group: Command, rollout: string, context: CliContext): void {
  for (const verb of Object.keys(DOES) as Verb[]) {
    const command = group
      .command(verb)
      .argument('<rollout>', rollout)
      .description(DOES[verb])
      .option('--region <name>', 'in one region only')
      .option('--step <number>', stepHelp(verb), readStep);
    if (verb === 'halt')
      command.option('--release', 'and veto the release everywhere: it cannot be retried until the veto is lifted');
    if (verb === 'halt' || verb === 'retry')
      command.option('--baseline', 'what brings newcomers to this release, instead of the rollout itself');
    command.requiredOption('--reason <text>', 'why; it is kept and shown').option('--json', 'as the server sent it');
    addConnectionFlags(command).action((name: string, flags: Flags) => perform(context, verb, name, flags));
  }
}

function stepHelp(verb: Verb): string {
  return verb === 'promote' ? 'the step that is promoted, as it is shown' : 'only while it is in this step, as shown';
}

function readStep(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError('It is the number of a step, from 1 on.');
  return Number(text) - 1;
}

async function perform(context: CliContext, verb: Verb, name: string, flags: Flags): Promise<void> {
  const { terminal, settings, interrupted } = context;
  const client = await openClient(flags, settings, interrupted);
  const before = await findRollout(client, name);
  if (verb === 'promote' && flags.step === undefined) throw askForStep(before, name, flags);
  const reply = await client.verb(before.id, {
    verb,
    reason: flags.reason,
    ...(flags.region === undefined ? {} : { region: flags.region }),
    ...(flags.baseline ? { lane: 'baseline' as const } : {}),
    ...(flags.step === undefined ? {} : { expectedStep: flags.step }),
    ...(verb === 'halt' ? { scope: flags.release ? 'release' : 'lane' } : {}),
  });
  if (flags.json) return terminal.print(json(reply));
  if (flags.baseline) return terminal.print(baselineLines(verb, reply, flags, terminal));
  terminal.print(verb === 'halt' ? haltLines(reply, flags, terminal) : verbLines(verb, before, reply, flags, terminal));
}

/** Who promotes says which step: between looking and deciding another may have been reached. */
function askForStep(rollout: RolloutView, name: string, flags: Flags): AppError {
  const title = `${rollout.product} ${rollout.version}`;
  const named = rollout.lanes.filter((lane) => flags.region === undefined || lane.region === flags.region);
  if (named.length === 0) {
    const regions = rollout.lanes.map((lane) => lane.region).join(', ');
    return new AppError('not_found', `the rollout of ${title} has no lane in ${flags.region}`, {
      hint: `It has lanes in: ${regions}.`,
    });
  }
  const waiting = named.filter((lane) => lane.state === 'approval' && lane.step !== null);
  if (waiting.length === 0) {
    const states = named.map((lane) => `${lane.region} is ${lane.state}`).join(', ');
    return new AppError('illegal_transition', `no step of ${title} waits for a promotion: ${states}`, {
      hint: 'promote is for lanes that are waiting for approval.',
    });
  }
  const places = waiting.map((lane) => `${lane.region} ${place(lane)}`).join(', ');
  const commands = [...new Set(waiting.map((lane) => commandFor(lane, waiting, name, flags)))];
  return new AppError('usage', `name the step to promote with --step; ${title} waits in ${places}`, {
    hint: `Run: ${commands.join(' ; ')}`,
  });
}

function place(lane: LaneView): string {
  return `after step ${(lane.step ?? 0) + 1} of ${lane.steps.length}`;
}

/** What to run for the lane: lanes that wait after the same step go with one command. */
function commandFor(lane: LaneView, waiting: readonly LaneView[], name: string, flags: Flags): string {
  const same = flags.region === undefined && waiting.every((one) => one.step === lane.step);
  const words = [
    ...['tidegate', 'rollout', 'promote', name, '--step', String((lane.step ?? 0) + 1)],
    ...(same ? [] : ['--region', lane.region]),
    ...['--reason', flags.reason],
    ...(flags.server === undefined ? [] : ['--server', flags.server]),
    ...(flags.tokenFile === undefined ? [] : ['--token-file', flags.tokenFile]),
    ...(flags.caFile === undefined ? [] : ['--ca-file', flags.caFile]),
  ];
  return words.map(shellWord).join(' ');
}

function baselineLines(verb: Verb, { rollout, changed }: VerbReply, flags: Flags, terminal: Terminal): string[] {
  const title = `the baseline ${rollout.product} ${rollout.version}`;
  const text = changed ? `${title} is ${DONE[verb]}` : `nothing changed: ${title} was already ${DONE[verb]}`;
  const about = (rollout.baselines ?? []).filter((one) => flags.region === undefined || one.region === flags.region);
  const rows = about.map((one) => [one.region, one.state, one.sentence]);
  return [...wrap(text, terminal.width, '  '), ...table(rows, terminal.width)];
}

function haltLines({ rollout, changed }: VerbReply, flags: Flags, terminal: Terminal): string[] {
  const halted = rollout.lanes.filter((lane) => lane.state === 'halted').map((lane) => lane.region);
  const title = `${rollout.product} ${rollout.version}`;
  const veto = flags.release ? '; the release is vetoed' : '';
  const where = halted.length === 0 ? 'in no region' : `in ${halted.join(', ')}`;
  const text = changed ? `${title} is halted ${where}${veto}` : `nothing was left to halt: ${title} is halted ${where}`;
  return wrap(text, terminal.width, '  ');
}

/** One line for what was done, then every lane that it was about as it now is. */
function verbLines(
  verb: Verb,
  before: RolloutView,
  { rollout, changed }: VerbReply,
  flags: Flags,
  terminal: Terminal,
): string[] {
  const was = new Map(before.lanes.map((lane) => [lane.id, lane]));
  const about = rollout.lanes.filter((lane) => {
    if (flags.region !== undefined) return lane.region === flags.region;
    return !changed || was.get(lane.id)?.state !== lane.state || was.get(lane.id)?.step !== lane.step;
  });
  const title = `${rollout.product} ${rollout.version}`;
  const where = flags.region === undefined ? '' : ` in ${flags.region}`;
  const already = verb === 'resume' ? `is not paused${where}` : `was already ${DONE[verb]}${where}`;
  const text = changed ? `${title} is ${DONE[verb]}${where}` : `nothing changed: ${title} ${already}`;
  const rows = about.map((lane) => [lane.region, lane.state, lane.sentence]);
  return [...wrap(text, terminal.width, '  '), ...table(rows, terminal.width)];
}
