// What a rehearsal or a back-test takes for granted, as sentences: whoever reads the result must know.

import type { BacktestQuestion } from './backtest.ts';
import { paceOf, policiesOf } from './question.ts';
import type { RehearsalQuestion } from './rehearse.ts';
import { count, hours, percent } from './say.ts';

export interface KnownOfFleet {
  /** Versions of the product that are going out now. */
  goingOut: readonly string[];
  /** Agents that the release passes over, by why, the most first. */
  leftOut: readonly { why: string; agents: number }[];
  /** The agents are those of the server, with the facts that they report. */
  factsKnown: boolean;
}

const MAX_NAMED = 3;

export function assumptionsOfRehearsal(
  question: RehearsalQuestion,
  { goingOut, leftOut, factsKnown }: KnownOfFleet,
): string[] {
  const { product, version, release, platforms, fleet, offline, availabilityDelayMs } = question;
  const where = platforms.length === 0 ? 'no platform' : platforms.join(', ');
  const state =
    release === null
      ? `${version} is not published: it is taken as published now, complete for ${where}`
      : release.artifacts.length === 0
        ? `${version} is ${release.state}: it is taken as complete for ${where}`
        : `${version} is taken as complete for ${where}`;
  const away = fleet.reduce((sum, group) => sum + group.agents - group.present, 0);
  return [
    state,
    availabilityDelayMs === 0
      ? 'every region can have it at once, whatever its mirror has now'
      : `every region can have it ${hours(availabilityDelayMs)} after the start, whatever its mirror has now`,
    offline === null
      ? `${away === 0 ? 'nobody is away' : `${count(away, 'agent')} away now ${away === 1 ? 'stays' : 'stay'} away`}, nobody ${away === 0 ? '' : 'else '}goes, and nobody comes`
      : `${percent(offline)} of the agents are away all the time, nobody else goes, and nobody comes`,
    ...sayLeftOut(leftOut),
    ...(goingOut.length === 0 ? [] : [`what is going out of ${product.name} now is left out: ${goingOut.join(', ')}`]),
    ...sharedAssumptions(question),
    ...sayFloors(question.floors),
    ...requirementsMet(question.product, factsKnown),
  ];
}

function sayFloors(floors: RehearsalQuestion['floors']): string[] {
  if (floors.length === 0) return [];
  const names = floors.map(({ version, artifacts }) =>
    artifacts.length === 0 ? `${version} (not published yet)` : version,
  );
  return [`every region has ${names.join(' and ')}, where agents below stop first`];
}

function sayLeftOut(leftOut: KnownOfFleet['leftOut']): string[] {
  const others = leftOut.slice(MAX_NAMED).reduce((sum, { agents }) => sum + agents, 0);
  return [
    ...leftOut
      .slice(0, MAX_NAMED)
      .map(({ why, agents }) => `${count(agents, 'agent')} ${agents === 1 ? 'is' : 'are'} passed over: ${why}`),
    ...(others > 0
      ? [`${count(others, 'more agent')} ${others === 1 ? 'is' : 'are'} passed over for other reasons`]
      : []),
  ];
}

function requirementsMet({ requirements }: RehearsalQuestion['product'], factsKnown: boolean): string[] {
  if (requirements.length === 0) return [];
  return [
    factsKnown
      ? 'every other host meets what is required of it, by the facts that it reports now'
      : 'every host meets what is required of it, since nothing is known of its facts',
  ];
}

export function assumptionsOfBacktest(question: BacktestQuestion): string[] {
  const { availabilityDelayMs, agentsPerRegion } = question;
  return [
    availabilityDelayMs === 0
      ? 'a release can be had in every region from its publication on, with or without files'
      : `a release can be had in every region ${hours(availabilityDelayMs)} after its publication, with or without files`,
    'what has been withdrawn, altered, refused or vetoed since counts as never published',
    `${count(agentsPerRegion, 'agent')} in every region, all present, and no update fails`,
    'the policies, windows, freezes and limits are those of today’s config',
    ...sharedAssumptions(question),
    ...(question.product.floors.length > 0 ? ['nobody has to stop at a version in between'] : []),
    ...requirementsMet(question.product, false),
  ];
}

function sharedAssumptions(question: RehearsalQuestion | BacktestQuestion): string[] {
  const { product, approveAfterMs } = question;
  const { stageMs, activateMs } = paceOf(product.policy, question);
  const metrics = policiesOf(question).some((policy) => (policy.metrics ?? []).length > 0);
  const manual = policiesOf(question).some((policy) => policy.steps.some((step) => step.manual));
  const approves =
    approveAfterMs === null
      ? 'nobody promotes what waits for a person'
      : approveAfterMs === 0
        ? 'a person promotes at once what waits for that'
        : `a person promotes what waits for that after ${hours(approveAfterMs)}`;
  return [
    `an agent takes ${hours(stageMs)} to download and ${hours(activateMs)} from the grant to the proof`,
    ...(manual ? [approves] : []),
    ...(policiesOf(question).some(({ begin }) => begin === 'manual') ? ['what begins by hand is begun at once'] : []),
    ...(metrics ? ['every metric says that all is well'] : []),
  ];
}
