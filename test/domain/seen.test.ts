// checkSeen and checkAttempts: what a person has seen must still be there, or what they ask for must be done already.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkAttempts, checkSeen, type Standing } from '../../src/domain/seen.ts';
import { AppError } from '../../src/errors.ts';

const AT = Date.UTC(2026, 0, 1, 12);
const ANA: Standing = { actor: 'ana', at: AT };
const AGAIN = 'Look at it again, then decide.';

describe('checkSeen', () => {
  const rows: [title: string, on: boolean, standing: Standing | undefined, seen: number | undefined, string | null][] =
    [
      ['nothing was said of what was seen', false, ANA, undefined, null],
      ['the same one', false, ANA, AT, null],
      ['the same one, set again', true, ANA, AT, null],
      ['lifted already', false, undefined, AT, null],
      [
        'another one stands',
        false,
        ANA,
        AT - 1000,
        'the brake: it was set by ana at 2026-01-01 12:00:00Z, not the one of 2026-01-01 11:59:59Z that was seen',
      ],
      [
        'it has gone',
        true,
        undefined,
        AT,
        'the brake: there is none, not the one of 2026-01-01 12:00:00Z that was seen',
      ],
    ];
  for (const [title, on, standing, seen, message] of rows) {
    test(title, () => {
      const act = () => checkSeen('the brake', on, standing, seen);
      if (message === null) act();
      else assert.throws(act, { code: 'revision_mismatch', message, hint: AGAIN });
    });
  }
});

test('checkAttempts: as many as were seen, or none any more', () => {
  for (const [attempts, seen] of [
    [2, undefined],
    [2, 2],
    [0, 2],
  ] as const)
    checkAttempts('it', attempts, seen);
  assert.throws(
    () => checkAttempts('it', 3, 2),
    (error) =>
      error instanceof AppError &&
      error.status === 412 &&
      error.message === 'it: after 3 attempts, not after 2 as was seen',
  );
});
