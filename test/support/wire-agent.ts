// An agent that speaks the real wire over a socket, without a disk: for tests of the server from outside.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  type AttemptReport,
  type CheckInReply,
  ENROL_PURPOSE,
  type Identity,
  type Instruction,
  type RunningProduct,
} from '../../src/protocol/agent.ts';
import { createAgentClient, type FetchLike } from '../../src/protocol/agent-client.ts';
import {
  generateSigningKey,
  IDENTITY_TYPE,
  INSTRUCTION_TYPE,
  openEnvelope,
  sha256Hex,
  signBytes,
} from '../../src/protocol/envelope.ts';
import { parseJson } from '../../src/protocol/json.ts';

export interface WireAgent {
  name: string;
  identity: Identity;
  products: RunningProduct[];
  attempts: AttemptReport[];
  /** Every attempt id that an instruction has named, in order. */
  instructed: string[];
  /** One check-in; the instruction is verified as a real agent does. */
  checkIn(): Promise<{ reply: CheckInReply; instruction: Instruction | undefined }>;
}

const PLATFORM = 'linux-x64';

/** Enrols at once. `baseUrl` is asked for at every request: the server may come back on another port. */
export async function enrolWireAgent(
  baseUrl: () => string,
  token: string,
  name: string,
  products: RunningProduct[],
): Promise<WireAgent> {
  const key = generateSigningKey();
  const client = () =>
    createAgentClient({ baseUrl: baseUrl(), fetch: fetch as unknown as FetchLike, timeoutMs: 10_000 });
  const nonce = newNonce();
  const proof = signBytes(key, ENROL_PURPOSE, Buffer.from(`${nonce}.${token}`));
  const request = { token, publicKey: key.publicKey, nonce, proof, name, platform: PLATFORM, products };
  // The same key again after a lost reply: the server must give the same agent.
  const { envelope } = await retried(() => client().enrol(request));
  const payload = JSON.parse(Buffer.from(envelope.payload, 'base64url').toString()) as Identity;
  const identity = JSON.parse(openEnvelope(envelope, IDENTITY_TYPE, [payload.directorKeys.current])) as Identity;
  const agent: WireAgent = {
    name,
    identity,
    products,
    attempts: [],
    instructed: [],
    async checkIn() {
      const body = JSON.stringify({
        nonce: newNonce(),
        boot: 'b'.repeat(22),
        platform: PLATFORM,
        epoch: identity.epoch,
        sequence: 0,
        products: agent.products,
        health: { status: 'ok' },
        attempts: agent.attempts,
      });
      const reply = await client().checkIn(body, { token: identity.session.token });
      agent.attempts = agent.attempts.filter((one) => !reply.acknowledged.some((ack) => ack.id === one.id));
      const instruction = reply.answer.kind === 'instruction' ? verify(reply.answer.envelope) : undefined;
      if (instruction !== undefined) {
        assert.equal(instruction.requestSha256, sha256Hex(body));
        agent.instructed.push(instruction.attempt);
      }
      return { reply, instruction };
    },
  };
  function verify(envelope: Parameters<typeof openEnvelope>[0]): Instruction {
    const { current, next } = identity.directorKeys;
    return parseJson(openEnvelope(envelope, INSTRUCTION_TYPE, [current, next])) as Instruction;
  }
  return agent;
}

/** Tries again while the server is away; 200 tries at most. */
export async function retried<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await run();
    } catch (error) {
      const { code } = error as { code?: string };
      if ((code !== 'unreachable' && code !== 'timeout') || tries >= 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

function newNonce(): string {
  return randomBytes(16).toString('base64url');
}
