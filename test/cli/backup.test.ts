// tidegate backup and restore on real files: while the server writes, over a damaged database, and what is refused.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { openServerKeys } from '../../src/api/keys.ts';
import { verifyAudit } from '../../src/store/audit.ts';
import { listBrakes, listVetoes } from '../../src/store/controls.ts';
import { openDatabase } from '../../src/store/database.ts';
import { loadEpoch } from '../../src/store/meta.ts';
import { listStale } from '../../src/store/stale-agents.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { openFleet } from '../support/fleet.ts';
import { run } from './bin.ts';

const PRODUCT = rules(testPolicy({ steps: [stepPolicy({ soakMs: 0 })] }));

test('a backup is taken while the server writes; restored, it goes on where it was when a person says so', async (t) => {
  const place = makePlace(t);
  openServerKeys(join(place.dir, 'data'));
  const fleet = await openFleet(t, PRODUCT, ['eu-west-1'], `sqlite:${place.database}`);
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await agent.checkIn();
  await fleet.publish('1.1.0');
  const writes = Array.from({ length: 20 }, (_, index) => fleet.enrol(`more-${index}`));
  const backedUp = await place.cli('backup', place.backup, '--with-keys');
  await Promise.all(writes);
  assert.equal(backedUp.code, 0, backedUp.err);
  assert.match(backedUp.out, /^\d+ agents, \d+ bytes: .*nightly\.db the keys, which are secret: .*nightly\.db\.keys/);
  assert.deepEqual(
    [statSync(place.backup).mode & 0o777, statSync(`${place.backup}.keys`).mode & 0o777],
    [0o600, 0o700],
  );
  assert.deepEqual(
    place.files().filter((name) => name.startsWith('nightly')),
    ['nightly.db', 'nightly.db.keys'],
  );

  const again = await place.cli('backup', place.backup);
  assert.deepEqual([again.code, /is there already/.test(again.err)], [5, true]);
  const running = await place.cli('restore', place.backup);
  assert.deepEqual([running.code, /error\[database_locked\]/.test(running.err)], [5, true]);

  // Lost by the restore, as the page of the command says.
  await fleet.engine.operator.setVeto({ product: 'agentd', version: '1.1.0', on: true, actor: 'dana', reason: 'bad' });
  await fleet.stop();
  rmSync(join(place.dir, 'data', 'keys'), { recursive: true });
  const before = readFileSync(place.backup);
  const restored = await place.cli('restore', place.backup, '--json');
  assert.equal(restored.code, 0, restored.err);
  const said = JSON.parse(restored.out) as { epoch: number; stale: number; aside: string; keysAre: string };
  assert.deepEqual([said.epoch, said.keysAre], [2, 'copied']);
  assert.deepEqual(readFileSync(place.backup), before, 'the backup is as it was');
  assert.ok(openServerKeys(join(place.dir, 'data')));

  const database = await openDatabase(`sqlite:${place.database}`);
  assert.deepEqual(await listVetoes(database.db), []);
  assert.deepEqual(
    (await listBrakes(database.db)).map(({ scope }) => scope),
    ['fleet'],
  );
  assert.equal((await listStale(database.db)).length, said.stale);
  assert.equal((await verifyAudit(database.db)).ok, true);
  await database.close();
  const aside = await openDatabase(`sqlite:${said.aside}`);
  assert.deepEqual(
    (await listVetoes(aside.db)).map(({ version }) => version),
    ['1.1.0'],
  );
  await aside.close();

  // Twice from the same backup: no epoch is used again.
  assert.equal(JSON.parse((await place.cli('restore', place.backup, '--json')).out).epoch, 3);
  assert.equal(
    place.files('data').some((name) => name.includes('restoring')),
    false,
  );
});

test('a damaged database is moved aside, and the epoch leaps since nobody can read it', async (t) => {
  const place = makePlace(t);
  await (await openDatabase(`sqlite:${place.backup}`)).close();
  writeFileSync(place.database, 'not a database at all, by a disk that has failed'.repeat(10));
  const { code, out, err } = await place.cli('restore', place.backup);
  assert.equal(code, 0, err);
  assert.match(
    out,
    /it is empty; epoch \d{10} what was there before: .*before-restore-.* 0 agents held until heard of/,
  );
  assert.match(err, /^warning: there are no keys/);
  const aside = place.files('data').find((name) => name.includes('before-restore')) as string;
  assert.match(readFileSync(join(place.dir, 'data', aside), 'utf8'), /^not a database/);
  const database = await openDatabase(`sqlite:${place.database}`);
  assert(Math.abs((await loadEpoch(database.db)) - Date.now() / 1000) < 600);
  await database.close();
});

