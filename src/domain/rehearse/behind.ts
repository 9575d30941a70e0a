// How far behind each region was in a back-test: since when a higher release was out that it had not completed.
import type { Release } from '../release.ts';
import type { Scheme } from '../version/scheme.ts';
import type { RolloutRecord } from './record.ts';

export interface RegionBehind {
  region: string;
  /** What it had completed at the end. */
  version: string;
  /** Time since a release higher than its own was published, looked at over the whole time. Milliseconds. */
  behind: { medianMs: number; maxMs: number; endMs: number };
  /** From the publication of a release to its completion here, of those completed; null: none was. */
  lead: { medianMs: number; maxMs: number } | null;
  completed: number;
  /** Releases below what it ran at the end that it never completed. */
  skipped: number;
}

export interface BehindInput {
  regions: readonly string[];
  scheme: Scheme;
  first: string;
  /** Published after the beginning and above the first. */
  releases: readonly Release[];
  rollouts: readonly RolloutRecord[];
  from: number;
  to: number;
}

/** Points at which a region is looked at: over ten years one a day. */
const MAX_SAMPLES = 4_000;

export function behindOf(input: BehindInput): RegionBehind[] {
  return input.regions.map((region) => behindIn(input, region));
}

interface Completion {
  version: string;
  at: number;
}

function behindIn(input: BehindInput, region: string): RegionBehind {
  const { scheme, first, releases, to } = input;
  const completions = completionsIn(input, region);
  const stretches = stretchesOf(input, completions);
  const { version } = stretches.at(-1) ?? { version: first };
  const published = new Map(releases.map((one) => [one.version, one.publishedAt]));
  const leads = completions.flatMap((one) => {
    const at = published.get(one.version);
    return at === undefined ? [] : [one.at - at];
  });
  const done = new Set(completions.map((one) => one.version));
  return {
    region,
    version,
    behind: {
      medianMs: medianOf(samplesOf(input, stretches)),
      // At its end a stretch is as far behind as it gets.
      maxMs: Math.max(0, ...stretches.map((one) => behindAt(one, one.to))),
      endMs: behindAt(stretches.at(-1), to),
    },
    lead: leads.length === 0 ? null : { medianMs: medianOf(leads), maxMs: Math.max(...leads) },
    completed: done.size,
    skipped: releases.filter((one) => !done.has(one.version) && scheme.compare(one.version, version) < 0).length,
  };
}

function completionsIn({ rollouts }: BehindInput, region: string): Completion[] {
  return rollouts
    .flatMap((rollout) => rollout.lanes)
    .filter((lane) => lane.region === region)
    .flatMap(({ version, spans }) =>
      spans.filter((span) => span.state === 'completed').map((span) => ({ version, at: span.from })),
    )
    .sort((a, b) => a.at - b.at);
}

/** A time in which the region ran one version. */
interface Stretch {
  version: string;
  from: number;
  to: number;
  /** Since when a higher one was out; null: none came. */
  outAt: number | null;
}

function stretchesOf(
  { scheme, first, releases, from, to }: BehindInput,
  completions: readonly Completion[],
): Stretch[] {
  const stretches: Stretch[] = [];
  let version = first;
  let since = from;
  const close = (until: number) => {
    // Oldest first, so the first that is higher has been out longest.
    const missed = releases.find((one) => scheme.compare(one.version, version) > 0);
    stretches.push({ version, from: since, to: until, outAt: missed?.publishedAt ?? null });
    since = until;
  };
  for (const one of completions) {
    if (scheme.compare(one.version, version) <= 0) continue;
    close(one.at);
    version = one.version;
  }
  close(to);
  return stretches;
}

function samplesOf({ from, to }: BehindInput, stretches: readonly Stretch[]): number[] {
  const apart = Math.max(3_600_000, (to - from) / MAX_SAMPLES);
  const samples: number[] = [];
  let place = 0;
  for (let at = from; at <= to; at += apart) {
    while (place < stretches.length - 1 && at >= (stretches[place] as Stretch).to) place += 1;
    samples.push(Math.round(behindAt(stretches[place], at)));
  }
  return samples;
}

function behindAt(stretch: Stretch | undefined, at: number): number {
  return stretch === undefined || stretch.outAt === null ? 0 : Math.max(0, at - stretch.outAt);
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? 0;
}
