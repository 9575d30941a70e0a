// One entry's header at a time: what may be written and what is refused.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkEntry, type EntryHeader, faultOfPath, foldPath } from '../../src/agent/archive-names.ts';

const FILE: EntryHeader = { name: 'a/b', type: 'file', size: 3, mode: 0o644, pax: undefined };

describe('checkEntry', () => {
  const good: [string, Partial<EntryHeader>, object][] = [
    ['a file', {}, { path: 'a/b', kind: 'file', size: 3, executable: false }],
    ['an executable', { mode: 0o711 }, { path: 'a/b', kind: 'file', size: 3, executable: true }],
    [
      'a directory',
      { name: 'a/', type: 'directory', size: 0 },
      { path: 'a', kind: 'directory', size: 0, executable: false },
    ],
    [
      'a time in an extended header',
      { pax: { mtime: '1.5' } },
      { path: 'a/b', kind: 'file', size: 3, executable: false },
    ],
  ];
  for (const [name, header, expected] of good) {
    it(`takes ${name}`, () => assert.deepEqual(checkEntry({ ...FILE, ...header }), expected));
  }
  const bad: [string, Partial<EntryHeader>, RegExp][] = [
    ['a link', { type: 'symlink' }, /is a symlink/],
    ['no type', { type: null }, /unknown kind/],
    ['another kind of file', { type: 'contiguous-file' }, /contiguous/],
    ['setgid', { mode: 0o2755 }, /setuid, setgid/],
    ['a size from elsewhere', { pax: { size: '99' } }, /extended header "size"/],
    ['a sparse file', { pax: { 'GNU.sparse.major': '1' } }, /extended header "GNU.sparse.major"/],
    ['an owner', { pax: { uid: '0' } }, /extended header "uid"/],
    ['a directory with content', { type: 'directory' }, /with content/],
    ['a file with a slash at the end', { name: 'a/' }, /empty segment/],
  ];
  for (const [name, header, expected] of bad) {
    it(`refuses ${name}`, () => assert.match(String(checkEntry({ ...FILE, ...header })), expected));
  }
});

describe('faultOfPath', () => {
  const good = ['a', 'a/b', '.hidden', 'a..b', 'caf\u00e9', `${'d/'.repeat(11)}x`, 'x'.repeat(200)];
  for (const path of good)
    it(`faultOfPath(${path.slice(0, 20)}) → fine`, () => assert.equal(faultOfPath(path), undefined));
  const bad = ['', '/', '/a', '..', '../a', 'a/..', 'a/../b', '.', './a', 'a/.', 'a//b', 'a/', 'a\\b', 'C:', 'a\0b'];
  const worse = ['a\x7f', 'a\u0085', 'cafe\u0301', '\ufffd', `${'d/'.repeat(12)}x`, 'x'.repeat(201)];
  for (const path of [...bad, ...worse]) {
    it(`faultOfPath(${JSON.stringify(path.slice(0, 20))}) → refused`, () =>
      assert.notEqual(faultOfPath(path), undefined));
  }
});

describe('foldPath', () => {
  for (const [a, b] of [
    ['A', 'a'],
    ['\u00c9', '\u00e9'],
    ['stra\u00dfe', 'STRASSE'],
    ['\u03c2', '\u03c3'],
  ] as const) {
    it(`foldPath(${a}) is foldPath(${b})`, () => assert.equal(foldPath(a), foldPath(b)));
  }
});