test('what is no sound backup of a schema that is known is refused, and the database stays as it was', async (t) => {
  const place = makePlace(t);
  await (await openDatabase(`sqlite:${place.database}`)).close();
  const newer = await openDatabase(`sqlite:${join(place.dir, 'newer.db')}`);
  await newer.db
    .insertInto('schema_version')
    .values({ version: 999, name: 'later', sha256: '', applied_at: 0 })
    .execute();
  await newer.close();
  writeFileSync(join(place.dir, 'rubbish.db'), 'x'.repeat(10_000));
  writeFileSync(join(place.dir, 'empty.db'), '');
  new Sqlite(join(place.dir, 'other.db')).exec('create table t (a)').close();
  const before = readFileSync(place.database);
  writeFileSync(join(place.dir, 'cut.db'), before.subarray(0, before.length / 2));
  const refused: [string, number, RegExp][] = [
    ['newer.db', 3, /error\[database_newer\]/],
    [
      'rubbish.db',
      3,
      /error\[database_unusable\]: \S+rubbish\.db is no backup that can be restored: file is not a database/,
    ],
    ['empty.db', 3, /empty\.db is no backup that can be restored: it is empty\s+Restore another backup\./],
    ['other.db', 3, /other\.db is no backup that can be restored: Tidegate did not write it/],
    ['cut.db', 3, /cut\.db is no backup that can be restored: database disk image is malformed/],
    ['absent.db', 3, /error\[not_found\][\s\S]*Name the file that `tidegate backup` wrote/],
    ['data/tidegate.db', 5, /is the database itself/],
  ];
  for (const [name, code, says] of refused) {
    const ran = await place.cli('restore', join(place.dir, name));
    assert.equal(ran.code, code, name);
    assert.match(ran.err, says);
    assert.deepEqual(readFileSync(place.database), before);
  }
  assert.deepEqual(place.files('data').sort(), ['tidegate.db', 'tidegate.db.lock']);
  assert.equal((await place.cli('restore')).code, 2);
  assert.equal((await place.cli('restore', place.backup, '--mark')).code, 2);
});

test('with PostgreSQL both name its own tools; --mark marks what other means have restored', async (t) => {
  const place = makePlace(t);
  for (const args of [
    ['backup', place.backup],
    ['restore', place.backup],
  ]) {
    const ran = await run([...args, '--config', place.config], { TIDEGATE_DATABASE: 'postgres://127.0.0.1:1/x' });
    assert.equal(ran.code, 3);
    assert.match(ran.err, /pg_(dump|restore).*tidegate restore --mark/s);
  }
  await (await openDatabase(`sqlite:${place.database}`)).close();
  const { epoch } = JSON.parse((await place.cli('restore', '--mark', '--json')).out);
  assert(Math.abs(epoch - Date.now() / 1000) < 600, `epoch ${epoch}`);
});

function makePlace(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'tidegate-backup-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'data'));
  const config = join(dir, 'tidegate.yaml');
  writeFileSync(
    config,
    `server: { listen: "127.0.0.1:0", dataDir: ./data }
regions: [{ name: eu-west-1, timeZone: UTC }]
policies: { careful: { waves: [[eu-west-1]], steps: [{ percent: 100, soak: 1m }] } }
products:
  - { name: agentd, repository: acme/agentd, artifacts: [{ platform: linux-x64, asset: "agentd.tar.gz" }], policy: careful }
`,
  );
  return {
    dir,
    config,
    database: join(dir, 'data', 'tidegate.db'),
    backup: join(dir, 'nightly.db'),
    files: (of = '.') => readdirSync(join(dir, of)),
    async cli(...args: string[]) {
      const { code, out, err } = await run([...args, '--config', config]);
      const flat = (text: string) => text.replace(/\s+/g, ' ');
      return { code, out: flat(out), err: flat(err) };
    },
  };
}
