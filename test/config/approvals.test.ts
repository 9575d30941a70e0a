// Who must approve and for how long, as a config file says it, and the warning where that is shorter than a region is closed.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { approvalWarnings } from '../../src/config/approval-warnings.ts';
import { readConfig } from '../../src/config.ts';
import { refusal, SMALL, write } from './files.ts';

// A Monday.
const NOW = Date.UTC(2026, 0, 5, 12);

function withApprovals(approvals: string, windows = '', more = ''): string {
  return SMALL.replace('- percent: 10\n', '- { percent: 10, promotion: manual }\n')
    .replace('    steps:\n', `${approvals === '' ? '' : `    approvals: ${approvals}\n`}    steps:\n`)
    .replace('timeZone: Europe/Berlin }', `timeZone: Europe/Berlin${windows === '' ? '' : `, windows: ${windows}`} }`)
    .concat(more);
}

test('approvals: one person and a week, or what is said', () => {
  const read = (text: string) => readConfig({ file: write(text), env: {} }).policies['plain']?.approvals;
  assert.deepEqual(read(SMALL), { approvers: 1, expireMs: 604_800_000 });
  assert.deepEqual(read(withApprovals('{ approvers: 2, expire: 24h }')), { approvers: 2, expireMs: 86_400_000 });
});

describe('readConfig refuses', () => {
  const rows: [approvals: string, says: RegExp][] = [
    ['{ approvers: 0 }', /approvals\.approvers: .*1/],
    ['{ approvers: 3 }', /approvals\.approvers: .*2/],
    ['{ expire: 1s }', /approvals\.expire: /],
    ['{ expires: 1d }', /approvals\.expires: /],
  ];
  for (const [approvals, says] of rows) {
    test(`approvals: ${approvals}`, () => assert.match(refusal(write(withApprovals(approvals))), says));
  }
});

describe('approvalWarnings', () => {
  const weekdays = '{ allow: [{ days: [mon, tue, wed, thu, fri], from: "09:00", to: "17:00" }] }';
  const freeze = (from: string, to: string) => `freezes: [{ from: ${from}, to: ${to}, reason: r, regions: [eu] }]\n`;
  const rows: [title: string, text: string, says: RegExp | null][] = [
    ['no window', withApprovals('{ expire: 1h }'), null],
    ['a weekend within it', withApprovals('{ expire: 3d }', weekdays), null],
    [
      'a weekend longer than it',
      withApprovals('{ expire: 24h }', weekdays),
      /lasts 1d, but in eu .* 64h .*2026-01-09 16:00Z/,
    ],
    ['a week, and a freeze of two to come', withApprovals('', '', freeze('2026-03-02', '2026-03-15')), /for 14d/],
    ['a week, and a freeze of three days', withApprovals('', '', freeze('2026-03-02', '2026-03-04')), null],
    ['a freeze that is over', withApprovals('', '', freeze('2025-03-02', '2025-03-25')), null],
    ['nobody is asked', withApprovals('{ expire: 24h }', weekdays).replace(', promotion: manual', ''), null],
  ];
  for (const [title, text, says] of rows) {
    test(`${title}: ${says === null ? 'nothing to say' : says}`, () => {
      const [found, ...more] = approvalWarnings(readConfig({ file: write(text), env: {} }), NOW);
      assert.deepEqual(more, []);
      if (says === null) assert.equal(found, undefined);
      else assert.match(found ?? '', says);
    });
  }
});
