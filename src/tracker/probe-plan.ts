// What mirrors are asked for, what is due now, what an answer means and which rows it changes. Pure.

import type { Availability } from '../domain/availability.ts';
import { isInChannel } from '../domain/choose.ts';
import { type MirroredRegion, mirrorUrl } from '../domain/mirror.ts';
import { isUsable, type Release } from '../domain/release.ts';
import type { SchemeName } from '../domain/version/scheme.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import { NOT_ASKED } from './availability.ts';
import type { HeadAnswer } from './head-client.ts';

/** What the prober needs of a product's config. */
export interface ProbedProduct {
  name: string;
  scheme: SchemeName;
  /** Range of the scheme; null: every version. */
  accept: string | null;
  prereleases: boolean | readonly string[];
}

/** A version that matters although it is not among the newest. */
export interface Wanted {
  product: string;
  version: string;
}

export interface Timing {
  everyMs: number;
  maxAgeMs: number;
}

/** One file that a region's mirror should have. */
export interface Target {
  product: string;
  version: string;
  region: string;
  platform: string;
  sha256: string;
  /** Bytes. */
  size: number;
  /** Null: longer than an address may be. */
  url: string | null;
}

export interface Answered {
  target: Target;
  status: Availability['status'];
  why: string;
}

const NEWEST = 5;
const MAX_WANTED = 32;
/** A row that stays the same is confirmed at most so often. */
const CONFIRM_MS = 60_000;
const TOO_LONG = 'the address of the file on the mirror is too long';

/** The newest usable releases that may be let out, the wanted ones, on every mirror, for every complete platform. */
export function targetsOf(
  product: ProbedProduct,
  regions: readonly MirroredRegion[],
  releases: readonly Release[],
  wanted: readonly Wanted[],
): Target[] {
  const mirrors = regions.filter((region) => region.mirror !== null);
  return probedReleases(product, releases, wanted).flatMap((release) =>
    mirrors.flatMap((region) =>
      release.artifacts.map((artifact) => ({
        product: product.name,
        version: release.version,
        region: region.name,
        platform: artifact.platform,
        sha256: artifact.sha256,
        size: artifact.size,
        url: mirrorUrl(region, product.name, release, artifact),
      })),
    ),
  );
}

function probedReleases(product: ProbedProduct, releases: readonly Release[], wanted: readonly Wanted[]): Release[] {
  const scheme = schemeOf(product.scheme);
  const range = product.accept === null ? undefined : scheme.range(product.accept);
  const usable = releases
    // A version read by another scheme, before the config changed, has no place in this one's order.
    .filter((one) => one.product === product.name && isUsable(one) && scheme.parse(one.version) !== undefined)
    .sort((a, b) => scheme.compare(b.version, a.version));
  const newest = usable
    .filter((one) => isInChannel(one, product.prereleases) && range?.includes(one.version) !== false)
    .slice(0, NEWEST);
  const named = wanted.filter((one) => one.product === product.name).slice(0, MAX_WANTED);
  const versions = new Set([...newest, ...named].map((one) => one.version));
  return usable.filter((one) => versions.delete(one.version));
}

/**
 * Those to ask now, the longest unasked first. `asked`: when each was asked last by this process, which the rows say
 * only to the minute.
 */
export function dueTargets(
  targets: readonly Target[],
  rows: ReadonlyMap<string, Availability>,
  asked: ReadonlyMap<string, number>,
  now: number,
  timing: Timing,
): Target[] {
  return targets
    .map((target) => ({ target, at: askedAt(target, rows, asked) }))
    .filter(({ target, at }) => {
      // Asked in the future: the clock was put back.
      return at > now || now - at >= pauseMs(rows.get(keyOf(target)), at, timing);
    })
    .sort((a, b) => a.at - b.at)
    .map(({ target }) => target);
}

/**
 * How long after the question at `askedAt` the next one is due. What is absent is asked for again soon, since a lane may
 * wait for it; what is available twice in `maxAgeMs`, so that it cannot go stale unnoticed. A mirror that gives no
 * answer is left alone for as long as it has been giving none, up to ten times as long as one that lacks a file.
 */
function pauseMs(row: Availability | undefined, askedAt: number, { everyMs, maxAgeMs }: Timing): number {
  if (row?.status === 'available') return maxAgeMs / 2;
  if (row?.status !== 'unknown') return everyMs;
  return Math.min(Math.max(everyMs, askedAt - row.since), Math.max(everyMs, Math.min(10 * everyMs, maxAgeMs / 2)));
}

