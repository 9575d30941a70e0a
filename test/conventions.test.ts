// Arrows between rooms, purity, and the form of files, over all of src; and that the checker itself can object.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findOffences, type SourceFile } from './conventions/check.ts';
import { maskSource } from './conventions/mask.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

test('src keeps the conventions', () => {
  const files = readSources();
  assert.ok(
    files.some((file) => file.path === 'src/errors.ts'),
    'src was found',
  );
  const offences = findOffences(files);
  assert.equal(offences.length, 0, `${offences.length} offences:\n${offences.join('\n')}`);
});

describe('the checker objects to', () => {
  const head = '// What this is for.\n';
  const long = `${head}${'f();\n'.repeat(40)}`;
  const table: [string, string, string[]][] = [
    ['src/domain/x.ts', "import { a } from '../store/a.ts';", ['2: domain may not import from store (../store/a.ts)']],
    [
      'src/domain/x.ts',
      "import type { A } from '../store/a.ts';",
      ['2: domain may not import from store (../store/a.ts)'],
    ],
    ['src/domain/x.ts', "import fs from 'node:fs';", ['2: node:fs in a file that decides']],
    ['src/domain/x.ts', "import { z } from 'zod';", ['2: domain may not import zod']],
    [
      'src/domain/version/x.ts',
      "import { p } from '../plan.ts';",
      ['2: domain/version may not import from domain (../plan.ts)'],
    ],
    ['src/store/x.ts', "export { a } from '../engine/a.ts';", ['2: store may not import from engine (../engine/a.ts)']],
    ['src/engine/x.ts', "const a = await import('../api/a.ts');", ['2: engine may not import from api (../api/a.ts)']],
    [
      'src/api/x.ts',
      "import {\n  a,\n} from '../tracker/a.ts';",
      ['4: api may not import from tracker (../tracker/a.ts)'],
    ],
    [
      'src/agent/x.ts',
      "import { p } from '../domain/policy.ts';",
      ['2: agent may not import from domain (../domain/policy.ts)'],
    ],
    ['src/cli/commands/x.ts', "import '../../store/a.ts';", ['2: cli may not import from store (../../store/a.ts)']],
    ['src/store/x.ts', "import { c } from '../context.ts';", ['2: store may not import from context (../context.ts)']],
    ['src/protocol/x.ts', "import fs from 'node:fs';", ['2: protocol may not import node:fs']],
    [
      'src/engine/x.ts',
      "import { t } from '../../test/t.ts';",
      ['2: engine may not import from outside of the rooms (../../test/t.ts)'],
    ],
    ['src/elsewhere/x.ts', '', ['1: stands in no room of the table in test/conventions/rooms.ts']],
    ['src/domain/x.ts', 'f(Date.now());', ['2: Date.now: reads a clock: pass now']],
    ['src/domain/x.ts', 'f(\n  new Date(),\n);', ['3: new Date(): reads a clock: pass now']],
    ['src/domain/x.ts', 'f(performance.now());', ['2: performance.now: reads a clock: pass now']],
    ['src/domain/x.ts', `f(\`\${Math.random()}\`);`, ['2: Math.random: is random: pass what is needed']],
    ['src/domain/x.ts', 'export async function f() {}', ['2: async: waits: decide here, act elsewhere']],
    ['src/agent/launcher-machine.ts', 'f(Date.now());', ['2: Date.now: reads a clock: pass now']],
    ['src/agent/machine.ts', "import 'node:os';", ['2: node:os in a file that decides']],
    ['src/store/x.ts', 'f(process.env.HOME);', ['2: process.env: only src/config.ts and bins read the environment']],
    ['src/demo/x.ts', 'const { env } = process;', ['2: = process;: only src/config.ts and bins read the environment']],
    ['src/store/index.ts', '', ['1: a barrel: name the file after what it exports']],
    ['src/store/x.ts', "export * from './a.ts';", ['2: export *: no barrels: export where it is declared']],
    ['src/store/x.ts', 'export default f;', ['2: export default: no default exports']],
    ['src/store/x.ts', 'await import(name);', ['2: import(n: an import whose target cannot be read here']],
  ];
  for (const [path, body, expected] of table) {
    test(`${path}: ${body.replace(/\s+/g, ' ')}`, () => {
      const offences = findOffences([{ path, text: `${head}${body}\n` }]);
      assert.deepEqual(
        offences,
        expected.map((one) => `${path}:${one}`),
      );
    });
  }

  test('a file without a first comment', () => {
    const expected = ['src/store/x.ts:1: does not begin with a comment line that says what the file is for'];
    assert.deepEqual(findOffences([{ path: 'src/store/x.ts', text: 'f();\n' }]), expected);
    assert.deepEqual(findOffences([{ path: 'src/store/x.ts', text: '#!/usr/bin/env node\n// Does x.\nf();\n' }]), []);
  });
  test('a bin of more than 40 lines', () => {
    assert.deepEqual(findOffences([{ path: 'src/server.ts', text: long }]), [
      'src/server.ts:41: a bin has at most 40 lines, this has 41',
    ]);
  });
  test('rooms in a ring', () => {
    const offences = findOffences([
      { path: 'src/store/a.ts', text: `${head}import { b } from '../engine/b.ts';\n` },
      { path: 'src/engine/b.ts', text: `${head}\nimport { a } from '../store/a.ts';\n` },
    ]);
    assert.deepEqual(offences, [
      'src/store/a.ts:2: store may not import from engine (../engine/b.ts)',
      'src/store/a.ts:2: store imports from engine, which leads back to store',
      'src/engine/b.ts:3: engine imports from store, which leads back to engine',
    ]);
  });
});

