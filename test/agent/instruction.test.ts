// What the agent believes and follows: one wrong field at a time.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type HostFacts, judge, openInstruction, type TrustFacts } from '../../src/agent/instruction.ts';
import { interpret } from '../../src/agent/interpret.ts';
import type { State } from '../../src/agent/machine.ts';
import { orderOf } from '../../src/agent/order.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import { AppError } from '../../src/errors.ts';
import type { Instruction } from '../../src/protocol/agent.ts';
import {
  type Envelope,
  generateSigningKey,
  IDENTITY_TYPE,
  INSTRUCTION_TYPE,
  seal,
} from '../../src/protocol/envelope.ts';

const CURRENT = generateSigningKey();
const NEXT = generateSigningKey();
const STRANGER = generateSigningKey();
const UUID = '00000000-0000-4000-8000-00000000000';
const A = 'a'.repeat(64);
const B = 'b'.repeat(64);

const GOOD: Instruction = {
  action: 'stage',
  agent: `${UUID}1`,
  region: 'r1',
  attempt: `${UUID}2`,
  sequence: 8,
  epoch: 3,
  requestSha256: 'c'.repeat(64),
  product: 'demo-agent',
  version: '1.1.0',
  expectFrom: { version: '1.0.0', digest: A },
  artifact: { platform: 'linux-x64', sha256: B, size: 1000, urls: ['/agent/v1/artifacts/b'] },
  rollback: false,
  override: false,
  stageWithinMs: 1000,
  activateWithinMs: 1000,
  proveWithinMs: 1000,
  stableForMs: 1000,
};

const TRUST: TrustFacts = {
  agent: GOOD.agent,
  region: 'r1',
  directorKeys: { current: CURRENT.publicKey, next: NEXT.publicKey },
  requestSha256: GOOD.requestSha256,
  counters: { epoch: 3, sequence: 7 },
  orders: [],
};

function signed(change: object = {}, key = CURRENT): Envelope {
  return seal(key, INSTRUCTION_TYPE, { ...GOOD, ...change });
}

describe('openInstruction', () => {
  const held = { ...TRUST, counters: { epoch: 3, sequence: 8 }, orders: [orderOf(GOOD)] };
  const accepted: [string, Envelope, TrustFacts][] = [
    ['signed by the current key', signed(), TRUST],
    ['signed by the next key', signed({}, NEXT), TRUST],
    ['of a newer epoch', signed({ epoch: 4 }), TRUST],
    ['of the same sequence for the attempt in the journal', signed({ action: 'activate' }), held],
    [
      'for the attempt in the journal after one at another product',
      signed({ action: 'activate' }),
      { ...held, counters: { epoch: 3, sequence: 9 } },
    ],
  ];
  for (const [name, envelope, facts] of accepted) {
    it(`believes one ${name}`, () => assert.equal(openInstruction(envelope, facts).attempt, GOOD.attempt));
  }

  const flipped = signed();
  const refused: [string, Envelope, TrustFacts][] = [
    ['signed by a stranger', signed({}, STRANGER), TRUST],
    ['that claims the key of another', { ...signed({}, STRANGER), keyId: CURRENT.keyId }, TRUST],
    ['with changed bytes', { ...flipped, payload: signed({ version: '9.9.9' }).payload }, TRUST],
    ['of another payload type', seal(CURRENT, IDENTITY_TYPE, GOOD), TRUST],
    ['relabelled from another type', { ...seal(CURRENT, IDENTITY_TYPE, GOOD), payloadType: INSTRUCTION_TYPE }, TRUST],
    ['for another agent', signed({ agent: `${UUID}9` }), TRUST],
    ['for another region', signed({ region: 'r2' }), TRUST],
    ['that answers another request (a replay)', signed({ requestSha256: B }), TRUST],
    ['of an older epoch', signed({ epoch: 2 }), TRUST],
    ['of an older sequence', signed({ sequence: 6 }), TRUST],
    ['of the same sequence with nothing in the journal', signed({ sequence: 7 }), TRUST],
    ['of the same sequence for another attempt', signed({ attempt: `${UUID}8` }), held],
    ['of an older sequence for the attempt in the journal', signed({ sequence: 7 }), held],
    ['of the same sequence with another digest', signed({ artifact: { ...GOOD.artifact, sha256: A } }), held],
    ['of the same sequence with another version', signed({ version: '1.2.0' }), held],
    ['with a stranger field', signed({ run: 'rm' }), TRUST],
    ['with an unknown action', signed({ action: 'run' }), TRUST],
    ['without a size', signed({ artifact: { ...GOOD.artifact, size: undefined } }), TRUST],
    ['with a version that is a path', signed({ version: '../../x' }), TRUST],
  ];
  for (const [name, envelope, facts] of refused) {
    it(`drops one ${name}`, () => {
      assert.throws(
        () => openInstruction(envelope, facts),
        (error) => error instanceof AppError && error.code === 'trust_failure',
      );
    });
  }
});