/** 0 for a row that says nothing about this address: no row, another mirror before, or GitHub's word. */
function askedAt(target: Target, rows: ReadonlyMap<string, Availability>, asked: ReadonlyMap<string, number>): number {
  const row = rows.get(keyOf(target));
  if (row === undefined || !row.why.startsWith(saying(target))) return 0;
  return asked.get(keyOf(target)) ?? row.checkedAt;
}

/**
 * What a mirror's answer means. Only a mirror that says so lacks a file (404, 410, or another length than the published
 * one); whatever else is in the way is `unknown`, also 403, which object stores answer for both.
 */
export function readAnswer(target: Target, answer: HeadAnswer): Answered {
  const say = (status: Availability['status'], what: string) => ({ target, status, why: saying(target) + what });
  if (answer.kind === 'failed') return say('unknown', answer.what);
  switch (answer.status) {
    case 200:
      if (answer.length === null) return say('available', 'there, length not given');
      return answer.length === target.size
        ? say('available', `there, ${target.size} bytes`)
        : say('absent', `${answer.length} bytes, ${target.size} were published`);
    case 404:
    case 410:
      return say('absent', `answers ${answer.status}`);
    default:
      return say('unknown', `answers ${answer.status}`);
  }
}

/** For what cannot even be asked. */
export function unaskable(target: Target): Answered {
  return { target, status: 'unknown', why: saying(target) };
}

/** What each reason of a mirror begins with: by it a row is known to be about this address. */
function saying({ url }: Target): string {
  return url === null ? TOO_LONG : `${url}: `;
}

export interface Writes {
  /** Another status or reason than before. */
  changed: Availability[];
  /** The same again, with the time. */
  confirmed: Availability[];
}

/** `rows` as they are in the database. */
export function writesOf(
  answers: readonly Answered[],
  rows: ReadonlyMap<string, Availability>,
  now: number,
  maxAgeMs: number,
): Writes {
  const writes: Writes = { changed: [], confirmed: [] };
  const confirmMs = Math.min(CONFIRM_MS, maxAgeMs / 4);
  for (const { target, status, why } of answers) {
    const { product, version, region, platform } = target;
    const before = rows.get(keyOf(target));
    const since = before?.status === status ? before.since : now;
    const row = { product, version, region, platform, status, why, since, checkedAt: now };
    if (before === undefined || before.status !== status || before.why !== why) writes.changed.push(row);
    else if (Math.abs(now - before.checkedAt) >= confirmMs) writes.confirmed.push(row);
  }
  return writes;
}

/** The answers that still speak about a published file: releases may have changed while mirrors were asked. */
export function stillPublished(answers: readonly Answered[], releases: readonly Release[]): Answered[] {
  return answers.filter(({ target }) =>
    releases.some(
      (release) =>
        release.product === target.product &&
        release.version === target.version &&
        isUsable(release) &&
        release.artifacts.some((one) => one.platform === target.platform && one.sha256 === target.sha256),
    ),
  );
}

/**
 * Rows of regions with a mirror that say `available` without this mirror's word: written before the region had it, or
 * under another address. They become unknown before anything relies on them.
 */
export function unfounded(
  product: ProbedProduct,
  regions: readonly MirroredRegion[],
  releases: readonly Release[],
  rows: readonly Availability[],
  now: number,
): Availability[] {
  const mirrored = new Map(regions.filter((one) => one.mirror !== null).map((one) => [one.name, one]));
  return rows.flatMap((row) => {
    const region = mirrored.get(row.region);
    if (region === undefined || row.status !== 'available') return [];
    const founded = releases.some(
      (release) =>
        release.version === row.version &&
        release.artifacts.some((artifact) => {
          const url = mirrorUrl(region, product.name, release, artifact);
          return artifact.platform === row.platform && url !== null && row.why.startsWith(`${url}: `);
        }),
    );
    return founded ? [] : [{ ...row, status: 'unknown' as const, why: NOT_ASKED, since: now, checkedAt: now }];
  });
}

export function rowsByKey(rows: readonly Availability[]): Map<string, Availability> {
  return new Map(rows.map((row) => [keyOf(row), row]));
}

export function keyOf(row: Pick<Availability, 'product' | 'version' | 'region' | 'platform'>): string {
  return `${row.product}\n${row.version}\n${row.region}\n${row.platform}`;
}
