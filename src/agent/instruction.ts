// What this host believes and follows: first whether an instruction is the director's answer to this very check-in, then
// whether anything on the host speaks against it. Pure over what is handed in.
import { Compile } from 'typebox/compile';
import { AppError } from '../errors.ts';
import { Instruction, type OutcomeCause, type RunningProduct } from '../protocol/agent.ts';
import { type Envelope, INSTRUCTION_TYPE, openEnvelope } from '../protocol/envelope.ts';
import { parseJson } from '../protocol/json.ts';
import type { Counters } from './counters.ts';
import type { Order } from './order.ts';

const instructionSchema = Compile(Instruction);

export interface TrustFacts {
  agent: string;
  region: string;
  directorKeys: { current: string; next: string };
  /** SHA-256 of the body of the check-in that was answered. */
  requestSha256: string;
  counters: Counters;
  /** Orders that the journal holds. */
  orders: readonly Order[];
}

/**
 * Opens an instruction. Throws `trust_failure` when it is not signed by a trusted key, not for this agent in this
 * region, not an answer to this request, or older than what was accepted: such a thing is no attempt and is dropped.
 */
export function openInstruction(envelope: Envelope, facts: TrustFacts): Instruction {
  return acceptInstruction(
    openEnvelope(envelope, INSTRUCTION_TYPE, [facts.directorKeys.current, facts.directorKeys.next]),
    facts,
  );
}

/** The same for a text whose signature has been found right. Throws `trust_failure`. */
export function acceptInstruction(text: string, facts: Omit<TrustFacts, 'directorKeys'>): Instruction {
  const instruction = parseInstruction(text);
  if (instruction.agent !== facts.agent) distrust('the instruction is for another agent');
  if (instruction.region !== facts.region) distrust('the instruction is for another region');
  if (instruction.requestSha256 !== facts.requestSha256) distrust('the instruction answers another request');
  const { epoch, sequence } = facts.counters;
  if (instruction.epoch < epoch) distrust(`the instruction is of epoch ${instruction.epoch}, ${epoch} was accepted`);
  if (instruction.sequence > sequence) return instruction;
  // What the journal holds was accepted before; another product's attempt may have come after it.
  if (facts.orders.some((order) => isSameOrder(order, instruction))) return instruction;
  return distrust(`the instruction has sequence ${instruction.sequence}, ${sequence} was accepted`);
}

function parseInstruction(text: string): Instruction {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    return distrust(`the instruction is not JSON: ${(error as Error).message}`);
  }
  if (instructionSchema.Check(value)) return value;
  const first = instructionSchema.Errors(value)[0];
  return distrust(`the instruction is not what the wire says: ${first?.instancePath} ${first?.message}`);
}

function isSameOrder(order: Order, instruction: Instruction): boolean {
  return (
    order.attempt === instruction.attempt &&
    order.sequence === instruction.sequence &&
    order.digest === instruction.artifact.sha256 &&
    order.product === instruction.product &&
    order.version === instruction.version
  );
}

export interface HostPolicy {
  /** No update at all. */
  hold: boolean;
  /** Only this version. */
  pin: string | null;
  /** A rollback may go to a version that this host has never proven. */
  allowDowngrade: boolean;
  maxArtifactBytes: number;
}

export interface HostFacts {
  platform: string;
  /** What runs now, of the instruction's product; undefined when the host's owner has not declared the product. */
  running: RunningProduct | undefined;
  policy: HostPolicy;
  /** Digests that were rolled back on this host. */
  skipped: readonly string[];
  /** What this host has proven before. */
  knownGood: readonly { version: string; digest: string }[];
  /** Negative, 0 or positive; undefined when one of them is no version of the product's scheme. */
  compare(a: string, b: string): number | undefined;
}

export interface Decline {
  cause: OutcomeCause;
  detail: string;
}

/** Undefined when the host follows; else why not. */
export function judge(instruction: Instruction, facts: HostFacts): Decline | undefined {
  const { artifact, expectFrom, version } = instruction;
  const { running, policy } = facts;
  if (running === undefined)
    return no('unsupported', `the product ${instruction.product} is not declared on this host`);
  if (running.version !== expectFrom.version || running.digest !== expectFrom.digest) {
    return no(
      'from_mismatch',
      `${running.version} is running, ${expectFrom.version} was expected, or another build of it`,
    );
  }
  if (artifact.platform !== facts.platform) {
    return no('unsupported', `the artifact is for ${artifact.platform}, this host is ${facts.platform}`);
  }
  if (version === running.version) return no('unsupported', `${version} is running already`);
  if (facts.skipped.includes(artifact.sha256) && !instruction.override) {
    return no('skip_listed', `this build of ${version} was rolled back here before`);
  }
  return judgeDirection(instruction, facts) ?? judgePolicy(instruction, policy);
}

function judgeDirection(instruction: Instruction, facts: HostFacts): Decline | undefined {
  const { version, artifact, expectFrom } = instruction;
  const order = facts.compare(version, expectFrom.version);
  if (order === undefined) return no('unsupported', `${version} is no version of the product's scheme`);
  if (order >= 0) return undefined;
  if (facts.knownGood.some((good) => good.version === version && good.digest === artifact.sha256)) return undefined;
  if (instruction.rollback && facts.policy.allowDowngrade) return undefined;
  return no('downgrade', `${version} is lower than ${expectFrom.version} and was never proven here`);
}

function judgePolicy(instruction: Instruction, policy: HostPolicy): Decline | undefined {
  if (policy.hold) return no('host_policy', 'the host’s owner holds all updates');
  if (policy.pin !== null && policy.pin !== instruction.version) {
    return no('host_policy', `the host’s owner has pinned ${policy.pin}`);
  }
  if (instruction.artifact.size > policy.maxArtifactBytes) {
    return no('host_policy', `the artifact is larger than ${policy.maxArtifactBytes} bytes`);
  }
  return undefined;
}

function no(cause: OutcomeCause, detail: string): Decline {
  return { cause, detail };
}

function distrust(why: string): never {
  throw new AppError('trust_failure', why);
}
