// What a verb's request must name besides what its schema says, and the revision that its If-Match header carries.
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
  if (verb !== 'accept' && count !== undefined) {
    throw refusal('count', `${verb} has no count`, 'Only accept has one.');
  }
  if (verb !== 'halt' && scope !== undefined) throw refusal('scope', `${verb} has no scope`, 'Only halt has one.');
  if (expectedRevision !== undefined && region === undefined && lane !== 'baseline') {
    throw refusal('region', 'a revision is that of one lane', 'Send region with expectedRevision or If-Match.');
  }
}

/** `If-Match: "7"` is the revision of the lane; `*` is any (RFC 9110, 13.1.1). Throws `bad_request`. */
export function revisionOf({ headers }: Pick<FastifyRequest, 'headers'>): { expectedRevision?: number } {
  const text = headers['if-match'];
  if (text === undefined || text === '*') return {};
  const digits = /^"(\d{1,15})"$/.exec(text)?.[1];
  if (digits !== undefined) return { expectedRevision: Number(digits) };
  throw new AppError('bad_request', 'If-Match is not the revision of a lane', {
    where: 'headers/if-match',
    hint: 'Send the lane’s revision in quotes, e.g. If-Match: "7".',
  });
}

function refusal(field: string, text: string, hint: string): AppError {
  return new AppError('bad_request', text, { where: `body/${field}`, hint });
}