describe('the checker takes', () => {
  const table: [string, string][] = [
    [
      'src/domain/x.ts',
      "// Never Date.now here.\nimport { assert } from '../errors.ts';\nimport semver from 'semver';",
    ],
    ['src/domain/x.ts', 'const text = \'Math.random() \' + "await" + `process.env`;'],
    ['src/domain/x.ts', '/* new Date() */ const quote = /[\'"`]/; const day = new Date(now);'],
    ['src/api/x.ts', "import Fastify from 'fastify';\nimport { a } from '@fastify/type-provider-typebox';"],
    ['src/agent/run.ts', "import { schemeOf } from '../domain/version/schemes.ts';\nf(Date.now());"],
    ['src/config/x.ts', 'f(process.env);'],
    ['src/agent.ts', "import { main } from './agent/main.ts';\nawait main(process.env);"],
    ['src/tidegate.mjs', "await import('./cli.ts');"],
  ];
  for (const [path, body] of table) {
    test(`${path}: ${body.replace(/\s+/g, ' ')}`, () => {
      assert.deepEqual(findOffences([{ path, text: `// What this is for.\n${body}\n` }]), []);
    });
  }
});

describe('maskSource', () => {
  const table: [string, string][] = [
    ["a('b') // c", "a(' ')     "],
    ['a /* b\nc */ d', 'a     \n     d'],
    ["a('b\\'c') + d", "a('    ') + d"],
    [`\`a\${b(\`c\`)}d\` + e`, '`  {b(` `)} ` + e'],
    ['x = /[/\'"]/g; y', 'x = /     /g; y'],
    ["a / b / 'c'", "a / b / ' '"],
    ["return /'/.test(d)", 'return / /.test(d)'],
  ];
  for (const [source, masked] of table) {
    test(JSON.stringify(source), () => {
      assert.equal(maskSource(source).length, source.length);
      assert.equal(maskSource(source), masked);
    });
  }
});

function readSources(): SourceFile[] {
  return readdirSync(`${ROOT}src`, { recursive: true, encoding: 'utf8' })
    .map((name) => `src/${name.replaceAll('\\', '/')}`)
    .filter((path) => /\.(?:ts|tsx|js|mjs)$/.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(`${ROOT}${path}`, 'utf8') }));
}