const HOST: HostFacts = {
  platform: 'linux-x64',
  running: { product: 'demo-agent', version: '1.0.0', digest: A },
  policy: { hold: false, pin: null, allowDowngrade: false, maxArtifactBytes: 5000 },
  skipped: [],
  knownGood: [],
  compare: (a, b) => {
    const semver = schemeOf('semver');
    return semver.parse(a) && semver.parse(b) ? semver.compare(a, b) : undefined;
  },
};

describe('judge', () => {
  const down = { version: '0.9.0' };
  const policy = HOST.policy;
  const rows: [string, Partial<Instruction>, Partial<HostFacts>, string | undefined][] = [
    ['the good one', {}, {}, undefined],
    ['a product that is not declared', { product: 'other' }, { running: undefined }, 'unsupported'],
    ['another version running', { expectFrom: { version: '0.9.0', digest: A } }, {}, 'from_mismatch'],
    ['another build running', { expectFrom: { version: '1.0.0', digest: B } }, {}, 'from_mismatch'],
    ['another platform', { artifact: { ...GOOD.artifact, platform: 'linux-arm64' } }, {}, 'unsupported'],
    ['the platform with a libc', { artifact: { ...GOOD.artifact, platform: 'linux-x64-musl' } }, {}, 'unsupported'],
    ['the running version', { version: '1.0.0' }, {}, 'unsupported'],
    ['no version of the scheme', { version: '1.x' }, {}, 'unsupported'],
    ['a digest that was rolled back', {}, { skipped: [B] }, 'skip_listed'],
    ['the same with an override', { override: true }, { skipped: [B] }, undefined],
    ['a lower version', down, {}, 'downgrade'],
    ['a lower version in a rollback', { ...down, rollback: true }, {}, 'downgrade'],
    ['a lower one, allowed without a rollback', down, { policy: { ...policy, allowDowngrade: true } }, 'downgrade'],
    [
      'a lower one, allowed, in a rollback',
      { ...down, rollback: true },
      { policy: { ...policy, allowDowngrade: true } },
      undefined,
    ],
    ['a lower one that was proven here', down, { knownGood: [{ version: '0.9.0', digest: B }] }, undefined],
    ['another build of a proven one', down, { knownGood: [{ version: '0.9.0', digest: A }] }, 'downgrade'],
    ['while the owner holds', {}, { policy: { ...policy, hold: true } }, 'host_policy'],
    ['while another version is pinned', {}, { policy: { ...policy, pin: '1.0.5' } }, 'host_policy'],
    ['the pinned version', {}, { policy: { ...policy, pin: '1.1.0' } }, undefined],
    ['an artifact that is too large', {}, { policy: { ...policy, maxArtifactBytes: 999 } }, 'host_policy'],
  ];
  for (const [name, instruction, facts, expected] of rows) {
    it(`judge(${name}) → ${expected ?? 'follow'}`, () => {
      assert.equal(judge({ ...GOOD, ...instruction }, { ...HOST, ...facts })?.cause, expected);
    });
  }
});

describe('interpret', () => {
  const order = orderOf(GOOD);
  const other = { ...GOOD, attempt: `${UUID}7`, sequence: 9 };
  const staged: State = { kind: 'staged', order };
  const proving: State = { kind: 'proving', order, sinceMs: 0, goodSinceMs: null, trouble: 'none' };
  const rows: [string, Instruction, State | undefined, Partial<HostFacts>, string | undefined][] = [
    ['stage, idle', GOOD, undefined, {}, 'stageOrdered'],
    ['stage again', GOOD, staged, {}, undefined],
    ['stage another, staged', other, staged, {}, 'stageOrdered'],
    ['stage another, proving', other, proving, {}, undefined],
    ['activate, staged', { ...GOOD, action: 'activate' }, staged, {}, 'activateOrdered'],
    [
      'activate, staged, held since',
      { ...GOOD, action: 'activate' },
      staged,
      { policy: { ...HOST.policy, hold: true } },
      'declined',
    ],
    ['activate what was never staged', { ...GOOD, action: 'activate' }, undefined, {}, undefined],
    ['activate another', { ...other, action: 'activate' }, staged, {}, undefined],
    ['activate again, proving', { ...GOOD, action: 'activate' }, proving, {}, undefined],
    ['withdraw, staged', { ...GOOD, action: 'withdraw' }, staged, {}, 'withdrawOrdered'],
    ['withdraw another', { ...other, action: 'withdraw' }, staged, {}, undefined],
    ['withdraw nothing', { ...GOOD, action: 'withdraw' }, undefined, {}, undefined],
  ];
  for (const [name, instruction, state, facts, expected] of rows) {
    it(`interpret(${name}) → ${expected ?? 'nothing'}`, () => {
      const states = new Map(state === undefined ? [] : [[GOOD.product, state]]);
      assert.equal(interpret(instruction, states, 0, { ...HOST, ...facts })?.kind, expected);
    });
  }
});
