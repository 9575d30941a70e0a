// Contract: releases, sources, availability, vetoes, brakes and baselines.
import assert from 'node:assert/strict';
import type { Availability } from '../../src/domain/availability.ts';
import {
  brakeObserved,
  deleteBrake,
  deleteVeto,
  listBaselines,
  listBrakes,
  listVetoes,
  putBaseline,
  putBrake,
  putVeto,
} from '../../src/store/controls.ts';
import { transaction } from '../../src/store/database.ts';
import {
  artifactByDigest,
  listAvailability,
  listReleases,
  listSources,
  loadSource,
  type SourceState,
  saveAvailability,
  saveRelease,
  saveSource,
} from '../../src/store/releases.ts';
import { type Cases, refuses } from './contract.ts';
import { makeArtifact, makeRelease, T0 } from './fixtures.ts';

export const releaseCases: Cases = {
  'saveRelease: gives back what it was given, highest version first, by product': async (database) => {
    const low = makeRelease({ prerelease: true });
    const high = makeRelease({
      tag: 'v1.10.0',
      version: '1.10.0',
      sortKey: '0001.0010.0000',
      state: 'pending',
      why: 'one platform is missing',
      artifacts: [],
      missing: [{ platform: 'linux-x64', reason: 'asset_missing' }],
    });
    const other = makeRelease({ product: 'relay' });
    await transaction(database, async (tx) => {
      for (const release of [low, high, other]) await saveRelease(tx, release);
    });
    assert.deepEqual(await listReleases(database.db, 'probe'), [high, low]);
    assert.deepEqual(await listReleases(database.db, 'nothing'), []);
  },

  'saveRelease: replaces what was known, artifacts included': async (database) => {
    const release = makeRelease();
    const later = { ...release, state: 'altered' as const, why: 'moved', artifacts: [makeArtifact('linux-x64', 'd')] };
    await transaction(database, (tx) => saveRelease(tx, release));
    await transaction(database, (tx) => saveRelease(tx, later));
    assert.deepEqual(await listReleases(database.db, 'probe'), [later]);
  },

  'saveRelease: refuses a second release of the same source': async (database) => {
    await transaction(database, (tx) => saveRelease(tx, makeRelease({ sourceId: '1' })));
    assert.ok(await refuses(() => transaction(database, (tx) => saveRelease(tx, makeRelease({ sourceId: '1' })))));
  },

  'artifactByDigest: finds the artifact with its release': async (database) => {
    const release = makeRelease();
    await transaction(database, (tx) => saveRelease(tx, release));
    assert.deepEqual(await artifactByDigest(database.db, 'b'.repeat(64)), {
      ...makeArtifact('linux-x64', 'b'),
      releaseId: release.id,
      product: 'probe',
    });
    assert.equal(await artifactByDigest(database.db, 'f'.repeat(64)), undefined);
  },

  'saveSource: inserts, replaces, lists': async (database) => {
    const fresh: SourceState = {
      product: 'probe',
      etag: null,
      lastAttemptAt: null,
      lastSuccessAt: null,
      nextPollAt: null,
      failures: 0,
      errorCode: null,
      error: null,
      rejectedTags: [],
      rejectedCount: 0,
      notice: null,
    };
    const polled: SourceState = {
      ...fresh,
      etag: 'W/"x"',
      lastAttemptAt: T0,
      nextPollAt: T0 + 60_000,
      failures: 3,
      errorCode: 'github_unavailable',
      error: 'it is down',
      rejectedTags: [{ tag: 'nightly', why: 'not a version' }],
      rejectedCount: 250,
      notice: 'GitHub lists more than 10000 releases',
    };
    await transaction(database, (tx) => saveSource(tx, fresh));
    assert.deepEqual(await loadSource(database.db, 'probe'), fresh);
    await transaction(database, (tx) => saveSource(tx, polled));
    assert.deepEqual(await listSources(database.db), [polled]);
    assert.equal(await loadSource(database.db, 'relay'), undefined);
  },

  'saveAvailability: what was absent is remembered while nobody knows, until it is available': async (database) => {
    const row: Availability = {
      product: 'probe',
      version: '1.0.0',
      region: 'eu',
      platform: 'linux-x64',
      status: 'unknown',
      why: 'timeout',
      since: T0,
      checkedAt: T0,
    };
    const seen = async (status: Availability['status']) => {
      await transaction(database, (tx) => saveAvailability(tx, [{ ...row, status }]));
      const [stored] = await listAvailability(database.db, 'probe');
      return stored?.wasAbsent ?? false;
    };
    const found: boolean[] = [];
    for (const status of ['unknown', 'absent', 'unknown', 'unknown', 'available', 'unknown'] as const)
      found.push(await seen(status));
    // One that nobody has seen there yet has not been available either.
    assert.deepEqual(found, [true, false, true, true, false, false]);
  },

  'saveAvailability: `since` stays while the status does': async (database) => {
    const row: Availability = {
      product: 'probe',
      version: '1.2.3',
      region: 'eu',
      platform: 'linux-x64',
      status: 'unknown',
      why: 'timeout',
      since: T0,
      checkedAt: T0,
    };
    const elsewhere = { ...row, region: 'us' };
    const again: Availability = { ...row, why: 'refused', since: T0 + 5, checkedAt: T0 + 5 };
    const found: Availability = { ...row, status: 'available', why: '200', since: T0 + 9, checkedAt: T0 + 9 };
    await transaction(database, (tx) => saveAvailability(tx, [row, elsewhere]));
    await transaction(database, (tx) => saveAvailability(tx, [again]));
    const unseen = { wasAbsent: true };
    const known = [
      { ...again, ...unseen, since: T0 },
      { ...elsewhere, ...unseen },
    ];
    assert.deepEqual(await listAvailability(database.db, 'probe'), known);
    await transaction(database, (tx) => saveAvailability(tx, [found]));
    assert.deepEqual(await listAvailability(database.db), [found, { ...elsewhere, ...unseen }]);
    await transaction(database, (tx) => saveAvailability(tx, []));
    assert.deepEqual(await listAvailability(database.db, 'relay'), []);
  },

  'putVeto: a person’s veto is never replaced by an automatic one': async (database) => {
    const automatic = { product: 'probe', version: '1.2.3', automatic: true, actor: 'system', reason: 'bad', at: T0 };
    const person = { ...automatic, automatic: false, actor: 'anna', reason: 'no', at: T0 + 1 };
    const put = (veto: typeof automatic) => transaction(database, (tx) => putVeto(tx, veto));
    assert.deepEqual([await put(automatic), await put({ ...automatic, at: T0 + 1 })], [true, false]);
    assert.deepEqual(await listVetoes(database.db), [automatic]);
    assert.deepEqual([await put(person), await put({ ...automatic, at: T0 + 2 })], [true, false]);
    assert.deepEqual(await listVetoes(database.db), [person]);
    const remove = () => transaction(database, (tx) => deleteVeto(tx, 'probe', '1.2.3'));
    assert.deepEqual([await remove(), await remove()], [true, false]);
    assert.deepEqual(await listVetoes(database.db), []);
  },

  'putBrake: says whether it changed anything, the first reason stays': async (database) => {
    const brake = { scope: 'region:eu', actor: 'anna', reason: 'fire', at: T0 };
    const put = (reason: string) => transaction(database, (tx) => putBrake(tx, { ...brake, reason }, 500));
    assert.deepEqual([await put('fire'), await put('flood')], [true, false]);
    assert.deepEqual(await listBrakes(database.db), [brake]);
    assert.equal(await brakeObserved(database.db, 'region:eu'), 500);
    assert.equal(await brakeObserved(database.db, 'fleet'), undefined);
    const remove = () => transaction(database, (tx) => deleteBrake(tx, 'region:eu'));
    assert.deepEqual([await remove(), await remove()], [true, false]);
    assert.deepEqual(await listBrakes(database.db), []);
  },

  'putBaseline: oldest first; reached again, it is the newest again': async (database) => {
    const release = makeRelease();
    const first = { product: 'probe', region: 'eu', version: '1.2.3', releaseId: release.id, at: T0 };
    const second = { ...first, version: '1.3.0', at: T0 + 1 };
    await transaction(database, async (tx) => {
      await saveRelease(tx, release);
      await putBaseline(tx, second);
      await putBaseline(tx, first);
    });
    assert.deepEqual(await listBaselines(database.db), [first, second]);
    await transaction(database, (tx) => putBaseline(tx, { ...first, at: T0 + 2 }));
    assert.deepEqual(await listBaselines(database.db), [second, { ...first, at: T0 + 2 }]);
  },
};
