// What the keys of a config must be to each other: references, order of steps, ranges of their schemes.
import { schemeOf } from '../domain/version/schemes.ts';
import { checkRequirements } from './check-hosts.ts';
import { checkFreezes, checkWindows } from './check-times.ts';
import { checkWay } from './check-way.ts';
import { checkMetrics } from './metric-formats.ts';
import type { Path, Report } from './report.ts';
import type { RawConfig, RawPolicy, RawProduct } from './shape.ts';
import { didYouMean } from './suggest.ts';

/** Notes everything in the report; throws nothing. */
export function checkConfig(raw: RawConfig, report: Report): void {
  refuseTwins(raw.regions, 'regions', 'region', report);
  refuseTwins(raw.products, 'products', 'product', report);
  checkAvailability(raw, report);
  for (const [index, { mirror }] of raw.regions.entries()) {
    if (mirror !== null) checkMirror(raw, mirror, ['regions', index, 'mirror'], report);
  }
  checkWindows(raw, report);
  checkFreezes(raw, report);
  checkCeilings(raw, report);
  for (const [name, policy] of Object.entries(raw.policies)) checkPolicy(raw, policy, ['policies', name], report);
  for (const [index, product] of raw.products.entries()) checkProduct(raw, product, ['products', index], report);
  refuseRegionsInNoWave(raw, report);
}

function refuseTwins(items: readonly { name: string }[], key: string, noun: string, report: Report): void {
  const first = new Map<string, number>();
  for (const [index, { name }] of items.entries()) {
    const path = [key, index, 'name'];
    if (report.touches(path)) continue;
    const twin = first.get(name);
    if (twin === undefined) first.set(name, index);
    else {
      const line = report.lineOf([key, twin, 'name']);
      report.add(path, `the ${noun} "${name}" stands twice, first in line ${line}`, 'rename or remove one');
    }
  }
}

/** A day's ceiling at or below an hour's would make that one say nothing. */
function checkCeilings({ limits }: RawConfig, report: Report): void {
  const { perHour, perDay } = limits;
  if (perHour === null || perDay === null || perDay >= perHour || report.touches(['limits', 'perHour'])) return;
  const what = `${perDay} is below limits.perHour, which could never be reached`;
  report.add(['limits', 'perDay'], what, `make it at least ${perHour}, or remove perHour`);
}

function checkAvailability({ availability }: RawConfig, report: Report): void {
  const { every, maxAge } = availability;
  if (maxAge >= 2 * every || report.touches(['availability', 'every'])) return;
  report.add(
    ['availability', 'maxAge'],
    'shorter than twice availability.every: answers would go stale before they are confirmed',
    `make it at least ${2 * every}ms, or shorten availability.every`,
  );
}

/** One file must not stand for several versions: a mirror that has the old one would seem to have the new one. */
function checkMirror(raw: RawConfig, mirror: string, path: Path, report: Report): void {
  const hasVersion = (text: string) => text.includes('{version}') || text.includes('{tag}');
  if (report.touches(path) || hasVersion(mirror)) return;
  const [product] = raw.products.filter(({ artifacts }) => artifacts.some(({ asset }) => !hasVersion(asset)));
  if (product === undefined) return;
  const what = `the address is the same for all versions of the product "${product.name}"`;
  report.add(path, what, 'add {version} or {tag}');
}

function checkPolicy(raw: RawConfig, policy: RawPolicy, path: Path, report: Report): void {
  checkWaves(raw, policy, [...path, 'waves'], report);
  checkSteps(policy, [...path, 'steps'], report);
  checkMetrics(policy.metrics ?? [], raw.metrics !== null, [...path, 'metrics'], report);
  if (policy.begin === 'manual' && policy.schedule !== null && !report.touches([...path, 'schedule'])) {
    const what = 'begin: manual says already that a person begins each rollout, at whatever time';
    report.add([...path, 'schedule'], what, 'remove one of the two');
  }
  const least = 2 * raw.agents.pollInterval;
  if (policy.staleAfter !== null && policy.staleAfter < least && !report.touches(['agents', 'pollInterval'])) {
    report.add(
      [...path, 'staleAfter'],
      'shorter than two poll intervals: agents that are well would count as silent',
      `make it at least ${least}ms, or shorten agents.pollInterval`,
    );
  }
}

function checkWaves(raw: RawConfig, policy: RawPolicy, path: Path, report: Report): void {
  const regions = raw.regions.map((region) => region.name);
  // An empty name is one that was refused: which names there are is not known then.
  if (policy.waves === null || regions.length === 0 || regions.includes('')) return;
  const seen = new Set<string>();
  for (const [wave, names] of policy.waves.entries()) {
    for (const [index, name] of names.entries()) {
      const at = [...path, wave, index];
      if (!regions.includes(name)) report.add(at, `there is no region "${name}"`, didYouMean(name, regions));
      else if (seen.has(name)) report.add(at, `the region "${name}" is in two waves`, 'leave it in one');
      seen.add(name);
    }
  }
}

