// Enrolment inside the ledger's transaction: one use of a token, one agent, the same again for a repeated request.
import type { Agent } from '../domain/agent.ts';
import type { EnrolInput } from '../domain/check-in.ts';
import { AppError } from '../errors.ts';
import { findAgentByKey, insertAgent } from '../store/agents.ts';
import type { Tx } from '../store/database.ts';
import { useEnrolToken } from '../store/tokens.ts';
import { checkVersions } from './book.ts';
import type { Memory } from './memory.ts';
import type { AuditEntry } from './working-set.ts';

export interface EnrolContext {
  now: number;
  newId: () => string;
  memory: Memory;
  audit: AuditEntry[];
}

/**
 * The agent of this key; made when the key is new and the token has a use left. Throws `enrol_denied`, `conflict` for a
 * key that another token enrolled, `unknown_version`.
 */
export async function enrolAgent(tx: Tx, input: EnrolInput, context: EnrolContext): Promise<Agent> {
  checkVersions(input.products, context.memory);
  const known = await findAgentByKey(tx, input.publicKey);
  if (known !== undefined) {
    // The reply was lost: the same host asks again, and no further use of the token is spent.
    if (known.enrolTokenId === input.tokenId) return known;
    throw new AppError('conflict', 'this key is enrolled already', { where: '/publicKey' });
  }
  const use = await useEnrolToken(tx, input.tokenId, input.secretHash, context.now);
  // One text for every cause: whoever guesses tokens learns nothing. The audit has the cause.
  if (!use.ok) throw new AppError('enrol_denied', 'the enrolment token is not valid');
  const agent = await insertAgent(tx, {
    id: context.newId(),
    name: input.name,
    region: use.token.region,
    platform: input.platform,
    labels: use.token.labels,
    publicKey: input.publicKey,
    enrolTokenId: input.tokenId,
    enrolledAt: context.now,
    sequence: 0,
    facts: null,
    health: 'ok',
    healthReason: null,
    revision: 0,
    products: input.products,
  });
  const data = { name: agent.name, region: agent.region, token: input.tokenId };
  context.audit.push({
    at: context.now,
    actor: `agent:${agent.id}`,
    action: 'agent.enrolled',
    subject: agent.id,
    data,
  });
  return agent;
}
