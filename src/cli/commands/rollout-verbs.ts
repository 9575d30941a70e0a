// tidegate rollout approve | promote | accept | skip-region | pause | resume | halt | retry | cancel | rollback
import { type Command, InvalidArgumentError } from 'commander';
import { AppError } from '../../errors.ts';
import type { LaneView, RolloutView, Verb } from '../../protocol/operator.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { json, shellWord, stateWords } from '../render.ts';
import { findRollout } from '../rollout-name.ts';
import { verbPage } from '../verb-page.ts';

interface Flags extends ConnectionFlags {
  region?: string;
  /** From 0. */
  step?: number;
  count?: number;
  revision?: number;
  release?: true;
  baseline?: true;
  reason: string;
  json?: true;
}

const DOES: Record<Verb, string> = {
  approve: 'let what follows the present step come as soon as it has soaked',
  promote: 'let the next step open, where a person is waited for',
  accept: 'take so many bad, missing or silent outcomes upon you, and go on',
  'skip-region': 'end it in one region, and let its wave go on without it',
  pause: 'nothing new is started and the soak stands still, until it is resumed',
  resume: 'go on where it was paused',
  halt: 'stop it: nothing new is started, what is being activated ends',
  retry: 'begin the step anew after a halt; failures so far are forgiven',
  cancel: 'end it for good',
  rollback: 'bring its agents back to what their region had completed before, and veto the release in every region',
};

export function verbCommands(group: Command, rollout: string, context: CliContext): void {
  for (const verb of Object.keys(DOES) as Verb[]) {
    const command = group
      .command(verb)
      .argument('<rollout>', rollout)
      .description(DOES[verb])
      .option('--step <number>', stepHelp(verb), readStep)
      .option('--revision <number>', 'only while the lane of the region is at this revision, as shown', readNumber);
    if (ONE_REGION.has(verb)) command.requiredOption('--region <name>', 'the region');
    else command.option('--region <name>', 'in one region only');
    if (verb === 'accept') command.requiredOption('--count <number>', 'how many outcomes', readCount);
    if (verb === 'halt')
      command.option('--release', 'and veto the release everywhere: it cannot be retried until the veto is lifted');
    if (verb === 'halt' || verb === 'retry')
      command.option('--baseline', 'what brings newcomers to this release, instead of the rollout itself');
    command.requiredOption('--reason <text>', 'why; it is kept and shown').option('--json', 'as the server sent it');
    addConnectionFlags(command).action((name: string, flags: Flags) => perform(context, verb, name, flags));
  }
}

const ONE_REGION = new Set<Verb>(['accept', 'skip-region']);

function stepHelp(verb: Verb): string {
  if (verb === 'approve') return 'the step that is approved, as it is shown';
  return verb === 'promote' ? 'the step that is promoted, as it is shown' : 'only while it is in this step, as shown';
}

function readStep(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError('It is the number of a step, from 1 on.');
  return Number(text) - 1;
}

function readNumber(text: string): number {
  if (!/^(0|[1-9]\d{0,5})$/.test(text)) throw new InvalidArgumentError('It is a whole number.');
  return Number(text);
}

function readCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It is the number of outcomes, from 1 on.');
  return Number(text);
}

async function perform(context: CliContext, verb: Verb, name: string, flags: Flags): Promise<void> {
  const { terminal, settings, interrupted } = context;
  const client = await openClient(flags, settings, interrupted);
  const before = await findRollout(client, name);
  if ((verb === 'promote' || verb === 'approve') && flags.step === undefined)
    throw askForStep(verb, before, name, flags);
  if (flags.revision !== undefined && flags.region === undefined)
    throw new AppError('usage', 'a revision is that of one lane', { hint: 'Name its region with --region.' });
  const reply = await client.verb(before.id, {
    verb,
    reason: flags.reason,
    ...(flags.region === undefined ? {} : { region: flags.region }),
    ...(flags.baseline ? { lane: 'baseline' as const } : {}),
    ...(flags.step === undefined ? {} : { expectedStep: flags.step }),
    ...(flags.count === undefined ? {} : { count: flags.count }),
    ...seenOf(verb, before, flags),
    ...(verb === 'halt' ? { scope: flags.release ? 'release' : 'lane' } : {}),
  });
  if (flags.json) return terminal.print(json(reply));
  terminal.print(verbPage({ verb, flags }, before, reply, terminal));
}