/** No product goes there, whatever is released: whoever stands there would be forgotten without a word. */
function refuseRegionsInNoWave(raw: RawConfig, report: Report): void {
  if (report.touches(['policies']) || report.touches(['products'])) return;
  const used = new Set(
    raw.products.flatMap(({ policy }) => (typeof policy === 'string' ? [policy] : Object.values(policy))),
  );
  const policies = Object.entries(raw.policies).flatMap(([name, policy]) => (used.has(name) ? [policy] : []));
  if (policies.length === 0 || policies.some(({ waves }) => waves === null)) return;
  const inWaves = new Set(policies.flatMap(({ waves }) => waves?.flat() ?? []));
  for (const [index, { name }] of raw.regions.entries()) {
    const path = ['regions', index, 'name'];
    if (inWaves.has(name) || report.touches(path)) continue;
    const what = `the region "${name}" is in no wave of a policy that a product uses: nobody there would get a release`;
    report.add(path, what, 'add it to a wave, or remove it');
  }
}

function checkSteps(policy: RawPolicy, path: Path, report: Report): void {
  let percent = 0;
  let count = 0;
  for (const [index, step] of policy.steps.entries()) {
    const at = [...path, index];
    if (report.touches(at)) continue;
    const kinds = [step.percent, step.count, step.labels].filter((one) => one !== null).length;
    if (kinds !== 1) {
      const which = kinds === 0 ? 'does not say who is in it' : 'says twice who is in it';
      report.add(at, `the step ${which}`, 'give exactly one of percent, count, labels');
    }
    if (step.labels !== null && Object.keys(step.labels).length === 0) {
      report.add([...at, 'labels'], 'no label is named', 'add `name: value`');
    }
    percent = checkRising(percent, step.percent, [...at, 'percent'], report);
    count = checkRising(count, step.count, [...at, 'count'], report);
  }
  const last = policy.steps.length - 1;
  if (last >= 0 && policy.steps[last]?.percent !== 100 && !report.touches([...path, last])) {
    report.add([...path, last], 'the last step is not percent: 100', 'add one, else some agents get no release');
  }
}

/** The highest so far. */
function checkRising(before: number, value: number | null, path: Path, report: Report): number {
  if (value === null) return before;
  const key = path.at(-1);
  if (value <= before) {
    report.add(path, `${key}: ${value} comes after ${key}: ${before}`, 'each step must be larger than those before it');
  }
  return Math.max(before, value);
}

function checkProduct(raw: RawConfig, product: RawProduct, path: Path, report: Report): void {
  if (typeof product.policy === 'string') checkPolicyName(raw, product.policy, [...path, 'policy'], report);
  else {
    for (const [jump, name] of Object.entries(product.policy)) {
      if (name !== null) checkPolicyName(raw, name, [...path, 'policy', jump], report);
    }
  }
  if (product.tags !== null && product.tagPrefix !== null) {
    const mend = `remove tagPrefix; as a tag pattern it is "${product.tagPrefix}{version}"`;
    report.add([...path, 'tagPrefix'], 'tags says already how tags are read', mend);
  }
  checkPrereleases(product, [...path, 'prereleases'], report);
  if (product.accept !== null && !report.touches([...path, 'scheme'])) {
    const scheme = schemeOf(product.scheme);
    if (!report.touches([...path, 'accept']) && scheme.range(product.accept) === undefined) {
      const what = `"${product.accept}" is not a range of the scheme ${scheme.name}, or no version can be in it`;
      report.add([...path, 'accept'], what, 'write e.g. ">=1.4 <3"');
    }
  }
  checkRequirements(product, path, report);
  checkWay(product, path, report);
  const platforms = new Set<string>();
  for (const [index, { platform }] of product.artifacts.entries()) {
    if (platforms.has(platform)) {
      report.add([...path, 'artifacts', index, 'platform'], `"${platform}" stands twice`, 'one file per platform');
    }
    platforms.add(platform);
  }
}

function checkPolicyName(raw: RawConfig, name: string, path: Path, report: Report): void {
  const policies = Object.keys(raw.policies);
  if (Object.hasOwn(raw.policies, name) || report.touches(['policies', name])) return;
  // Where the whole section is wrong, the names in it are not known.
  if (policies.length === 0 && report.touches(['policies'])) return;
  report.add(path, `there is no policy "${name}"`, didYouMean(name, policies));
}

function checkPrereleases(product: RawProduct, path: Path, report: Report): void {
  const { scheme, prereleases } = product;
  if (typeof prereleases === 'boolean' || scheme === 'semver' || report.touches([...path.slice(0, -1), 'scheme']))
    return;
  const what = `versions of the scheme ${scheme} have no identifiers`;
  report.add(path, what, 'write true or false: GitHub says which releases are prereleases');
}
