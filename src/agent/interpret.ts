// What a trusted instruction means for the machine, given what the journal holds. Pure.
import type { Instruction } from '../protocol/agent.ts';
import { type HostFacts, judge } from './instruction.ts';
import type { Event, State } from './machine.ts';
import { orderOf } from './order.ts';

/** Attempts of so many products are kept at once; as many as a check-in can carry. */
const MAX_PRODUCTS = 32;

/** Undefined for what there is nothing to do about: the same again, or anything else while an attempt is past recall. */
export function interpret(
  instruction: Instruction,
  states: ReadonlyMap<string, State>,
  nowMs: number,
  facts: HostFacts,
): Event | undefined {
  const { action, attempt, product } = instruction;
  const state = states.get(product) ?? { kind: 'idle' };
  const isHeld = state.kind !== 'idle' && state.order.attempt === attempt;
  if (action === 'withdraw') return isHeld ? { kind: 'withdrawOrdered', attempt } : undefined;
  if (action === 'activate') {
    if (!isHeld || state.kind !== 'staged') return undefined;
    // The owner may have changed the policy, or a person the version, since it was staged.
    const decline = judge(instruction, facts);
    if (decline !== undefined) return { kind: 'declined', order: state.order, ...decline };
    return { kind: 'activateOrdered', attempt, nowMs };
  }
  const mayBegin = state.kind === 'idle' ? states.size < MAX_PRODUCTS : isReplaceable(state);
  if (isHeld || !mayBegin) return undefined;
  const order = orderOf(instruction);
  const decline = judge(instruction, facts);
  return decline === undefined ? { kind: 'stageOrdered', order, nowMs } : { kind: 'declined', order, ...decline };
}

/** The server has let go of an attempt when it orders another one. */
function isReplaceable(state: State): boolean {
  return state.kind === 'staging' || state.kind === 'staged';
}