/** What stops goes through whatever has moved; what lets more hosts go is for the lane as it was when it was looked at. */
const LETS_GO = new Set<Verb>(['accept', 'retry', 'resume', 'skip-region']);

function seenOf(verb: Verb, before: RolloutView, { region, revision, baseline }: Flags): { expectedRevision?: number } {
  if (revision !== undefined) return { expectedRevision: revision };
  const seen = before.lanes.find((lane) => lane.region === region)?.revision;
  return seen === undefined || baseline || !LETS_GO.has(verb) ? {} : { expectedRevision: seen };
}

/** Who promotes says which step: between looking and deciding another may have been reached. */
function askForStep(verb: 'promote' | 'approve', rollout: RolloutView, name: string, flags: Flags): AppError {
  const title = `${rollout.product} ${rollout.version}`;
  const named = rollout.lanes.filter((lane) => flags.region === undefined || lane.region === flags.region);
  if (named.length === 0) {
    const regions = rollout.lanes.map((lane) => lane.region).join(', ');
    return new AppError('not_found', `the rollout of ${title} has no lane in ${flags.region}`, {
      hint: `It has lanes in: ${regions}.`,
    });
  }
  // A server without approvals says nothing of them: it knows promotions alone.
  const waiting = named.filter((lane) =>
    verb === 'promote' ? lane.state === 'approval' && lane.step !== null : lane.approval != null,
  );
  if (waiting.length === 0) {
    const states = named.map((lane) => `${lane.region} is ${stateWords(lane.state)}`).join(', ');
    const [what, hint] =
      verb === 'promote'
        ? ['waits for a promotion', insteadOfPromote(named, name, flags)]
        : ['asks a person', 'approve is for steps that are open and whose policy says `promotion: manual`.'];
    return new AppError('illegal_transition', `no step of ${title} ${what}: ${states}`, { hint });
  }
  const places = waiting.map((lane) => `${lane.region} ${place(lane)}`).join(', ');
  const commands = [...new Set(waiting.map((lane) => commandFor(verb, lane, waiting, name, flags)))];
  const where = verb === 'promote' ? `${title} waits in ${places}` : `a person is asked in ${places}`;
  return new AppError('usage', `name the step to ${verb} with --step; ${where}`, {
    hint: `Run: ${commands.join(' ; ')}`,
  });
}

/** Who would promote too early can say yes ahead of time, where the policy asks for it at all. */
function insteadOfPromote(lanes: readonly LaneView[], name: string, flags: Flags): string {
  const asked = lanes.filter((lane) => (lane.state === 'open' || lane.state === 'soaking') && lane.approval != null);
  if (asked.length > 0) {
    const commands = new Set(asked.map((lane) => commandFor('approve', lane, asked, name, flags)));
    return `A person is asked once the step has soaked. To say yes ahead of that, run: ${[...commands].join(' ; ')}`;
  }
  if (lanes.some((lane) => lane.state === 'open' || lane.state === 'soaking'))
    return 'The policy asks no person after this step: it goes on by itself once it has soaked.';
  return `promote is for lanes that are waiting for approval; tidegate explain ${shellWord(name)} says what they wait for.`;
}

function place(lane: LaneView): string {
  return `after step ${(lane.step ?? 0) + 1} of ${lane.steps.length}`;
}

/** What to run for the lane: lanes that wait after the same step go with one command. */
function commandFor(verb: Verb, lane: LaneView, waiting: readonly LaneView[], name: string, flags: Flags): string {
  const same = flags.region === undefined && waiting.every((one) => one.step === lane.step);
  const words = [
    ...['tidegate', 'rollout', verb, name, '--step', String((lane.step ?? 0) + 1)],
    ...(same ? [] : ['--region', lane.region]),
    ...['--reason', flags.reason],
    ...(flags.server === undefined ? [] : ['--server', flags.server]),
    ...(flags.tokenFile === undefined ? [] : ['--token-file', flags.tokenFile]),
    ...(flags.caFile === undefined ? [] : ['--ca-file', flags.caFile]),
  ];
  return words.map(shellWord).join(' ');
}
