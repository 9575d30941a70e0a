// What a verb's request must name besides what its schema says, and what the person saw, as the If-Match header says it.
import type { FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import type { VerbRequest } from '../protocol/operator.ts';

/** Throws `bad_request`. A promotion lets more hosts go: it is for the step that the person has looked at, and for no other. */
export function checkVerb({ verb, region, lane, expectedStep, expectedRevision, count, scope }: VerbRequest): void {
  if ((verb === 'promote' || verb === 'approve') && expectedStep === undefined) {
    const what = verb === 'promote' ? 'a promotion names the step that it promotes' : 'an approval names its step';
    throw refusal('expectedStep', what, 'Send expectedStep, the step that is shown, counted from 0.');
  }
  if ((verb === 'accept' || verb === 'skip-region') && region === undefined) {
    throw refusal('region', `${verb} names its region`, 'Send region: it is decided region by region.');
  }
  if (verb === 'accept' && count === undefined) {
    throw refusal('count', 'accept names how many outcomes it accepts', 'Send count, at least 1.');
  }
  // Sent again it must not count again what has ended since.
  if (verb === 'accept' && expectedRevision === undefined) {
    const hint = 'Send expectedRevision or If-Match, the lane’s revision as it is shown.';
    throw refusal('expectedRevision', 'accept names the revision of the lane that was seen', hint);
  }
  if (verb !== 'accept' && count !== undefined) {
    throw refusal('count', `${verb} has no count`, 'Only accept has one.');
  }
  if (verb !== 'halt' && scope !== undefined) throw refusal('scope', `${verb} has no scope`, 'Only halt has one.');
  if (expectedRevision !== undefined && region === undefined && lane !== 'baseline') {
    throw refusal('region', 'a revision is that of one lane', 'Send region with expectedRevision or If-Match.');
  }
}

/** `If-Match: "7"` is the revision of the lane; `*` is any (RFC 9110, 13.1.1). Throws `bad_request`. */
export function revisionOf(request: Pick<FastifyRequest, 'headers'>): { expectedRevision?: number } {
  const seen = ifMatch(request, 'the revision of a lane', 'the lane’s revision in quotes, e.g. If-Match: "7"');
  return seen === undefined ? {} : { expectedRevision: seen };
}

/** `If-Match: "1767225600000"` is when the brake, veto or pin was set that the person saw. Throws `bad_request`. */
export function setAtOf(request: Pick<FastifyRequest, 'headers'>): { expectedAt?: number } {
  const seen = ifMatch(request, 'when it was set', 'its `at` in quotes, e.g. If-Match: "1767225600000"');
  return seen === undefined ? {} : { expectedAt: seen };
}

/** `If-Match: "2"` is how many attempts the person saw. Throws `bad_request`. */
export function attemptsOf(request: Pick<FastifyRequest, 'headers'>): { expectedAttempts?: number } {
  const seen = ifMatch(request, 'a number of attempts', 'its `attempts` in quotes, e.g. If-Match: "2"');
  return seen === undefined ? {} : { expectedAttempts: seen };
}

function ifMatch({ headers }: Pick<FastifyRequest, 'headers'>, what: string, hint: string): number | undefined {
  const text = headers['if-match'];
  if (text === undefined || text === '*') return undefined;
  const digits = /^"(\d{1,15})"$/.exec(text)?.[1];
  if (digits !== undefined) return Number(digits);
  throw new AppError('bad_request', `If-Match is not ${what}`, { where: 'headers/if-match', hint: `Send ${hint}.` });
}

function refusal(field: string, text: string, hint: string): AppError {
  return new AppError('bad_request', text, { where: `body/${field}`, hint });
}
